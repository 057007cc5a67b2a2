# SPDX-License-Identifier: GPL-3.0-or-later
"""Exported graphs against the integer reference, in onnxruntime and in qonnx's own interpreter."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.infer_shapes import InferShapes

from classifier_graphs import every_operation, frames, graphs
from gr_softmod.classifier.export_run import onnx_session, run_onnx
from gr_softmod.classifier.graph import Graph
from gr_softmod.classifier.integer import frame_features, normalise, run
from gr_softmod.classifier.onnx_graph import qdq, qdq_fused, qonnx
from gr_softmod.classifier.random_model import random_model
from gr_softmod.model_file import ModelFile


def by_onnxruntime(model: ModelFile, given_frames: NDArray[np.complex64]) -> NDArray[np.float32]:
    return run_onnx(onnx_session(qdq(model)), model, given_frames)


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


def test_fused_form_runs_in_int8_and_is_near(tmp_path: Path) -> None:
    graph = every_operation()
    model = random_model(graph, 8, density=0.6)
    scale = model.tensors["conv.2.scale"].copy()
    weight = model.tensors["conv.3.weight"].copy()
    scale[::2] *= -1  # gains below zero, and a channel without weights
    weight[0] = 0
    model = replace(model, tensors={**model.tensors, "conv.2.scale": scale, "conv.3.weight": weight}, parity_logits=())
    model = replace(model, tensors={k: v for k, v in model.tensors.items() if k != "parity.frame"})
    given_frames = frames(300)
    logits = run_onnx(onnx_session(qdq_fused(model)), model, given_frames)
    reference = run(model, given_frames)
    assert np.abs(logits - reference).mean() < 0.02 * reference.std()
    assert np.sum(logits.argmax(1) != reference.argmax(1)) <= 6
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(qdq_fused(model).SerializeToString(), options, providers=["CPUExecutionProvider"])
    kinds = [node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node]
    assert kinds.count("QLinearConv") == 3 and "Conv" not in kinds


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


@pytest.mark.parametrize("export", [qdq, qdq_fused, qonnx])
def test_metadata_says_what_the_graph_is(export: object) -> None:
    model = random_model(every_operation(), 8)
    assert callable(export)
    metadata = {entry.key: entry.value for entry in export(model).metadata_props}
    assert metadata["hash"] == model.hash and json.loads(metadata["class_names"]) == list(model.class_names)
    assert json.loads(metadata["feature_names"]) == list(model.feature_names)
