# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the JSON files beside it: what every soft demapper here must give, from the float64 brute force of oracle.py.

    PYTHONPATH=python:tests python tests/vectors/make_vectors.py

A file holds one constellation: "points" by label, "symbols", and "cases", each with a "noise_var" (a number, or one per
symbol), "priors" (null, or an LLR per bit) and the expected a posteriori LLRs "exact" and "maxlog", first bit of a
symbol first. Complex numbers are [re, im]; points, symbols, noise_var and priors are exact in float32, so a float32
demapper gets the same input as the oracle.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gr_softmod.constellation import Constellation
from oracle import brute_force_llr

FOLDER = Path(__file__).resolve().parent
NAMES = (
    "bpsk", "qpsk", "ook", "8psk", "16psk", "32psk", "4pam", "8pam", "16pam", "4ask", "8ask", "16ask",
    "16qam", "64qam", "256qam", "1024qam", "32qam", "128qam", "16apsk", "32apsk", "64apsk", "128apsk",
    "bpsk-3gpp", "8psk-dvb", "16qam-dvb",
)  # fmt: skip


def constellations() -> list[Constellation]:
    """The named ones, and three that only a general demapper or an attentive axis search gets right."""
    rng = np.random.default_rng(2)
    scattered = rng.normal(size=8) + 1j * rng.normal(size=8)
    rectangle = np.array([-3, -1, 1, 3])[:, None] + 1j * np.array([-1, 1])
    shuffled = rng.permutation(16)
    return [
        *(Constellation.from_name(name) for name in NAMES),
        Constellation(scattered, name="custom-8-scattered"),
        Constellation(rectangle.reshape(-1), [0, 1, 2, 3, 6, 7, 4, 5], name="custom-8-rectangle"),
        Constellation(Constellation.qam(16).points, shuffled, name="custom-16-shuffled"),
    ]


def symbols_for(points: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """A point, the origin, a decision boundary, next to it, far out, tiny, and four noisy ones."""
    rng = np.random.default_rng(len(points))
    distance = np.abs(points[0] - points)
    neighbour = points[np.argsort(distance)[1]]
    middle = (points[0] + neighbour) / 2
    noisy = points[rng.integers(len(points), size=4)] + 0.2 * (rng.normal(size=4) + 1j * rng.normal(size=4))
    edge = [points[-1], 0, middle, middle * (1 + 1e-6), 10 - 7j, 1e-20 + 1e-20j]
    return np.concatenate([edge, noisy]).astype(np.complex64)


def vector(constellation: Constellation) -> dict[str, Any]:
    """The content of one file."""
    points = constellation.points.astype(np.complex64)
    symbols = symbols_for(points)
    rng = np.random.default_rng(7)
    bits = len(symbols) * constellation.bits_per_symbol
    per_symbol = np.geomspace(1e-6, 1e3, len(symbols)).astype(np.float32)
    priors = rng.choice([0.0, 0.25, -1.5, 4.0, -30.0], size=bits).astype(np.float32)
    cases: list[tuple[Any, Any]] = [(np.float32(v), None) for v in (1e-6, 1e-2, 0.3, 1.0, 1e3)]
    cases += [(per_symbol, None), (np.float32(0.3), priors), (per_symbol, priors)]
    return {
        "about": "Expected LLRs ln P(1)/P(0), float64; written by make_vectors.py, which explains the fields.",
        "name": constellation.name,
        "points": pairs(points),
        "symbols": pairs(symbols),
        "cases": [
            {
                "noise_var": np.asarray(noise_var, np.float64).tolist(),
                "priors": None if prior is None else np.asarray(prior, np.float64).tolist(),
                **{
                    method: [float(f"{llr:.12g}") for llr in expected(points, symbols, noise_var, prior, method)]
                    for method in ("exact", "maxlog")
                },
            }
            for noise_var, prior in cases
        ],
    }


def expected(points: Any, symbols: Any, noise_var: Any, priors: Any, method: str) -> NDArray[np.float64]:
    return brute_force_llr(points, symbols, noise_var, priors=priors, method=method)


def pairs(values: NDArray[np.complex64]) -> list[list[float]]:
    return [[float(v.real), float(v.imag)] for v in values]


def path_of(constellation: Constellation) -> Path:
    return FOLDER / f"{constellation.name.replace('/', '_')}.json"


if __name__ == "__main__":
    for constellation in constellations():
        path_of(constellation).write_text(json.dumps(vector(constellation), separators=(",", ":")) + "\n")
