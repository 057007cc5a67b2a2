# SPDX-License-Identifier: GPL-3.0-or-later
"""The GNU Radio blocks, also importable as ``from gnuradio import softmod``."""

from gr_softmod.bindings.softmod_python import *  # noqa: F403
from gr_softmod.blocks.receiver import receiver as receiver
