// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <gnuradio/tags.h>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace gr::softmod
{

//! Tags of items that a block holds back, by their offset in its output.
class TagQueue
{
public:
    void push(gr::tag_t tag, std::uint64_t offset)
    {
        tag.offset = offset;
        d_tags.push_back(std::move(tag));
    }

    //! Takes out the tags of items before `end`, in the order they came.
    std::vector<gr::tag_t> pop_before(std::uint64_t end)
    {
        if (d_tags.empty())
            return {};
        const auto later = std::stable_partition(d_tags.begin(), d_tags.end(),
                                                 [end](const gr::tag_t& tag) { return tag.offset < end; });
        const std::vector<gr::tag_t> due(d_tags.begin(), later);
        d_tags.erase(d_tags.begin(), later);
        return due;
    }

private:
    std::vector<gr::tag_t> d_tags;
};

} // namespace gr::softmod
