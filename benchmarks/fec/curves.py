# SPDX-License-Identifier: GPL-3.0-or-later
"""Error rate curves: simulate, find where they cross a target, say how sure that is."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from codes import Code
from demappers import METHODS, PLAIN
from numpy.typing import NDArray

from gr_softmod.constellation import Constellation
from gr_softmod.conventions import noise_var_of_ebn0_db

BATCH = 60  # frames; a multiple of every bits_per_symbol here, so that batches fill whole symbols
RESAMPLES = 1000


@dataclass
class Point:
    """Information bits in error of every simulated frame at one Eb/N0."""

    ebn0_db: float
    errors: NDArray[np.int64]
    bits_per_frame: int

    @property
    def bit_error_rate(self) -> float:
        return float(np.mean(self.errors)) / self.bits_per_frame

    @property
    def frame_error_rate(self) -> float:
        return float(np.mean(self.errors > 0))


def simulate(code: Code, constellation: Constellation, method: str, ebn0_db: float, frames: int, enough: int) -> Point:
    """Frames until ``enough`` of them were wrong or ``frames`` were sent; all methods see the same bits and noise."""
    noise_var = float(noise_var_of_ebn0_db(ebn0_db, bits_per_symbol=constellation.bits_per_symbol, code_rate=code.rate))
    order = np.random.default_rng(code.n).permutation(code.n)  # the bit interleaver
    decode = code.decode_plainly if method in PLAIN else code.decode
    errors: list[NDArray[np.int64]] = []
    sent = wrong = 0
    while sent < frames and wrong < enough:
        seed = zlib.crc32(f"{code.name} {constellation} {ebn0_db:.3f} {sent}".encode())
        rng = np.random.default_rng(seed)
        bits = rng.integers(0, 2, (BATCH, code.k), dtype=np.uint8)
        coded = code.encode(bits)[:, order].reshape(-1)
        symbols = constellation.modulate(coded)
        noise = rng.normal(size=symbols.size) + 1j * rng.normal(size=symbols.size)
        received = (symbols + np.sqrt(noise_var / 2) * noise).astype(np.complex64)
        llr = np.empty((BATCH, code.n), np.float32)
        llr[:, order] = METHODS[method](constellation, received, noise_var, coded).reshape(BATCH, code.n)
        errors.append(np.count_nonzero(decode(llr) != bits, axis=1))
        sent += BATCH
        wrong += int(np.count_nonzero(errors[-1]))
    return Point(ebn0_db, np.concatenate(errors), code.k)


def curve(
    code: Code,
    constellation: Constellation,
    method: str,
    *,
    first: float,
    step: float,
    last: float,
    frames: int,
    target: float,
) -> list[Point]:
    """Points upwards from ``first`` until the frame error rate is well below ``target`` or ``last`` is reached."""
    points = []
    for ebn0_db in np.arange(first, last + step / 2, step):
        points.append(simulate(code, constellation, method, float(ebn0_db), frames, enough=BATCH))
        if points[-1].frame_error_rate < 0.3 * target:
            break
    return points


def crossing(points: list[Point], target: float, rng: np.random.Generator | None = None) -> float:
    """Eb/N0 in dB where the frame error rate falls through ``target``, log-linear between points; inf: it does not.

    With ``rng`` each point's number of wrong frames is drawn anew: one bootstrap sample.
    """
    rates = []
    for point in points:
        frames = point.errors.size
        wrong = np.count_nonzero(point.errors) if rng is None else rng.binomial(frames, point.frame_error_rate)
        # Without an error at all, half an error stands in, so that the logarithm exists.
        rates.append(max(float(wrong), 0.5) / frames)
    for k, rate in enumerate(rates):
        if rate <= target:
            if k == 0:
                return points[0].ebn0_db
            share = np.log(rates[k - 1] / target) / np.log(rates[k - 1] / rate)
            return points[k - 1].ebn0_db + float(share) * (points[k].ebn0_db - points[k - 1].ebn0_db)
    return float("inf")


def interval(point: Point) -> tuple[float, float]:
    """95 % bootstrap interval of a bit error rate; frames are the unit, since errors come in bursts."""
    rng = np.random.default_rng(1)
    means = [np.mean(rng.choice(point.errors, point.errors.size)) for _ in range(RESAMPLES)]
    low, high = np.percentile(means, [2.5, 97.5]) / point.bits_per_frame
    return float(low), float(high)


def gain(worse: list[Point], better: list[Point], target: float) -> tuple[float, float, float]:
    """How many dB ``better`` needs less at ``target``, with its 95 % bootstrap interval."""
    rng = np.random.default_rng(2)
    samples = np.array([crossing(worse, target, rng) - crossing(better, target, rng) for _ in range(RESAMPLES)])
    middle = crossing(worse, target) - crossing(better, target)
    if not np.isfinite(middle):
        return middle, middle, middle
    low, high = np.percentile(samples[np.isfinite(samples)], [2.5, 97.5])
    return middle, float(low), float(high)
