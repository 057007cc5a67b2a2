// SPDX-License-Identifier: GPL-3.0-or-later
#include "block_docs.h"
#include "model_argument.h"

#include <gnuradio/softmod/modulation_classifier_c.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

namespace py = pybind11;
using gr::softmod::modulation_classifier_c;

namespace
{

py::dict as_dict(const modulation_classifier_c::counted& counts)
{
    py::dict d;
    d["classified"] = counts.classified;
    d["unsure"] = counts.unsure;
    d["squelched"] = counts.squelched;
    d["invalid"] = counts.invalid;
    d["skipped"] = counts.skipped;
    d["samples"] = counts.samples;
    return d;
}

} // namespace

void bind_modulation_classifier_c(py::module& m)
{
    using Block = modulation_classifier_c;
    py::class_<Block, gr::block, gr::basic_block, Block::sptr>(m, "modulation_classifier_c",
                                                               doc_modulation_classifier_c)
        .def(py::init([](const py::object& model, unsigned channels, std::uint64_t hop,
                         std::uint64_t smoothing, std::uint64_t report_period, double min_confidence,
                         double squelch_db, bool remove_dc, std::uint64_t live_backlog, double sample_rate,
                         const std::vector<double>& frequency_offsets, unsigned threads) {
                 return Block::make(path_or_bytes(model), channels, hop, smoothing, report_period,
                                    min_confidence, squelch_db, remove_dc, live_backlog, sample_rate,
                                    frequency_offsets, threads);
             }),
             py::arg("model"), py::arg("channels") = 1, py::arg("hop") = 0, py::arg("smoothing") = 1,
             py::arg("report_period") = 1, py::arg("min_confidence") = 0.0, py::arg("squelch_db") = -150.0,
             py::arg("remove_dc") = false, py::arg("live_backlog") = 0, py::arg("sample_rate") = 0.0,
             py::arg("frequency_offsets") = std::vector<double>(), py::arg("threads") = 1)
        .def(
            "set_model",
            [](Block& self, const py::object& model) {
                const auto given = path_or_bytes(model);
                py::gil_scoped_release release;
                self.set_model(given);
            },
            py::arg("model"), doc_modulation_classifier_c_set_model)
        .def("model", &Block::model, doc_modulation_classifier_c_model)
        .def("class_names", &Block::class_names, doc_modulation_classifier_c_class_names)
        .def("frame_length", &Block::frame_length, doc_modulation_classifier_c_frame_length)
        .def("instruction_set", &Block::instruction_set, doc_modulation_classifier_c_instruction_set)
        .def("set_hop", &Block::set_hop, py::arg("hop"), doc_modulation_classifier_c_set_hop)
        .def("hop", &Block::hop, doc_modulation_classifier_c_hop)
        .def("set_smoothing", &Block::set_smoothing, py::arg("smoothing"),
             doc_modulation_classifier_c_set_smoothing)
        .def("smoothing", &Block::smoothing, doc_modulation_classifier_c_smoothing)
        .def("set_report_period", &Block::set_report_period, py::arg("report_period"),
             doc_modulation_classifier_c_set_report_period)
        .def("report_period", &Block::report_period, doc_modulation_classifier_c_report_period)
        .def("set_min_confidence", &Block::set_min_confidence, py::arg("min_confidence"),
             doc_modulation_classifier_c_set_min_confidence)
        .def("min_confidence", &Block::min_confidence, doc_modulation_classifier_c_min_confidence)
        .def("set_squelch_db", &Block::set_squelch_db, py::arg("squelch_db"),
             doc_modulation_classifier_c_set_squelch_db)
        .def("squelch_db", &Block::squelch_db, doc_modulation_classifier_c_squelch_db)
        .def("set_remove_dc", &Block::set_remove_dc, py::arg("remove_dc"),
             doc_modulation_classifier_c_set_remove_dc)
        .def("remove_dc", &Block::remove_dc, doc_modulation_classifier_c_remove_dc)
        .def(
            "counts", [](const Block& self) { return as_dict(self.counts()); },
            "Frames so far, of all channels together: \"classified\"; of these \"unsure\", due to be "
            "reported "
            "but below min_confidence; \"squelched\", \"invalid\" (not finite), \"skipped\" (the processor "
            "cannot follow). \"samples\" of each channel.");
}
