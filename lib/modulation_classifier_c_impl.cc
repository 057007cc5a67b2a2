// SPDX-License-Identifier: GPL-3.0-or-later
#include "modulation_classifier_c_impl.h"

#include "keys.h"

#include <gnuradio/block_detail.h>
#include <gnuradio/buffer_reader.h>
#include <gnuradio/io_signature.h>

#include <algorithm>
#include <cmath>

namespace gr::softmod
{
namespace
{

constexpr double least_power = 1e-60; // below it a frame is silent, whatever the squelch

} // namespace

modulation_classifier_c_impl::modulation_classifier_c_impl(NetworkPtr network, unsigned channels,
                                                           const Settings& settings, double sample_rate,
                                                           unsigned threads)
    : gr::block("modulation_classifier_c", gr::io_signature::make(channels, channels, sizeof(gr_complex)),
                gr::io_signature::make(0, channels, network->classifier.classes() * sizeof(float))),
      d_network(std::move(network)), d_settings(settings), d_threads(threads),
      d_output_classes(d_network->classifier.classes()),
      d_cutter(channels, d_network->classifier.frame_length(), 1),
      d_channels(channels, {::softmod::SmoothedDecision(d_output_classes), RxTags(sample_rate)}),
      d_status(*this, d_logger)
{
    d_audible.reserve(channels);
    set_frames(*d_network, settings.hop);
    d_frames.resize(channels * d_network->classifier.frame_length());
    d_probabilities.resize(channels * d_output_classes);
    set_tag_propagation_policy(TPP_DONT);
    message_port_register_out(keys::classification);
    d_models.listen(
        *this, d_locked, d_status,
        [threads](const std::string& model) { return std::make_shared<Network>(model, threads); },
        [this](NetworkPtr& made) {
            use(made);
            const auto& model = d_network->classifier.model();
            ModelPort::tell(d_status, model.name, model.hash);
        });
}

bool modulation_classifier_c_impl::start()
{
    const auto lock = d_locked.hold();
    d_connected = detail()->noutputs() > 0;
    if (d_cutter.position() != nitems_read(0)) // another run
        d_cutter.restart(nitems_read(0));
    return block::start();
}

// A frame may wait when a shorter model came behind the last sample.
bool modulation_classifier_c_impl::stop()
{
    const auto lock = d_locked.hold();
    for (; d_cutter.waiting(); d_cutter.next())
        d_counts.skipped += d_channels.size();
    return block::stop();
}

void modulation_classifier_c_impl::forecast(int, gr_vector_int& ninput_items_required)
{
    const bool waits = d_locked([&] { return d_cutter.waiting() > 0; });
    std::fill(ninput_items_required.begin(), ninput_items_required.end(), waits ? 0 : 1);
}

int modulation_classifier_c_impl::general_work(int noutput_items, gr_vector_int& ninput_items,
                                               gr_vector_const_void_star& input_items,
                                               gr_vector_void_star& output_items)
try {
    const auto lock = d_locked.hold();
    const std::size_t n = *std::min_element(ninput_items.begin(), ninput_items.end());
    const bool live = d_settings.live_backlog > 0;
    for (auto& channel : d_channels)
        channel.produced = 0;
    std::size_t taken = take(input_items, 0, n);
    if (live) { // what feeds us learns now, not after a frame, that there is room again
        consume_each(static_cast<int>(taken));
        detail()->d_tpb.notify_upstream(detail().get());
    }
    while (d_cutter.waiting() && have_room(noutput_items)) {
        classify_next(output_items);
        if (!live)
            taken += take(input_items, taken, n - taken);
        else if (more_input_waits())
            break;
    }
    if (!live)
        consume_each(static_cast<int>(taken));
    for (std::size_t c = 0; c < output_items.size(); ++c)
        produce(static_cast<int>(c), static_cast<int>(d_channels[c].produced));
    tell_losses();
    return WORK_CALLED_PRODUCE;
} catch (const std::exception& error) {
    d_status.report(Severity::error, std::string("stopped: ") + error.what());
    return WORK_DONE;
}

bool modulation_classifier_c_impl::have_room(std::size_t vectors) const
{
    return !d_connected || std::all_of(d_channels.begin(), d_channels.end(),
                                       [vectors](const Channel& c) { return c.produced < vectors; });
}

bool modulation_classifier_c_impl::more_input_waits() const
{
    const auto input = detail()->input(0);
    const gr::thread::scoped_lock guard(*input->mutex());
    return input->items_available() > 0;
}

std::size_t modulation_classifier_c_impl::take(const gr_vector_const_void_star& input_items,
                                               std::size_t first, std::size_t n)
{
    const auto* in = reinterpret_cast<const gr_complex* const*>(input_items.data());
    std::size_t taken = d_cutter.take(in, first, n);
    while (d_settings.live_backlog > 0 && taken < n) { // no room: the oldest frame goes
        d_cutter.next();
        ++d_frame;
        d_counts.skipped += d_channels.size();
        taken += d_cutter.take(in, first + taken, n - taken);
    }
    for (std::size_t c = 0; c < d_channels.size(); ++c) {
        get_tags_in_window(d_tags, static_cast<unsigned>(c), first, first + taken);
        std::stable_sort(d_tags.begin(), d_tags.end(), gr::tag_t::offset_compare);
        for (const auto& tag : d_tags)
            d_channels[c].tags.push(tag);
    }
    d_counts.samples += taken;
    return taken;
}

// Whether the frame is to be classified; without its mean where that is asked.
bool modulation_classifier_c_impl::audible(std::size_t c, gr_complex* frame)
{
    auto& channel = d_channels[c];
    const std::size_t length = d_network->classifier.frame_length();
    const auto level = ::softmod::level_of(frame, length);
    channel.power = d_settings.remove_dc ? level.varying_power() : level.power;
    if (!std::isfinite(level.power)) {
        ++d_counts.invalid;
        return false;
    }
    if (channel.power < std::max(std::pow(10.0, d_settings.squelch_db / 10), least_power)) {
        ++d_counts.squelched;
        channel.decision.forget();
        return false;
    }
    if (d_settings.remove_dc)
        std::transform(frame, frame + length, frame,
                       [mean = gr_complex(level.mean)](const gr_complex& x) { return x - mean; });
    return true;
}

void modulation_classifier_c_impl::classify_next(gr_vector_void_star& output_items)
{
    const std::size_t length = d_network->classifier.frame_length(),
                      classes = d_network->classifier.classes();
    d_cutter.copy(d_frames.data());
    d_audible.clear();
    for (std::size_t c = 0; c < d_channels.size(); ++c) {
        d_channels[c].tags.advance(d_cutter.start(), d_status);
        gr_complex* frame = d_frames.data() + c * length;
        if (!audible(c, frame))
            continue;
        if (d_audible.size() < c)
            std::copy_n(frame, length, d_frames.data() + d_audible.size() * length);
        d_audible.push_back(c);
    }
    d_network->classifier.probabilities(d_frames.data(), d_audible.size(), d_probabilities.data());
    d_counts.classified += d_audible.size();
    for (std::size_t i = 0; i < d_audible.size(); ++i)
        give(d_audible[i], d_probabilities.data() + i * classes, output_items);
    d_cutter.next();
    ++d_frame;
}

} // namespace gr::softmod
