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
from gr_softmod.model_file import read, read_demapper

#: Logits of the parity frame may differ by this share of their span. Integers are exact, the frame was chosen so that
#: every processor gets the same ones; what is left is the last digit of float32.
PARITY_TOLERANCE = 1e-5

#: LLRs of a parity symbol, of their largest: sums of float32 in another order differ by less.
LLR_TOLERANCE = 1e-4

#: LLRs of a model file's bytes for symbols [n] and noise variances [n], by what will run it.
Llrs = Callable[[bytes, NDArray[np.complex64], NDArray[np.float32]], NDArray[Any]]
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


def kernel_llrs(blob: bytes, symbols: NDArray[np.complex64], noise_var: NDArray[np.float32]) -> NDArray[Any]:
    """By the C++ kernel that runs demappers in flowgraphs."""
    from gr_softmod.bindings import _kernels

    demapper = _kernels.NeuralDemapper(blob)
    llr = np.empty((len(symbols), demapper.bits_per_symbol), np.float32)
    for value in np.unique(noise_var):
        chosen = noise_var == value
        llr[chosen] = demapper.demap(symbols[chosen], float(value)).reshape(-1, llr.shape[1])
    return llr


def demapper_check(bits_per_symbol: int = 0, llrs: Llrs = kernel_llrs, parity: bool = True) -> Check:
    """A check of demappers: format, hash, conventions, shapes; and LLRs of the symbols it carries, on this machine.

    Args:
        bits_per_symbol: it must have; 0: any.
        llrs: runs it.
        parity: refuse a model that carries no symbols.
    """

    def check(blob: bytes) -> None:
        model = read_demapper(blob)
        if bits_per_symbol and model.bits_per_symbol != bits_per_symbol:
            raise ValueError(f"it gives {model.bits_per_symbol} bits a symbol; here there are {bits_per_symbol}")
        if model.parity is None:
            if parity:
                raise ValueError("it carries no symbols to check it with (parity)")
            return
        symbols = (model.parity.symbols @ np.array([1, 1j])).astype(np.complex64)
        expected = model.parity.llr.astype(np.float64)
        got = np.asarray(llrs(blob, symbols, model.parity.noise_var), np.float64).reshape(expected.shape)
        span = np.maximum(np.ptp(expected, axis=1, keepdims=True), np.abs(expected).max(axis=1, keepdims=True))
        if not np.all(np.abs(got - expected) <= LLR_TOLERANCE * np.maximum(span, 1e-3)):
            raise ValueError("on this machine it does not give what it should for the symbols it carries (parity)")

    return check
