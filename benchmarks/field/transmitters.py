# SPDX-License-Identifier: GPL-3.0-or-later
"""Signals of GNU Radio's own modulators, with the settings that its users choose among.

Nothing here is shared with the frames that networks learn from: constellations, pulses, filters and audio are GNU
Radio's. Analogue signals have no symbols; ``samples_per_symbol`` is the sample rate by the bandwidth they take.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from gnuradio import analog, blocks, digital, filter, gr
from numpy.typing import NDArray

Samples = NDArray[np.complex64]
Floats = NDArray[np.float32]
Make = Callable[[int, int, np.random.Generator], Samples]

#: Bandwidth of an AM signal, and of narrow-band FM after Carson (5 kHz deviation, 3 kHz audio), in hertz.
AM_WIDTH, FM_WIDTH = 10e3, 16e3
AUDIO = ("speech", "music", "tone", "noise")


def run(source: Any, *rest: Any, count: int, skip: int = 0) -> NDArray[Any]:
    """``count`` samples of a chain of blocks, after the first ``skip``; float or complex as the last block gives."""
    flowgraph = gr.top_block()
    size = (
        rest[-1].output_signature().sizeof_stream_item(0) if rest else source.output_signature().sizeof_stream_item(0)
    )
    sink = blocks.vector_sink_c() if size == gr.sizeof_gr_complex else blocks.vector_sink_f()
    chain = [source, *rest, blocks.skiphead(size, skip), blocks.head(size, count), sink]
    flowgraph.connect(*chain)
    flowgraph.run()
    result = np.array(sink.data(), np.complex64 if size == gr.sizeof_gr_complex else np.float32)
    if len(result) != count:
        raise RuntimeError(f"the flowgraph gave {len(result)} samples; {count} were asked for")
    return result


def _bits(rng: np.random.Generator, symbols: int) -> Any:
    """A source of random bytes, enough for so many symbols of one bit."""
    return blocks.vector_source_b(rng.integers(0, 256, symbols // 8 + 64).astype(np.uint8).tolist(), True)


def _start(sps: int, rng: np.random.Generator) -> int:
    """Samples to leave out: filters have settled, and the first symbol begins anywhere."""
    return 64 * sps + int(rng.integers(sps))


def psk(order: int) -> Make:
    """``digital.psk.psk_mod``, differential or not."""

    def make(sps: int, count: int, rng: np.random.Generator) -> Samples:
        modulator = digital.psk.psk_mod(
            constellation_points=order,
            differential=bool(rng.integers(2)),
            samples_per_symbol=sps,
            excess_bw=float(rng.choice([0.2, 0.35, 0.5])),
        )
        return run(_bits(rng, count), modulator, count=count, skip=_start(sps, rng))

    return make


def qam(order: int) -> Make:
    """``digital.generic_mod`` with the points of ``digital.qam`` (3.10 has no ``qam_mod``), differential or not."""

    def make(sps: int, count: int, rng: np.random.Generator) -> Samples:
        differential = bool(rng.integers(2))
        modulator = digital.generic_mod(
            digital.qam.qam_constellation(order, differential),
            differential=differential,
            samples_per_symbol=sps,
            excess_bw=float(rng.choice([0.2, 0.35, 0.5])),
        )
        return run(_bits(rng, count), modulator, count=count, skip=_start(sps, rng))

    return make


def gmsk(sps: int, count: int, rng: np.random.Generator) -> Samples:
    """``digital.gmsk_mod`` with BT 0.3, 0.35 (its default) or 0.5."""
    modulator = digital.gmsk_mod(samples_per_symbol=sps, bt=float(rng.choice([0.3, 0.35, 0.5])))
    return run(_bits(rng, count), modulator, count=count, skip=_start(sps, rng))


def ook(sps: int, count: int, rng: np.random.Generator) -> Samples:
    """Two ways to key a carrier: repeated chips, and the generic modulator with points 0 and 1."""
    if rng.integers(2):
        chain = [blocks.packed_to_unpacked_bb(1, gr.GR_MSB_FIRST), digital.chunks_to_symbols_bc([0, 1])]
        chain.append(blocks.repeat(gr.sizeof_gr_complex, sps))
    else:
        points = digital.constellation_calcdist([0, 1], [0, 1], 1, 1, digital.constellation.NO_NORMALIZATION).base()
        chain = [digital.generic_mod(points, False, sps, False, float(rng.choice([0.2, 0.35, 0.5])))]
    return run(_bits(rng, count), *chain, count=count, skip=_start(sps, rng))


def am(sps: int, count: int, rng: np.random.Generator) -> Samples:
    """``1 + depth * audio`` on both side bands."""
    depth = float(rng.uniform(0.5, 1.0))
    sound = audio(AM_WIDTH * sps, 0.4 * AM_WIDTH, count, rng)
    chain = [blocks.multiply_const_ff(depth), blocks.add_const_ff(1.0), blocks.float_to_complex()]
    return run(blocks.vector_source_f(sound.tolist()), *chain, count=count)


def fm(sps: int, count: int, rng: np.random.Generator) -> Samples:
    """``analog.nbfm_tx`` with 5 kHz deviation, or ``frequency_modulator_fc`` with 2.5 to 10 kHz and no pre-emphasis."""
    rate = FM_WIDTH * sps
    if rng.integers(2):
        sound = audio(FM_WIDTH, 3e3, count // sps + 400, rng)
        modulator = analog.nbfm_tx(int(FM_WIDTH), int(rate), max_dev=5e3)
    else:
        sound = audio(rate, 3e3, count + 400 * sps, rng)
        modulator = analog.frequency_modulator_fc(2 * np.pi * float(rng.uniform(2.5e3, 10e3)) / rate)
    return run(blocks.vector_source_f(sound.tolist()), modulator, count=count, skip=200 * sps)


def audio(rate: float, bandwidth: float, count: int, rng: np.random.Generator) -> Floats:
    """Sound with a peak of 1 and no pauses (in a pause nothing is modulated): one of :data:`AUDIO` by chance."""
    kind = AUDIO[rng.integers(len(AUDIO))]
    chain = [_AUDIO[kind](rate, bandwidth, rng)]
    if kind != "tone":
        taps = filter.firdes.low_pass(1, rate, bandwidth, 0.3 * bandwidth)
        chain.append(filter.fir_filter_fff(1, taps))
    sound = run(*chain, count=count, skip=int(0.05 * rate + rng.uniform(0, 0.5) * rate))
    sound -= sound.mean()
    return sound / np.abs(sound).max()


class _Mix(gr.hier_block2):
    """The sum of sources, or their product."""

    def __init__(self, sources: list[Any], combine: Any) -> None:
        gr.hier_block2.__init__(self, "mix", gr.io_signature(0, 0, 0), gr.io_signature(1, 1, gr.sizeof_float))
        self.sources, self.combine = sources, combine
        for port, chain in enumerate(sources):
            chain = chain if isinstance(chain, list) else [chain]
            self.connect(*chain, *([(combine, port)]))
        self.connect(combine, self)


def _speech(rate: float, bandwidth: float, rng: np.random.Generator) -> Any:
    """A saw-tooth voice behind three formants, with breath, in syllables."""
    voice = analog.sig_source_f(rate, analog.GR_SAW_WAVE, float(rng.uniform(90, 260)), 1, -0.5)
    formants = [
        _resonator(rate, float(rng.uniform(low, high)), width)
        for low, high, width in ((300, 800, 80), (900, 2200, 120), (2300, 2900, 160))
    ]
    breath = analog.noise_source_f(analog.GR_GAUSSIAN, float(rng.uniform(0.002, 0.05)), int(rng.integers(1, 1 << 30)))
    syllables = analog.sig_source_f(rate, analog.GR_COS_WAVE, float(rng.uniform(3, 6)), 0.375, 0.625)
    spoken = _Mix([[voice, *formants], breath], blocks.add_ff())
    return _Mix([spoken, syllables], blocks.multiply_ff())


def _resonator(rate: float, frequency: float, width: float) -> Any:
    radius, angle = np.exp(-np.pi * width / rate), 2 * np.pi * frequency / rate
    gain = (1 - radius) * np.sqrt(1 - 2 * radius * np.cos(2 * angle) + radius**2)
    return filter.iir_filter_ffd([gain], [1.0, -2 * radius * np.cos(angle), radius**2], False)


def _music(rate: float, bandwidth: float, rng: np.random.Generator) -> Any:
    """A chord of three triangle waves with a bass."""
    root = float(rng.uniform(150, 500))
    notes = [
        analog.sig_source_f(rate, analog.GR_TRI_WAVE, root * step, float(rng.uniform(0.3, 1)))
        for step in (0.5, 1, float(rng.choice([1.19, 1.26])), 1.498)
    ]
    return _Mix([[note, blocks.add_const_ff(0.0)] for note in notes], blocks.add_ff())


def _tone(rate: float, bandwidth: float, rng: np.random.Generator) -> Any:
    return analog.sig_source_f(rate, analog.GR_COS_WAVE, float(rng.uniform(400, 2000)), 1)


def _noise(rate: float, bandwidth: float, rng: np.random.Generator) -> Any:
    return analog.noise_source_f(analog.GR_GAUSSIAN, 1, int(rng.integers(1, 1 << 30)))


_AUDIO = {"speech": _speech, "music": _music, "tone": _tone, "noise": _noise}

#: The classes that are judged, and what makes them.
MAKERS: dict[str, Make] = {
    "BPSK": psk(2), "QPSK": psk(4), "8PSK": psk(8), "16QAM": qam(16), "64QAM": qam(64),
    "GMSK": gmsk, "FM": fm, "AM-DSB-WC": am, "OOK": ook,
}  # fmt: skip
