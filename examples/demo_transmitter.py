# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a recording to receive, with GNU Radio's own blocks alone: nothing of this project takes part in it.

    python demo_transmitter.py demo.sigmf-meta

AX.25 frames, HDLC, G3RUH scrambler, NRZI, differential QPSK at 16 kBd with root raised cosine pulses (roll-off 0.35);
then multipath, a clock that is off, a carrier that is off, and noise. Beside the recording lies ``demo.bits``: the bits
that went into the modulator, one a byte, to count bit errors against.

    softmod receive demo.sigmf-meta -c qpsk --differential -r 16000 --center 18000 --decode ax25 --reference demo.bits
"""

from __future__ import annotations

import argparse
import cmath
import math
from pathlib import Path

import pmt
from gnuradio import blocks, channels, digital, gr
from gnuradio import filter as gr_filter
from gnuradio.filter import firdes
from sigmf import SigMFFile

SYMBOL_RATE = 16e3
SAMPLES_PER_SYMBOL = 6
SAMPLE_RATE = SAMPLES_PER_SYMBOL * SYMBOL_RATE
ROLLOFF = 0.35
CENTER = 18e3

ESN0_DB = 11.5
FREQUENCY_OFFSET = 137.0  # Hz off the centre
CLOCK_OFFSET = 40e-6  # of the transmitter's symbol clock
#: Two echoes, by samples of delay: a third of a symbol and most of one, 16 and 22 dB below the direct path.
ECHOES = {2: 10 ** (-16 / 20) * cmath.exp(1.1j), 5: 10 ** (-22 / 20) * cmath.exp(-2.3j)}
SILENCE_SECONDS = 0.15  # of noise alone before the signal
FULL_SCALE = 6000  # of 32768: 16 bit samples with room for peaks

#: Flags between which the frames are sent: a receiver needs some to find the signal.
IDLE = [0, 1, 1, 1, 1, 1, 1, 0] * 128

#: Turns of 90 degrees for the dibits 00, 01, 10, 11: neighbours differ in one bit.
TURNS = (0, 3, 1, 2)
TEXT = (
    "Soft bits say how sure the receiver is.",
    "An LLR of 0 is a shrug; one of 20 is a promise.",
    "ln P(1)/P(0): positive means one.",
    "The noise variance makes decibels of doubt.",
    "Hard decisions throw the best part away.",
)


def frame(number: int) -> bytes:
    """An AX.25 UI frame (AX.25 Link Access Protocol 2.2, section 3): to, from, control, protocol, text."""
    addresses = b""
    for callsign, last in (("DEMO", False), ("N0CALL", True)):
        addresses += bytes(ord(letter) << 1 for letter in callsign.ljust(6)) + bytes([0x60 | last])
    return addresses + b"\x03\xf0" + f"{number:03d} {TEXT[number % len(TEXT)]}".encode()


def frame_bits(number: int) -> list[int]:
    """HDLC bits of a frame: flag, stuffed data with check sequence, flag."""
    framer, sink, top = digital.hdlc_framer_pb("frame"), blocks.vector_sink_b(), gr.top_block()
    top.connect(framer, sink)
    data = list(frame(number))
    framer.to_basic_block()._post(pmt.intern("in"), pmt.cons(pmt.make_dict(), pmt.init_u8vector(len(data), data)))
    framer.to_basic_block()._post(pmt.intern("system"), pmt.cons(pmt.intern("done"), pmt.from_long(1)))
    top.run()
    return list(sink.data())


def transmit(path: Path, frames: int = 240, seed: int = 1) -> None:
    """Write the recording ``path`` (``.sigmf-meta``), its samples and its bits."""
    data, reference = path.with_suffix(".sigmf-data"), path.with_suffix(".bits")
    sent = [*IDLE, *(bit for number in range(frames) for bit in frame_bits(number)), *IDLE]
    bits = [
        blocks.vector_source_b(sent),
        digital.scrambler_bb(0x21, 0, 16),
        digital.map_bb([1, 0]),  # NRZI codes a 0 as a change
        digital.diff_encoder_bb(2),
    ]
    pulse = firdes.root_raised_cosine(SAMPLES_PER_SYMBOL, SAMPLES_PER_SYMBOL, 1.0, ROLLOFF, 15 * SAMPLES_PER_SYMBOL)
    modulator = [
        blocks.pack_k_bits_bb(2),
        digital.map_bb(TURNS),
        digital.diff_encoder_bb(4),
        digital.chunks_to_symbols_bc([cmath.exp(1j * math.pi * (0.25 + 0.5 * turns)) for turns in range(4)]),
        gr_filter.interp_fir_filter_ccf(SAMPLES_PER_SYMBOL, pulse),
    ]
    # The signal has unit power; in the symbol rate's share of the band, the noise is 10^(Es/N0 / 10) times weaker.
    noise_voltage = math.sqrt(SAMPLES_PER_SYMBOL * 10 ** (-ESN0_DB / 10))
    shift = (CENTER + FREQUENCY_OFFSET) / SAMPLE_RATE
    taps = [complex(ECHOES.get(delay, delay == 0)) for delay in range(1 + max(ECHOES))]
    channel = [
        blocks.delay(gr.sizeof_gr_complex, round(SILENCE_SECONDS * SAMPLE_RATE)),
        channels.channel_model(noise_voltage, shift, 1 + CLOCK_OFFSET, taps, seed),
        blocks.multiply_const_cc(FULL_SCALE),
        blocks.complex_to_interleaved_short(False),
    ]
    top = gr.top_block()
    top.connect(*bits, *modulator, *channel, blocks.file_sink(gr.sizeof_short, str(data)))
    top.connect(bits[-1], blocks.file_sink(gr.sizeof_char, str(reference)))
    top.run()
    write_metadata(path, data)


def write_metadata(path: Path, data: Path) -> None:
    meta = SigMFFile(
        data_file=data,
        global_info={
            "core:datatype": "ci16_le",
            "core:sample_rate": SAMPLE_RATE,
            "core:description": f"Simulated: AX.25 in differential QPSK, {SYMBOL_RATE:g} Bd, Es/N0 {ESN0_DB:g} dB",
            "core:recorder": "demo_transmitter.py",
        },
    )
    meta.add_capture(0, {"core:frequency": 435.1e6, "core:datetime": "2026-01-01T00:00:00Z"})
    first = round(SILENCE_SECONDS * SAMPLE_RATE)
    edges = {
        "core:freq_lower_edge": 435.1e6 + CENTER - SYMBOL_RATE * (1 + ROLLOFF) / 2,
        "core:freq_upper_edge": 435.1e6 + CENTER + SYMBOL_RATE * (1 + ROLLOFF) / 2,
    }
    meta.add_annotation(first, meta.sample_count - first, {"core:label": "AX.25 DQPSK", **edges})
    meta.tofile(path, overwrite=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recording", type=Path, help="ends in .sigmf-meta")
    transmit(parser.parse_args().recording)
