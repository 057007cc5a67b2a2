# SPDX-License-Identifier: GPL-3.0-or-later
"""Coded links: a modem between an encoder and a decoder of gr-fec, for :func:`gr_softmod.modem.simulate.simulate`.

gr-fec takes positive LLRs for 1, as everything here does, so none is negated.
"""

from __future__ import annotations

import glob
import os
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from gnuradio import blocks, fec, gr
from numpy.typing import NDArray
from pydantic import Field

from gr_softmod.config import Config, ConfigError

if TYPE_CHECKING:
    import torch

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


class Code:
    """A block code of gr-fec, applied to whole arrays.

    Args:
        config: which code.
    Attributes:
        information_bits, coded_bits: of a block.
        rate: their ratio (terminated convolutional codes pay for their tail).
    Raises:
        ConfigError: gr-fec has no such code, or its file is missing.
    """

    def __init__(self, config: LdpcConfig | ConvolutionalConfig | PolarConfig) -> None:
        self._scale: float | None = None
        if isinstance(config, LdpcConfig):
            path = _alist(config.alist)
            self._encoder = fec.ldpc_encoder.make(path)
            self._decoder = _ldpc_decoder(path, config.iterations)
        elif isinstance(config, ConvolutionalConfig):
            # The Viterbi decoder takes bytes around 128; see decode().
            self._scale = 32.0
            arguments = (config.bits, 7, 2, [0o117, 0o155], 0)
            self._encoder = fec.cc_encoder.make(*arguments, fec.CC_TERMINATED)
            self._decoder = fec.cc_decoder.make(*arguments, -1, fec.CC_TERMINATED)
        else:
            frozen = _frozen_positions(config)
            values = [0] * len(frozen)
            self._encoder = fec.polar_encoder.make(config.block_size, config.bits, frozen, values)
            self._decoder = fec.polar_decoder_sc_list.make(
                config.list_size, config.block_size, config.bits, frozen, values
            )
        self.information_bits = int(fec.get_encoder_input_size(self._encoder))
        self.coded_bits = int(fec.get_encoder_output_size(self._encoder))
        self.rate = self.information_bits / self.coded_bits

    def encode(self, bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Information bits {0, 1} [B, k] to coded bits [B, n]."""
        block = fec.encoder(self._encoder, gr.sizeof_char, gr.sizeof_char)
        return _run(blocks.vector_source_b(bits.reshape(-1)), block).reshape(len(bits), self.coded_bits)

    def decode(self, llr: NDArray[np.float32]) -> NDArray[np.uint8]:
        """LLRs [B, n] to decided information bits [B, k].

        The Viterbi decoder does not mind the scale of its input but clips it to a byte: the mean magnitude of each
        block is put at 32 of 127.
        """
        if self._scale is None:
            source: Any = blocks.vector_source_f(llr.reshape(-1))
            block = fec.decoder(self._decoder, gr.sizeof_float, gr.sizeof_char)
        else:
            mean = np.mean(np.abs(llr), axis=1, keepdims=True)
            levels = np.round(llr * (self._scale / np.maximum(mean, 1e-30)))
            source = blocks.vector_source_b((np.clip(levels, -127, 127) + 128).astype(np.uint8).reshape(-1))
            block = fec.decoder(self._decoder, gr.sizeof_char, gr.sizeof_char)
        return _run(source, block).reshape(len(llr), self.information_bits)


class CodedLink:
    """Random information bits -> encoder -> modem link -> decoder -> decided bits.

    Coded bits that do not fill the last symbol of a block are followed by zeros, which cost energy and are not counted
    in the rate; choose lengths that fit.

    Args:
        code: see :class:`Code`.
        link: the modem with its channel, whose ``code_rate`` is the code's and whose blocks are ``coded_bits`` long,
            rounded up to whole symbols.
    """

    def __init__(self, code: Code, link: ModemLink) -> None:
        self.code, self.link = code, link

    def __call__(
        self, batch_size: int, ebn0_db: float, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Information bits and decided bits of ``batch_size`` blocks."""
        import torch

        device = generator.device
        shape = (batch_size, self.code.information_bits)
        bits = torch.randint(0, 2, shape, generator=generator, device=device, dtype=torch.uint8)
        coded = np.zeros((batch_size, self.link.bits_per_block), np.uint8)
        coded[:, : self.code.coded_bits] = self.code.encode(bits.cpu().numpy())
        sent = torch.from_numpy(coded).to(device)
        llr = self.link.transmit(sent, self.link.noise_var(ebn0_db), generator)[:, : self.code.coded_bits]
        return bits.cpu(), torch.from_numpy(self.code.decode(llr.float().cpu().numpy()))


def _run(source: Any, block: Any) -> NDArray[np.uint8]:
    """All that ``block`` makes of a finite source."""
    flowgraph = gr.top_block()
    sink = blocks.vector_sink_b()
    flowgraph.connect(source, block, sink)
    flowgraph.run()
    return np.asarray(sink.data(), np.uint8)


def _ldpc_decoder(path: str, iterations: int) -> Any:
    if int(gr.major_version()) >= 3 and "sigma" not in fec.ldpc_decoder.make.__doc__:
        return fec.ldpc_decoder.make(path, iterations)
    # Up to 3.10.7 it multiplies its input by 2 / sigma^2... with sigma = sqrt(1/2) it takes LLRs as they are.
    return fec.ldpc_decoder.make(path, float(np.sqrt(0.5)), iterations)


def _alist(name: str) -> str:
    """The file of a parity-check matrix: as given, else among those that gr-fec brings."""
    if os.path.isfile(name):
        return name
    folder = os.path.join(gr.prefix(), "share", "gnuradio", "fec", "ldpc")
    path = os.path.join(folder, name)
    if os.path.isfile(path):
        return path
    known = sorted(os.path.basename(file) for file in glob.glob(os.path.join(folder, "n_*.alist")))
    raise ConfigError(f"code.alist: there is no file {name}; gr-fec brings {', '.join(known) or 'none'}")


def _frozen_positions(config: PolarConfig) -> list[int]:
    """The least reliable inputs by Arikan's Bhattacharyya recursion ("Channel polarization", 2009, eq. 21)."""
    levels = config.block_size.bit_length() - 1
    if config.block_size != 1 << levels or config.bits >= config.block_size:
        sizes = f"block_size is {config.block_size} and bits {config.bits}"
        raise ConfigError(f"code: {sizes}; they must be a power of two and less than it")
    z = np.array([np.exp(-(10 ** (config.design_snr_db / 10)))])
    for _ in range(levels):
        z = np.stack((2 * z - z * z, z * z), axis=-1).reshape(-1)
    return sorted(int(i) for i in np.argsort(-z, kind="stable")[: config.block_size - config.bits])
