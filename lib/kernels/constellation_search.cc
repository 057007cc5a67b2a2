// SPDX-License-Identifier: GPL-3.0-or-later
#include "constellation_search.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

namespace softmod
{
namespace
{

constexpr double PI = 3.14159265358979323846;
// By how much, in nats of the whole window, a constellation must explain the symbols better than noise does.
constexpr double ENOUGH_ABOVE_NOISE = 12;

} // namespace

ConstellationSearch::ConstellationSearch(const std::vector<CandidateConstellation>& candidates,
                                         double loop_bandwidth)
    : d_log_priors(candidates.size())
{
    if (candidates.empty())
        throw std::invalid_argument("there are no candidates; at least one constellation is needed");
    for (const auto& candidate : candidates) {
        if (std::find(d_names.begin(), d_names.end(), candidate.name) != d_names.end())
            throw std::invalid_argument("the candidate '" + candidate.name + "' is there twice");
        d_names.push_back(candidate.name);
        d_points.push_back(candidate.points);
        SymbolRecoveryConfig config;
        config.loop_bandwidth = loop_bandwidth;
        d_fits.emplace_back(candidate.points, config);
    }
}

void ConstellationSearch::set_log_priors(const std::vector<double>& log_priors)
{
    if (log_priors.size() != size())
        throw std::invalid_argument("there are " + std::to_string(log_priors.size()) + " priors for " +
                                    std::to_string(size()) + " candidates");
    for (const double value : log_priors)
        if (std::isnan(value) || value > 0)
            throw std::invalid_argument("a log-probability is " + std::to_string(value) +
                                        "; it must be 0 or less");
    d_log_priors = log_priors;
}

ConstellationSearch::Result ConstellationSearch::search(const Complex* symbols, std::size_t n) const
{
    constexpr double impossible = -std::numeric_limits<double>::infinity();
    const double noise = -std::log(PI) - 1; // Gaussian of power 1, mean over its own symbols
    const std::vector<Complex> window(symbols, symbols + n);
    Result result;
    double highest = impossible, next = impossible;
    for (std::size_t k = 0; k < size(); ++k) {
        if (d_log_priors[k] == impossible)
            continue;
        const auto evidence = d_fits[k].evidence(window);
        const double above = evidence.log_likelihood - noise;
        if (!evidence.found || above * static_cast<double>(n) < ENOUGH_ABOVE_NOISE)
            continue;
        const double posterior = d_log_priors[k] + static_cast<double>(n) * above;
        if (posterior > highest) {
            next = highest, highest = posterior;
            result.best = k, result.log_likelihood = above;
        } else {
            next = std::max(next, posterior);
        }
    }
    // Against no other candidate the margin is that above noise.
    if (result.best != NONE)
        result.margin = highest - std::max(next, d_log_priors[result.best]);
    return result;
}

} // namespace softmod
