# SPDX-License-Identifier: GPL-3.0-or-later
"""The integer reference: what every number of a ModelFile's run must be, in numpy.

Integers are held in float32 arrays. That is exact: a ModelFile's accumulators stay below 2^24 by the sum of the
magnitudes of their terms, so every partial sum is an integer that float32 holds, in any order, fused or not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gr_softmod.classifier.feature_set import compute, known_features, set_of
from gr_softmod.model_file import ModelFile, ModelNode, Range

Floats = NDArray[np.float32]
Integers = NDArray[np.int16]
#: Frames run at once: their activations fit a cache.
_CHUNK = 16
_SILENCE = 1e-60


def run(model: ModelFile, frames: NDArray[np.complexfloating]) -> Floats:
    """Logits [B, C] of frames, complex [B, N]."""
    return run_integers(model, *quantise_inputs(model, frames))


def probabilities(model: ModelFile, frames: NDArray[np.complexfloating]) -> NDArray[np.float64]:
    """Probabilities [B, C] of frames, complex [B, N]."""
    scaled = run(model, frames).astype(np.float64) / model.temperature
    exponentials = np.exp(scaled - scaled.max(1, keepdims=True))
    return exponentials / exponentials.sum(1, keepdims=True)


def normalise(frames: NDArray[np.complexfloating], remove_mean: bool = False) -> Floats:
    """Frames, complex [B, N], scaled to unit power: float32 [B, 2, N], I then Q; a silent frame is all zeros."""
    parts = np.stack([frames.real, frames.imag], 1).astype(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        if remove_mean:
            parts = parts - parts.mean(2, keepdims=True, dtype=np.float64).astype(np.float32)
        power = np.square(parts, dtype=np.float64).sum(1).mean(1)
        heard = np.isfinite(power) & (power >= _SILENCE)
        gain = (1 / np.sqrt(np.where(heard, power, 1))).astype(np.float32)
        return np.where(heard[:, None, None], parts * gain[:, None, None], np.float32(0))


def frame_features(normalised: Floats, names: Sequence[str]) -> Floats:
    """Features by name, float32 [B, F], of normalised frames [B, 2, N]."""
    frames = np.asarray(normalised[:, 0] + 1j * normalised[:, 1], np.complex64)
    values = compute(frames, set_of(names))
    known = known_features(frames.shape[-1], set_of(names))
    return np.asarray(values[:, [known.index(name) for name in names]], np.float32)


def quantise_inputs(model: ModelFile, frames: NDArray[np.complexfloating]) -> tuple[Integers | None, Integers | None]:
    """What the ``iq`` [B, 2, N] and ``features`` [B, F] nodes give for frames, complex [B, N]; None without the node.

    Raises:
        ValueError: frames of another shape.
    """
    if frames.ndim != 2 or frames.shape[1] != model.frame_length:
        raise ValueError(f"frames are {list(frames.shape)}; they must be [batch, {model.frame_length}], complex")
    normalised = normalise(frames, model.remove_mean)
    iq = features = None
    for node in model.nodes:
        scale = model.tensors.get(f"{node.name}.scale")
        if node.op == "iq" and scale is not None and node.output:
            iq = _clamp(normalised * scale[0], node.output).astype(np.int16)
        elif node.op == "features" and scale is not None and node.output:
            values = frame_features(normalised, model.feature_names)
            features = _clamp((values - model.tensors[f"{node.name}.mean"]) * scale, node.output).astype(np.int16)
    return iq, features


def steadiest(model: ModelFile, frames: NDArray[np.complexfloating]) -> NDArray[np.complex64]:
    """The one of frames, complex [B, N], whose features lie farthest from where another integer begins.

    Processors differ in the last digits of a feature; for this frame they all get the same integers.
    """
    found = [node for node in model.nodes if node.op == "features"]
    frames = np.asarray(frames, np.complex64)
    if not found:
        return np.asarray(frames[0])
    values = frame_features(normalise(frames, model.remove_mean), model.feature_names)
    scaled = (values - model.tensors[f"{found[0].name}.mean"]) * model.tensors[f"{found[0].name}.scale"]
    margin = np.abs(scaled - np.floor(scaled) - 0.5).min(axis=1)
    return np.asarray(frames[int(margin.argmax())])


def run_integers(model: ModelFile, iq: Integers | None, features: Integers | None) -> Floats:
    """Logits [B, C] of quantised inputs, as :func:`quantise_inputs` gives them."""
    given = iq if iq is not None else features
    if given is None:
        raise ValueError("neither iq nor features are given")
    logits = [
        activations(model, *(None if part is None else part[i : i + _CHUNK] for part in (iq, features)))
        for i in range(0, len(given), _CHUNK)
    ]
    last = model.nodes[-1]
    return np.concatenate([chunk[last.name] for chunk in logits] or [np.zeros((0, last.features), np.float32)])


def activations(model: ModelFile, iq: Integers | None, features: Integers | None) -> dict[str, Floats]:
    """What every node gives, [B, ...] each: integers, but for the logits."""
    results: dict[str, Floats] = {}
    for node in model.nodes:
        if node.op in ("iq", "features"):
            source = iq if node.op == "iq" else features
            if source is None:
                raise ValueError(f"the model has the node {node.name!r} ({node.op}), for which nothing is given")
            results[node.name] = source.astype(np.float32)
        else:
            results[node.name] = evaluate(node, [results[name] for name in node.inputs], model.tensors)
    return results


def evaluate(node: ModelNode, inputs: Sequence[Floats], tensors: Mapping[str, NDArray[Any]]) -> Floats:
    """What one node gives for its inputs, [B, ...] each."""
    if node.op == "max_pool":
        return _windows(inputs[0], node).max(-1)
    if node.op == "global_max_pool":
        return inputs[0].max(-1)
    scale: Floats = tensors[f"{node.name}.scale"]
    if node.op == "add":
        return _clamp(inputs[0] * scale[0] + inputs[1] * scale[1], node.output)
    if node.op == "concat":
        flat = [x.reshape(len(x), -1) * s for x, s in zip(inputs, scale, strict=True)]
        return _clamp(np.concatenate(flat, 1), node.output)
    sums = accumulate(node, inputs[0], tensors.get(f"{node.name}.weight"))
    per_channel = (-1, 1) if sums.ndim == 3 else (-1,)
    scaled = sums * scale.reshape(per_channel) + tensors[f"{node.name}.offset"].reshape(per_channel)
    return scaled if node.output is None else _clamp(scaled, node.output)


def accumulate(node: ModelNode, x: Floats, weight: NDArray[np.int8] | None) -> Floats:
    """The exact sums of a ``conv``, ``dense``, ``avg_pool`` or ``global_avg_pool``: [B, C, T] or [B, C]."""
    if node.op == "avg_pool":
        return _windows(x, node).sum(-1)
    if node.op == "global_avg_pool":
        return x.sum(-1)
    assert weight is not None
    if node.op == "dense":
        return x.reshape(len(x), -1) @ weight.astype(np.float32).T
    padded = np.pad(x, ((0, 0), (0, 0), node.padding))
    batch, channels, time = padded.shape
    length = (time - node.kernel) // node.stride + 1
    grouped = padded.reshape(batch, node.groups, channels // node.groups, time)
    taps = weight.reshape(node.groups, node.channels // node.groups, -1, node.kernel)
    taps = np.ascontiguousarray(np.moveaxis(taps, -1, 0), np.float32)  # one matrix a tap and group
    sums = np.zeros((batch, node.groups, node.channels // node.groups, length), np.float32)
    for tap in range(node.kernel):
        sums += taps[tap] @ grouped[..., tap : tap + node.stride * (length - 1) + 1 : node.stride]
    return sums.reshape(batch, node.channels, length)


def _windows(x: Floats, node: ModelNode) -> Floats:
    """[B, C, T] to [B, C, places, kernel]."""
    return np.lib.stride_tricks.sliding_window_view(x, node.kernel, axis=-1)[..., :: node.stride, :]


def _clamp(values: Floats, output: Range | None) -> Floats:
    assert output is not None
    return np.clip(np.rint(values), *np.asarray(output, values.dtype))
