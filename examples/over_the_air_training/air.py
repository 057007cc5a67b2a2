# SPDX-License-Identifier: GPL-3.0-or-later
"""What is between the antennas: a flowgraph that gives no gradient, and the channel of torch that it is measured by."""

from __future__ import annotations

import math

import numpy as np
import torch
from gnuradio import blocks, channels, digital, gr, softmod
from numpy.typing import NDArray
from torch import Tensor

from gr_softmod.modem.link import build_channel

#: Amplifier of third order, and phase noise of 4 degrees rms.
BETA, PHASE_NOISE_DB = -0.12, -0.18
#: The same for torch: a single density is white, and a demapper without memory sees the spread of the phase alone.
TORCH_CHANNEL = {
    "third_order": {"beta": BETA},
    "masked_phase_noise": {"offsets_hz": [0.1], "dbc_per_hz": [-23.17], "sample_rate_hz": 1},
    "awgn": {},
}
#: channel_model begins with its fourth sample; both blocks drop a few at the end.
LEAD, TAIL = 3, 64


class Air:
    """Symbols through ``channels.impairments`` and ``channels.channel_model``, in a flowgraph that is kept.

    Args:
        seed: of the noise.
    """

    def __init__(self, seed: int = 1) -> None:
        self._top = gr.top_block()
        self._source, self._sink = blocks.vector_source_c([]), blocks.vector_sink_c()
        self._noise = channels.channel_model(noise_voltage=0.0, noise_seed=seed)
        impairments = channels.impairments(phase_noise_mag=PHASE_NOISE_DB, beta=BETA)
        self._impairments = impairments
        self._top.connect(self._source, blocks.delay(gr.sizeof_gr_complex, LEAD), impairments, self._noise, self._sink)
        self.symbols = 0

    def send(self, symbols: NDArray[np.complex64], noise_var: float) -> NDArray[np.complex64]:
        """What arrives of symbols [n], n of them."""
        self._source.set_data(np.concatenate([symbols, np.zeros(TAIL, np.complex64)]).tolist())
        self._sink.reset()
        self._noise.set_noise_voltage(math.sqrt(noise_var))
        self._top.run()
        self.symbols += len(symbols)
        received = np.array(self._sink.data(), np.complex64)[: len(symbols)]
        if len(received) < len(symbols):
            raise RuntimeError(f"{len(received)} of {len(symbols)} symbols came through the flowgraph")
        return received

    def __call__(self, symbols: Tensor, noise_var: float, generator: torch.Generator) -> Tensor:
        """The same for tensors; what comes back knows nothing of where it came from."""
        return torch.from_numpy(self.send(symbols.detach().numpy(), noise_var))


class TorchAir:
    """The same channel as modules of torch, differentiable."""

    def __init__(self) -> None:
        self._channel = build_channel(TORCH_CHANNEL)

    def __call__(self, symbols: Tensor, noise_var: float, generator: torch.Generator) -> Tensor:
        received: Tensor = self._channel(symbols, noise_var=noise_var, generator=generator)
        return received


def count_errors(
    points: NDArray[np.complex128], model: bytes, noise_var: float, symbols: int, seed: int
) -> tuple[int, int]:
    """Wrong bits and bits of a transmitter of ``points`` and a receiver of ``model``, all in one flowgraph."""
    m = int(math.log2(len(points)))
    labels = np.random.default_rng(seed).integers(0, len(points), symbols).astype(np.uint8)
    top, sink = gr.top_block(), blocks.vector_sink_f()
    top.connect(
        blocks.vector_source_b([*labels.tolist(), *([0] * TAIL)]),
        digital.chunks_to_symbols_bc(points.astype(np.complex64).tolist()),
        blocks.delay(gr.sizeof_gr_complex, LEAD),
        impairments := channels.impairments(phase_noise_mag=PHASE_NOISE_DB, beta=BETA),
        channels.channel_model(noise_voltage=math.sqrt(noise_var), noise_seed=seed),
        softmod.neural_demapper_cf(model, noise_var),
        sink,
    )
    top.run()
    del impairments  # an unreferenced hierarchical block would be gone before it has run
    llr = np.array(sink.data(), np.float32)[: m * symbols].reshape(symbols, m)
    sent = labels[:, None] >> np.arange(m - 1, -1, -1) & 1
    return int(((llr > 0) != sent).sum()), sent.size
