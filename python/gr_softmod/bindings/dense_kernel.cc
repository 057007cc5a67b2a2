// SPDX-License-Identifier: GPL-3.0-or-later
// Binds DenseNetwork as the modem (torch) uses it, spread over threads.
#include "dense.h"
#include "spread.h"

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace py = pybind11;

namespace
{

using Floats = py::array_t<float, py::array::c_style>;
using Matrices = std::vector<Floats>;

constexpr std::size_t worth_a_thread = 2048; // rows: each costs as much as a dozen symbols of a demapper

softmod::DenseNetwork network_of(const Matrices& weights, const Matrices& biases)
{
    if (weights.size() != biases.size())
        throw std::invalid_argument(std::to_string(weights.size()) + " weights and " +
                                    std::to_string(biases.size()) + " biases are not those of layers");
    std::vector<softmod::DenseLayer> layers;
    for (std::size_t l = 0; l < weights.size(); ++l) {
        if (weights[l].ndim() != 2 || biases[l].size() != weights[l].shape(0))
            throw std::invalid_argument("layer " + std::to_string(l) +
                                        " needs a weight [outputs, inputs] and a bias [outputs]");
        layers.push_back({static_cast<std::size_t>(weights[l].shape(1)),
                          static_cast<std::size_t>(weights[l].shape(0)), weights[l].data(),
                          biases[l].data()});
    }
    return softmod::DenseNetwork(std::move(layers));
}

std::size_t rows_of(const Floats& values, std::size_t width, const char* name)
{
    if (values.ndim() != 2 || static_cast<std::size_t>(values.shape(1)) != width)
        throw std::invalid_argument(std::string(name) + " must have shape [n, " + std::to_string(width) +
                                    "]");
    return static_cast<std::size_t>(values.shape(0));
}

void forward(const Floats& x, const Matrices& weights, const Matrices& biases, Floats y, unsigned threads)
{
    const auto network = network_of(weights, biases);
    const std::size_t n = rows_of(x, network.inputs(), "x");
    if (rows_of(y, network.outputs(), "y") != n)
        throw std::invalid_argument("x and y must have as many rows");
    const auto* from = x.data();
    auto* to = y.mutable_data();
    py::gil_scoped_release release;
    softmod::spread(
        n, threads,
        [&](std::size_t at, std::size_t count) {
            network.forward(from + at * network.inputs(), count, to + at * network.outputs());
        },
        worth_a_thread);
}

void backward(const Floats& grad, const Floats& x, const Matrices& weights, const Matrices& biases,
              std::optional<Floats> to_x, Matrices to_weights, Matrices to_biases, unsigned threads)
{
    const auto network = network_of(weights, biases);
    const std::size_t n = rows_of(x, network.inputs(), "x");
    if (rows_of(grad, network.outputs(), "grad") != n ||
        (to_x && rows_of(*to_x, network.inputs(), "to_x") != n))
        throw std::invalid_argument("x and the gradients must have as many rows");
    std::vector<softmod::DenseGradient> whole;
    for (std::size_t l = 0; l < network.depth(); ++l) {
        if (to_weights.at(l).size() != weights[l].size() || to_biases.at(l).size() != biases[l].size())
            throw std::invalid_argument("gradients must have the sizes of what they belong to");
        whole.push_back({to_weights[l].mutable_data(), to_biases[l].mutable_data()});
    }
    const auto* from_x = x.data();
    const auto* from_grad = grad.data();
    auto* out = to_x ? to_x->mutable_data() : nullptr;
    std::mutex adding;
    py::gil_scoped_release release;
    softmod::spread(
        n, threads,
        [&](std::size_t at, std::size_t count) {
            std::vector<std::vector<float>> sums;
            std::vector<softmod::DenseGradient> own;
            for (std::size_t l = 0; l < network.depth(); ++l) {
                sums.emplace_back(weights[l].size());
                sums.emplace_back(biases[l].size());
                own.push_back({sums[2 * l].data(), sums[2 * l + 1].data()});
            }
            network.backward(from_x + at * network.inputs(), from_grad + at * network.outputs(), count,
                             out ? out + at * network.inputs() : nullptr, own);
            const std::lock_guard lock(adding);
            for (std::size_t l = 0; l < network.depth(); ++l) {
                for (std::size_t i = 0; i < sums[2 * l].size(); ++i)
                    whole[l].weight[i] += sums[2 * l][i];
                for (std::size_t i = 0; i < sums[2 * l + 1].size(); ++i)
                    whole[l].bias[i] += sums[2 * l + 1][i];
            }
        },
        worth_a_thread);
}

} // namespace

void bind_dense(py::module& m)
{
    m.def("dense_forward", &forward, py::arg("x").noconvert(), py::arg("weights").noconvert(),
          py::arg("biases").noconvert(), py::arg("y").noconvert(), py::arg("threads") = 1,
          R"(A multi-layer perceptron with ReLU between its layers: x float32 [n, inputs] into y [n, outputs].

weights are [outputs, inputs] and biases [outputs], one of each for a layer, float32 and contiguous.)");
    m.def("dense_backward", &backward, py::arg("grad").noconvert(), py::arg("x").noconvert(),
          py::arg("weights").noconvert(), py::arg("biases").noconvert(),
          py::arg("to_x").noconvert().none(true), py::arg("to_weights").noconvert(),
          py::arg("to_biases").noconvert(), py::arg("threads") = 1,
          "Its gradients from grad [n, outputs]: into to_x unless None, and added to to_weights and "
          "to_biases.");
}
