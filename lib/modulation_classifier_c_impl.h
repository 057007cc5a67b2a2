// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "classifier.h"
#include "frame_cutter.h"
#include "frame_decision.h"
#include "model_port.h"
#include "one_lock.h"
#include "rx_tags.h"
#include "status.h"

#include <gnuradio/softmod/modulation_classifier_c.h>

#include <memory>

namespace gr::softmod
{

class modulation_classifier_c_impl : public modulation_classifier_c
{
public:
    //! A classifier, and its classes as a message wants them.
    struct Network {
        Network(const std::string& path_or_bytes, unsigned threads);
        ::softmod::Classifier classifier;
        pmt::pmt_t class_names, hash;
    };
    using NetworkPtr = std::shared_ptr<Network>;

    //! What is set once and what setters change.
    struct Settings {
        std::uint64_t hop, smoothing, report_period;
        double min_confidence, squelch_db;
        bool remove_dc;
        std::uint64_t live_backlog;
        std::vector<double> frequency_offsets;
    };

    modulation_classifier_c_impl(NetworkPtr network, unsigned channels, const Settings& settings,
                                 double sample_rate, unsigned threads);

    void set_model(const std::string& model) override;
    std::string model() const override;
    std::vector<std::string> class_names() const override;
    std::uint64_t frame_length() const override;
    std::string instruction_set() const override;
    void set_hop(std::uint64_t hop) override;
    std::uint64_t hop() const override;
    void set_smoothing(std::uint64_t smoothing) override;
    std::uint64_t smoothing() const override;
    void set_report_period(std::uint64_t report_period) override;
    std::uint64_t report_period() const override;
    void set_min_confidence(double min_confidence) override;
    double min_confidence() const override;
    void set_squelch_db(double squelch_db) override;
    double squelch_db() const override;
    void set_remove_dc(bool remove_dc) override;
    bool remove_dc() const override;
    counted counts() const override;

    bool start() override;
    bool stop() override;
    void forecast(int noutput_items, gr_vector_int& ninput_items_required) override;
    int general_work(int noutput_items, gr_vector_int& ninput_items, gr_vector_const_void_star& input_items,
                     gr_vector_void_star& output_items) override;

private:
    struct Channel {
        ::softmod::SmoothedDecision decision;
        RxTags tags;
        std::uint64_t report_at = 0; // the frame from which on a report is due
        std::uint64_t follows = 0;   // the sample at which the next frame would begin
        bool begun = false;          // a frame has been classified
        std::size_t produced = 0;    // vectors in this call of work
        double power = 0;            // of the frame in hand
    };

    // All of these are called under the lock.
    void use(NetworkPtr& network);
    void set_frames(const Network& network, std::uint64_t hop);
    std::uint64_t hop_in_use() const
    {
        return d_settings.hop ? d_settings.hop : d_network->classifier.frame_length();
    }
    std::size_t take(const gr_vector_const_void_star& input_items, std::size_t first, std::size_t n);
    bool have_room(std::size_t vectors) const;
    bool more_input_waits() const;
    void classify_next(gr_vector_void_star& output_items);
    bool audible(std::size_t channel, gr_complex* frame);
    void give(std::size_t channel, const float* probabilities, gr_vector_void_star& output_items);
    void tell_losses();

    const OneLock d_locked{};
    NetworkPtr d_network;
    Settings d_settings;
    const unsigned d_threads;
    const std::size_t d_output_classes; // what the output's vectors are made for
    ::softmod::FrameCutter d_cutter;
    std::vector<Channel> d_channels;
    std::vector<gr_complex> d_frames;   // [channels][frame_length]; those that are classified come first
    std::vector<float> d_probabilities; // [channels][classes]
    std::vector<std::size_t> d_audible; // which channels these are of
    counted d_counts;
    std::uint64_t d_frame = 0; // number of the next frame
    std::uint64_t d_told = 0;  // losses
    bool d_connected = false;  // the output is
    std::vector<gr::tag_t> d_tags;
    Status d_status;
    ModelPort d_models; // last: its job uses all of the above
};

} // namespace gr::softmod
