// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "keys.h"
#include "status.h"
#include "tag_queue.h"

#include <cmath>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>

namespace gr::softmod
{

//! What the tags rx_time, rx_freq and rx_rate of a stream say about one of its samples.
class RxTags
{
public:
    //! rate: samples a second, whatever tags say; 0: what they say.
    explicit RxTags(double rate) : d_given_rate(rate > 0), d_rate(rate) {}

    void push(const gr::tag_t& tag)
    {
        if (pmt::eq(tag.key, keys::rx_time) || pmt::eq(tag.key, keys::rx_freq) ||
            pmt::eq(tag.key, keys::rx_rate))
            d_queue.push(tag, tag.offset);
    }

    //! Goes on to the sample at offset; tags with a wrong value are told and ignored.
    void advance(std::uint64_t offset, Status& status)
    {
        for (const auto& tag : d_queue.pop_before(offset + 1))
            status.try_tag(tag, [&] { apply(tag); });
    }

    //! Samples a second; 0: nobody said.
    double rate() const { return d_rate; }

    //! Adds rx_freq and rx_time of the sample at offset, as far as they are known. shift: hertz from what a
    //! tag says, or from 0.
    pmt::pmt_t add_to(pmt::pmt_t message, std::uint64_t offset, std::optional<double> shift) const
    {
        if (d_frequency || shift)
            message = pmt::dict_add(message, keys::rx_freq,
                                    pmt::from_double(d_frequency.value_or(0) + shift.value_or(0)));
        if (!d_time || !(d_rate > 0))
            return message;
        const double later = d_time->fraction + static_cast<double>(offset - d_time->offset) / d_rate;
        const double whole = std::floor(later);
        return pmt::dict_add(message, keys::rx_time,
                             pmt::make_tuple(pmt::from_uint64(d_time->seconds + std::uint64_t(whole)),
                                             pmt::from_double(later - whole)));
    }

private:
    struct Time {
        std::uint64_t offset, seconds;
        double fraction;
    };

    void apply(const gr::tag_t& tag)
    {
        if (pmt::eq(tag.key, keys::rx_time)) {
            if (!pmt::is_tuple(tag.value) || pmt::length(tag.value) < 2 ||
                !pmt::is_number(pmt::tuple_ref(tag.value, 0)) || !pmt::is_real(pmt::tuple_ref(tag.value, 1)))
                throw std::invalid_argument("rx_time must be a tuple of seconds and their fraction");
            d_time = {tag.offset, pmt::to_uint64(pmt::tuple_ref(tag.value, 0)),
                      pmt::to_double(pmt::tuple_ref(tag.value, 1))};
            return;
        }
        const auto name = pmt::symbol_to_string(tag.key);
        if (!pmt::is_number(tag.value) || pmt::is_complex(tag.value) ||
            !std::isfinite(pmt::to_double(tag.value)))
            throw std::invalid_argument(name + " must be a finite number");
        const double value = pmt::to_double(tag.value);
        if (pmt::eq(tag.key, keys::rx_freq)) {
            d_frequency = value;
        } else if (!(value > 0)) {
            throw std::invalid_argument(name + " must be positive");
        } else if (!d_given_rate) {
            d_rate = value;
        }
    }

    TagQueue d_queue;
    bool d_given_rate;
    double d_rate;
    std::optional<double> d_frequency;
    std::optional<Time> d_time;
};

} // namespace gr::softmod
