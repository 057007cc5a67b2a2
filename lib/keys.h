// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <pmt/pmt.h>

// Keys of stream tags, message ports and message fields, interned once.
namespace gr::softmod::keys
{

inline const pmt::pmt_t noise_var = pmt::mp("noise_var");
inline const pmt::pmt_t esn0_db = pmt::mp("esn0_db");
inline const pmt::pmt_t constellation = pmt::mp("constellation");
inline const pmt::pmt_t status = pmt::mp("status");
inline const pmt::pmt_t block = pmt::mp("block");
inline const pmt::pmt_t severity = pmt::mp("severity");
inline const pmt::pmt_t reason = pmt::mp("reason");
inline const pmt::pmt_t gain = pmt::mp("gain");
inline const pmt::pmt_t std_db = pmt::mp("std_db");
inline const pmt::pmt_t symbols = pmt::mp("symbols");
inline const pmt::pmt_t offset = pmt::mp("offset");
inline const pmt::pmt_t count = pmt::mp("count");
inline const pmt::pmt_t locked = pmt::mp("locked");
inline const pmt::pmt_t frequency = pmt::mp("frequency");
inline const pmt::pmt_t classification = pmt::mp("classification");
inline const pmt::pmt_t decided_class = pmt::mp("class");
inline const pmt::pmt_t class_names = pmt::mp("class_names");
inline const pmt::pmt_t probability = pmt::mp("probability");
inline const pmt::pmt_t probabilities = pmt::mp("probabilities");
inline const pmt::pmt_t channel = pmt::mp("channel");
inline const pmt::pmt_t sample_index = pmt::mp("sample_index");
inline const pmt::pmt_t frame_length = pmt::mp("frame_length");
inline const pmt::pmt_t power_db = pmt::mp("power_db");
inline const pmt::pmt_t model_hash = pmt::mp("model_hash");
inline const pmt::pmt_t rx_time = pmt::mp("rx_time");
inline const pmt::pmt_t rx_freq = pmt::mp("rx_freq");
inline const pmt::pmt_t rx_rate = pmt::mp("rx_rate");
inline const pmt::pmt_t skipped = pmt::mp("skipped");
inline const pmt::pmt_t invalid = pmt::mp("invalid");
inline const pmt::pmt_t coarse_frequency = pmt::mp("coarse_frequency");
inline const pmt::pmt_t packet_len = pmt::mp("packet_len");
inline const pmt::pmt_t model = pmt::mp("model");
inline const pmt::pmt_t hash = pmt::mp("hash");
inline const pmt::pmt_t estimate = pmt::mp("estimate");
inline const pmt::pmt_t log_priors = pmt::mp("log_priors");
inline const pmt::pmt_t symbol_rate = pmt::mp("symbol_rate");
inline const pmt::pmt_t rate_quality_db = pmt::mp("rate_quality_db");
inline const pmt::pmt_t center = pmt::mp("center");
inline const pmt::pmt_t carrier = pmt::mp("carrier");
inline const pmt::pmt_t bandwidth = pmt::mp("bandwidth");
inline const pmt::pmt_t snr_db = pmt::mp("snr_db");
inline const pmt::pmt_t symbol = pmt::mp("symbol");
inline const pmt::pmt_t margin = pmt::mp("margin");
inline const pmt::pmt_t in_doubt = pmt::mp("in_doubt");

} // namespace gr::softmod::keys
