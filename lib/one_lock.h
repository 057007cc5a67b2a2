// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <mutex>

namespace gr::softmod
{

//! The one lock of a block, which its setters, getters, message handlers and work all hold.
class OneLock
{
public:
    //! Runs the action under the lock; returns what it returns.
    template <class Action>
    auto operator()(Action&& action) const
    {
        const std::lock_guard<std::mutex> lock(d_mutex);
        return action();
    }

    [[nodiscard]] std::unique_lock<std::mutex> hold() const { return std::unique_lock<std::mutex>(d_mutex); }

private:
    mutable std::mutex d_mutex;
};

} // namespace gr::softmod
