# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames of real recordings, brought to complex baseband as a user's flowgraph would, and which of them hold a signal.

The recordings are real audio at 48 kHz. ``freq_xlating_fir_filter_fcf`` tunes and filters, ``rational_resampler_ccc``
brings them to 4, 5 or 8 samples a symbol. Whether a signal is there is told by the recording before all that, not by
any network: by the power a hertz inside the signal's band against that beside it, in each half of the frame by itself;
of ao73, which is on the air throughout, by the place of its one code block, as the decoder finds it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from cases import LENGTH
from gnuradio import blocks, filter
from numpy.typing import NDArray
from transmitters import Samples, run

sys.path.append(str(Path(__file__).resolve().parents[1] / "recordings"))

#: Inside the band a signal is at least so much stronger a hertz than beside it, and noise alone at most: what lies
#: between, or has one half of either, is an edge and not counted. Idle channels here reach 1.5 dB, signals 5 to 22 dB.
SIGNAL_DB = 3.0
#: Cutoff of the channel filter in symbol rates: to the end of a pulse of roll-off 0.5, or twice that.
FILTERS = {"narrow": 0.75, "wide": 1.1}
RATES = (4, 5, 8)
#: Samples a symbol behind the channel filter, before the resampler.
TUNED = 5


class Recording(NamedTuple):
    """What a user would see on a waterfall."""

    file: str
    symbol_rate: float
    center: float
    floor: tuple[float, float]  # hertz beside the signal


RECORDINGS = (
    Recording("picsat_9k6.wav", 9600, 12000, (1500, 4500)),
    Recording("entrysat.wav", 9600, 12000, (1500, 4500)),
    Recording("by701.wav", 9600, 12000, (1500, 4500)),
    Recording("ao73.wav", 1200, 1150, (0, 0)),
)


def baseband(audio: NDArray[np.float32], rate: float, of: Recording, sps: int, cutoff: float) -> Samples:
    """Complex samples, ``sps`` a symbol."""
    taps = filter.firdes.low_pass(1, rate, cutoff * of.symbol_rate, 0.25 * of.symbol_rate)
    decimation = int(rate / of.symbol_rate) // TUNED
    chain = [filter.freq_xlating_fir_filter_fcf(decimation, taps, of.center, rate)]
    if sps != TUNED:
        chain.append(filter.rational_resampler_ccc(sps, TUNED, [], 0.45))
    delay = len(taps) // 2 // decimation * sps // TUNED
    count = int(len(audio) * of.symbol_rate * sps / rate) - 4 * delay - 256
    return run(blocks.vector_source_f(audio.tolist()), *chain, count=count, skip=delay)


def contrast_db(audio: NDArray[np.float32], rate: float, of: Recording) -> float:
    """Power a hertz inside the band (0.7 symbol rates wide) by that of the band beside."""
    power = np.abs(np.fft.rfft(audio * np.hanning(len(audio)))) ** 2
    frequency = np.fft.rfftfreq(len(audio), 1 / rate)
    inside = np.abs(frequency - of.center) < 0.35 * of.symbol_rate
    beside = (frequency > of.floor[0]) & (frequency < of.floor[1])
    return float(10 * np.log10(power[inside].mean() / power[beside].mean()))


def states(audio: NDArray[np.float32], rate: float, of: Recording, spans: NDArray[np.float64]) -> NDArray[np.str_]:
    """ "signal", "noise" or "edge" of each span [F, 2] in seconds, by the contrast of both of its halves."""
    result = []
    for start, stop in spans:
        edges = (np.linspace(start, stop, 3) * rate).astype(int)
        heard = [contrast_db(audio[a:b], rate, of) > SIGNAL_DB for a, b in zip(edges, edges[1:], strict=False)]
        result.append("signal" if all(heard) else "edge" if any(heard) else "noise")
    return np.array(result)


def block_span(folder: Path) -> tuple[float, float]:
    """Where the code block of ao73 begins and ends, in seconds, as ``softmod.receiver`` and its sync vector tell."""
    from chains import AO73, llrs

    from gr_softmod.framing import ao40

    start, _ = ao40.find_block(llrs(folder, AO73))
    return start / AO73.symbol_rate, (start + ao40.BLOCK) / AO73.symbol_rate


def frames(folder: Path, of: Recording, sps: int, cutoff: float) -> tuple[Samples, NDArray[np.str_]]:
    """Frames [F, LENGTH] one after another, and the state of each."""
    from gr_softmod.recording import open_recording

    recording = open_recording(str(folder / of.file))
    audio, rate = recording.read(0, 1 << 30).real.astype(np.float32), float(recording.sample_rate)
    samples = baseband(audio, rate, of, sps, cutoff)
    count = len(samples) // LENGTH
    starts = np.arange(count) * LENGTH / (sps * of.symbol_rate)
    spans = np.stack([starts, starts + LENGTH / (sps * of.symbol_rate)], 1)
    if of.floor[1]:
        found = states(audio, rate, of, spans)
    else:
        begin, end = block_span(folder)
        inside = (spans[:, 0] >= begin) & (spans[:, 1] <= end)
        found = np.where(inside, "signal", "edge")
    return samples[: count * LENGTH].reshape(count, LENGTH), found
