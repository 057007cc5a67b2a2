# SPDX-License-Identifier: GPL-3.0-or-later
"""Coded links: a modem between an encoder and a decoder. :mod:`gr_softmod.blocks.fec_code` has the codes of gr-fec."""

from __future__ import annotations

from typing import Annotated, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from gr_softmod.config import Config
from gr_softmod.modem.link import ModemLink


class LdpcConfig(Config):
    """A parity-check matrix in alist form: a path, or the name of one that gr-fec brings."""

    kind: Literal["ldpc"]
    alist: str = "n_1800_k_0902_gap_28.alist"
    iterations: int = Field(default=50, ge=1)


class ConvolutionalConfig(Config):
    """The rate 1/2, constraint length 7 code (octal 171, 133) in terminated blocks."""

    kind: Literal["cc"]
    bits: int = Field(default=1024, ge=8, description="information bits a block")


class PolarConfig(Config):
    """A polar code of 2^n bits, list decoding."""

    kind: Literal["polar"]
    block_size: int = Field(default=1024, ge=8)
    bits: int = Field(default=512, ge=1, description="information bits a block")
    list_size: int = Field(default=8, ge=1)
    design_snr_db: float = Field(default=0.0, description="Es/N0 for which the frozen bits are chosen")


CodeConfig = Annotated[LdpcConfig | ConvolutionalConfig | PolarConfig, Field(discriminator="kind")]


class BlockCode(Protocol):
    """What a coded link needs of a code: lengths, and both directions for whole arrays."""

    information_bits: int
    coded_bits: int

    def encode(self, bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Information bits {0, 1} [B, information_bits] to coded bits [B, coded_bits]."""

    def decode(self, llr: NDArray[np.float32]) -> NDArray[np.uint8]:
        """LLRs ln P(1)/P(0) [B, coded_bits] to decided information bits [B, information_bits]."""


class CodedLink:
    """Random information bits -> encoder -> modem link -> decoder -> decided bits.

    Coded bits that do not fill the last symbol of a block are followed by zeros, whose energy is not counted in Eb;
    choose lengths that fit.

    Args:
        code: see :class:`BlockCode`.
        link: modem and channel; its ``code_rate`` is the code's, its blocks hold ``coded_bits`` or little more.
    Raises:
        ValueError: the link's blocks are shorter than the code's.
    """

    def __init__(self, code: BlockCode, link: ModemLink) -> None:
        if link.bits_per_block < code.coded_bits:
            raise ValueError(f"blocks of {link.bits_per_block} bits do not hold {code.coded_bits} coded bits")
        self.code, self.link = code, link

    def __call__(self, batch_size: int, ebn0_db: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Information bits and decided bits [batch_size, information_bits]."""
        device, n = generator.device, self.code.coded_bits
        shape = (batch_size, self.code.information_bits)
        bits = torch.randint(0, 2, shape, generator=generator, device=device, dtype=torch.uint8).cpu()
        coded = np.zeros((batch_size, self.link.bits_per_block), np.uint8)
        coded[:, :n] = self.code.encode(bits.numpy())
        sent = torch.from_numpy(coded).to(device)
        llr = self.link.transmit(sent, self.link.noise_var(ebn0_db), generator)[:, :n]
        return bits, torch.from_numpy(self.code.decode(llr.float().cpu().numpy()))
