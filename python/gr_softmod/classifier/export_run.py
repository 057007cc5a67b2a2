# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``softmod export``: a quantised run becomes files that others run, compared with each other first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from pydantic import Field

from gr_softmod.classifier import integer
from gr_softmod.classifier.config import DeviceConfig
from gr_softmod.classifier.cost import model_cost
from gr_softmod.classifier.evaluate import predict
from gr_softmod.classifier.export import to_model_file
from gr_softmod.classifier.fit import make_fabric, progress_bar
from gr_softmod.classifier.metrics import fit_temperature
from gr_softmod.classifier.onnx_graph import qdq, qonnx
from gr_softmod.classifier.quant_network import QuantNetwork
from gr_softmod.classifier.store import Store, open_store
from gr_softmod.classifier.trained import load_network, load_saved, open_run, run_data
from gr_softmod.config import Config, ConfigError, is_override, load_config
from gr_softmod.model_file import ModelFile
from gr_softmod.run_dir import RunDir, RunError, machine, replacing

__all__ = ["ExportConfig", "Parity", "compare", "export_run", "run_export"]

#: Largest difference of a logit between onnxruntime and the integer reference.
LOGIT_TOLERANCE = 1e-5
#: Frames that the one in the file is chosen from.
_PARITY_CANDIDATES = 64


class ExportConfig(Config):
    """``softmod export``."""

    name: str | None = Field(default=None, description="of the model; the run's title without it")
    frames: int | None = Field(default=None, ge=1, description="of the test split, compared; data.test without it")
    store: str | None = Field(default=None, description="folder of stored frames; data.store without it")
    device: DeviceConfig = DeviceConfig()


class Parity(NamedTuple):
    """How one way to run a model differs from the integer reference."""

    frames: int
    argmax_differences: int
    frames_over_tolerance: int
    largest_difference: float


def run_export(arguments: Sequence[str]) -> RunDir:
    """What ``softmod export RUN [key=value ...]`` does.

    Raises:
        ConfigError, RunError: each with one line of text for the person who called.
    """
    paths = [argument for argument in arguments if not is_override(argument)]
    if len(paths) != 1:
        raise ConfigError(f"give one run directory, not {len(paths)}")
    return export_run(paths[0], load_config(ExportConfig, {}, [a for a in arguments if is_override(a)]))


def export_run(path: str, config: ExportConfig | None = None) -> RunDir:
    """Leaves ``model.safetensors``, ``model.onnx``, ``model.qonnx.onnx``, ``cost.json`` and ``export.json`` in a run.

    Raises:
        RunError: the network is not quantised, or onnxruntime does not give the reference's logits.
    """
    config = config or ExportConfig()
    run = open_run(path)
    data = run_data(run, {"store": config.store})
    fabric = make_fabric(config.device)
    saved = load_saved(run)
    network = load_network(run, saved).to(fabric.device)
    if not isinstance(network, QuantNetwork) or not network.graph.quantised:
        raise RunError(f"{run}: its network is not quantised; softmod quantize makes one that can be exported")
    count = config.frames or data.test
    with progress_bar(count + data.validation, "frames") as show:
        test = open_store(data, "test", count, lambda done: show(done, ""))
        validation = open_store(data, "validation", data.validation, lambda done: show(count + done, ""))
    temperature = fit_temperature(predict(network, validation, fabric.device), validation.labels.numpy())
    model = to_model_file(
        network,
        config.name or saved.title,
        trained_on={**saved.trained_on, "history": saved.history},
        temperature=temperature,
        parity=next(_frames(test, _PARITY_CANDIDATES)),
    )
    model.write(run / "model.safetensors")
    for name, proto in (("model.onnx", qdq(model)), ("model.qonnx.onnx", qonnx(model))):
        with replacing(run / name, "wb") as file:
            file.write(proto.SerializeToString())
    run.write_json("cost.json", model_cost(model).to_dict())
    result = compare(model, network, test)
    run.write_json(
        "export.json",
        {
            "hash": model.hash, "bytes": (run / "model.safetensors").stat().st_size, "temperature": temperature,
            "reference": result["reference"], "onnxruntime": result["onnxruntime"]._asdict(),
            "torch": result["torch"]._asdict(), "machine": machine(),
        },
    )  # fmt: skip
    parity: Parity = result["onnxruntime"]
    if parity.argmax_differences or parity.frames_over_tolerance:
        raise RunError(
            f"{run / 'model.onnx'}: onnxruntime differs from the reference in {parity.frames_over_tolerance} of "
            f"{parity.frames} frames, by up to {parity.largest_difference:.2g}; do not use it"
        )
    return run


def compare(model: ModelFile, network: QuantNetwork, store: Store, size: int = 512) -> dict[str, Any]:
    """The integer reference on every frame of a store, and how onnxruntime and torch differ from it.

    onnxruntime reads the reference's features; torch computes its own, and rounds its own way near ties.

    Returns:
        ``reference``: accuracy; ``onnxruntime`` and ``torch``: :class:`Parity`.
    """
    session = onnx_session(qdq(model))
    device = next(network.parameters()).device
    logits: dict[str, list[NDArray[np.float32]]] = {"reference": [], "onnxruntime": [], "torch": []}
    with progress_bar(store.count, "compare") as show:
        for frames in _frames(store, size):
            logits["reference"].append(integer.run(model, frames))
            logits["onnxruntime"].append(run_onnx(session, model, frames))
            with torch.no_grad():
                logits["torch"].append(network(torch.from_numpy(frames).to(device)).float().cpu().numpy())
            show(sum(map(len, logits["torch"])), "")
    whole = {name: np.concatenate(rows) for name, rows in logits.items()}
    reference = whole.pop("reference")
    accuracy = float(np.mean(reference.argmax(1) == store.labels.numpy()))
    return {"reference": {"accuracy": accuracy}, **{name: _parity(reference, rows) for name, rows in whole.items()}}


def onnx_session(proto: onnx.ModelProto, threads: int = 1) -> onnxruntime.InferenceSession:
    """An onnxruntime session on the CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])


def run_onnx(
    session: onnxruntime.InferenceSession, model: ModelFile, frames: NDArray[np.complex64]
) -> NDArray[np.float32]:
    """Logits [B, C] that ``model.onnx`` gives for frames, complex [B, N]; features come from the reference."""
    wanted = {entry.name for entry in session.get_inputs()}
    inputs = {}
    if "iq" in wanted:
        inputs["iq"] = np.stack([frames.real, frames.imag], 1)
    if "features" in wanted:
        inputs["features"] = integer.frame_features(integer.normalise(frames, model.remove_mean), model.feature_names)
    result: NDArray[np.float32] = session.run(["logits"], inputs)[0]
    return result


def _frames(store: Store, size: int) -> Iterator[NDArray[np.complex64]]:
    for part in store.batches(size):
        i, q = part.signal.unbind(1)
        yield torch.complex(i, q).numpy()


def _parity(reference: NDArray[np.float32], logits: NDArray[np.float32]) -> Parity:
    largest = np.abs(reference - logits).max(1)
    return Parity(
        frames=len(reference),
        argmax_differences=int(np.sum(reference.argmax(1) != logits.argmax(1))),
        frames_over_tolerance=int(np.sum(~(largest <= LOGIT_TOLERANCE))),
        largest_difference=float(largest.max()),
    )
