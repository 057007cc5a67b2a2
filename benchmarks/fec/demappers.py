# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways from received symbols to what a decoder reads, positive = 1."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from codes import run
from gnuradio import blocks, digital
from numpy.typing import NDArray

from gr_softmod.bindings._kernels import SoftDemapper
from gr_softmod.constellation import Constellation

Floats = NDArray[np.float32]
Demap = Callable[[Constellation, NDArray[np.complex64], float, NDArray[np.uint8]], Floats]


def soft(constellation: Constellation, received: NDArray[np.complex64], noise_var: float, _sent: object) -> Floats:
    """Our exact LLRs."""
    return SoftDemapper(constellation.points, "exact").demap(received, noise_var)


def maxlog(constellation: Constellation, received: NDArray[np.complex64], noise_var: float, _sent: object) -> Floats:
    """Our max-log LLRs."""
    return SoftDemapper(constellation.points, "maxlog").demap(received, noise_var)


def hard(
    constellation: Constellation, received: NDArray[np.complex64], noise_var: float, sent: NDArray[np.uint8]
) -> Floats:
    """Nearest points; each bit weighs ln((1 - p) / p), p the bit error rate of these very decisions: the best case."""
    decided = constellation.bits[constellation.nearest(received)].reshape(-1)
    p = np.clip(np.mean(decided != sent), 1e-6, 0.49)
    return (np.float32(np.log((1 - p) / p)) * (2 * decided.astype(np.float32) - 1)).astype(np.float32)


def in_tree(constellation: Constellation, received: NDArray[np.complex64], _noise: object, _sent: object) -> Floats:
    """GNU Radio's constellation soft decoder as it comes."""
    return soft_decoder(constellation.to_gnuradio(), received)


def in_tree_table(
    constellation: Constellation, received: NDArray[np.complex64], noise_var: float, _sent: object
) -> Floats:
    """GNU Radio's with an 8-bit table made for the true noise variance, brought to the mean size of the true LLRs."""
    values = soft_decoder(with_table(constellation, noise_var), received)
    size = np.mean(np.abs(soft(constellation, received, noise_var, None)))
    return values * np.float32(size / np.mean(np.abs(values)))


@cache
def with_table(constellation: Constellation, noise_var: float) -> Any:
    theirs = constellation.to_gnuradio()
    theirs.gen_soft_dec_lut(8, noise_var)
    return theirs


def soft_decoder(theirs: Any, received: NDArray[np.complex64]) -> Floats:
    sink = blocks.vector_sink_f()
    run(blocks.vector_source_c(received.tolist()), digital.constellation_soft_decoder_cf(theirs), sink)
    return np.nan_to_num(np.array(sink.data(), np.float32), posinf=1e6, neginf=-1e6)


#: Name in the results -> function.
METHODS: dict[str, Demap] = {
    "hard": hard,
    "in-tree": in_tree,
    "in-tree at best": in_tree_table,
    "max-log": maxlog,
    "exact": soft,
}
#: These go into gr-fec with gr-fec's own defaults, as in a flowgraph without us; the others through our llr_decoder.
PLAIN = {"in-tree"}
