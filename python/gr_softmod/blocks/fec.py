# SPDX-License-Identifier: GPL-3.0-or-later
"""From soft bits to gr-fec's decoders: the scales and limits they want, in one place."""

from __future__ import annotations

import math
from typing import Any

from gnuradio import analog, blocks, fec, gr

#: Weight of the LLRs in the LDPC decoder of GNU Radio before 3.10.8, see :func:`ldpc_decoder`.
LDPC_WEIGHT = 0.8

#: What LLRs are multiplied by for decoders that work on 8-bit soft values, see :class:`llr_decoder`.
UCHAR_SCALE = 0.25


def ldpc_decoder(alist_file: str, max_iterations: int = 50) -> Any:
    """gr-fec's LDPC decoder object, made to read LLRs as they come from ``soft_demapper_cf``.

    From GNU Radio 3.10.8 on it does so by itself. Before, it takes likelihood ratios ``exp(x / (2 sigma^2))`` and
    multiplies them in double precision; where they run over, a frame is lost with half of its bits wrong. So there the
    LLRs count 0.8 times (``sigma = sqrt(1 / 1.6)``): fewer frames are lost than with the true LLR
    (``sigma = sqrt(1 / 2)``); docs/fec.md has the measurement.

    Args:
        alist_file: parity check matrix; GNU Radio installs some in ``share/gnuradio/fec/ldpc``.
        max_iterations: of belief propagation.
    Raises:
        RuntimeError: there is no such file (from gr-fec).
    """
    if "sigma" in (fec.ldpc_decoder.make.__doc__ or ""):
        return fec.ldpc_decoder.make(alist_file, math.sqrt(1 / (2 * LDPC_WEIGHT)), max_iterations)
    return fec.ldpc_decoder.make(alist_file, max_iterations)


class llr_decoder(gr.hier_block2):
    """LLRs (float) to decoded bits (one a byte) through a decoder of gr-fec.

    In front of ``fec.extended_decoder`` it cuts LLRs at ``limit``, so that no exponential runs over, and multiplies
    them by 0.25 for a decoder of 8-bit soft values (the convolutional one): gr-fec turns +-1 into 128 +- 48, which
    without that scale ends at an LLR of 2.6. No sign changes: gr-fec's decoders take positive = 1 as we do.

    Args:
        decoder: a gr-fec decoder object: :func:`ldpc_decoder`, ``fec.cc_decoder.make(..)``,
            ``fec.polar_decoder_sc.make(..)``.
        limit: largest magnitude of an LLR that the decoder sees.
    Raises:
        ValueError: limit is not positive and finite.
    """

    def __init__(self, decoder: Any, limit: float = 20.0) -> None:
        super().__init__("llr_decoder", gr.io_signature(1, 1, gr.sizeof_float), gr.io_signature(1, 1, gr.sizeof_char))
        if not (math.isfinite(limit) and limit > 0):
            raise ValueError(f"limit is {limit}; it must be positive and finite (the largest |LLR| to pass)")
        chain: list[Any] = [analog.rail_ff(-limit, limit)]
        if fec.get_decoder_input_conversion(decoder) == "uchar":
            chain.append(blocks.multiply_const_ff(UCHAR_SCALE))
        chain.append(fec.extended_decoder(decoder, threading=None))
        self.chain = chain  # a hierarchical block does not keep its Python blocks alive
        self.connect(self, *chain, self)
