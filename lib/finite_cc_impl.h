// SPDX-License-Identifier: GPL-3.0-or-later
#ifndef INCLUDED_SOFTMOD_FINITE_CC_IMPL_H
#define INCLUDED_SOFTMOD_FINITE_CC_IMPL_H

#include <gnuradio/softmod/finite_cc.h>

#include <atomic>

namespace gr
{
namespace softmod
{

class finite_cc_impl : public finite_cc
{
public:
    explicit finite_cc_impl(std::uint64_t hold);
    std::uint64_t replaced() const override { return d_replaced; }
    int work(int noutput_items, gr_vector_const_void_star& input_items,
             gr_vector_void_star& output_items) override;

private:
    const std::uint64_t d_hold;
    std::uint64_t d_finite_run = 0; // finite samples since the last replaced one, inside an erasure
    bool d_erased = false;
    std::atomic<std::uint64_t> d_replaced{0};

    void tag(std::uint64_t offset, bool erased);
};

} // namespace softmod
} // namespace gr

#endif
