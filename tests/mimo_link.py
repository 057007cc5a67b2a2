# SPDX-License-Identifier: GPL-3.0-or-later
"""Signals for the tests of MIMO detection."""

import math

import torch

from gr_softmod.modem import Modulator, seeded_generator
from gr_softmod.modem.channel import AWGN, MIMOChannel


def link(name, streams, antennas, count, noise_var, *, batch=4, seed=0, doppler=None):
    """Bits, symbols, received signal and gains in float64."""
    g = seeded_generator(seed, streams, antennas)
    modulator = Modulator(name)
    bits = torch.randint(0, 2, (batch, streams, count * modulator.bits_per_symbol), generator=g).double()
    symbols = modulator(bits)
    channel = MIMOChannel(streams, antennas, doppler=doppler)
    gains = channel.draw(symbols, generator=g)
    received = AWGN(noise_var)(channel(symbols, gains), generator=g)
    return bits, symbols, received, gains


def priors_like(bits, strength=2.0, seed=3):
    noise = torch.randn(bits.shape, dtype=torch.float64, generator=seeded_generator(seed))
    return strength * (2 * bits - 1) + math.sqrt(2 * strength) * noise
