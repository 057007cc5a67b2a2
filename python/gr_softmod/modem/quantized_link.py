# SPDX-License-Identifier: GPL-3.0-or-later
"""Vectors over a radio link: their code-book index as bits, and a soft look-up on the other side.

A receiver that decides the bits of an index and looks the code word up turns one wrong bit into an arbitrary vector.
The LLRs know better: they give every index a probability, and the mean code word under it has the least squared error a
receiver can reach. All of it is differentiable, so a code book (and what makes the vectors) can be trained through the
channel. Works with any code book tensor; vector-quantize-pytorch's is ``vq.codebook``.

Source: Skoglund, "Soft decoding for vector quantization over noisy channels with memory", 1999.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gr_softmod.modem.arguments import NoiseVar
from gr_softmod.modem.channel import AWGN
from gr_softmod.modem.demapper import Demodulator
from gr_softmod.modem.mapper import Modulator
from gr_softmod.modem.soft_bits import bits_of_labels

__all__ = ["LinkOutput", "QuantizedLink", "index_bits", "index_logits", "soft_lookup"]


def index_bits(vectors: Tensor, codebook: Tensor, temperature: float = 1.0) -> Tensor:
    """Bits of the nearest code word's index, with the gradient of a soft choice among all.

    Forward, hard bits. Backward, as if bit k were its probability under ``P(i) ~ exp(-|x - c_i|^2 / (temperature d))``,
    d the mean squared distance to the nearest code word: moving a vector, or a code word, towards another index moves
    the bits in which the two differ.

    Args:
        vectors: [..., N, D] real.
        codebook: [K, D], K a power of two.
        temperature: larger lets farther code words take part in the gradient.
    Returns:
        0 and 1 [..., N * log2 K], most significant bit of an index first.
    Raises:
        ValueError: shapes do not fit, K is not a power of two, or temperature is not positive.
    """
    m = _bits_of(codebook)
    if vectors.ndim < 2 or vectors.shape[-1] != codebook.shape[1]:
        raise ValueError(
            f"vectors of shape {tuple(vectors.shape)} must be [..., N, {codebook.shape[1]}] for this code book"
        )
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature}; it must be positive")
    # |x - c|^2 without |x|^2, which all code words share.
    distance = (codebook**2).sum(-1) - 2 * vectors @ codebook.T
    nearest = distance.argmin(-1)
    hard = bits_of_labels(nearest, m).to(vectors.dtype)
    least = (vectors.detach() - codebook.detach()[nearest]).square().sum(-1).mean()
    # Vectors that are code words leave no distance to measure by: the choice is hard then, without gradient.
    scale = (temperature * least).clamp_min(torch.finfo(vectors.dtype).tiny)
    weights = torch.softmax((distance.detach().amin(-1, keepdim=True) - distance) / scale, -1)
    soft = (weights @ _label_bits(m, vectors)).flatten(-2)
    return hard + (soft - soft.detach())


def index_logits(llr: Tensor, bits_per_index: int, log_prior: Tensor | None = None) -> Tensor:
    """Unnormalised log-probabilities [..., N, 2^m] of indices from their bits' LLRs [..., N * m].

    ``ln P(i) = sum_k b_k(i) llr_k + log_prior_i``: exact when the LLRs of an index are independent given the bits, as
    with BPSK, QPSK and interleaved bits.

    Args:
        log_prior: [2^m] log-probabilities of the indices, up to a constant; None for equal ones.
    Raises:
        ValueError: the LLRs do not fill whole indices.
    """
    if llr.shape[-1] % bits_per_index:
        raise ValueError(f"{llr.shape[-1]} LLRs do not fill whole indices of {bits_per_index} bits")
    logits = llr.unflatten(-1, (-1, bits_per_index)) @ (_label_bits(bits_per_index, llr) - 0.5).T
    return logits if log_prior is None else logits + log_prior


def soft_lookup(llr: Tensor, codebook: Tensor, log_prior: Tensor | None = None) -> Tensor:
    """Mean code word given the LLRs of its index, the estimate of least squared error.

    Args:
        llr: [..., N * m], m = log2 K.
        codebook: [K, D].
        log_prior: as for :func:`index_logits`.
    Returns:
        [..., N, D].
    """
    logits = index_logits(llr, _bits_of(codebook), log_prior)
    return torch.softmax(logits, -1) @ codebook


class LinkOutput(NamedTuple):
    """What comes out of a :class:`QuantizedLink`."""

    soft: Tensor  #: [..., N, D] mean code words
    hard: Tensor  #: [..., N, D] code words of the likeliest indices: without a prior, of the bits decided one by one
    llr: Tensor  #: [..., N * log2 K] of the index bits


class QuantizedLink(nn.Module):
    """Vectors -> index -> bits -> modulator -> channel -> demodulator -> LLRs -> soft look-up.

    Args:
        constellation: of the modulator and the demodulator.
        channel: a module from symbols to symbols that takes ``noise_var`` and ``generator``; AWGN by default.
        method: of the Demodulator.
        temperature: of :func:`index_bits`.
    Shape:
        vectors [..., N, D] real, codebook [K, D], noise_var number or broadcastable to the symbols -> LinkOutput.
        Index bits that do not fill the last symbol are padded with zeros.
    Raises:
        ValueError: as :func:`index_bits`; noise_var is not positive and finite.
    """

    def __init__(
        self,
        constellation: Any = "qpsk",
        channel: nn.Module | None = None,
        *,
        method: str = "exact",
        temperature: float = 1.0,
    ) -> None:
        super().__init__()
        self.modulator, self.demodulator = Modulator(constellation), Demodulator(constellation, method)
        self.channel = AWGN() if channel is None else channel
        self.temperature = temperature

    def forward(
        self,
        vectors: Tensor,
        codebook: Tensor,
        noise_var: NoiseVar,
        *,
        receiver_codebook: Tensor | None = None,
        log_prior: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> LinkOutput:
        """Send ``vectors``; ``receiver_codebook`` is looked up where it is not the transmitter's."""
        bits = index_bits(vectors, codebook, self.temperature)
        count = bits.shape[-1]
        padded = F.pad(bits, (0, -count % self.modulator.bits_per_symbol))
        symbols = self.modulator.forward_soft(padded)
        received = self.channel(symbols, noise_var=noise_var, generator=generator)
        llr = self.demodulator(received, noise_var)[..., :count]
        table = codebook if receiver_codebook is None else receiver_codebook
        decided = index_logits(llr, _bits_of(table), log_prior).argmax(-1)
        return LinkOutput(soft_lookup(llr, table, log_prior), table[decided], llr)


def _bits_of(codebook: Tensor) -> int:
    size = codebook.shape[0] if codebook.ndim == 2 else 0
    if size < 2 or size & (size - 1):
        raise ValueError(f"the code book has shape {tuple(codebook.shape)}; it must be [K, D], K a power of two")
    return size.bit_length() - 1


def _label_bits(m: int, like: Tensor) -> Tensor:
    """[2^m, m], most significant first."""
    labels = torch.arange(1 << m, device=like.device)
    return bits_of_labels(labels, m).reshape(-1, m).to(like.dtype)
