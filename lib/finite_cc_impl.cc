// SPDX-License-Identifier: GPL-3.0-or-later
#include "finite_cc_impl.h"

#include <gnuradio/io_signature.h>

#include <cstring>
#include <stdexcept>

namespace gr
{
namespace softmod
{

namespace
{

const pmt::pmt_t ERASURE = pmt::mp("erasure");

// By its bits: an exponent of all ones is NaN or infinite. Unlike std::isfinite this survives -ffast-math.
bool is_finite(float x)
{
    std::uint32_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    return (bits & 0x7f800000u) != 0x7f800000u;
}

bool is_finite(const gr_complex& x)
{
    return is_finite(x.real()) && is_finite(x.imag());
}

// Without an early exit, so that the compiler makes vector code of it.
bool all_finite(const float* x, std::size_t n)
{
    bool finite = true;
    for (std::size_t i = 0; i < n; ++i)
        finite &= is_finite(x[i]);
    return finite;
}

} // namespace

finite_cc::sptr finite_cc::make(std::uint64_t hold)
{
    return gnuradio::make_block_sptr<finite_cc_impl>(hold);
}

finite_cc_impl::finite_cc_impl(std::uint64_t hold)
    : gr::sync_block("finite_cc", gr::io_signature::make(1, 1, sizeof(gr_complex)),
                     gr::io_signature::make(1, 1, sizeof(gr_complex))),
      d_hold(hold)
{
    if (hold == 0)
        throw std::invalid_argument("finite_cc: hold is 0; it must be at least 1 sample");
}

void finite_cc_impl::tag(std::uint64_t offset, bool erased)
{
    d_erased = erased;
    d_finite_run = 0;
    add_item_tag(0, offset, ERASURE, pmt::from_bool(erased), alias_pmt());
}

int finite_cc_impl::work(int noutput_items, gr_vector_const_void_star& input_items,
                         gr_vector_void_star& output_items)
{
    const auto* in = static_cast<const gr_complex*>(input_items[0]);
    auto* out = static_cast<gr_complex*>(output_items[0]);
    std::memcpy(out, in, noutput_items * sizeof(gr_complex));
    if (!d_erased &&
        all_finite(reinterpret_cast<const float*>(in), 2 * static_cast<std::size_t>(noutput_items)))
        return noutput_items;

    std::uint64_t replaced = 0;
    for (int i = 0; i < noutput_items; ++i) {
        if (!is_finite(in[i])) {
            out[i] = 0;
            ++replaced;
            if (!d_erased)
                tag(nitems_written(0) + i, true);
            d_finite_run = 0;
        } else if (d_erased && ++d_finite_run > d_hold) {
            tag(nitems_written(0) + i, false);
        }
    }
    d_replaced += replaced;
    return noutput_items;
}

} // namespace softmod
} // namespace gr
