// SPDX-License-Identifier: GPL-3.0-or-later
#include "equalizer_cc_impl.h"

#include "keys.h"
#include "settings.h"

#include <gnuradio/io_signature.h>

#include <stdexcept>

namespace gr::softmod
{
namespace
{

using ::softmod::EqualizerConfig;
using ::softmod::EqualizerMethod;

constexpr std::pair<EqualizerMethod, const char*> methods[] = {
    {EqualizerMethod::likelihood, "likelihood"},
    {EqualizerMethod::decision, "decision"},
    {EqualizerMethod::modulus, "modulus"},
};

EqualizerMethod method_of(const std::string& name)
{
    for (const auto& [method, its_name] : methods)
        if (name == its_name)
            return method;
    throw std::invalid_argument("method is '" + name + "'; it must be 'likelihood', 'decision' or 'modulus'");
}

} // namespace

equalizer_cc::sptr equalizer_cc::make(const std::vector<gr_complex>& constellation, unsigned taps,
                                      unsigned samples_per_symbol, float step, const std::string& method,
                                      float noise_var, unsigned acquisition, bool adapting)
{
    // Everything is checked before a block exists.
    EqualizerConfig config{checked_points(constellation),
                           taps,
                           samples_per_symbol,
                           method_of(method),
                           step,
                           noise_var,
                           acquisition};
    (void)::softmod::Equalizer(config);
    auto made = gnuradio::make_block_sptr<equalizer_cc_impl>(config);
    made->set_adapting(adapting);
    return made;
}

equalizer_cc_impl::equalizer_cc_impl(const EqualizerConfig& config)
    : gr::sync_decimator("equalizer_cc", gr::io_signature::make(1, 1, sizeof(gr_complex)),
                         gr::io_signature::make(1, 1, sizeof(gr_complex)),
                         static_cast<unsigned>(config.samples_per_symbol)),
      d_equalizer(config), d_status(*this, d_logger)
{
    set_history(static_cast<unsigned>(config.taps));
    declare_sample_delay(static_cast<unsigned>(config.taps / 2)); // of the middle tap
    on_message(keys::noise_var,
               [this](const pmt::pmt_t& value) { d_equalizer.set_noise_var(noise_var_of(value)); });
    on_message(keys::constellation,
               [this](const pmt::pmt_t& value) { d_equalizer.set_points(points_of(value)); });
}

template <class Change>
void equalizer_cc_impl::on_message(const pmt::pmt_t& key, Change change)
{
    message_port_register_in(key);
    set_msg_handler(key, [this, change](const pmt::pmt_t& value) {
        d_locked([&] { d_status.try_message([&] { change(value); }); });
    });
}

void equalizer_cc_impl::set_constellation(const std::vector<gr_complex>& points)
{
    d_locked([&] { d_equalizer.set_points(checked_points(points)); });
}

void equalizer_cc_impl::set_method(const std::string& method)
{
    d_locked([&] { d_equalizer.set_method(method_of(method)); });
}

std::string equalizer_cc_impl::method() const
{
    const auto current = d_locked([&] { return d_equalizer.config().method; });
    for (const auto& [method, name] : methods)
        if (method == current)
            return name;
    return {};
}

int equalizer_cc_impl::work(int noutput_items, gr_vector_const_void_star& input_items,
                            gr_vector_void_star& output_items)
try {
    const auto lock = d_locked.hold();
    const auto invalid = d_equalizer.process(static_cast<const gr_complex*>(input_items[0]),
                                             static_cast<std::size_t>(noutput_items),
                                             static_cast<gr_complex*>(output_items[0]));
    d_status.count_invalid(invalid, "they count as 0");
    return noutput_items;
} catch (const std::exception& error) {
    d_status.report(Severity::error, std::string("stopped: ") + error.what());
    return WORK_DONE;
}

} // namespace gr::softmod
