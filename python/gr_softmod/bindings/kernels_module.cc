// SPDX-License-Identifier: GPL-3.0-or-later
#include <pybind11/pybind11.h>

namespace py = pybind11;

PYBIND11_MODULE(_kernels, m) { m.doc() = "The C++ kernels, without GNU Radio."; }
