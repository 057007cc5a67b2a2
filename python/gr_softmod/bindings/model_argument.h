// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <pybind11/pybind11.h>

#include <string>

//! A model as Python gives it: a path as str or os.PathLike, or the file's bytes.
inline std::string path_or_bytes(const pybind11::object& model)
{
    return pybind11::isinstance<pybind11::bytes>(model)
               ? model.cast<std::string>()
               : pybind11::module_::import("os").attr("fspath")(model).cast<std::string>();
}
