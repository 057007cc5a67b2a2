// SPDX-License-Identifier: GPL-3.0-or-later
// How modulation_classifier_c is made and set.
#include "modulation_classifier_c_impl.h"

#include <cmath>
#include <sstream>
#include <stdexcept>

namespace gr::softmod
{
namespace
{

template <class Number>
[[noreturn]] void refuse(const char* name, Number value, const char* allowed)
{
    std::ostringstream text;
    text << name << " is " << value << "; " << allowed;
    throw std::invalid_argument(text.str());
}

std::uint64_t at_least_one(const char* name, std::uint64_t value)
{
    if (value < 1)
        refuse(name, value, "it must be at least 1 frame");
    return value;
}

double checked_confidence(double value)
{
    if (!(value >= 0 && value <= 1))
        refuse("min_confidence", value, "it must lie between 0 and 1");
    return value;
}

double checked_squelch(double value)
{
    if (!std::isfinite(value))
        refuse("squelch_db", value, "it must be finite");
    return value;
}

modulation_classifier_c_impl::Settings checked(modulation_classifier_c_impl::Settings settings,
                                               unsigned channels)
{
    if (channels < 1 || channels > 1024)
        refuse("channels", channels, "it must lie between 1 and 1024");
    at_least_one("smoothing", settings.smoothing);
    at_least_one("report_period", settings.report_period);
    checked_confidence(settings.min_confidence);
    checked_squelch(settings.squelch_db);
    const auto& offsets = settings.frequency_offsets;
    if (!offsets.empty() && offsets.size() != channels)
        refuse("the number of frequency_offsets", offsets.size(), "it must be 0 or that of the channels");
    for (const double offset : offsets)
        if (!std::isfinite(offset))
            refuse("a frequency offset", offset, "it must be finite");
    return settings;
}

} // namespace

modulation_classifier_c_impl::Network::Network(const std::string& path_or_bytes, unsigned threads)
    : classifier(is_path(path_or_bytes) ? ::softmod::read_model(path_or_bytes)
                                        : ::softmod::parse_model(path_or_bytes, "model"),
                 threads),
      hash(pmt::mp(classifier.model().hash))
{
    const auto& names = classifier.model().class_names;
    class_names = pmt::make_vector(names.size(), pmt::PMT_NIL);
    for (std::size_t i = 0; i < names.size(); ++i)
        pmt::vector_set(class_names, i, pmt::mp(names[i]));
}

modulation_classifier_c::sptr
modulation_classifier_c::make(const std::string& model, unsigned channels, std::uint64_t hop,
                              std::uint64_t smoothing, std::uint64_t report_period, double min_confidence,
                              double squelch_db, bool remove_dc, std::uint64_t live_backlog,
                              double sample_rate, const std::vector<double>& frequency_offsets,
                              unsigned threads)
{
    if (!(std::isfinite(sample_rate) && sample_rate >= 0))
        refuse("sample_rate", sample_rate, "it must be positive and finite, or 0 where it is not known");
    const auto settings = checked({hop, smoothing, report_period, min_confidence, squelch_db, remove_dc,
                                   live_backlog, frequency_offsets},
                                  channels);
    return gnuradio::make_block_sptr<modulation_classifier_c_impl>(
        std::make_shared<modulation_classifier_c_impl::Network>(model, threads), channels, settings,
        sample_rate, threads);
}

void modulation_classifier_c_impl::set_frames(const Network& network, std::uint64_t hop)
{
    const std::size_t length = network.classifier.frame_length();
    // Beside what may wait, place for the frame that comes in.
    d_cutter.set_frames(length, hop ? hop : length, d_settings.live_backlog + 1);
}

// Leaves the old network in the argument.
void modulation_classifier_c_impl::use(NetworkPtr& network)
{
    const auto& classifier = network->classifier;
    if (d_connected && classifier.classes() != d_output_classes)
        throw std::invalid_argument("the model has " + std::to_string(classifier.classes()) +
                                    " classes; the connected output has " + std::to_string(d_output_classes));
    set_frames(*network, d_settings.hop);
    d_frames.resize(d_channels.size() * classifier.frame_length());
    d_probabilities.resize(d_channels.size() * classifier.classes());
    for (auto& channel : d_channels)
        channel.decision = ::softmod::SmoothedDecision(classifier.classes());
    d_network.swap(network);
}

void modulation_classifier_c_impl::set_model(const std::string& model)
{
    auto made = std::make_shared<Network>(model, d_threads);
    d_locked([&] { use(made); }); // the old one is freed outside the lock
}

std::string modulation_classifier_c_impl::model() const
{
    return d_locked([&] { return d_network->classifier.model().hash; });
}

std::vector<std::string> modulation_classifier_c_impl::class_names() const
{
    return d_locked([&] { return d_network->classifier.model().class_names; });
}

std::uint64_t modulation_classifier_c_impl::frame_length() const
{
    return d_locked([&] { return d_network->classifier.frame_length(); });
}

std::string modulation_classifier_c_impl::instruction_set() const
{
    return d_locked([&] { return d_network->classifier.instruction_set(); });
}

void modulation_classifier_c_impl::set_hop(std::uint64_t hop)
{
    d_locked([&] {
        set_frames(*d_network, hop);
        d_settings.hop = hop;
    });
}

std::uint64_t modulation_classifier_c_impl::hop() const
{
    return d_locked([&] { return hop_in_use(); });
}

void modulation_classifier_c_impl::set_smoothing(std::uint64_t smoothing)
{
    d_locked([&] { d_settings.smoothing = at_least_one("smoothing", smoothing); });
}

std::uint64_t modulation_classifier_c_impl::smoothing() const
{
    return d_locked([&] { return d_settings.smoothing; });
}

void modulation_classifier_c_impl::set_report_period(std::uint64_t report_period)
{
    d_locked([&] { d_settings.report_period = at_least_one("report_period", report_period); });
}

std::uint64_t modulation_classifier_c_impl::report_period() const
{
    return d_locked([&] { return d_settings.report_period; });
}

void modulation_classifier_c_impl::set_min_confidence(double min_confidence)
{
    d_locked([&] { d_settings.min_confidence = checked_confidence(min_confidence); });
}

double modulation_classifier_c_impl::min_confidence() const
{
    return d_locked([&] { return d_settings.min_confidence; });
}

void modulation_classifier_c_impl::set_squelch_db(double squelch_db)
{
    d_locked([&] { d_settings.squelch_db = checked_squelch(squelch_db); });
}

double modulation_classifier_c_impl::squelch_db() const
{
    return d_locked([&] { return d_settings.squelch_db; });
}

void modulation_classifier_c_impl::set_remove_dc(bool remove_dc)
{
    d_locked([&] { d_settings.remove_dc = remove_dc; });
}

bool modulation_classifier_c_impl::remove_dc() const
{
    return d_locked([&] { return d_settings.remove_dc; });
}

modulation_classifier_c::counted modulation_classifier_c_impl::counts() const
{
    return d_locked([&] { return d_counts; });
}

} // namespace gr::softmod
