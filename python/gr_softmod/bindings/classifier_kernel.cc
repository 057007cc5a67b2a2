// SPDX-License-Identifier: GPL-3.0-or-later
#include "classifier.h"
#include "frame_features.h"

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace py = pybind11;

namespace
{

using softmod::Classifier;
using Frames = py::array_t<std::complex<float>, py::array::c_style>;
using Integers = py::array_t<std::int16_t, py::array::c_style | py::array::forcecast>;
using Floats = py::array_t<float>;

std::size_t frames_of(const Frames& frames, std::size_t length)
{
    if (frames.ndim() != 2 || static_cast<std::size_t>(frames.shape(1)) != length)
        throw std::invalid_argument("frames must be complex64 [batch, " + std::to_string(length) + "]");
    return static_cast<std::size_t>(frames.shape(0));
}

template <typename Method>
Floats from_frames(Classifier& classifier, const Frames& frames, Method method)
{
    const std::size_t n = frames_of(frames, classifier.frame_length());
    Floats out({n, classifier.classes()});
    const auto* from = frames.data();
    auto* to = out.mutable_data();
    py::gil_scoped_release release;
    (classifier.*method)(from, n, to);
    return out;
}

const std::int16_t* checked(const std::optional<Integers>& values, const std::vector<std::size_t>& shape,
                            const std::string& name)
{
    if (!values)
        return nullptr;
    bool same = values->ndim() == static_cast<py::ssize_t>(shape.size());
    for (std::size_t i = 0; same && i < shape.size(); ++i)
        same = static_cast<std::size_t>(values->shape(static_cast<py::ssize_t>(i))) == shape[i];
    if (!same)
        throw std::invalid_argument(name + " has the wrong shape");
    return values->data();
}

Floats integer_logits(Classifier& classifier, const std::optional<Integers>& iq,
                      const std::optional<Integers>& features)
{
    const auto& given = iq ? iq : features;
    if (!given || given->ndim() < 1)
        throw std::invalid_argument(
            "integer_logits needs iq [batch, 2, length], features [batch, count] or both");
    const auto n = static_cast<std::size_t>(given->shape(0));
    const auto* from_iq = checked(iq, {n, 2, classifier.frame_length()}, "iq");
    const auto* from_features = checked(features, {n, classifier.model().feature_names.size()}, "features");
    Floats out({n, classifier.classes()});
    auto* to = out.mutable_data();
    py::gil_scoped_release release;
    classifier.integer_logits(from_iq, from_features, n, to);
    return out;
}

Floats frame_features(const Frames& frames, std::size_t set)
{
    if (frames.ndim() != 2 || static_cast<std::size_t>(frames.shape(1)) < softmod::shortest_feature_frame)
        throw std::invalid_argument("frames must be complex64 [batch, length], length at least " +
                                    std::to_string(softmod::shortest_feature_frame));
    const auto n = static_cast<std::size_t>(frames.shape(0)),
               length = static_cast<std::size_t>(frames.shape(1));
    if (set < 1 || set > softmod::feature_sets)
        throw std::invalid_argument("set is " + std::to_string(set) + "; allowed are 1 to " +
                                    std::to_string(softmod::feature_sets));
    const auto places = softmod::known_features(length, set);
    Floats out({n, places.size()});
    const auto* from = reinterpret_cast<const float*>(frames.data());
    auto* to = out.mutable_data();
    py::gil_scoped_release release;
    const float mean[2] = {0.0f, 0.0f};
    softmod::FrameFeatures features(length, places);
    for (std::size_t i = 0; i < n; ++i) {
        const auto* values = features.of(from + 2 * i * length, mean, 1.0f);
        for (const auto place : places)
            *to++ = values[place];
    }
    return out;
}

} // namespace

void bind_classifier(py::module& m)
{
    py::class_<Classifier>(m, "Classifier", R"(A trained network of integers, run frame by frame.

Reads a ModelFile (docs/model_file.md) with every number checked; the logits equal those of
gr_softmod.classifier.integer to the last bit, given the same integers.

Args:
    path: of a model.safetensors.
    threads: frames of one call are shared out over as many, 1 to 256.
Raises:
    ValueError: one sentence naming the file and its fault.)")
        .def(py::init([](const std::string& path, std::size_t threads) {
                 py::gil_scoped_release release;
                 return std::make_unique<Classifier>(softmod::read_model(path), threads);
             }),
             py::arg("path"), py::arg("threads") = 1)
        .def_static(
            "from_bytes",
            [](const std::string& blob, const std::string& name, std::size_t threads) {
                py::gil_scoped_release release;
                return std::make_unique<Classifier>(softmod::parse_model(blob, name), threads);
            },
            py::arg("blob"), py::arg("name") = "model", py::arg("threads") = 1,
            "The same from the file's bytes; `name` stands for the path in errors.")
        .def(
            "run",
            [](Classifier& self, const Frames& frames) {
                return from_frames(self, frames, &Classifier::probabilities);
            },
            py::arg("frames"), "frames complex64 [B, N] -> probabilities float32 [B, C].")
        .def(
            "logits",
            [](Classifier& self, const Frames& frames) {
                return from_frames(self, frames, &Classifier::logits);
            },
            py::arg("frames"), "frames complex64 [B, N] -> logits float32 [B, C].")
        .def("integer_logits", &integer_logits, py::arg("iq") = py::none(), py::arg("features") = py::none(),
             "What the iq [B, 2, N] and features [B, F] nodes give, as integers -> logits float32 [B, C].")
        .def_property_readonly("class_names", [](const Classifier& self) { return self.model().class_names; })
        .def_property_readonly("frame_length", &Classifier::frame_length)
        .def_property_readonly("name", [](const Classifier& self) { return self.model().name; })
        .def_property_readonly("hash", [](const Classifier& self) { return self.model().hash; })
        .def_property_readonly(
            "document", [](const Classifier& self) { return self.model().document; },
            "The model's whole description, JSON.")
        .def_property_readonly(
            "multiply_accumulates",
            [](const Classifier& self) { return softmod::multiply_accumulates(self.model()); },
            "Of one frame's convolutions and dense layers.")
        .def_property_readonly(
            "instruction_set", &Classifier::instruction_set,
            "What the network was packed for at construction, e.g. 'avx512 vnni' or 'generic'.")
        .def_property_readonly("arena_bytes", &Classifier::arena_bytes,
                               "Memory that one frame's activations live in.");
    m.def(
        "frame_features", &frame_features, py::arg("frames"), py::arg("set") = 1,
        "Features (docs/features.md) of frames of unit power: complex64 [B, N] -> float32 [B, F], those of\n"
        "set 1, 2 or 3 that frames of N samples have.");
    m.def("run_dot_products", &softmod::run_dot_products, py::arg("rounds"),
          py::call_guard<py::gil_scoped_release>(),
          "For benchmarks: products of bytes in registers, as fast as the core can; returns how many.");
    m.def(
        "feature_names", [] { return softmod::feature_names(); },
        "All features, in order; the smaller sets come first.");
}
