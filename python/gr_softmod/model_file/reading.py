# SPDX-License-Identifier: GPL-3.0-or-later
"""From bytes that anyone may have made to a ModelFile that holds together, or to one sentence of why not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gr_softmod.classifier.feature_set import FEATURE_SETS
from gr_softmod.conventions import CONVENTIONS_VERSION
from gr_softmod.model_file.checks import check_document, check_keys, check_tensors, tensor_of
from gr_softmod.model_file.container import MAX_FILE, Fault, is_integer, packed_length, parse, parse_json, unpack_bits
from gr_softmod.model_file.model import FORMAT, HASH, ModelFile, ModelFileError, canonical, digest
from gr_softmod.model_file.nodes import MAX_NODES, ModelNode, node_tensors

_KEYS = (
    "class_names", "conventions", "features", "format", "hash", "input", "kind", "name", "nodes", "parity",
    "temperature", "trained_on",
)  # fmt: skip
KINDS = ("classifier", "demapper")


def read(source: str | Path | bytes) -> ModelFile:
    """Read and check a file, or the bytes of one. Runs no code of the file's.

    Raises:
        ModelFileError: it is refused; the sentence names the file and the fault.
        OSError: it cannot be opened.
    """
    try:
        if isinstance(source, bytes):
            return _from_bytes(source)
        with open(source, "rb") as file:
            return _from_bytes(file.read(MAX_FILE + 1))
    except Fault as fault:
        raise ModelFileError(f"{'model' if isinstance(source, bytes) else source}: {fault}") from None


def open_document(data: bytes, kind: str, keys: Sequence[str]) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """The document, with exactly these keys, and the stored tensors of a model of a kind, its hash checked.

    Raises:
        Fault: anything that is not as specified.
    """
    text, stored = parse(data)
    document = parse_json(text, "the document")
    if isinstance(document, dict) and document.get("kind") in KINDS and document["kind"] != kind:
        raise Fault(f"holds a {document['kind']}, not a {kind}")
    check_keys(document, keys, "the document")
    for key, value in (("format", FORMAT), ("conventions", CONVENTIONS_VERSION), ("kind", kind)):
        if document[key] != value or isinstance(document[key], bool | float):
            raise Fault(f"has {key} {repr(document[key])[:32]}; this version reads {value!r}")
    if HASH.findall(text) != [document["hash"]]:
        raise Fault("has no hash of 64 hexadecimal digits")
    if digest(HASH.sub("", text), stored) != document["hash"]:
        raise Fault("does not have the content that its hash says; it is damaged or was edited")
    if canonical(document) != text:
        raise Fault("has a document that is not in the form that is hashed (keys sorted, no spaces)")
    return document, stored


def _from_bytes(data: bytes) -> ModelFile:
    document, stored = open_document(data, "classifier", _KEYS)
    input_, parity, nodes = document["input"], document["parity"], document["nodes"]
    check_keys(input_, ("frame_length", "normalisation", "remove_mean"), "'input'")
    if input_["normalisation"] != "rms":
        raise Fault(f"has the normalisation {str(input_['normalisation'])[:32]!r}; known: 'rms'")
    if parity is not None:
        check_keys(parity, ("logits",), "'parity'")
    if not isinstance(nodes, list) or len(nodes) > MAX_NODES:
        raise Fault(f"has nodes that are no list of at most {MAX_NODES}")
    model = ModelFile(
        name=document["name"],
        class_names=_list(document["class_names"], "class_names"),
        frame_length=input_["frame_length"],
        nodes=tuple(ModelNode.from_dict(node) for node in nodes),
        tensors=stored,
        feature_names=_feature_names(document["features"]),
        remove_mean=input_["remove_mean"],
        temperature=document["temperature"],
        trained_on=document["trained_on"],
        parity_logits=_list(parity["logits"], "parity logits") if parity is not None else (),
        conventions=document["conventions"],
    )
    check_document(model)
    object.__setattr__(model, "tensors", _unpacked(model))
    check_tensors(model)
    return model


def _unpacked(model: ModelFile) -> dict[str, Any]:
    """The tensors with weights of 2 to 7 bits in their shapes."""
    tensors = dict(model.tensors)
    for node, key, name, shape in node_tensors(model.nodes, model.shapes()):
        if key == "weight" and node.bits < 8:
            count = math.prod(shape)
            packed = tensor_of(tensors, name, np.uint8, (packed_length(count, node.bits),))
            try:
                tensors[name] = unpack_bits(packed, node.bits, count).reshape(shape)
            except Fault as fault:
                raise Fault(f"tensor {name!r}: {fault}") from None
    return tensors


def _list(value: Any, what: str) -> tuple[Any, ...]:
    if not isinstance(value, list) or not value:
        raise Fault(f"has {what} that are no list")
    return tuple(value)


def _feature_names(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    check_keys(value, ("names", "set"), "'features'")
    if not is_integer(value["set"]) or value["set"] not in FEATURE_SETS:
        known = ", ".join(map(str, FEATURE_SETS))
        raise Fault(f"has feature set {str(value['set'])[:32]}; this version knows {known}")
    names = _list(value["names"], "feature names")
    if unknown := [name for name in names if name not in FEATURE_SETS[value["set"]]]:
        raise Fault(f"has the feature {str(unknown[0])[:64]!r}, which is not in feature set {value['set']}")
    return names
