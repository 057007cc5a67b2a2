// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "keys.h"

#include <gnuradio/tags.h>

#include <cstdint>

namespace gr::softmod
{

//! The value of a tag behind a block that turns `from` items into `to`: the length of a packet (`packet_len`,
//! a whole number of items) is that of its new items, anything else as it was.
inline pmt::pmt_t value_behind(const gr::tag_t& tag, std::int64_t from, std::int64_t to)
{
    if (!pmt::eq(tag.key, keys::packet_len))
        return tag.value;
    std::int64_t length = 0;
    if (pmt::is_integer(tag.value))
        length = pmt::to_long(tag.value);
    else if (pmt::is_uint64(tag.value))
        length = static_cast<std::int64_t>(pmt::to_uint64(tag.value));
    else
        return tag.value;
    return pmt::from_long(length * to / from);
}

} // namespace gr::softmod
