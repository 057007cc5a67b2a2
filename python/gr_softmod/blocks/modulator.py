# SPDX-License-Identifier: GPL-3.0-or-later
"""modulator_bc: bits to symbols by a trained modulator."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gr_softmod.blocks.torch_block import TorchBlock


class modulator_bc(TorchBlock):
    """Bits to symbols by a trained modulator, in torch.

    Args:
        model: run directory of ``softmod train-link``, model file that ``softmod export-link`` wrote, or a torch module
            with ``bits_per_symbol`` that turns bits [N * m] into symbols [N].
        noise_var: E|n|^2 that the receiver will see, for points that follow it.
        packed: 8 bits a byte, first bit highest; otherwise one bit a byte, in its lowest place.
        threads: of torch.
        bfloat16: run layers in that type where the CPU has instructions for it.
    Raises:
        ValueError: model is none of these or damaged; noise_var is not positive and finite; threads is less than 1.
    """

    def __init__(
        self, model: Any, noise_var: float = 1.0, packed: bool = False, threads: int = 1, bfloat16: bool = False
    ) -> None:
        self._packed, self._adapts = bool(packed), False
        super().__init__("modulator_bc", (np.uint8, np.complex64), _loaded(model), noise_var, threads, bfloat16)
        self._tell_rate()

    def set_model(self, model: Any) -> None:
        """Another model, from the next symbol on. Raises ValueError: as at construction."""
        module = _loaded(model)
        with self._lock:
            self._module = module
            self._tell_rate()

    def model(self) -> Any:
        """The module in use."""
        return self._module

    def _tell_rate(self) -> None:
        m = self.bits_per_symbol()
        self._adapts = "noise_var" in inspect.signature(self._module.forward).parameters
        self.tell_rate(m, 8 if self._packed else 1)

    def compute(self, values: NDArray[np.uint8], noise_var: NDArray[np.float32]) -> NDArray[np.complex64]:
        torch = self._torch
        bits = torch.from_numpy(np.unpackbits(values) if self._packed else values & 1)
        if not self._adapts:
            return np.asarray(self._module(bits).numpy(), np.complex64)
        parts = []
        for first, last in runs(noise_var):  # points are worked out once for each noise variance
            part = bits[first * len(bits) // len(noise_var) : last * len(bits) // len(noise_var)]
            parts.append(self._module(part, float(noise_var[first])))
        return np.asarray(torch.cat(parts).numpy(), np.complex64)


def runs(values: NDArray[Any]) -> list[tuple[int, int]]:
    """First and last + 1 of each stretch of equal values."""
    edges = [0, *(np.flatnonzero(np.diff(values)) + 1).tolist(), len(values)]
    return list(zip(edges[:-1], edges[1:], strict=True))


def _loaded(model: Any) -> Any:
    from gr_softmod.modem.load import load_modulator

    try:
        return load_modulator(model)
    except (OSError, TypeError) as error:
        raise ValueError(f"model: {error}") from None
