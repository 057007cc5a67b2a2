# SPDX-License-Identifier: GPL-3.0-or-later
"""The main job: a recording or a live stream becomes soft bits in files, and a report about them.

from gr_softmod.receive.job import receive
from gr_softmod.receive.settings import Settings

result = receive(Settings("recording.wav", "bpsk", symbol_rate=9600, center=12000, out="result"))
"""
