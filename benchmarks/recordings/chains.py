# SPDX-License-Identifier: GPL-3.0-or-later
"""What the measurements on real recordings are made of: recording to LLRs, LLRs to frames, LLRs to code bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from gnuradio import blocks, digital, fec, gr
from numpy.typing import NDArray

from gnuradio import softmod  # isort: skip
from gr_softmod.framing import ao40, ccsds
from gr_softmod.recording import open_recording

Floats = NDArray[np.float32]
Bits = NDArray[np.uint8]
#: Information bits that the convolutional decoder takes at a time, and that are kept or left out together.
WINDOW = 1000
#: Code bits at either end of a window that its unknown neighbours spoil for a decoder: not counted.
EDGE = 60
#: Bytes of a by701 frame without parity.
BY701_BYTES = 114
_POLYNOMIALS = [0x4F, 0x6D]


def samples(path: Path, noise_db: float | None = None, seed: int = 0) -> tuple[NDArray[np.complex64], float]:
    """Samples and their rate; white noise is added ``noise_db`` below the power of the recording (real, as it is)."""
    recording = open_recording(str(path))
    data = recording.read(0, 1 << 30)
    if noise_db is not None:
        deviation = np.sqrt(np.mean(np.abs(data) ** 2) * 10 ** (-noise_db / 10))
        data = data + deviation * np.random.default_rng(seed).standard_normal(len(data))
    return data.astype(np.complex64), float(recording.sample_rate)


class Signal(NamedTuple):
    """What the receiver has to be told about a recording."""

    file: str
    symbol_rate: float
    center: float  # hertz
    differential: bool = False
    options: dict[str, Any] = {"excess_bandwidth": 0.5}


PICSAT, ENTRYSAT = (Signal(name, 9600, 12000) for name in ("picsat_9k6.wav", "entrysat.wav"))
#: Its carrier drifts from 450 to 1000 Hz below the centre.
BY701 = Signal("by701.wav", 9600, 12000, options={"max_offset": 2400.0})
#: Really at 1120 Hz, with phase noise that needs a wider loop at this low rate.
AO73 = Signal("ao73.wav", 1200, 1500, True, {"excess_bandwidth": 0.5, "max_offset": 600.0, "carrier_bandwidth": 0.02})


def llrs(folder: Path, signal: Signal, noise_db: float | None = None, seed: int = 0) -> Floats:
    """LLRs of ``softmod.receiver`` for BPSK, of a recording with noise added as :func:`samples` does."""
    data, rate = samples(folder / signal.file, noise_db, seed)
    flowgraph = gr.top_block()
    receiver = softmod.receiver("bpsk", rate, signal.symbol_rate, signal.center, signal.differential, **signal.options)
    sink = blocks.vector_sink_f()
    flowgraph.connect(blocks.vector_source_c(data.tolist()), receiver, sink)
    flowgraph.run()
    return np.asarray(sink.data(), np.float32)


def deframer_frames(llr: Floats) -> int:
    """CRC-valid frames that GNU Radio's own blocks find in the signs."""
    flowgraph = gr.top_block()
    source = blocks.vector_source_b((llr > 0).astype(np.uint8).tolist())
    chain = [source, digital.diff_decoder_bb(2, digital.DIFF_NRZI)]
    deframer, messages = digital.hdlc_deframer_bp(15, 500), blocks.message_debug()
    flowgraph.connect(*chain, digital.descrambler_bb(0x21, 0, 16), deframer)
    flowgraph.msg_connect(deframer, "out", messages, "store")
    flowgraph.run()
    return messages.num_messages()


def viterbi(llr: Floats) -> Bits:
    """Code bits that the decoder of gr-fec believes, [n * 2 * WINDOW]; each window on its own, in any state."""
    count = len(llr) // (2 * WINDOW) * 2 * WINDOW
    decoder = fec.cc_decoder.make(WINDOW, 7, 2, _POLYNOMIALS, 0, -1, fec.CC_TRUNCATED)
    flowgraph = gr.top_block()
    sink = blocks.vector_sink_b()
    flowgraph.connect(blocks.vector_source_f(llr[:count].tolist()), softmod.llr_decoder(decoder), sink)
    flowgraph.run()
    return np.concatenate([encode(w) for w in np.asarray(sink.data(), np.uint8).reshape(-1, WINDOW)] or [Bits(0)])


def encode(information: Bits) -> Bits:
    """Code bits of one window from state 0, with gr-fec's order of taps (newest bit lowest)."""
    padded = np.concatenate((np.zeros(6, np.uint8), information))
    taps = np.array([[(p >> k) & 1 for k in range(7)] for p in _POLYNOMIALS])
    history = np.lib.stride_tricks.sliding_window_view(padded, 7)[:, ::-1]
    return ((history @ taps.T) & 1).astype(np.uint8).reshape(-1)


def signs(llr: Floats) -> Floats:
    """Hard decisions as LLRs of one magnitude, so that a decoder of soft bits takes them."""
    return np.where(llr > 0, 4, -4).astype(np.float32)


class CodeWindow(NamedTuple):
    """Code bits that were sent, as a frame with a valid Reed-Solomon code tells; up to an inversion of all of them."""

    start: int  # of the first code bit among the LLRs
    code: Bits  # as sent, the second of two inverted


def second_inverted(llr: Floats) -> Floats:
    """LLRs with the second of two code bits turned, as CCSDS sends it."""
    out = llr[: len(llr) // 2 * 2].copy()
    out[1::2] *= -1
    return out


def by701_windows(llr: Floats) -> list[CodeWindow]:
    """The first 2 * WINDOW code bits of every frame that decodes."""
    frames = ccsds.recover_frames(llr, BY701_BYTES)
    skipped = 12  # code bits that depend on what was before the frame
    return [CodeWindow(f.start + skipped, ccsds.code_bits(f.payload)[: 2 * WINDOW]) for f in frames]


def code_errors(windows: list[CodeWindow], llr: Floats, reach: int = 400) -> dict:
    """Share of wrong code bits: of the channel's decisions, and re-encoded from decoded signs and from decoded LLRs.

    A window is looked for by correlation near its place; one that is not found (no lock) is left out for all three.
    """
    total = {"channel": 0, "signs": 0, "llrs": 0}
    used = 0
    for window in windows:
        sent = 2.0 * window.code - 1
        first = max(0, window.start - reach)
        score = np.correlate(np.sign(llr[first : window.start + len(sent) + reach]), sent, "valid")
        if not score.size or np.max(np.abs(score)) < 0.4 * len(sent):
            continue
        best = int(np.argmax(np.abs(score)))
        part = second_inverted((np.sign(score[best]) * llr[first + best :][: len(sent)]).astype(np.float32))
        code = second_inverted(sent.astype(np.float32)) > 0
        used += 1
        for name, found in (("channel", part > 0), ("signs", viterbi(signs(part))), ("llrs", viterbi(part))):
            total[name] += int(np.sum((found != code)[EDGE:-EDGE]))
    bits = used * (2 * WINDOW - 2 * EDGE)
    return {
        "windows": used,
        **{f"ber_{name}": round(errors / bits, 6) if used else None for name, errors in total.items()},
    }


def ao73_errors(payload: bytes, llr: Floats) -> dict:
    """The same for the block of one AO-40 frame; ``fit`` of its sync vector is 1 at best."""
    start, fit = ao40.find_block(llr)
    part = np.copysign(1.0, fit) * ao40.code_llrs(np.asarray(llr, np.float64), start)
    count = len(part) // (2 * WINDOW) * 2 * WINDOW
    turned = [second_inverted(x[:count].astype(np.float32)) for x in (part, 2.0 * ao40.code_bits(payload) - 1)]
    code = (turned[1] > 0).reshape(-1, 2 * WINDOW)[:, EDGE:-EDGE]
    rates = {}
    for name, found in (("channel", turned[0] > 0), ("signs", viterbi(signs(turned[0]))), ("llrs", viterbi(turned[0]))):
        rates[f"ber_{name}"] = round(float(np.mean(found.reshape(-1, 2 * WINDOW)[:, EDGE:-EDGE] != code)), 6)
    return {"fit": round(abs(fit), 3), **rates}
