# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``gnuradio.channels`` does to a signal, and noise that has no signal in it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from gnuradio import analog, blocks, channels, filter
from transmitters import Samples, run

#: How many samples the blocks of a channel may keep or need to settle.
MARGIN = 256


class Channel(NamedTuple):
    """One channel; frequencies in cycles per sample.

    ``noise_voltage`` of ``channel_model`` is the root of the mean power of its noise, which is white over the whole
    sampled band.
    """

    kind: str
    offset: float
    epsilon: float
    taps: tuple[complex, ...]
    phase: float
    level_db: float
    seed: int
    impairments: dict[str, float]


def draw(kind: str, sps: int, rng: np.random.Generator) -> Channel:
    """A channel of a kind:

    plain: noise alone; offset: a carrier to 5 % of the sample rate off, a clock to 20 ppm; multipath: three echoes
    within a symbol, each 12 to 26 dB under the direct path, and a carrier to 1 %; impairments: the hierarchical block
    of that name with phase noise, IQ imbalance to 1 dB and 4 degrees, and DC to -20 dB, and a carrier to 1 %.
    """
    far = {"plain": 0.0, "offset": 0.05}.get(kind, 0.01)
    taps = np.zeros(sps + 1, complex)
    taps[0] = 1
    if kind == "multipath":
        at = rng.integers(1, sps + 1, 3)
        np.add.at(taps, at, 10 ** (rng.uniform(-26, -12, 3) / 20) * np.exp(2j * np.pi * rng.uniform(size=3)))
    impairments = {}
    if kind == "impairments":
        dc = 10 ** (rng.uniform(-50, -20) / 20) * np.exp(2j * np.pi * rng.uniform())
        impairments = {
            "phase_noise_mag": float(rng.uniform(-30, 0)), "magbal": float(rng.uniform(-1, 1)),
            "phasebal": float(rng.uniform(-4, 4)), "i_ofs": float(dc.real), "q_ofs": float(dc.imag),
        }  # fmt: skip
    return Channel(
        kind,
        float(rng.uniform(-far, far)),
        1 + (float(rng.uniform(-2e-5, 2e-5)) if kind == "offset" else 0.0),
        tuple(taps / np.sqrt((np.abs(taps) ** 2).sum())),
        float(rng.uniform(0, 2 * np.pi)),
        float(rng.uniform(-40, 0)),
        int(rng.integers(1, 1 << 30)),
        impairments,
    )


def through(signal: Samples, channel: Channel, noise_var: float, count: int) -> Samples:
    """``count`` samples of a signal of unit power behind a channel; it must be :data:`MARGIN` samples longer."""
    chain = [blocks.multiply_const_cc(complex(np.exp(1j * channel.phase)))]
    model = channels.channel_model(
        float(np.sqrt(noise_var)), channel.offset, channel.epsilon, list(channel.taps), channel.seed
    )
    chain.append(model)
    if channel.impairments:
        chain.append(channels.impairments(**channel.impairments))
    chain.append(blocks.multiply_const_cc(10 ** (channel.level_db / 20)))
    return run(blocks.vector_source_c(signal.tolist()), *chain, count=count, skip=MARGIN // 2)


def noise(width: float, center: float, level_db: float, count: int, seed: int) -> Samples:
    """Noise of ``analog.noise_source_c``: white, or through a filter as wide as ``width`` of the sample rate."""
    chain = [analog.noise_source_c(analog.GR_GAUSSIAN, 10 ** (level_db / 20), seed)]
    if width < 1:
        edges = (center - width / 2, center + width / 2, 0.1 * width)
        chain.append(filter.fir_filter_ccc(1, filter.firdes.complex_band_pass(1, 1, *edges)))
    return run(*chain, count=count, skip=2 * MARGIN)
