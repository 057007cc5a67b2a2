// SPDX-License-Identifier: GPL-3.0-or-later
#ifndef INCLUDED_SOFTMOD_NEURAL_DEMAPPER_CF_H
#define INCLUDED_SOFTMOD_NEURAL_DEMAPPER_CF_H

#include <gnuradio/block.h>
#include <gnuradio/softmod/api.h>

#include <cstdint>
#include <string>
#include <vector>

namespace gr::softmod
{

/*!
 * \brief Symbols to log-likelihood ratios (LLRs) by a network that learnt them through its channel.
 * \ingroup softmod
 *
 * The network takes Re(y), Im(y) and the noise variance and gives m LLRs a symbol, first bit of its label
 * first, as soft_demapper_cf does: llr = ln P(b = 1 | y) - ln P(b = 0 | y). What it knows of the channel (an
 * amplifier, phase noise, points that were trained with it) it learnt: see `softmod train-link`, and `softmod
 * export-link`, which writes the model this block reads.
 *
 * Inputs: 0, symbols (complex), one sample a symbol, at the level the network was trained with; 1 (may stay
 * unconnected), LLRs (float) of the bits known beforehand, m a symbol, which are added. Output: m LLRs a
 * symbol.
 *
 * The noise variance comes by setter, by messages on `noise_var` (a number, a pair (noise_var . number) or a
 * dictionary with that key) and by stream tags `noise_var`, from exactly the tagged symbol on. The latest
 * counts. A tag `packet_len` gets the length in LLRs.
 *
 * A message on `model` brings another network: a path (a string or symbol), the file itself (a u8vector), or
 * a pair (model . one of these). It is read and checked beside the stream, and takes the old one's place at a
 * symbol boundary; no symbol is lost, whatever its size. The message port `status` then says its `hash`.
 *
 * A model, message or tag that cannot be used changes nothing, is logged, and is told on `status`: a
 * dictionary with block, severity and reason. A symbol that is NaN or infinite gives LLRs of 0; those are
 * counted (invalid_count), and told there with the key `count`, at most once a second.
 */
class SOFTMOD_API neural_demapper_cf : virtual public gr::block
{
public:
    typedef std::shared_ptr<neural_demapper_cf> sptr;

    /*!
     * \param model path of a ModelFile of kind "demapper"; in Python also its bytes
     * \param noise_var E|n|^2 of the complex noise, until a tag or message tells another
     * \throws std::invalid_argument the model cannot be read or is refused, noise_var is not positive and
     *         finite
     */
    static sptr make(const std::string& model, float noise_var = 1);

    //! Path or bytes of another model, which counts from the next symbol on. \throws std::invalid_argument
    virtual void set_model(const std::string& model) = 0;
    //! SHA-256 of the model in use, 64 hexadecimal digits.
    virtual std::string model() const = 0;
    //! m, how many LLRs a symbol gives.
    virtual unsigned bits_per_symbol() const = 0;
    //! What the transmitter is to send at the current noise variance: points by label.
    virtual std::vector<gr_complex> constellation() const = 0;

    //! E|n|^2 of the complex noise, positive and finite. \throws std::invalid_argument
    virtual void set_noise_var(float noise_var) = 0;
    //! E|n|^2 that the next symbol is demapped with.
    virtual float noise_var() const = 0;

    //! Symbols so far whose LLRs are 0 because a sample was not finite.
    virtual std::uint64_t invalid_count() const = 0;
};

} // namespace gr::softmod

#endif
