# SPDX-License-Identifier: GPL-3.0-or-later
"""``softmod.receiver``: complex samples at any rate to log-likelihood ratios."""

from __future__ import annotations

import math

import numpy as np
from gnuradio import analog, digital, gr
from gnuradio import filter as gr_filter
from gnuradio.filter import firdes

#: Samples per symbol that the timing recovery works at.
SAMPLES_PER_SYMBOL = 4


class receiver(gr.hier_block2):
    """Complex samples to LLRs: translation, resampling, AGC, matched filter, timing, carrier, demapping.

    Args:
        constellation: name, Constellation or points by label.
        sample_rate: of the input, in hertz.
        symbol_rate: in symbols a second (the same unit).
        center: frequency of the signal's middle in the input, in hertz.
        differential: the transmitter coded bits as changes (NRZI, DBPSK); the LLRs are those of the changes.
        excess_bandwidth: roll-off of the root raised cosine pulse, in (0, 1].
        timing_bandwidth: loop bandwidth of the timing recovery, normalised to the symbol rate (radians).
        carrier_bandwidth: loop bandwidth of the carrier recovery, normalised to the symbol rate (radians).
    Outputs:
        0: LLRs (float), ``ln P(1)/P(0)``, bits_per_symbol a symbol; 1: synchronised symbols (complex, E|s|^2 = 1);
        2: the samples before synchronisation (complex, ``samples_per_symbol`` a symbol). 1 and 2 may stay unconnected.
    Messages:
        status: dictionary with ``block``, ``severity``, ``locked``, ``esn0_db``, ``noise_var``, ``frequency`` (hertz).
    Raises:
        ValueError: a parameter is out of its range.
    """

    samples_per_symbol = SAMPLES_PER_SYMBOL

    def __init__(
        self,
        constellation: object,
        sample_rate: float,
        symbol_rate: float,
        center: float = 0.0,
        differential: bool = False,
        *,
        excess_bandwidth: float = 0.35,
        timing_bandwidth: float = 0.03,
        carrier_bandwidth: float = 0.03,
    ) -> None:
        gr.hier_block2.__init__(
            self,
            "softmod.receiver",
            gr.io_signature(1, 1, gr.sizeof_gr_complex),
            gr.io_signature.makev(3, 3, [gr.sizeof_float, gr.sizeof_gr_complex, gr.sizeof_gr_complex]),
        )
        for name, value in (("sample_rate", sample_rate), ("symbol_rate", symbol_rate)):
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} is {value}; it must be positive and finite")
        if symbol_rate > sample_rate / 2:
            raise ValueError(f"symbol_rate {symbol_rate} needs a sample_rate of at least twice that; got {sample_rate}")
        if not math.isfinite(center):
            raise ValueError(f"center is {center}; it must be finite")
        sps = SAMPLES_PER_SYMBOL
        self.message_port_register_hier_out("status")
        taps = firdes.low_pass(1.0, sample_rate, 0.75 * symbol_rate, 0.3 * symbol_rate)
        self.translate = gr_filter.freq_xlating_fir_filter_ccf(1, taps, center, sample_rate)
        self.resample = gr_filter.pfb.arb_resampler_ccf(sps * symbol_rate / sample_rate)
        self.agc = analog.agc_cc(1e-2 / sps, 1.0, 1.0)
        self.agc.set_max_gain(1e9)
        self.matched_filter = gr_filter.fir_filter_ccf(
            1, firdes.root_raised_cosine(1, sps, 1, excess_bandwidth, 11 * sps)
        )
        self.timing = digital.symbol_sync_cc(
            digital.TED_GARDNER, sps, timing_bandwidth, 1.0, 1.0, 0.1 * sps, 1, None, digital.IR_MMSE_8TAP, 128, []
        )
        self.carrier = digital.costas_loop_cc(carrier_bandwidth, 2)
        self.demapper = _bpsk_llr(differential)
        self.connect(self, self.translate, self.resample, self.agc, self.matched_filter, self.timing, self.carrier)
        self.connect(self.carrier, self.demapper, self)
        self.connect(self.carrier, (self, 1))
        self.connect(self.agc, (self, 2))

    def set_center(self, center: float) -> None:
        """Tune to another middle frequency, in hertz."""
        self.translate.set_center_freq(center)


class _bpsk_llr(gr.sync_block):
    """Stand-in for the demapper: BPSK at a fixed noise variance."""

    def __init__(self, differential: bool, noise_var: float = 0.1) -> None:
        gr.sync_block.__init__(self, "bpsk_llr", [np.complex64], [np.float32])
        self.set_output_multiple(256)
        self.differential, self.noise_var, self.last = differential, noise_var, np.float32(0)

    def work(self, input_items: list, output_items: list) -> int:
        llr = -4 / self.noise_var * input_items[0].real
        if self.differential:
            a, b = llr, np.concatenate(([self.last], llr[:-1]))
            self.last = llr[-1]
            llr = -2 * np.arctanh(np.clip(np.tanh(a / 2) * np.tanh(b / 2), -1 + 1e-7, 1 - 1e-7))
        output_items[0][:] = llr
        return len(llr)
