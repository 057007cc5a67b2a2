// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "soft_demap.h"

#include <gnuradio/gr_complex.h>
#include <pmt/pmt.h>

#include <string>
#include <vector>

// Settings out of parameters, messages and stream tags. Every function throws std::invalid_argument with one
// sentence.
namespace gr::softmod
{

//! Noise variance that is positive and finite, also as float.
float checked_noise_var(double noise_var);

//! A number, a pair (noise_var . number), or a dictionary with the key noise_var.
float noise_var_of(const pmt::pmt_t& value);

//! 2^m points by label, at E|s|^2 = 1.
std::vector<gr_complex> checked_points(const std::vector<gr_complex>& points);

//! A c32vector or c64vector of points by label, or a pair (constellation . vector).
std::vector<gr_complex> points_of(const pmt::pmt_t& value);

//! "exact" or "maxlog".
::softmod::DemapMethod checked_method(const std::string& name);

//! What an LLR of 1 becomes in int8: positive and finite.
float checked_scale(float scale);

//! A model: a path (string or symbol), a file's bytes (u8vector), or a pair (model . one of these).
std::string bytes_or_path_of(const pmt::pmt_t& value);

//! In hertz, or 1 for frequencies in cycles a symbol: positive and finite.
double checked_symbol_rate(double symbol_rate);

} // namespace gr::softmod
