# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens between transmitter and receiver, as modules that are differentiable in signal and parameters.

Every impairment is an nn.Module from complex samples to complex samples. Its parameters are numbers, tensors that
broadcast to the signal ([B, 1] gives each row of a batch its own), or nn.Parameter to be learnt. Those that draw random
numbers take ``generator=``; without one they use torch's global generator.
"""

from gr_softmod.modem.channel.amplifier import Rapp, Saleh, ThirdOrder
from gr_softmod.modem.channel.chain import Channel
from gr_softmod.modem.channel.fading import RayleighFading, RicianFading
from gr_softmod.modem.channel.mimo import MIMOChannel, exponential_correlation
from gr_softmod.modem.channel.multipath import PROFILES, Multipath
from gr_softmod.modem.channel.noise import AWGN, MaskedPhaseNoise, PhaseNoise
from gr_softmod.modem.channel.offsets import DCOffset, FrequencyOffset, IQImbalance, PhaseOffset, TimingOffset
from gr_softmod.modem.channel.quantizer import Quantizer

__all__ = [
    "AWGN",
    "PROFILES",
    "Channel",
    "DCOffset",
    "FrequencyOffset",
    "IQImbalance",
    "MIMOChannel",
    "MaskedPhaseNoise",
    "Multipath",
    "PhaseNoise",
    "PhaseOffset",
    "Quantizer",
    "Rapp",
    "RayleighFading",
    "RicianFading",
    "Saleh",
    "ThirdOrder",
    "TimingOffset",
    "exponential_correlation",
]
