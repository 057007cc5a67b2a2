# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model must be to run here: checks for a gate. Reading a model runs none of its code, for it has none."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gr_softmod.hooks.gate import Check
from gr_softmod.model_file import read

#: Logits of the parity frame may differ by this share of their span: another processor may round a feature another way.
PARITY_TOLERANCE = 0.02

#: Logits [B, C] of a model file's bytes for frames complex64 [B, N], by what will run it.
Logits = Callable[[bytes, NDArray[np.complex64]], NDArray[Any]]


def kernel_logits(blob: bytes, frames: NDArray[np.complex64]) -> NDArray[Any]:
    """By the C++ kernel that runs models in flowgraphs."""
    from gr_softmod.bindings import _kernels

    with tempfile.TemporaryDirectory(prefix="softmod-") as folder:
        path = Path(folder) / "model.safetensors"
        path.write_bytes(blob)
        logits: NDArray[Any] = _kernels.Classifier(str(path)).logits(frames)
        return logits


def classifier_check(
    class_names: Sequence[str] = (), frame_length: int = 0, logits: Logits = kernel_logits, parity: bool = True
) -> Check:
    """A check of classifiers.

    The file is read whole: its hash, format, conventions, topology, shapes and ranges must hold (docs/model_file.md).
    Then the network is run on the frame it carries, on this machine, and must give the logits it carries.

    Args:
        class_names: it must have, in this order; none: any.
        frame_length: it must have; 0: any.
        logits: runs it.
        parity: refuse a model that carries no frame.
    """

    def check(blob: bytes) -> None:
        model = read(blob)
        if class_names and tuple(class_names) != model.class_names:
            raise ValueError(
                f"its classes are {', '.join(model.class_names)[:120]}; here they are {', '.join(class_names)[:120]}"
            )
        if frame_length and model.frame_length != frame_length:
            raise ValueError(f"its frames have {model.frame_length} samples; here they have {frame_length}")
        if not model.parity_logits:
            if parity:
                raise ValueError("it carries no frame to check it with (parity)")
            return
        frame = model.tensors["parity.frame"]
        got = np.asarray(logits(blob, (frame[0] + 1j * frame[1]).astype(np.complex64)[None]), np.float64)[0]
        expected = np.asarray(model.parity_logits, np.float64)
        span = float(np.ptp(expected)) or 1.0
        if got.shape != expected.shape or not np.abs(got - expected).max() <= PARITY_TOLERANCE * span:
            raise ValueError("on this machine it does not give what it should for the frame it carries (parity)")

    return check


def demapper_check(bits_per_symbol: int = 0) -> Check:
    """A check of demappers: format, hash, conventions, shapes, and bits a symbol (0: any)."""

    def check(blob: bytes) -> None:
        from gr_softmod.model_file import read_demapper

        model = read_demapper(blob)
        if bits_per_symbol and model.bits_per_symbol != bits_per_symbol:
            raise ValueError(f"it gives {model.bits_per_symbol} bits a symbol; here there are {bits_per_symbol}")

    return check
