# SPDX-License-Identifier: GPL-3.0-or-later
"""``softmod.receiver``: complex samples at any rate to log-likelihood ratios."""

from __future__ import annotations

import math

from gnuradio import filter as gr_filter
from gnuradio import gr
from gnuradio.filter import firdes

from gr_softmod.bindings import softmod_python
from gr_softmod.blocks.arguments import ConstellationArgument, as_constellation

#: Samples per symbol between resampler and timing recovery.
SAMPLES_PER_SYMBOL = 4
#: Length of the matched filter in symbols.
_PULSE_SPAN = 11
#: Carrier offset, over the symbol rate, that passes the channel filter whole.
_OFFSET_MARGIN = 0.1
#: Band, over the symbol rate, on either side of those searched for the signal: what noise alone looks like.
_NOISE_BESIDE = 0.3
_RESAMPLER_ARMS = 32
#: Noise variance until the recovery says one: its symbols without lock say next to nothing.
_UNKNOWN_NOISE = 100.0
#: Symbols the AGC averages over.
_AGC_SYMBOLS = 512


class receiver(gr.hier_block2):
    """Complex samples at any rate to symbols to LLRs.

    Translation by ``center``, channel filter, resampling to 4 samples a symbol and matched filter are GNU Radio's own
    blocks; around them ``softmod.coarse_frequency_cc`` (with ``max_offset``), ``agc_cc``, ``timing_recovery_cc`` and
    ``symbol_recovery_cc`` (carrier, amplitude, equaliser, noise variance), then the soft or the differential demapper.

    Without ``differential`` the carrier's phase is known up to a turn that leaves the constellation as it is
    (``symmetry()`` of them): a sync word, a pilot or a differential code outside has to tell the rest.

    Args:
        constellation: name, Constellation, GNU Radio constellation object or points by label. Not one with a Q delay.
        sample_rate: of the input, in hertz; at least ``(1 + excess_bandwidth) * symbol_rate``.
        symbol_rate: in hertz.
        center: where in the input the middle of the signal is, in hertz; up to ``symbol_rate / (2 * symmetry())`` off
            even without ``max_offset``, but from a tenth of the symbol rate on the matched filter loses by it.
        max_offset: how far from ``center`` the signal may be, in hertz. Above 0, it is searched by the shape of its
            spectrum before the matched filter, and followed as it drifts; the channel filter is as much wider.
        differential: bits are coded as turns of the phase (NRZI, DBPSK, DQPSK, ..); PSK only. See
            ``softmod.differential_demapper_cf``.
        excess_bandwidth: roll-off of the root raised cosine pulse, in (0, 1].
        timing_bandwidth: noise bandwidth of the timing loop over the symbol rate, in (0, 0.1].
        carrier_bandwidth: noise bandwidth of the carrier loop over the symbol rate, in (0, 0.2].
        equalizer_taps: of an adaptive equaliser, half a symbol apart; odd, 1 for none.
        acquisition: symbols that a search for the carrier looks at; a power of two, or 0 for what the constellation
            needs. Twice as many are held back while there is no lock.
        method: of demapping, "exact" or "maxlog".
    Outputs:
        0: LLRs ln P(1)/P(0) (float), ``bits_per_symbol`` a symbol; 1: symbols (complex, E|s|^2 = 1); 2: samples behind
        the matched filter, before timing and carrier (complex, ``samples_per_symbol`` a symbol). 1 and 2 may stay
        unconnected.
    Messages:
        ``status``: dictionaries with ``block``, ``severity``, ``reason``, ``locked`` (bool), ``frequency`` (hertz, off
        ``center``), ``noise_var`` and ``esn0_db``, when the lock changes and every 16384 symbols.
    Raises:
        ValueError: a parameter is out of its range.
    """

    samples_per_symbol = SAMPLES_PER_SYMBOL

    def __init__(
        self,
        constellation: ConstellationArgument,
        sample_rate: float,
        symbol_rate: float,
        center: float = 0.0,
        differential: bool = False,
        *,
        excess_bandwidth: float = 0.35,
        max_offset: float = 0.0,
        timing_bandwidth: float = 0.002,
        carrier_bandwidth: float = 0.01,
        equalizer_taps: int = 1,
        acquisition: int = 0,
        method: str = "exact",
    ) -> None:
        gr.hier_block2.__init__(
            self,
            "softmod_receiver",
            gr.io_signature(1, 1, gr.sizeof_gr_complex),
            gr.io_signature.makev(3, 3, [gr.sizeof_float, gr.sizeof_gr_complex, gr.sizeof_gr_complex]),
        )
        _check_range("sample_rate", sample_rate, 0, math.inf)
        _check_range("symbol_rate", symbol_rate, 0, math.inf)
        _check_range("excess_bandwidth", excess_bandwidth, 0, 1)
        _check_range("timing_bandwidth", timing_bandwidth, 0, 0.1)
        _check_range("carrier_bandwidth", carrier_bandwidth, 0, 0.2)
        if not 0 <= max_offset <= symbol_rate:
            raise ValueError(f"max_offset is {max_offset:g}; it must be from 0 to the symbol_rate {symbol_rate:g}")
        if sample_rate < (1 + excess_bandwidth) * symbol_rate:
            raise ValueError(
                f"sample_rate {sample_rate:g} is too low: {symbol_rate:g} symbols a second with excess bandwidth "
                f"{excess_bandwidth:g} need at least {(1 + excess_bandwidth) * symbol_rate:g}"
            )
        self.sample_rate, self.symbol_rate = float(sample_rate), float(symbol_rate)
        self._check_center(center)
        self.constellation = as_constellation(constellation)
        if self.constellation.q_delay:
            raise ValueError(f"{self.constellation} delays Q, which the receiver's timing recovery cannot follow")
        points = self.constellation.points

        self.message_port_register_hier_out("status")
        signal_edge = symbol_rate * (1 + excess_bandwidth) / 2
        margin = max_offset + _NOISE_BESIDE * symbol_rate if max_offset else _OFFSET_MARGIN * symbol_rate
        edge = min(signal_edge + margin, 0.5 * SAMPLES_PER_SYMBOL * symbol_rate)
        self.finite = softmod_python.finite_cc(_PULSE_SPAN * SAMPLES_PER_SYMBOL)
        self.translate, rate = _channel_filter(sample_rate, symbol_rate, center, edge)
        self.resample = _resampler(rate, SAMPLES_PER_SYMBOL * symbol_rate, edge)
        chain = [self.finite, self.translate, self.resample]
        if max_offset:
            self.coarse = softmod_python.coarse_frequency_cc(
                SAMPLES_PER_SYMBOL, symbol_rate, max_offset, excess_bandwidth
            )
            chain.append(self.coarse)
        self.matched_filter = gr_filter.fir_filter_ccf(
            1,
            firdes.root_raised_cosine(
                1.0, SAMPLES_PER_SYMBOL, 1.0, excess_bandwidth, _PULSE_SPAN * SAMPLES_PER_SYMBOL + 1
            ),
        )
        self.agc = softmod_python.agc_cc(_AGC_SYMBOLS * SAMPLES_PER_SYMBOL)
        self.timing = softmod_python.timing_recovery_cc(
            excess_bandwidth, timing_bandwidth, 2 if equalizer_taps > 1 else 1
        )
        self.recovery = softmod_python.symbol_recovery_cc(
            points, self.constellation.rotation, symbol_rate, equalizer_taps, carrier_bandwidth, acquisition
        )
        if differential:
            self.demapper = softmod_python.differential_demapper_cf(points, _UNKNOWN_NOISE)
        else:
            self.demapper = softmod_python.soft_demapper_cf(points, _UNKNOWN_NOISE, method)
        chain += [self.matched_filter, self.agc, self.timing, self.recovery, self.demapper]
        self.connect(self, *chain, self)
        self.connect(self.recovery, (self, 1))
        self.connect(self.agc, (self, 2))
        for block in (self.recovery, self.demapper):
            self.msg_connect(block, "status", self, "status")

    @property
    def bits_per_symbol(self) -> int:
        """LLRs on output 0 for each symbol on output 1."""
        return self.constellation.bits_per_symbol

    def set_center(self, center: float) -> None:
        """Tune to another middle frequency, in hertz."""
        self._check_center(center)
        self.translate.set_center_freq(center)

    def set_carrier_bandwidth(self, carrier_bandwidth: float) -> None:
        """Noise bandwidth of the carrier loop over the symbol rate, in (0, 0.2]."""
        self.recovery.set_loop_bandwidth(carrier_bandwidth)

    def set_timing_bandwidth(self, timing_bandwidth: float) -> None:
        """Noise bandwidth of the timing loop over the symbol rate, in (0, 0.1]."""
        self.timing.set_loop_bandwidth(timing_bandwidth)

    def locked(self) -> bool:
        """Whether the carrier is found."""
        return self.recovery.locked()

    def frequency(self) -> float:
        """Offset of the carrier from ``center``, in hertz."""
        return self.recovery.frequency()

    def noise_var(self) -> float:
        """``E|n|^2`` around the latest symbols."""
        return self.recovery.noise_var()

    def symmetry(self) -> int:
        """Turns by 2 pi / symmetry leave the constellation as it is."""
        return self.recovery.symmetry()

    def _check_center(self, center: float) -> None:
        if not (math.isfinite(center) and abs(center) <= self.sample_rate / 2):
            raise ValueError(f"center is {center:g}; it must be within half the sample_rate {self.sample_rate:g}")


def _check_range(name: str, value: float, above: float, at_most: float) -> None:
    if not (math.isfinite(value) and above < value <= at_most):
        limit = "and finite" if at_most == math.inf else f"and at most {at_most:g}"
        raise ValueError(f"{name} is {value:g}; it must be above {above:g} {limit}")


def _channel_filter(sample_rate: float, symbol_rate: float, center: float, edge: float) -> tuple[gr.basic_block, float]:
    """The block that takes ``center`` to frequency 0 and thins out samples, and the rate behind it."""
    decimation = max(1, int(sample_rate / (SAMPLES_PER_SYMBOL * symbol_rate)))
    # What is aliased must fall beside the band that is kept.
    transition = min(0.4 * symbol_rate, sample_rate / decimation - 2 * edge) if decimation > 1 else 0.4 * symbol_rate
    if edge + transition > sample_rate / 2:
        taps = [1.0]  # the signal fills the band: there is nothing to keep out
    else:
        taps = firdes.low_pass(1.0, sample_rate, edge + transition / 2, transition)
    return gr_filter.freq_xlating_fir_filter_ccf(decimation, taps, center, sample_rate), sample_rate / decimation


def _resampler(rate: float, wanted: float, edge: float) -> gr.basic_block:
    taps = firdes.low_pass_2(_RESAMPLER_ARMS, _RESAMPLER_ARMS, 0.5, 1 - 2 * min(0.45, edge / rate), 70)
    return gr_filter.pfb_arb_resampler_ccf(wanted / rate, taps, _RESAMPLER_ARMS)
