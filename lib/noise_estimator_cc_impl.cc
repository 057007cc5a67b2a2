// SPDX-License-Identifier: GPL-3.0-or-later
#include "noise_estimator_cc_impl.h"

#include "keys.h"
#include "settings.h"

#include <gnuradio/io_signature.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace gr::softmod
{
namespace
{

constexpr std::uint64_t first_estimate = 256;
constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

std::uint64_t checked_period(std::uint64_t period)
{
    if (period >= 64)
        return period;
    throw std::invalid_argument("period is " + std::to_string(period) + "; it must be at least 64 symbols");
}

} // namespace

noise_estimator_cc::sptr noise_estimator_cc::make(const std::vector<gr_complex>& constellation,
                                                  std::uint64_t period, bool normalize,
                                                  std::uint64_t max_symbols, double accuracy_db)
{
    return gnuradio::make_block_sptr<noise_estimator_cc_impl>(constellation, period, normalize, max_symbols,
                                                              accuracy_db);
}

noise_estimator_cc_impl::noise_estimator_cc_impl(const std::vector<gr_complex>& constellation,
                                                 std::uint64_t period, bool normalize,
                                                 std::uint64_t max_symbols, double accuracy_db)
    : gr::sync_block("noise_estimator_cc", gr::io_signature::make(1, 1, sizeof(gr_complex)),
                     gr::io_signature::make(1, 1, sizeof(gr_complex))),
      d_max_symbols(max_symbols), d_accuracy_db(accuracy_db), d_points(checked_points(constellation)),
      d_estimator(d_points, max_symbols, accuracy_db), d_period(checked_period(period)),
      d_normalize(normalize), d_until(std::min(first_estimate, period)), d_status(*this, d_logger)
{
    message_port_register_out(keys::noise_var);
    message_port_register_in(keys::constellation);
    set_msg_handler(keys::constellation, [this](const pmt::pmt_t& value) {
        d_locked([&] { d_status.try_message([&] { start_anew(points_of(value)); }); });
    });
}

void noise_estimator_cc_impl::start_anew(const std::vector<gr_complex>& points)
{
    if (points == d_points)
        return;
    d_estimator = ::softmod::NoiseEstimator(points, d_max_symbols, d_accuracy_db);
    d_points = points;
    d_since = 0;
    d_until = std::min(first_estimate, d_period);
}

void noise_estimator_cc_impl::set_constellation(const std::vector<gr_complex>& points)
{
    d_locked([&] { start_anew(checked_points(points)); });
}

void noise_estimator_cc_impl::set_period(std::uint64_t period)
{
    d_locked([&] {
        d_period = checked_period(period);
        d_until = std::min(d_until, d_period);
    });
}

void noise_estimator_cc_impl::set_normalize(bool normalize)
{
    d_locked([&] { d_normalize = normalize; });
}

double noise_estimator_cc_impl::noise_var() const
{
    return d_locked([&] { return d_latest ? d_latest->noise_var * std::pow(output_scale(), 2) : unknown; });
}

double noise_estimator_cc_impl::esn0_db() const
{
    return d_locked([&] { return d_latest ? d_latest->esn0_db : unknown; });
}

double noise_estimator_cc_impl::gain() const
{
    return d_locked([&] { return d_latest ? d_latest->gain : unknown; });
}

// Passes symbols on and remembers them; returns how many were not finite.
std::size_t noise_estimator_cc_impl::take(const gr_complex* in, std::size_t n, gr_complex* out)
{
    const auto scale = static_cast<float>(output_scale());
    std::transform(in, in + n, out, [scale](const gr_complex& y) { return y * scale; });
    // Of a distance longer than the memory, every stride-th symbol.
    const std::uint64_t stride = (d_until + d_max_symbols - 1) / d_max_symbols;
    const std::uint64_t skip = (stride - d_since % stride) % stride;
    d_since += n;
    return skip < n ? d_estimator.push(in + skip, n - skip, stride) : 0;
}

void noise_estimator_cc_impl::publish(std::uint64_t offset)
{
    // First estimates come early, at twice the distance each.
    d_until = std::min(d_until * 2, d_period);
    d_since = 0;
    const auto estimate = d_estimator.estimate();
    if (!estimate) {
        d_status.report_seldom(Severity::warning, "no estimate at symbol " + std::to_string(offset) +
                                                      ": all symbols were 0 or not finite");
        return;
    }
    d_latest = estimate;
    const double noise_var = estimate->noise_var * std::pow(output_scale(), 2);
    add_item_tag(0, offset, keys::noise_var, pmt::from_double(noise_var), alias_pmt());
    add_item_tag(0, offset, keys::esn0_db, pmt::from_double(estimate->esn0_db), alias_pmt());
    auto message = pmt::make_dict();
    message = pmt::dict_add(message, keys::noise_var, pmt::from_double(noise_var));
    message = pmt::dict_add(message, keys::esn0_db, pmt::from_double(estimate->esn0_db));
    message = pmt::dict_add(message, keys::gain, pmt::from_double(estimate->gain));
    message = pmt::dict_add(message, keys::std_db, pmt::from_double(estimate->std_db));
    message = pmt::dict_add(message, keys::symbols, pmt::from_uint64(estimate->symbols));
    message = pmt::dict_add(message, keys::offset, pmt::from_uint64(offset));
    message_port_pub(keys::noise_var, message);
}

int noise_estimator_cc_impl::work(int noutput_items, gr_vector_const_void_star& input_items,
                                  gr_vector_void_star& output_items)
try {
    const auto lock = d_locked.hold();
    const auto* in = static_cast<const gr_complex*>(input_items[0]);
    auto* out = static_cast<gr_complex*>(output_items[0]);
    const auto count = static_cast<std::size_t>(noutput_items);
    get_tags_in_window(d_tags, 0, 0, count, keys::constellation);
    std::stable_sort(d_tags.begin(), d_tags.end(), gr::tag_t::offset_compare);
    auto tag = d_tags.cbegin();
    std::size_t invalid = 0;
    for (std::size_t done = 0; done < count;) {
        for (; tag != d_tags.cend() && tag->offset == nitems_read(0) + done; ++tag)
            d_status.try_tag(*tag, [&] { start_anew(points_of(tag->value)); });
        std::size_t n = std::min<std::uint64_t>(count - done, d_until - std::min(d_since, d_until));
        if (tag != d_tags.cend())
            n = std::min<std::uint64_t>(n, tag->offset - nitems_read(0) - done);
        invalid += take(in + done, n, out + done);
        done += n;
        if (d_since >= d_until)
            publish(nitems_written(0) + done);
    }
    d_status.count_invalid(invalid, "they are left out");
    return noutput_items;
} catch (const std::exception& error) {
    d_status.report(Severity::error, std::string("stopped: ") + error.what());
    return WORK_DONE;
}

} // namespace gr::softmod
