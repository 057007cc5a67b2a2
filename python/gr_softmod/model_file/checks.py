# SPDX-License-Identifier: GPL-3.0-or-later
"""What must hold of a whole ModelFile, whether it was read or is to be written."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from gr_softmod.classifier.feature_set import FEATURE_NAMES, FEATURE_SETS, MINIMUM_LENGTH, known_features
from gr_softmod.conventions import CONVENTIONS_VERSION
from gr_softmod.model_file.container import MAX_DIMENSION, Fault, is_integer
from gr_softmod.model_file.nodes import Shape, check_accumulator, check_topology, check_values, node_tensors

if TYPE_CHECKING:
    from gr_softmod.model_file.model import ModelFile

_TRAINED_ON = ("preset", "samples_per_symbol", "snr_db", "frames", "device")


def check_keys(value: Any, keys: Sequence[str], what: str, more: bool = False) -> None:
    """Raises Fault: ``value`` is no JSON object with exactly (or, with ``more``, at least) these keys."""
    if not isinstance(value, Mapping):
        raise Fault(f"{what} is no JSON object")
    if missing := sorted(set(keys) - set(value)):
        raise Fault(f"{what} has no key {missing[0]!r}")
    if not more and (unknown := sorted(set(value) - set(keys))):
        raise Fault(f"{what} has the unknown key {unknown[0][:64]!r}")


def _is_text(value: Any, longest: int) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= longest and value.isprintable()


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def check_document(model: ModelFile) -> None:
    """Raises Fault: any value of the document besides the nodes is wrong."""
    if model.conventions != CONVENTIONS_VERSION:
        raise Fault(f"has conventions {model.conventions!r}; this version reads {CONVENTIONS_VERSION}")
    if not _is_text(model.name, 200):
        raise Fault("has a name that is not one line of 1 to 200 printable characters")
    classes = model.class_names
    if not 1 <= len(classes) <= MAX_DIMENSION or not all(_is_text(name, 64) for name in classes):
        raise Fault("has class names that are not lines of 1 to 64 printable characters")
    if len(set(classes)) != len(classes):
        raise Fault(f"has the class name {next(name for name in classes if classes.count(name) > 1)!r} twice")
    if not is_integer(model.frame_length) or not 1 <= model.frame_length <= MAX_DIMENSION:
        raise Fault(f"has frame_length {str(model.frame_length)[:32]}; allowed are integers from 1 to {MAX_DIMENSION}")
    if not isinstance(model.remove_mean, bool):
        raise Fault("has remove_mean that is neither true nor false")
    names = model.feature_names
    if unknown := [name for name in names if name not in FEATURE_NAMES]:
        raise Fault(f"has the feature {str(unknown[0])[:64]!r}, which is not in feature set {max(FEATURE_SETS)}")
    if len(set(names)) != len(names):
        raise Fault("has a feature twice")
    if names and model.frame_length < MINIMUM_LENGTH:
        raise Fault(f"has frame_length {model.frame_length}; features need at least {MINIMUM_LENGTH}")
    if beyond := [name for name in names if name not in known_features(model.frame_length)]:
        raise Fault(f"has the feature {beyond[0]!r}, which frames of {model.frame_length} samples do not have")
    if not _is_number(model.temperature) or not 0 < model.temperature <= 1e30:
        raise Fault(f"has temperature {str(model.temperature)[:32]}; it must be positive and finite")
    _check_trained_on(model.trained_on)
    if not all(_is_number(logit) for logit in model.parity_logits):
        raise Fault("has parity logits that are no numbers")


def _check_trained_on(value: Any) -> None:
    check_keys(value, _TRAINED_ON, "'trained_on'", more=True)
    for key in ("samples_per_symbol", "snr_db"):
        pair = value[key]
        if not isinstance(pair, list | tuple) or len(pair) != 2 or not all(map(_is_number, pair)) or pair[0] > pair[1]:
            raise Fault(f"'trained_on' has {key} that is no list of two numbers, low and high")
    if not is_integer(value["frames"]) or value["frames"] < 0:
        raise Fault("'trained_on' has frames that are no count")
    for key in ("preset", "device"):
        if not _is_text(value[key], 200):
            raise Fault(f"'trained_on' has {key} that is not one line of 1 to 200 printable characters")


def tensor_of(tensors: Mapping[str, NDArray[Any]], name: str, dtype: DTypeLike, shape: Shape) -> NDArray[Any]:
    """The tensor ``name``. Raises Fault: it is missing, or of another dtype or shape."""
    if name not in tensors:
        raise Fault(f"has no tensor {name!r}")
    array = tensors[name]
    if array.dtype != np.dtype(dtype) or array.shape != shape:
        raise Fault(f"tensor {name!r} is {array.dtype} {list(array.shape)}; it must be {np.dtype(dtype)} {list(shape)}")
    return array


def check_tensors(model: ModelFile) -> None:
    """Raises Fault: the topology does not fit, or a tensor is missing, left over or holds what it must not.

    Weights are expected unpacked.
    """
    shapes, ranges = check_topology(model.nodes, model.frame_length, len(model.feature_names))
    if bool(model.feature_names) != any(node.op == "features" for node in model.nodes):
        raise Fault("has features that no node reads")
    logits = shapes[model.nodes[-1].name][0]
    if logits != len(model.class_names):
        raise Fault(f"has {logits} logits for {len(model.class_names)} class names")
    expected = set()
    for node, key, name, shape in node_tensors(model.nodes, shapes):
        array = tensor_of(model.tensors, name, np.int8 if key == "weight" else np.float32, shape)
        if name in expected:
            raise Fault(f"has two uses for the tensor {name!r}")
        expected.add(name)
        check_values(node, key, array)
    for node in model.nodes:
        if node.op in ("conv", "dense"):
            check_accumulator(node, model.tensors[f"{node.name}.weight"], ranges[node.inputs[0]])
    if model.parity_logits:
        if len(model.parity_logits) != logits:
            raise Fault(f"has {len(model.parity_logits)} parity logits for {logits} classes")
        frame = tensor_of(model.tensors, "parity.frame", np.float32, (2, model.frame_length))
        if not np.all(np.isfinite(frame)):
            raise Fault("tensor 'parity.frame' holds a value that is not finite")
        expected.add("parity.frame")
    if left := sorted(set(model.tensors) - expected):
        raise Fault(f"has the tensor {left[0]!r}, which nothing uses")
