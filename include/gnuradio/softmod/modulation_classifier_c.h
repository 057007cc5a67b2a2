// SPDX-License-Identifier: GPL-3.0-or-later
#ifndef INCLUDED_SOFTMOD_MODULATION_CLASSIFIER_C_H
#define INCLUDED_SOFTMOD_MODULATION_CLASSIFIER_C_H

#include <gnuradio/block.h>
#include <gnuradio/softmod/api.h>

#include <cstdint>
#include <string>
#include <vector>

namespace gr::softmod
{

/*!
 * \brief Says which modulation a stream has, frame by frame, by a trained network of integers.
 * \ingroup softmod
 *
 * Frame k is the samples from k * hop on, as many as the model's frame_length: hop = frame_length leaves none
 * out, a smaller one overlaps frames, a larger one leaves gaps and so bounds the work. The level does not
 * matter: the model normalises each frame. A frame whose power is below squelch_db is not classified, nor is
 * one of zeros, nor one with a sample that is NaN or infinite.
 *
 * Inputs: a stream a channel (complex), all at one rate; the frames of all channels that begin at one time
 * are classified together. Outputs, which may stay unconnected: a stream a channel of vectors, the
 * probability of every class (float) for each classified frame. Stream tags there: `sample_index` (uint64),
 * the place in the input of the first sample of the frame, at the first vector and wherever a frame does not
 * follow the one before it by hop; and `classification`, the dictionary below, at the frames that are
 * reported. A stream ending within a frame gives nothing for it.
 *
 * Messages: `classification`, a dictionary of `class` (symbol), `probability` of it, `probabilities`
 * (f32vector) and `class_names` (vector of symbols), `channel`, `sample_index` of the frame's first sample,
 * `frame_length`, `power_db` of the frame, `model_hash`, and where tags have told them: `rx_freq` (hertz) and
 * `rx_time` (pair of seconds and fraction, of the frame's first sample; needs a tag `rx_rate` or sample_rate
 * too). Tags count from their sample on: those within a frame for the frames after it. The probabilities are
 * the mean over `smoothing` frames, begun anew after a frame below the squelch. A channel's first classified
 * frame is reported, then the next one at least report_period frames later, and so on; those less probable
 * than min_confidence are not.
 *
 * A message on `model` brings another network: a path (a string or symbol), the file itself (a u8vector), or
 * a pair (model . one of these). It is read and checked beside the stream and used from the next frame on,
 * whatever its frame length; no sample is lost. `status` then says its `hash`. While the output is connected,
 * a model must have as many classes as the first one.
 *
 * Every frame is classified or counted (counts). With live_backlog = 0 nothing is skipped and what feeds the
 * block waits for it, as a file can. A live source cannot wait: with live_backlog = n the block takes all
 * samples at once and keeps n frames a channel waiting; where the processor cannot follow, the oldest of them
 * are skipped and counted, and `status` tells it at most once a second.
 *
 * A model, message or tag that cannot be used changes nothing, is logged, and is told on `status`: a
 * dictionary with block, severity and reason.
 */
class SOFTMOD_API modulation_classifier_c : virtual public gr::block
{
public:
    typedef std::shared_ptr<modulation_classifier_c> sptr;

    //! Frames so far, of all channels together, and the samples of each channel.
    struct counted {
        std::uint64_t classified = 0; //!< by the network
        std::uint64_t unsure = 0;     //!< of these, due to be reported but below min_confidence
        std::uint64_t squelched = 0;  //!< below squelch_db, or all zeros
        std::uint64_t invalid = 0;    //!< with a sample that was not finite
        std::uint64_t skipped = 0;    //!< because the processor could not follow
        std::uint64_t samples = 0;    //!< of each channel
    };

    /*!
     * \param model path of a ModelFile of kind "classifier"; in Python also its bytes
     * \param channels how many streams come in, 1 to 1024
     * \param hop samples from one frame's beginning to the next's; 0: the model's frame_length
     * \param smoothing frames whose probabilities are averaged
     * \param report_period frames of a channel from one report to the next
     * \param min_confidence least probability that is reported, 0 to 1
     * \param squelch_db power in dB (of 1) below which a frame is not classified
     * \param remove_dc subtract a frame's mean, whose power then does not open the squelch either; takes the
     *        carrier from signals that have one in the middle
     * \param live_backlog 0: never skip; n: a live source, of which n frames may wait
     * \param sample_rate in hertz, for rx_time; 0: what tags rx_rate say
     * \param frequency_offsets hertz of each channel from rx_freq (from 0 until a tag tells it); empty: none
     * \param threads that share the frames of the channels, 1 to 256
     * \throws std::invalid_argument the model cannot be read or is refused, a parameter is out of its range
     */
    static sptr make(const std::string& model, unsigned channels = 1, std::uint64_t hop = 0,
                     std::uint64_t smoothing = 1, std::uint64_t report_period = 1, double min_confidence = 0,
                     double squelch_db = -150, bool remove_dc = false, std::uint64_t live_backlog = 0,
                     double sample_rate = 0, const std::vector<double>& frequency_offsets = {},
                     unsigned threads = 1);

    //! Path or bytes of another model, used from the next frame on. \throws std::invalid_argument
    virtual void set_model(const std::string& model) = 0;
    //! SHA-256 of the model in use, 64 hexadecimal digits.
    virtual std::string model() const = 0;
    //! Names of its classes, in the order of the probabilities.
    virtual std::vector<std::string> class_names() const = 0;
    //! Samples of a frame.
    virtual std::uint64_t frame_length() const = 0;
    //! What the network runs on, such as "avx512 vnni".
    virtual std::string instruction_set() const = 0;

    //! Samples from one frame's beginning to the next's; 0: the model's frame_length. \throws
    //! std::invalid_argument
    virtual void set_hop(std::uint64_t hop) = 0;
    //! Samples from one frame's beginning to the next's.
    virtual std::uint64_t hop() const = 0;
    //! Frames whose probabilities are averaged, at least 1. \throws std::invalid_argument
    virtual void set_smoothing(std::uint64_t smoothing) = 0;
    //! Frames whose probabilities are averaged.
    virtual std::uint64_t smoothing() const = 0;
    //! Frames from one report to the next, at least 1. \throws std::invalid_argument
    virtual void set_report_period(std::uint64_t report_period) = 0;
    //! Frames from one report to the next.
    virtual std::uint64_t report_period() const = 0;
    //! Least probability that is reported, 0 to 1. \throws std::invalid_argument
    virtual void set_min_confidence(double min_confidence) = 0;
    //! Least probability that is reported.
    virtual double min_confidence() const = 0;
    //! Power in dB below which a frame is not classified; finite. \throws std::invalid_argument
    virtual void set_squelch_db(double squelch_db) = 0;
    //! Power in dB below which a frame is not classified.
    virtual double squelch_db() const = 0;
    //! Whether a frame's mean is subtracted.
    virtual void set_remove_dc(bool remove_dc) = 0;
    //! Whether a frame's mean is subtracted.
    virtual bool remove_dc() const = 0;

    //! What became of the frames so far.
    virtual counted counts() const = 0;
};

} // namespace gr::softmod

#endif
