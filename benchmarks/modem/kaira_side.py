# SPDX-License-Identifier: GPL-3.0-or-later
"""Kaira's side of the benchmark. Its soft QAM demodulator is max-log, by the distance to all points."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Any
from unittest.mock import MagicMock

import torch

# Kaira imports torchvision and torchaudio, whose packages on PyPI are built for CUDA and fail beside a torch for CPUs.
# Modulation has no use for them.
for name in ("torchvision", "torchvision.models", "torchvision.utils", "torchvision.transforms", "torchaudio"):
    sys.modules[name] = MagicMock()

from kaira.modulations import (  # noqa: E402
    DQPSKDemodulator,
    DQPSKModulator,
    OQPSKDemodulator,
    OQPSKModulator,
    Pi4QPSKDemodulator,
    Pi4QPSKModulator,
    QAMDemodulator,
    QAMModulator,
)

Work = Callable[[], Any]
NOISE_VAR = 0.1


def received(symbols: int) -> torch.Tensor:
    return torch.randn(128, symbols // 128 or 1, dtype=torch.complex64)


def forward(name: str, method: str, symbols: int) -> Work:
    demodulator = QAMDemodulator(int(name.removesuffix("qam")))
    y = received(symbols)
    return lambda: demodulator(y, noise_var=NOISE_VAR)


def forward_backward(name: str, method: str, symbols: int) -> Work:
    demodulator = QAMDemodulator(int(name.removesuffix("qam")))
    y = received(symbols).requires_grad_()
    return lambda: torch.autograd.grad(demodulator(y, noise_var=NOISE_VAR).sum(), y)


def modulate(name: str, symbols: int) -> Work:
    order = int(name.removesuffix("qam"))
    modulator = QAMModulator(order)
    bits = torch.randint(0, 2, (128, symbols // 128 * (order.bit_length() - 1))).float()
    return lambda: modulator(bits)


def round_trips() -> dict[str, str]:
    """Wrong bits of 1000 without noise."""
    pairs = {
        "oqpsk": (OQPSKModulator, OQPSKDemodulator),
        "pi4-qpsk": (Pi4QPSKModulator, Pi4QPSKDemodulator),
        "dqpsk": (DQPSKModulator, DQPSKDemodulator),
    }
    found = {}
    for name, (modulator, demodulator) in pairs.items():
        bits = torch.randint(0, 2, (1, 1000)).float()
        try:
            got = demodulator()(modulator()(bits))
            length = min(got.shape[-1], 1000)
            # The first symbol may be the reference and have no bits: whichever way of lining up is the better.
            wrong = min(int((got[..., :length] != part).sum()) for part in (bits[..., :length], bits[..., -length:]))
            found[name] = f"{wrong} of {length} bits wrong" + ("" if length == 1000 else f", {1000 - length} missing")
        except Exception as error:
            found[name] = f"{type(error).__name__}: {error}"
    return found


def versions() -> dict[str, str]:
    return {"kaira": version("pykaira"), "torch": torch.__version__, "threads": str(torch.get_num_threads())}
