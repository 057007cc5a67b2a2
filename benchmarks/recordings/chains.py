# SPDX-License-Identifier: GPL-3.0-or-later
"""What the measurements on real recordings are made of: recording to LLRs, LLRs to frames, LLRs to code bits."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from gnuradio import blocks, digital, fec, gr
from numpy.typing import NDArray

from gnuradio import softmod  # isort: skip
from gr_softmod.recording import open_recording

Floats = NDArray[np.float32]
Bits = NDArray[np.uint8]
#: Information bits that the convolutional decoder takes at a time, and that are kept or left out together.
WINDOW = 1000
#: Windows with more of their code bits re-encoded differently are not taken for the truth. A random window, too, is
#: near some code word (0.11 by the rate-distortion bound at rate 1/2), so this has to be well below.
AGREES = 0.05
_POLYNOMIALS = [0x4F, 0x6D]


def samples(path: Path, noise_db: float | None = None, seed: int = 0) -> tuple[NDArray[np.complex64], float]:
    """Samples and their rate; white noise is added ``noise_db`` below the power of the recording (real, as it is)."""
    recording = open_recording(str(path))
    data = recording.read(0, 1 << 30)
    if noise_db is not None:
        deviation = np.sqrt(np.mean(np.abs(data) ** 2) * 10 ** (-noise_db / 10))
        data = data + deviation * np.random.default_rng(seed).standard_normal(len(data))
    return data.astype(np.complex64), float(recording.sample_rate)


def soft_bits(
    data: NDArray[np.complex64], rate: float, symbol_rate: float, center: float, differential: bool = False
) -> Floats:
    """LLRs of ``softmod.receiver`` for BPSK."""
    flowgraph = gr.top_block()
    receiver = softmod.receiver("bpsk", rate, symbol_rate, center, differential)
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
    """Code bits of part of a recording without added noise, where decoder and decisions agree."""

    start: int  # of the first code bit among the LLRs
    code: Bits
    channel_error: float  # share of hard decisions that differ from it


def second_inverted(llr: Floats) -> Floats:
    """LLRs with the second of two code bits turned, as CCSDS sends it."""
    out = llr[: len(llr) // 2 * 2].copy()
    out[1::2] *= -1
    return out


def code_windows(llr: Floats) -> list[CodeWindow]:
    """Windows, at either phase of the code, whose re-encoded bits agree with the decisions."""
    found = []
    for phase in (0, 1):
        turned = second_inverted(llr[phase:])
        code = viterbi(turned)
        for k, bits in enumerate(code.reshape(-1, 2 * WINDOW)):
            at = k * 2 * WINDOW
            error = float(np.mean((turned[at : at + 2 * WINDOW] > 0) != bits))
            if error < AGREES:
                found.append(CodeWindow(phase + at, bits, error))
    return found


def noisy_code_errors(windows: list[CodeWindow], llr: Floats, reach: int = 400) -> dict:
    """Errors of the channel and of re-encoded bits, from LLRs and from their signs, in windows found in ``llr``.

    A window is looked for by correlation near its place, in either polarity (the code is transparent to it); windows
    whose decisions agree with it in less than 80 % (no lock, or a slip of the clock inside) are left out for both.
    """
    total = {"channel": 0, "signs": 0, "llrs": 0}
    used = 0
    for window in windows:
        sent = 2.0 * window.code - 1
        sent[1::2] *= -1
        first = max(0, window.start - reach)
        score = np.correlate(np.sign(llr[first : window.start + len(sent) + reach]), sent, "valid")
        if not score.size or np.max(np.abs(score)) < 0.6 * len(sent):
            continue
        best = int(np.argmax(np.abs(score)))
        part = second_inverted((np.sign(score[best]) * llr[first + best :][: len(sent)]).astype(np.float32))
        used += 1
        total["channel"] += int(np.sum((part > 0) != window.code))
        total["signs"] += int(np.sum(viterbi(signs(part)) != window.code))
        total["llrs"] += int(np.sum(viterbi(part) != window.code))
    bits = used * 2 * WINDOW
    return {
        "windows": used,
        **{f"ber_{name}": round(errors / bits, 6) if used else None for name, errors in total.items()},
    }
