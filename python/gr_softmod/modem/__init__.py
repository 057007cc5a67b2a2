# SPDX-License-Identifier: GPL-3.0-or-later
"""The differentiable modem (torch): bits to symbols to soft bits, with gradients all the way."""

from gr_softmod.modem.channel import AWGN as AWGN
from gr_softmod.modem.channel import Channel as Channel
from gr_softmod.modem.demapper import Demodulator as Demodulator
from gr_softmod.modem.mapper import Modulator as Modulator
from gr_softmod.modem.pulse import MatchedFilter as MatchedFilter
from gr_softmod.modem.pulse import PulseShaper as PulseShaper
from gr_softmod.modem.seeding import seeded_generator as seeded_generator
from gr_softmod.modem.soft_bits import harden as harden
from gr_softmod.modem.soft_bits import soft_bits as soft_bits
