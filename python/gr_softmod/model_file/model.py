# SPDX-License-Identifier: GPL-3.0-or-later
"""The ModelFile in memory, and how it is written."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gr_softmod.classifier.feature_set import set_of
from gr_softmod.conventions import CONVENTIONS_VERSION
from gr_softmod.model_file.checks import check_document, check_tensors
from gr_softmod.model_file.container import Fault, pack_bits, parse_json, serialise
from gr_softmod.model_file.nodes import ModelNode, Range, Shape, check_topology

FORMAT = 1
#: The one place of the hash in a document: what is cut out of its text before it is hashed.
HASH = re.compile('"hash":"([0-9a-f]{64})",')
_UNTRAINED = {"preset": "none", "samples_per_symbol": [0, 0], "snr_db": [0, 0], "frames": 0, "device": "none"}


class ModelFileError(ValueError):
    """A model that cannot be used: one sentence that names the file and what is wrong with it."""


@dataclass(frozen=True, eq=False)
class ModelFile:
    """A network of integers with all that is needed to run it and to understand what it says.

    Nothing is checked until :meth:`check` or :meth:`write`; what :func:`read` returns has been.

    Attributes:
        name: one line for people.
        class_names: one a logit.
        frame_length: complex samples of a frame.
        nodes: the topology, in order of evaluation.
        tensors: by name; weights are int8 in their shapes (packed in the file only), the rest float32.
        feature_names: of the expert features; empty without a ``features`` node.
        remove_mean: whether the mean of a frame is taken away before it is scaled to unit power.
        temperature: probabilities are ``softmax(logits / temperature)``.
        trained_on: preset, samples_per_symbol, snr_db, frames, device, and whatever else is worth saying.
        parity_logits: what the network gives for the frame in ``tensors["parity.frame"]``; empty without one.
        conventions: version of the conventions it was trained under.
    """

    name: str
    class_names: tuple[str, ...]
    frame_length: int
    nodes: tuple[ModelNode, ...]
    tensors: Mapping[str, NDArray[Any]]
    feature_names: tuple[str, ...] = ()
    remove_mean: bool = False
    temperature: float = 1.0
    trained_on: Mapping[str, Any] = field(default_factory=lambda: dict(_UNTRAINED))
    parity_logits: tuple[float, ...] = ()
    conventions: int = CONVENTIONS_VERSION

    def shapes(self) -> dict[str, Shape]:
        """Shape of one frame's result at each node."""
        return check_topology(self.nodes, self.frame_length, len(self.feature_names))[0]

    def ranges(self) -> dict[str, Range]:
        """Least and largest integer that each node can give."""
        return check_topology(self.nodes, self.frame_length, len(self.feature_names))[1]

    @property
    def hash(self) -> str:
        """SHA-256 of all of it, 64 hexadecimal digits: equal for equal models."""
        return digest(canonical(self._document()), self._stored_tensors())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ModelFile) and self.hash == other.hash

    def __hash__(self) -> int:
        return int(self.hash[:15], 16)

    def check(self) -> None:
        """Raises ModelFileError: anything that a reader would refuse."""
        self.to_bytes()

    def to_bytes(self) -> bytes:
        """The file's content. Raises ModelFileError: anything that a reader would refuse."""
        try:
            check_document(self)
            check_tensors(self)
            text = canonical({**self._document(), "hash": self.hash})
            parse_json(text, "the document")
            if len(HASH.findall(text)) != 1:
                raise Fault("'trained_on' must not hold a hash of its own")
            return serialise(text, self._stored_tensors())
        except Fault as fault:
            raise ModelFileError(f"the model {self.name!r} cannot be written: {fault}") from None

    def write(self, path: str | Path) -> None:
        """Write the file; one that is there is replaced as a whole.

        Raises:
            ModelFileError: anything that a reader would refuse.
        """
        store(self.to_bytes(), path)

    def _document(self) -> dict[str, Any]:
        """The document without its hash."""
        return {
            "format": FORMAT,
            "conventions": self.conventions,
            "kind": "classifier",
            "name": self.name,
            "class_names": list(self.class_names),
            "input": {"frame_length": self.frame_length, "normalisation": "rms", "remove_mean": self.remove_mean},
            "features": {"set": set_of(self.feature_names), "names": list(self.feature_names)}
            if self.feature_names
            else None,
            "nodes": [node.to_dict() for node in self.nodes],
            "temperature": self.temperature,
            "trained_on": dict(self.trained_on),
            "parity": {"logits": list(self.parity_logits)} if self.parity_logits else None,
        }

    def _stored_tensors(self) -> dict[str, NDArray[Any]]:
        bits = {f"{node.name}.weight": node.bits for node in self.nodes if node.op in ("conv", "dense")}
        return {
            name: pack_bits(array, bits[name]) if bits.get(name, 8) < 8 else np.ascontiguousarray(array)
            for name, array in self.tensors.items()
        }


def store(data: bytes, path: str | Path) -> None:
    """Write a file; one that is there is replaced as a whole."""
    target = Path(path)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)  # mkstemp makes 0600
        os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def canonical(document: Mapping[str, Any]) -> str:
    """A document as it is stored and hashed. Raises Fault: it holds what JSON cannot."""
    try:
        return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise Fault(f"the document holds what JSON cannot ({error})") from None


def digest(document: str, tensors: Mapping[str, NDArray[Any]]) -> str:
    """SHA-256 of the document without its hash, then every stored tensor's name and bytes in order of name."""
    sha = hashlib.sha256(document.encode())
    for name in sorted(tensors):
        sha.update(name.encode())
        sha.update(tensors[name].tobytes())
    return sha.hexdigest()
