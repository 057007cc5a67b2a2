# SPDX-License-Identifier: GPL-3.0-or-later
"""A receiver whose demapper and decoder take turns: bit-interleaved coded modulation with iterative decoding.

    PYTHONPATH=build/python python examples/iterative_receiver.py --ebn0 6 --frames 20

A convolutional code (5, 7), a random interleaver and 16-QAM. ``soft_demapper_cf`` takes what the decoder learnt about
the bits as priors and says what it learnt itself; gr-trellis' ``siso_f`` (BCJR) decodes that softly, and so on. With
Gray labels a demapper learns nothing from priors; with labels that are far apart once the other bits are known it
learns much. Source: X. Li, J. Ritcey, "Bit-interleaved coded modulation with iterative decoding", IEEE Communications
Letters 1, 1997. What it gains: docs/iterative_receiver.md, measured by benchmarks/iterative/run.py.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from gnuradio import analog, blocks, digital, gr, softmod, trellis
from numpy.typing import NDArray

#: Information bits of a frame, the last two zero, so that the code ends in the state in which it began.
STEPS = 2000
CODE = trellis.fsm(1, 2, [0o5, 0o7])
#: Labels of 16-QAM's points, row by row: those of ``labels_far_apart(1)``.
FAR_APART = (1, 11, 4, 7, 13, 8, 14, 2, 6, 3, 5, 9, 10, 0, 15, 12)


def grid() -> NDArray[np.complex128]:
    """The points of 16-QAM, row by row."""
    levels = np.arange(-3, 4, 2)
    return (levels[None, :] + 1j * levels[:, None]).ravel() / np.sqrt(10)


def constellation(labels: tuple[int, ...] = FAR_APART) -> softmod.Constellation:
    """16-QAM with these labels."""
    return softmod.Constellation(grid(), labels)


def known_bit_cost(labels: NDArray[np.int64]) -> float:
    """Mean of 1 / distance^2 between points whose labels differ in one bit: what errors cost with the others known."""
    place = np.argsort(labels)
    points = grid()
    return float(
        np.mean([1 / abs(points[place[v]] - points[place[v ^ 1 << k]]) ** 2 for v in range(16) for k in range(4)])
    )


def labels_far_apart(seed: int, restarts: int = 20) -> tuple[int, ...]:
    """Labels of least ``known_bit_cost`` that exchanging pairs of them finds."""
    rng, best = np.random.default_rng(seed), np.arange(16)
    for _ in range(restarts):
        labels = rng.permutation(16)
        better = True
        while better:
            better = False
            for i, j in zip(*np.triu_indices(16, 1), strict=True):
                other = labels.copy()
                other[[i, j]] = labels[[j, i]]
                if known_bit_cost(other) < known_bit_cost(labels) - 1e-12:
                    labels, better = other, True
        best = min(best, labels, key=known_bit_cost)
    return tuple(int(label) for label in best)


class metrics(gr.sync_block):
    """LLRs of a step's two bits to the metrics of its four values, ``-ln P`` up to a constant, as gr-trellis wants."""

    def __init__(self) -> None:
        gr.sync_block.__init__(self, "metrics", [(np.float32, 2)], [(np.float32, 4)])

    def work(self, input_items: list[Any], output_items: list[Any]) -> int:
        first, second = input_items[0].T
        output_items[0][:] = -np.stack([0 * first, second, first, first + second], axis=1)
        return len(output_items[0])


class extrinsic(gr.sync_block):
    """What the code says of each bit of a step: from the decoder's four metrics and the LLR of the other bit."""

    def __init__(self) -> None:
        gr.sync_block.__init__(self, "extrinsic", [(np.float32, 6), (np.float32, 2)], [(np.float32, 2)])

    def work(self, input_items: list[Any], output_items: list[Any]) -> int:
        p00, p01, p10, p11 = -np.minimum(input_items[0][:, 2:], 1e6).T
        first, second = input_items[1].T
        output_items[0][:, 0] = np.logaddexp(p10, p11 + second) - np.logaddexp(p00, p01 + second)
        output_items[0][:, 1] = np.logaddexp(p01, p11 + first) - np.logaddexp(p00, p10 + first)
        return len(output_items[0])


class iterative_receiver(gr.hier_block2):
    """Symbols to decided information bits, one output for each iteration: demapper, decoder, priors, and again.

    Args:
        constellation: points and labels.
        noise_var: E|n|^2 of the complex noise.
        order: order[i] is the coded bit that is sent as the i-th of its frame.
        iterations: how often demapper and decoder run.
    """

    def __init__(self, constellation: Any, noise_var: float, order: NDArray[np.int64], iterations: int) -> None:
        outputs = gr.io_signature(iterations, iterations, gr.sizeof_char)
        gr.hier_block2.__init__(self, "iterative_receiver", gr.io_signature(1, 1, gr.sizeof_gr_complex), outputs)
        there, back = order.tolist(), np.argsort(order).tolist()
        self.parts: list[Any] = []  # a hierarchical block does not keep its Python blocks alive
        priors: Any = None
        for i in range(iterations):
            demapper = softmod.soft_demapper_cf(constellation, noise_var)
            self.connect(self, demapper)
            said: Any = demapper
            if priors is not None:
                self.connect(priors, (demapper, 1))
                said = blocks.sub_ff()  # what the demapper added to what it was told
                self.connect(demapper, (said, 0))
                self.connect(priors, (said, 1))
            deinterleave = trellis.permutation(len(back), back, 1, gr.sizeof_float)
            pairs, values, flat = blocks.stream_to_vector(4, 2), metrics(), blocks.vector_to_stream(4, 4)
            even = blocks.vector_source_f([0.0] * 2, True)  # every information bit is as likely to be 0 as 1
            decoder = trellis.siso_f(CODE, STEPS, 0, 0, True, True, trellis.TRELLIS_SUM_PRODUCT)
            steps = blocks.stream_to_vector(4, 6)
            self.connect(said, deinterleave, pairs, values, flat, (decoder, 1))
            self.connect(even, (decoder, 0))
            self.connect(decoder, steps)
            decide = [blocks.vector_to_streams(4, 6), blocks.sub_ff(), digital.binary_slicer_fb()]
            self.connect(steps, decide[0])
            self.connect((decide[0], 0), (decide[1], 0))  # -ln P(0) above -ln P(1): a one
            self.connect((decide[0], 1), (decide[1], 1))
            for rest in range(2, 6):
                self.connect((decide[0], rest), blocks.null_sink(4))
            self.connect(decide[1], decide[2], (self, i))
            self.parts += [values]
            if i < iterations - 1:
                told, interleave = extrinsic(), trellis.permutation(len(there), there, 1, gr.sizeof_float)
                self.connect(steps, (told, 0))
                self.connect(pairs, (told, 1))
                self.connect(told, blocks.vector_to_stream(4, 2), interleave)
                priors = interleave
                self.parts += [told]


def bit_errors(points: Any, ebn0_db: float, frames: int, iterations: int, seed: int) -> NDArray[np.int64]:
    """Wrong information bits [iterations, frames] of a run in a flowgraph."""
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2, (frames, STEPS), dtype=np.uint8)
    bits[:, -2:] = 0
    order = np.random.default_rng(1).permutation(2 * STEPS)
    noise_var = 10 ** (-ebn0_db / 10) / (points.bits_per_symbol * 0.5 * (STEPS - 2) / STEPS)
    top = gr.top_block()
    source = blocks.vector_source_b(bits.ravel().tolist())
    encoder, unpack = trellis.encoder_bb(CODE, 0), blocks.unpack_k_bits_bb(2)
    interleave = trellis.permutation(len(order), order.tolist(), 1, gr.sizeof_char)
    send = [blocks.pack_k_bits_bb(4), digital.chunks_to_symbols_bc(points.points.tolist())]
    channel, noise = blocks.add_cc(), analog.noise_source_c(analog.GR_GAUSSIAN, noise_var**0.5, seed)
    receiver = iterative_receiver(points, noise_var, order, iterations)
    top.connect(source, encoder, unpack, interleave, *send, (channel, 0))
    top.connect(noise, (channel, 1))
    top.connect(channel, receiver)
    sinks = [blocks.vector_sink_b() for _ in range(iterations)]
    for i, sink in enumerate(sinks):
        top.connect((receiver, i), sink)
    top.run()
    got = np.array([np.array(sink.data(), np.uint8).reshape(frames, STEPS) for sink in sinks])
    return np.asarray((got != bits).sum(axis=2))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ebn0", type=float, default=6.0, help="dB")
    parser.add_argument("--frames", type=int, default=20)
    parser.add_argument("--iterations", type=int, default=6)
    options = parser.parse_args()
    for name, points in (("far apart", constellation()), ("Gray", softmod.Constellation.from_name("16qam"))):
        wrong = bit_errors(points, options.ebn0, options.frames, options.iterations, 1).sum(axis=1)
        rates = wrong / (options.frames * (STEPS - 2))
        print(f"{name:10}", *(f"{rate:9.2e}" for rate in rates))


if __name__ == "__main__":
    main()
