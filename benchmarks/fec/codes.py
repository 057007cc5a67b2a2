# SPDX-License-Identifier: GPL-3.0-or-later
"""Three codes of gr-fec at rate 1/2, with encoder and decoder as functions of arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gnuradio import blocks, fec, gr
from gnuradio.fec.polar import channel_construction
from numpy.typing import NDArray

from gr_softmod.blocks.fec import ldpc_decoder, llr_decoder


@dataclass(frozen=True)
class Code:
    """``k`` information bits, ``n`` coded bits a frame; ``make_*`` give fresh gr-fec objects, plain: its defaults."""

    name: str
    k: int
    n: int
    make_encoder: Callable[[], Any]
    make_decoder: Callable[[], Any]
    make_plain_decoder: Callable[[], Any]
    matrix: Path | None = None

    @property
    def rate(self) -> float:
        return self.k / self.n

    def encode(self, bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Bits [F, k] to coded bits [F, n]."""
        sink = blocks.vector_sink_b()
        run(blocks.vector_source_b(bits.reshape(-1).tolist()), fec.encoder(self.make_encoder(), 1, 1), sink)
        return np.array(sink.data(), np.uint8).reshape(len(bits), self.n)

    def decode(self, llr: NDArray[np.float32]) -> NDArray[np.uint8]:
        """LLRs [F, n] (positive = 1) to bits [F, k], through our ``llr_decoder``."""
        return self._decoded(llr, llr_decoder(self.make_decoder()))

    def decode_plainly(self, soft_values: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Soft values [F, n] to bits [F, k] as a GNU Radio flowgraph without us connects them."""
        return self._decoded(soft_values, fec.extended_decoder(self.make_plain_decoder(), threading=None))

    def _decoded(self, values: NDArray[np.float32], decoder: Any) -> NDArray[np.uint8]:
        sink = blocks.vector_sink_b()
        run(blocks.vector_source_f(values.astype(np.float32).reshape(-1).tolist()), decoder, sink)
        return np.array(sink.data(), np.uint8).reshape(len(values), self.k)


def run(*chain: Any) -> None:
    flowgraph = gr.top_block()
    flowgraph.connect(*chain)
    flowgraph.run()


def convolutional(k: int = 1000) -> Code:
    """K = 7, generators 171 and 133 octal (gr-fec writes them bit-reversed), terminated."""
    polynomials = [109, 79]
    return Code(
        "convolutional K=7",
        k,
        2 * (k + 6),
        lambda: fec.cc_encoder_make(k, 7, 2, polynomials, 0, fec.CC_TERMINATED),
        *2 * [lambda: fec.cc_decoder.make(k, 7, 2, polynomials, 0, 0, fec.CC_TERMINATED)],
    )


def ldpc(matrix: str = "n_1800_k_0902_gap_28") -> Code:
    """One of the matrices GNU Radio installs; the file name has n and k."""
    path = Path(gr.prefix()) / "share" / "gnuradio" / "fec" / "ldpc" / f"{matrix}.alist"
    _, n, _, k, *_ = matrix.split("_")
    return Code(
        f"LDPC ({int(n)}, {int(k)})",
        int(k),
        int(n),
        lambda: fec.ldpc_encoder_make(str(path)),
        lambda: ldpc_decoder(str(path)),
        lambda: fec.ldpc_decoder.make(str(path)),
        path,
    )


def polar(n: int = 1024, k: int = 512, erasure_probability: float = 0.32) -> Code:
    """Built for a binary erasure channel, successive cancellation."""
    frozen = [int(i) for i in channel_construction.get_bec_frozen_indices(n, n - k, erasure_probability)]
    zeros = [0] * len(frozen)
    return Code(
        f"polar ({n}, {k}), SC",
        k,
        n,
        lambda: fec.polar_encoder.make(n, k, frozen, zeros, False),
        *2 * [lambda: fec.polar_decoder_sc.make(n, k, frozen, zeros)],
    )
