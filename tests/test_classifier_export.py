# SPDX-License-Identifier: GPL-3.0-or-later
"""``softmod export`` and ``softmod cost``: what is written is what was trained, compared frame by frame."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from gr_softmod.classifier import export_run as exporting
from gr_softmod.classifier.cost import model_cost
from gr_softmod.classifier.cost_report import network_cost, run_cost
from gr_softmod.classifier.export_run import ExportConfig, export_run, onnx_session, run_onnx
from gr_softmod.classifier.integer import probabilities, run
from gr_softmod.classifier.quant_network import QuantNetwork
from gr_softmod.classifier.quantize import quantize
from gr_softmod.classifier.store import open_store
from gr_softmod.classifier.trained import load_network, load_saved, run_data
from gr_softmod.model_file import read
from gr_softmod.run_dir import RunDir, RunError
from test_classifier_quantize import float_run as float_run
from test_classifier_quantize import settings


@pytest.fixture(scope="module")
def exported(float_run: RunDir, tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    out = tmp_path_factory.mktemp("exported") / "q"
    quantised = quantize(settings(float_run, out, bits=[[5, 5]], lower={"attempts": 0}))
    return export_run(str(quantised), ExportConfig(name="a small one"))


def test_every_file_is_there_and_compared(exported: RunDir) -> None:
    told = exported.read_json("export.json")
    assert told["onnxruntime"]["frames"] == 128
    assert told["onnxruntime"]["argmax_differences"] == told["onnxruntime"]["frames_over_tolerance"] == 0
    assert told["torch"]["argmax_differences"] == 0
    model = read(exported / "model.safetensors")
    assert model.hash == told["hash"] and model.name == "a small one"
    assert model.trained_on["preset"] == "radioml2018" and model.trained_on["history"][-1].startswith("quantize: w5")
    assert model.trained_on["frames"] == load_saved(exported).trained_on["frames"] > 0
    i, q = model.tensors["parity.frame"]
    assert run(model, (i + 1j * q)[None])[0].tolist() == list(model.parity_logits)


def test_the_file_is_as_good_as_the_network(exported: RunDir) -> None:
    network = load_network(exported)
    data = run_data(exported)
    test = next(open_store(data, "test", data.test).batches(data.test))
    signal = test.signal.numpy()
    frames = (signal[:, 0] + 1j * signal[:, 1]).astype(np.complex64)
    with torch.no_grad():
        right = network(torch.from_numpy(frames)).argmax(1) == test.labels
    told = exported.read_json("export.json")
    assert told["reference"]["accuracy"] == pytest.approx(float(right.double().mean()))
    assert told["reference"]["accuracy"] > 0.5


def test_the_temperature_is_that_of_the_validation_frames(exported: RunDir) -> None:
    """Probabilities by the file's temperature fit those frames better than by a neighbouring one."""
    model, data = read(exported / "model.safetensors"), run_data(exported)
    given = next(open_store(data, "validation", data.validation).batches(data.validation))
    signal, labels = given.signal.numpy(), given.labels.numpy()
    frames = (signal[:, 0] + 1j * signal[:, 1]).astype(np.complex64)

    def loss(factor: float) -> float:
        rows = probabilities(replace(model, temperature=model.temperature * factor), frames)
        return float(-np.log(rows[np.arange(len(labels)), labels]).mean())

    assert loss(1.0) < loss(0.8) and loss(1.0) < loss(1.25)


def test_the_onnx_file_runs_alone(exported: RunDir) -> None:
    model = read(exported / "model.safetensors")
    session = onnx_session(onnx.load(exported / "model.onnx"))
    frames = np.random.default_rng(1).normal(size=(9, 128, 2)).astype(np.float32).view(np.complex64)[..., 0]
    np.testing.assert_array_equal(run_onnx(session, model, frames), run(model, frames))


def test_a_difference_is_an_error(exported: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = lambda session, model, frames: run(model, frames)[:, ::-1]  # noqa: E731
    monkeypatch.setattr(exporting, "run_onnx", wrong)
    with pytest.raises(RunError, match="onnxruntime differs from the reference in .* of 64 frames"):
        export_run(str(exported), ExportConfig(frames=64))


def test_a_float_run_is_refused(float_run: RunDir) -> None:
    with pytest.raises(RunError, match="is not quantised; softmod quantize"):
        export_run(str(float_run))


def test_cost_of_runs_and_files(exported: RunDir, float_run: RunDir, capsys: pytest.CaptureFixture[str]) -> None:
    run_cost([str(float_run), str(exported), str(exported / "model.safetensors")])
    text = capsys.readouterr().out
    network, model = load_network(exported), read(exported / "model.safetensors")
    assert isinstance(network, QuantNetwork)
    assert network_cost(network) == model_cost(model)
    assert exported.read_json("cost.json")["bops"] == model_cost(model).bops
    whole = float_run.read_json("cost.json")
    # float counts 32 x 32; a quarter of the first layer's weights is zero
    assert whole["bops"] == whole["macs"] * 1024
    stem = next(layer for layer in whole["layers"] if layer["name"] == "stem")
    assert stem["weights"] == stem["dense_weights"] * 3 // 4 and stem["macs"] == stem["dense_macs"] * 3 // 4
    assert f"{model_cost(model).score:.4f}" in text and "0.1106" in text


def test_cost_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="not a run directory"):
        run_cost([str(tmp_path)])
