# SPDX-License-Identifier: GPL-3.0-or-later
"""Exported graphs against the integer reference, in onnxruntime and in qonnx's own interpreter."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.infer_shapes import InferShapes

from classifier_graphs import every_operation, frames, graphs
from gr_softmod.classifier.graph import Graph
from gr_softmod.classifier.integer import frame_features, normalise, run
from gr_softmod.classifier.onnx_graph import qdq, qonnx
from gr_softmod.classifier.random_model import random_model
from gr_softmod.model_file import ModelFile


def by_onnxruntime(model: ModelFile, given_frames: NDArray[np.complex64]) -> NDArray[np.float32]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(qdq(model).SerializeToString(), options)
    inputs = {"iq": np.stack([given_frames.real, given_frames.imag], 1)}
    if model.feature_names:
        inputs["features"] = frame_features(normalise(given_frames, model.remove_mean), model.feature_names)
    wanted = {entry.name for entry in session.get_inputs()}
    return session.run(["logits"], {name: value for name, value in inputs.items() if name in wanted})[0]


@settings(max_examples=15)
@given(graph=graphs(), seed=st.integers(0, 1000))
def test_onnxruntime_gives_the_reference_logits(graph: Graph, seed: int) -> None:
    model = random_model(graph, seed=seed)
    given_frames = frames(20, graph.frame_length, seed)
    np.testing.assert_array_equal(by_onnxruntime(model, given_frames), run(model, given_frames))


@pytest.mark.parametrize("bits", [2, 5, 8])
@pytest.mark.parametrize("remove_mean", [False, True])
def test_every_operation_in_onnxruntime(bits: int, remove_mean: bool) -> None:
    model = replace(random_model(every_operation(), bits, density=0.6), remove_mean=remove_mean, parity_logits=())
    given_frames = frames(300) + np.complex64(0.3)
    logits, reference = by_onnxruntime(model, given_frames), run(model, given_frames)
    np.testing.assert_allclose(logits, reference, atol=1e-5, rtol=0)
    np.testing.assert_array_equal(logits.argmax(1), reference.argmax(1))


def test_silence_in_onnxruntime() -> None:
    model = random_model(every_operation(), 8)
    silent = np.zeros((2, 256), np.complex64)
    silent[1] = np.nan
    np.testing.assert_array_equal(by_onnxruntime(model, silent), run(model, silent))


@pytest.mark.parametrize("bits", [3, 8])
def test_every_operation_in_qonnx(bits: int) -> None:
    model = random_model(every_operation(), bits)
    wrapped = ModelWrapper(qonnx(model)).transform(InferShapes())
    given_frames = frames(3)
    signal = normalise(given_frames)
    rows = frame_features(signal, model.feature_names)
    for i, reference in enumerate(run(model, given_frames)):
        inputs = {"iq": signal[i : i + 1], "features": rows[i : i + 1]}
        np.testing.assert_allclose(execute_onnx(wrapped, inputs)["logits"][0], reference, atol=1e-5)


@pytest.mark.parametrize("export", [qdq, qonnx])
def test_metadata_says_what_the_graph_is(export: object) -> None:
    model = random_model(every_operation(), 8)
    assert callable(export)
    metadata = {entry.key: entry.value for entry in export(model).metadata_props}
    assert metadata["hash"] == model.hash and json.loads(metadata["class_names"]) == list(model.class_names)
    assert json.loads(metadata["feature_names"]) == list(model.feature_names)
