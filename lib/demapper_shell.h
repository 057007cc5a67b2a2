// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "one_lock.h"
#include "status.h"

#include <gnuradio/block.h>

#include <cstdint>
#include <string>
#include <vector>

namespace gr::softmod
{

/*! What blocks from symbols to LLRs have in common: m LLRs for each symbol, m being free to change, priors
 * added from a second input, tags kept at their symbol, and the noise variance by setter, tag and message.
 */
class DemapperShell : virtual public gr::block
{
public:
    void forecast(int noutput_items, gr_vector_int& ninput_items_required) override;
    int general_work(int noutput_items, gr_vector_int& ninput_items, gr_vector_const_void_star& input_items,
                     gr_vector_void_star& output_items) override;

protected:
    //! The owner calls tell_rate() when it can answer llrs_per_symbol().
    explicit DemapperShell(float noise_var);

    // All of these are called under the lock.
    virtual unsigned llrs_per_symbol() const = 0;
    //! Demaps n symbols to out[first] on, in the type of the output; returns how many were not finite.
    virtual std::size_t demap(const gr_complex* y, std::size_t n, const float* priors, void* out,
                              std::size_t first) = 0;
    //! A setting out of a tag or message, of a key that is not noise_var. Throws std::invalid_argument.
    virtual void apply_other(const pmt::pmt_t&, const pmt::pmt_t&) {}

    //! A message port whose messages go to apply_other.
    void listen(const pmt::pmt_t& key);
    void tell_rate();

    const OneLock d_locked{};
    float d_noise_var;
    Status d_status;

private:
    void apply(const pmt::pmt_t& key, const pmt::pmt_t& value);
    void copy_prior_tags(std::size_t llrs);

    unsigned d_rate = 0; // LLRs a symbol, as the scheduler knows it
    std::vector<gr::tag_t> d_tags;
};

} // namespace gr::softmod
