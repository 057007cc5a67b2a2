# SPDX-License-Identifier: GPL-3.0-or-later
"""The GNU Radio blocks, also importable as ``from gnuradio import softmod``."""

from gr_softmod.bindings.softmod_python import *  # noqa: F403
from gr_softmod.blocks.adaptive_receiver import adaptive_receiver as adaptive_receiver
from gr_softmod.blocks.arguments import as_constellation as as_constellation
from gr_softmod.blocks.arguments import constellation_message as constellation_message
from gr_softmod.blocks.ax25_known_bits import ax25_known_bits as ax25_known_bits
from gr_softmod.blocks.demodulator import demodulator_cf as demodulator_cf
from gr_softmod.blocks.fec import ldpc_decoder as ldpc_decoder
from gr_softmod.blocks.fec import llr_decoder as llr_decoder
from gr_softmod.blocks.iq_source import iq_source as iq_source
from gr_softmod.blocks.models import shipped_model as shipped_model
from gr_softmod.blocks.modulation_view import modulation_view as modulation_view
from gr_softmod.blocks.modulator import modulator_bc as modulator_bc
from gr_softmod.blocks.multichannel_classifier import multichannel_classifier as multichannel_classifier
from gr_softmod.blocks.receiver import receiver as receiver
from gr_softmod.blocks.recording_source import recording_source as recording_source
from gr_softmod.blocks.rtl_tcp_source import rtl_tcp_source as rtl_tcp_source
from gr_softmod.blocks.sequence import prbs as prbs
from gr_softmod.constellation import Constellation as Constellation

try:
    from gr_softmod.blocks.model_updater import model_updater as model_updater
    from gr_softmod.blocks.training_tap import training_tap as training_tap
except ModuleNotFoundError as error:  # the packages of the hooks, which GRC on the system's own Python need not have
    if (error.name or "").startswith("gr_softmod"):
        raise
