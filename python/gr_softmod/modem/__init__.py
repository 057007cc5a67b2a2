# SPDX-License-Identifier: GPL-3.0-or-later
"""The differentiable modem (torch): bits to symbols to soft bits, with gradients all the way."""

from gr_softmod.modem.pulse import MatchedFilter as MatchedFilter
from gr_softmod.modem.pulse import PulseShaper as PulseShaper
