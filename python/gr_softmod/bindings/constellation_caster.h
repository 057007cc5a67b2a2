// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <gnuradio/gr_complex.h>
#include <pybind11/complex.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <vector>

//! Points by label of what a `constellation` argument may be in Python: a name, a Constellation, a GNU Radio
//! constellation object or a sequence of points. Raises ValueError or TypeError.
inline std::vector<gr_complex> constellation_points(const pybind11::handle& constellation)
{
    return pybind11::module_::import("gr_softmod.blocks.arguments")
        .attr("constellation_points")(constellation)
        .cast<std::vector<gr_complex>>();
}
