// SPDX-License-Identifier: GPL-3.0-or-later
// What modulation_classifier_c says: vectors, tags, messages and status.
#include "modulation_classifier_c_impl.h"

#include <cmath>

namespace gr::softmod
{

void modulation_classifier_c_impl::give(std::size_t c, const float* probabilities,
                                        gr_vector_void_star& output_items)
{
    auto& channel = d_channels[c];
    const auto& classifier = d_network->classifier;
    const std::uint64_t start = d_cutter.start();
    const auto port = static_cast<unsigned>(c);
    const bool connected = c < output_items.size();
    const std::uint64_t item = connected ? nitems_written(port) + channel.produced : 0;
    if (connected) {
        std::copy_n(probabilities, d_output_classes,
                    static_cast<float*>(output_items[c]) + channel.produced * d_output_classes);
        if (!channel.begun || channel.follows != start)
            add_item_tag(port, item, keys::sample_index, pmt::from_uint64(start), alias_pmt());
    }
    ++channel.produced;
    channel.begun = true;
    channel.follows = start + hop_in_use();

    channel.decision.add(probabilities, d_settings.smoothing);
    if (d_frame < channel.report_at)
        return;
    const auto& mean = channel.decision.probabilities();
    const std::size_t best = channel.decision.best();
    if (mean[best] < d_settings.min_confidence) {
        ++d_counts.unsure;
        return;
    }
    channel.report_at = d_frame + d_settings.report_period;
    const auto& offsets = d_settings.frequency_offsets;
    auto message = channel.tags.add_to(pmt::make_dict(), start,
                                       offsets.empty() ? std::nullopt : std::optional(offsets[c]));
    const auto add = [&message](const pmt::pmt_t& key, const pmt::pmt_t& value) {
        message = pmt::dict_add(message, key, value);
    };
    add(keys::decided_class, pmt::vector_ref(d_network->class_names, best));
    add(keys::probability, pmt::from_double(mean[best]));
    add(keys::probabilities, pmt::init_f32vector(mean.size(), mean));
    add(keys::class_names, d_network->class_names);
    add(keys::channel, pmt::from_uint64(c));
    add(keys::sample_index, pmt::from_uint64(start));
    add(keys::frame_length, pmt::from_uint64(classifier.frame_length()));
    add(keys::power_db, pmt::from_double(10 * std::log10(channel.power)));
    add(keys::model_hash, d_network->hash);
    message_port_pub(keys::classification, message);
    if (connected)
        add_item_tag(port, item, keys::classification, message, alias_pmt());
}

// Told again when a second has passed, should some have been lost since.
void modulation_classifier_c_impl::tell_losses()
{
    const std::uint64_t losses = d_counts.skipped + d_counts.invalid;
    if (losses == d_told)
        return;
    auto fields = pmt::dict_add(pmt::make_dict(), keys::skipped, pmt::from_uint64(d_counts.skipped));
    fields = pmt::dict_add(fields, keys::invalid, pmt::from_uint64(d_counts.invalid));
    if (d_status.report_seldom(Severity::warning,
                               "frames so far that were not classified: " + std::to_string(d_counts.skipped) +
                                   " skipped, because the processor cannot follow, " +
                                   std::to_string(d_counts.invalid) + " with samples that were not finite",
                               fields))
        d_told = losses;
}

} // namespace gr::softmod
