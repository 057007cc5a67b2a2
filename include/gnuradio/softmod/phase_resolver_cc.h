// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <gnuradio/block.h>
#include <gnuradio/softmod/api.h>

#include <cstdint>
#include <vector>

namespace gr::softmod
{

/*!
 * \brief Takes off symbols the turn of the carrier's phase that their constellation hides.
 * \ingroup softmod
 *
 * By a known word: symbols of a lock are held back until those of the word stand out of the correlation with
 * them, then go out without the turn. Or by a decoder's success: each failure turns on by one step of
 * 2 pi / symmetry, a success keeps the turn.
 *
 * The stream tag `constellation` (c32vector of points by label) changes the points from its symbol on, and
 * `locked` (PMT bool) begins a search. Stream tag `phase_known` (PMT bool) where that changes or the turn
 * does. Messages to `decoded`: a PMT bool, or a dictionary with the key decoded. Messages on `status` with
 * each new turn: a dictionary with block, severity, reason, known (bool), turn (in steps) and symmetry.
 */
class SOFTMOD_API phase_resolver_cc : virtual public gr::block
{
public:
    typedef std::shared_ptr<phase_resolver_cc> sptr;

    /*!
     * \param constellation points by label until a tag says others; scaled to E|s|^2 = 1.
     * \param word bits, 0 or 1, that are sent from the beginning of a symbol on; 4 symbols or more. Empty:
     * none. \param hold symbols that wait at most for the word, up to 2^24. \param dwell without a word,
     * symbols after which the next turn is tried unless the decoder had a success; 0: only failures do that.
     * \throws std::invalid_argument a parameter is out of its range.
     */
    static sptr make(const std::vector<gr_complex>& constellation, const std::vector<std::uint8_t>& word = {},
                     unsigned hold = 8192, unsigned dwell = 0);

    //! Whether the turn is known.
    virtual bool known() const = 0;
    //! What is taken off, in steps of 2 pi / symmetry.
    virtual unsigned turn() const = 0;
};

} // namespace gr::softmod
