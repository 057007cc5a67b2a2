// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "background.h"
#include "keys.h"
#include "one_lock.h"
#include "settings.h"
#include "status.h"

#include <memory>
#include <string>

namespace gr::softmod
{

//! A path has no zero; a file begins with the length of its header in eight bytes, of which the last are
//! zero.
inline bool is_path(const std::string& path_or_bytes)
{
    return path_or_bytes.find('\0') == std::string::npos;
}

/*! The message port `model` of a block that runs a trained network: a path or a file's bytes become a network
 * beside the stream, and take the old one's place. Its destructor waits for the one being made.
 */
class ModelPort
{
public:
    /*! make(path or bytes) gives a shared_ptr to a network, or throws. use(network) swaps it for the old one,
     * which is freed when the lock is not held any more; it is called under the lock, and may throw.
     */
    template <class Make, class Use>
    void listen(gr::block& block, const OneLock& locked, Status& status, Make make, Use use)
    {
        block.message_port_register_in(keys::model);
        block.set_msg_handler(keys::model, [this, &locked, &status, make, use](const pmt::pmt_t& message) {
            d_background.run([&locked, &status, make, use, message] {
                decltype(make(std::string())) network;
                std::string fault;
                try {
                    network = make(bytes_or_path_of(message));
                } catch (const std::exception& error) {
                    fault = error.what();
                }
                locked([&] {
                    if (!network)
                        status.report(Severity::warning, "message ignored: " + fault);
                    else
                        status.try_message([&] { use(network); });
                });
            });
        });
    }

    //! Says that a network is in use; to be called under the lock.
    static void tell(Status& status, const std::string& name, const std::string& hash)
    {
        status.report(Severity::info, "model '" + name + "' is in use",
                      pmt::dict_add(pmt::make_dict(), keys::hash, pmt::mp(hash)));
    }

private:
    Background d_background;
};

} // namespace gr::softmod
