# SPDX-License-Identifier: GPL-3.0-or-later
"""demodulator_cf: symbols to LLRs by a trained demodulator."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gr_softmod.blocks.torch_block import TorchBlock


class demodulator_cf(TorchBlock):
    """Symbols to LLRs ln P(1)/P(0) by a trained demodulator, in torch.

    ``neural_demapper_cf`` runs exported perceptrons several times as fast; this one runs any module.

    Args:
        model: run directory of ``softmod train-link``, model file that ``softmod export-link`` wrote, or a torch module
            with ``bits_per_symbol`` that turns symbols [N] and noise_var [N] into LLRs [N * m].
        noise_var: E|n|^2 of the complex noise, until a tag or message tells another.
        threads: of torch.
        bfloat16: run layers in that type where the CPU has instructions for it.
    Raises:
        ValueError: model is none of these or damaged; noise_var is not positive and finite; threads is less than 1.
    """

    def __init__(self, model: Any, noise_var: float = 1.0, threads: int = 1, bfloat16: bool = False) -> None:
        self._invalid = 0
        super().__init__("demodulator_cf", (np.complex64, np.float32), _loaded(model), noise_var, threads, bfloat16)
        self.tell_rate(1, self.bits_per_symbol())

    def set_model(self, model: Any) -> None:
        """Another model, from the next symbol on. Raises ValueError: as at construction."""
        module = _loaded(model)
        with self._lock:
            self._module = module
            self.tell_rate(1, self.bits_per_symbol())

    def model(self) -> Any:
        """The module in use."""
        return self._module

    def invalid_count(self) -> int:
        """Symbols so far whose LLRs are 0 because a sample was not finite."""
        return self._invalid

    def compute(self, values: NDArray[np.complex64], noise_var: NDArray[np.float32]) -> NDArray[np.float32]:
        torch = self._torch
        bad = ~np.isfinite(values)
        values[bad] = 0
        alike = bool((noise_var == noise_var[0]).all())
        noise = float(noise_var[0]) if alike else torch.from_numpy(noise_var)
        llr = self._module(torch.from_numpy(values), noise).float().numpy()
        if bad.any():
            llr = np.where(np.repeat(bad, self.given), np.float32(0), llr)
            self._invalid += int(bad.sum())
            reason = f"{self._invalid} samples so far were not finite; their LLRs are 0"
            self._report("warning", reason, seldom=True, count=self._invalid)
        return llr


def _loaded(model: Any) -> Any:
    from gr_softmod.modem.load import load_demodulator

    try:
        return load_demodulator(model)
    except (OSError, TypeError) as error:
        raise ValueError(f"model: {error}") from None
