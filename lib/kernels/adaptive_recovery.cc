// SPDX-License-Identifier: GPL-3.0-or-later
#include "adaptive_recovery.h"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace softmod
{
namespace
{

constexpr std::size_t PIECE = 64; // symbols between looks at the state
constexpr std::size_t HELD_WINDOWS = 4;
constexpr std::size_t REMEMBERED = 1 << 15; // more than a SymbolRecovery and a search can hold together
constexpr double GROWING = 1.2;             // while a burst comes into the window it is worth waiting
constexpr std::uint64_t PATIENCE = 4;       // windows in which a recovery must lock
constexpr double NOISE_CHANGED = 1.5, NOISE_AVERAGING = 1.0 / 16;

const AdaptiveRecoveryConfig& checked(const AdaptiveRecoveryConfig& c)
{
    const auto fail = [](const std::string& what) { throw std::invalid_argument(what); };
    if (c.window < 256 || c.window > 8192 || (c.window & (c.window - 1)))
        fail("window is " + std::to_string(c.window) + "; it must be a power of two from 256 to 8192");
    if (!(c.margin >= 0 && c.margin < 1e9))
        fail("margin is " + std::to_string(c.margin) + "; it must be 0 or more, and finite");
    if (c.agreeing < 1 || c.agreeing > 100)
        fail("agreeing is " + std::to_string(c.agreeing) + "; it must be from 1 to 100");
    if (c.interval < c.window)
        fail("interval is " + std::to_string(c.interval) + "; it must be at least the window, " +
             std::to_string(c.window));
    return c;
}

} // namespace

AdaptiveRecovery::AdaptiveRecovery(const ConstellationSearch& search, const AdaptiveRecoveryConfig& config)
    : d_search(search), d_config(checked(config)), d_next_search(config.window)
{
}

void AdaptiveRecovery::process(const Complex* symbols, std::size_t n, std::vector<Complex>& out,
                               std::vector<Mark>& marks)
{
    // What is decided is decided at the ends of pieces, which are the same whatever the calls are.
    while (n > 0) {
        const auto piece = std::min<std::size_t>(n, PIECE - d_taken % PIECE);
        take(symbols, piece, out, marks);
        symbols += piece, n -= piece;
    }
}

void AdaptiveRecovery::flush(std::vector<Complex>& out, std::vector<Mark>& marks)
{
    if (locked()) {
        Mark mark;
        mark.symbol = d_put_out, mark.changed = true, mark.constellation = d_constellation;
        marks.push_back(mark);
    }
    d_recovery.reset();
    release(waiting(), out);
}

void AdaptiveRecovery::take(const Complex* symbols, std::size_t n, std::vector<Complex>& out,
                            std::vector<Mark>& marks)
{
    d_recent.insert(d_recent.end(), symbols, symbols + n);
    if (d_recent.size() > 2 * REMEMBERED)
        d_recent.erase(d_recent.begin(), d_recent.end() - static_cast<std::ptrdiff_t>(REMEMBERED));
    d_taken += n;
    if (d_recovery)
        feed(n, out, marks);
    if (d_taken % PIECE)
        return;
    if (d_recovery)
        keep_watch(out, marks);
    else if (d_taken >= d_next_search && waiting() >= d_config.window)
        look_for_one(out, marks);
}

// Whether as many searches in a row as are asked for have named the same candidate.
bool AdaptiveRecovery::named(const ConstellationSearch::Result& found, bool sure)
{
    const bool growing = found.log_likelihood > GROWING * d_named_likelihood;
    d_times = !sure ? 0 : found.best == d_named && !growing ? d_times + 1 : 1;
    d_named = sure ? found.best : NONE;
    d_named_likelihood = found.log_likelihood;
    d_margin = found.margin;
    return sure && d_times >= d_config.agreeing;
}

void AdaptiveRecovery::look_for_one(std::vector<Complex>& out, std::vector<Mark>& marks)
{
    const auto found = d_search.search(newest(d_config.window), d_config.window);
    const std::size_t hop = d_config.window / 4;
    const bool full = waiting() + hop > HELD_WINDOWS * d_config.window;
    d_next_search = d_taken + hop;
    if (named(found, found.best != NONE && (found.margin >= d_config.margin || full)))
        begin(0, out, marks);
    else if (full)
        release(hop, out);
}

void AdaptiveRecovery::release(std::size_t count, std::vector<Complex>& out)
{
    const Complex* oldest = newest(waiting());
    out.insert(out.end(), oldest, oldest + count);
    d_put_out += count;
}

// A new recovery of the constellation that was named gets `again` symbols that are put out already, to lock
// on, and those that wait.
void AdaptiveRecovery::begin(std::size_t again, std::vector<Complex>& out, std::vector<Mark>& marks)
{
    d_constellation = d_named;
    d_recovery.emplace(d_search.prototype(d_constellation));
    d_was_locked = false;
    d_returned = 0;
    d_origin = d_put_out - again;
    d_begun = d_agreed = d_taken;
    d_named = NONE, d_times = 0, d_named_likelihood = 0;
    d_usual_noise = 0;
    d_next_search = d_taken + d_config.interval;
    feed(waiting() + again, out, marks);
}

// The newest symbols go through the recovery.
void AdaptiveRecovery::feed(std::size_t fresh, std::vector<Complex>& out, std::vector<Mark>& marks)
{
    d_made.clear(), d_inner_marks.clear();
    d_recovery->process(newest(fresh), fresh, d_made, d_inner_marks);
    for (const auto& inner : d_inner_marks) {
        Mark mark;
        mark.symbol = std::max(d_origin + inner.symbol, d_put_out);
        mark.changed = inner.changed;
        mark.locked = inner.locked;
        mark.constellation = d_constellation;
        mark.noise_var = inner.noise_var;
        mark.frequency = inner.frequency;
        mark.margin = d_margin;
        if (inner.changed && inner.locked)
            mark.in_doubt = d_in_doubt, d_in_doubt = 0;
        marks.push_back(mark);
        if (inner.locked)
            watch_noise(inner.noise_var);
    }
    // What it returns ends at d_origin + all it returned; the first of it may be put out already.
    d_returned += d_made.size();
    const std::uint64_t end = d_origin + d_returned;
    if (end > d_put_out) {
        out.insert(out.end(), d_made.end() - static_cast<std::ptrdiff_t>(end - d_put_out), d_made.end());
        d_put_out = end;
    }
    d_was_locked = d_was_locked || d_recovery->locked();
}

// Another noise is the cheapest sign of another constellation.
void AdaptiveRecovery::watch_noise(double noise_var)
{
    const double ratio = d_usual_noise > 0 ? noise_var / d_usual_noise : 1;
    if (ratio > NOISE_CHANGED || ratio < 1 / NOISE_CHANGED) {
        d_next_search = std::min<std::uint64_t>(d_next_search, d_taken + d_config.window / 2);
        d_alert_until = d_taken + 2 * d_config.window;
        d_usual_noise = noise_var;
    } else {
        d_usual_noise += (d_usual_noise > 0 ? NOISE_AVERAGING : 1) * (noise_var - d_usual_noise);
    }
}

// With a recovery: has it lost its lock or never found one, and is it still the right one?
void AdaptiveRecovery::keep_watch(std::vector<Complex>& out, std::vector<Mark>& marks)
{
    const bool hopeless = !d_was_locked && d_taken > d_begun + PATIENCE * d_config.window;
    if (hopeless || (d_was_locked && !d_recovery->locked())) {
        d_recovery.reset();
        d_next_search = d_taken;
        return;
    }
    if (!d_recovery->locked() || d_taken < d_next_search)
        return;
    const auto found = d_search.search(newest(d_config.window), d_config.window);
    const bool other = found.best != NONE && found.best != d_constellation && found.margin >= d_config.margin;
    if (!other) {
        d_agreed = d_taken;
        d_next_search = d_taken + (d_taken < d_alert_until ? d_config.window / 4 : d_config.interval);
        named(found, false);
    } else if (named(found, true)) {
        d_in_doubt = d_taken - d_agreed;
        begin(d_config.window, out, marks);
        if (!d_recovery->locked()) {
            Mark mark;
            mark.symbol = d_put_out, mark.changed = true, mark.constellation = d_constellation;
            marks.push_back(mark);
        }
    } else {
        d_next_search = d_taken + d_config.window / 4;
    }
}

} // namespace softmod
