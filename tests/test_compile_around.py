# SPDX-License-Identifier: GPL-3.0-or-later
"""torch.compile in one graph on what stands around the modem: channels, pulses, complex layers, detectors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from gr_softmod.modem import CPMModulator, PulseShaper, channel, complexnn, mimo
from gr_softmod.modem.pulse import root_raised_cosine
from gr_softmod.modem.quantized_link import QuantizedLink
from gr_softmod.modem.spectrum import aclr_db
from modem_helpers import complex_normal, normal, random_bits


def samples(*shape: int) -> Tensor:
    return complex_normal(*shape, dtype=torch.complex64)


def shaper(trainable: bool = False) -> PulseShaper:
    return PulseShaper(root_raised_cosine(4, 0.25), 4, trainable=trainable)


def tdl() -> channel.Multipath:
    return channel.Multipath.from_profile("TDL-A", sample_rate_hz=8e6, delay_spread_s=100e-9, doppler_hz=50)


SIGNAL, CHANNELS = (samples(3, 64),), (samples(3, 4, 64),)
MIXED = (samples(3, 4, 16), samples(3, 4, 4), 0.1)
CASES: dict[str, tuple[Callable[[], Any], tuple[Any, ...]]] = {
    "awgn": (channel.AWGN, (*SIGNAL, torch.full((3, 1), 0.1))),
    "phase offset": (lambda: channel.PhaseOffset(0.1), SIGNAL),
    "frequency offset": (lambda: channel.FrequencyOffset(1e-3), SIGNAL),
    "timing offset": (lambda: channel.TimingOffset(0.3), SIGNAL),
    "phase noise": (lambda: channel.PhaseNoise(1e-4), SIGNAL),
    "iq imbalance": (lambda: channel.IQImbalance(0.3, 0.02), SIGNAL),
    "dc offset": (lambda: channel.DCOffset(0.1), SIGNAL),
    "rapp": (lambda: channel.Rapp(1.0), SIGNAL),
    "saleh": (channel.Saleh, SIGNAL),
    "third_order": (lambda: channel.ThirdOrder(-0.08), SIGNAL),
    "quantizer": (lambda: channel.Quantizer(6, 2.0), SIGNAL),
    "rayleigh": (channel.RayleighFading, SIGNAL),
    "rician": (lambda: channel.RicianFading(3.0, 0.01), SIGNAL),
    "multipath": (tdl, SIGNAL),
    "mimo": (lambda: channel.MIMOChannel(4, 4), CHANNELS),
    "chain": (lambda: channel.Channel(channel.Rapp(1.0), channel.PhaseNoise(1e-4), channel.AWGN(0.1)), SIGNAL),
    "shaper": (shaper, SIGNAL),
    "trainable shaper": (lambda: shaper(trainable=True), SIGNAL),
    "matched filter": (lambda: shaper().matched_filter(), (samples(3, 400),)),
    "aclr": (lambda: lambda signal: aclr_db(signal, bandwidth=0.3, spacing=0.35), (samples(4, 4096),)),
    "cpm": (lambda: CPMModulator(order=4, index="1/4", pulse="rc", span=2), (random_bits(3, 20),)),
    "conv1d": (lambda: complexnn.Conv1d(4, 8, 3), CHANNELS),
    "linear": (lambda: complexnn.Linear(64, 8), CHANNELS),
    "batch norm": (lambda: complexnn.BatchNorm(4), CHANNELS),
    "layer norm": (lambda: complexnn.LayerNorm(64), CHANNELS),
    "modrelu": (lambda: complexnn.ModReLU(0.1), CHANNELS),
    "adaptive modrelu": (lambda: complexnn.AdaptiveModReLU(4), CHANNELS),
    "crelu": (complexnn.CReLU, CHANNELS),
    "cardioid": (complexnn.Cardioid, CHANNELS),
    "dropout": (lambda: complexnn.Dropout(0.3), CHANNELS),
    "pooling": (lambda: complexnn.ModulusMaxPool1d(2), CHANNELS),
    "lmmse": (lambda: mimo.LMMSEDetector("16qam"), MIXED),
    "mmse-pic": (lambda: mimo.MMSEPICDetector("16qam", iterations=2), MIXED),
    "k-best": (lambda: mimo.MLDetector("16qam", survivors=16), MIXED),
    "all vectors": (lambda: mimo.MLDetector("qpsk"), MIXED),
    "quantised link": (lambda: QuantizedLink("16qam"), (normal(3, 8, 4).float(), normal(64, 4).float(), 0.2)),
}


@pytest.mark.parametrize("name", CASES)
def test_one_graph(name: str) -> None:
    build, arguments = CASES[name]
    torch._dynamo.reset()
    module, results = build(), []
    for run in (module, torch.compile(module, fullgraph=True, backend="eager")):
        torch.manual_seed(1)
        out = run(*arguments)
        results.append(out if isinstance(out, tuple) else (out,))
    assert any(isinstance(value, Tensor) for value in results[0])
    for got, expected in zip(results[1], results[0], strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-4)
