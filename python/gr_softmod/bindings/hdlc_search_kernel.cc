// SPDX-License-Identifier: GPL-3.0-or-later
// Binds search_hdlc_frame.
#include "hdlc_search.h"

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <stdexcept>

namespace py = pybind11;

namespace
{

template <typename T>
using Array = py::array_t<T, py::array::c_style | py::array::forcecast>;

py::object search(const Array<std::uint8_t>& data, const Array<std::int64_t>& positions,
                  const Array<double>& costs, const std::vector<std::size_t>& spread, std::size_t guesses,
                  std::size_t min_bytes, std::size_t max_bytes)
{
    if (data.ndim() != 1 || positions.ndim() != 1 || costs.ndim() != 1 || positions.size() != costs.size())
        throw std::invalid_argument(
            "data, positions and costs must have one dimension, the latter two the same length");
    std::vector<softmod::WeakBit> weak;
    for (py::ssize_t k = 0; k < positions.size(); ++k)
        weak.push_back({static_cast<std::ptrdiff_t>(positions.at(k)), costs.at(k)});
    std::stable_sort(weak.begin(), weak.end(), [](const auto& a, const auto& b) { return a.cost < b.cost; });
    softmod::HdlcFound found;
    {
        py::gil_scoped_release release;
        found = softmod::search_hdlc_frame(data.data(), data.size(), weak, spread, guesses,
                                           {min_bytes, max_bytes});
    }
    if (!found.found)
        return py::none();
    std::vector<std::ptrdiff_t> flips;
    for (const std::size_t index : found.flipped)
        flips.push_back(weak[index].position);
    return py::make_tuple(
        found.end, py::bytes(reinterpret_cast<const char*>(found.payload.data()), found.payload.size()),
        flips, found.guesses);
}

} // namespace

void bind_hdlc_search(py::module& m)
{
    m.def(
        "search_hdlc_frame", &search, py::arg("data"), py::arg("positions"), py::arg("costs"),
        py::arg("spread"), py::arg("guesses"), py::arg("min_bytes"), py::arg("max_bytes"),
        R"(The frame behind an opening flag, with some bits guessed; None, or (end, payload, flips, guesses).

Args:
    data: descrambled bits uint8 [N], the first one that behind the flag.
    positions, costs: of channel bits that may be wrong, counted from data[0] (int64 [W], may be negative), and what
        flipping each costs (float64 [W]). Sets are tried in order of their total cost, the empty one first.
    spread: flipping channel bit p flips the data bits p + each of these.
    guesses: most sets tried.
    min_bytes, max_bytes: of the payload, without check sequence.)");
}
