# SPDX-License-Identifier: GPL-3.0-or-later
"""Block codes of gr-fec on whole arrays, for :class:`gr_softmod.modem.coded.CodedLink`.

gr-fec takes positive LLRs for 1, as everything here does, so none is negated.
"""

from __future__ import annotations

import glob
import os
from typing import Any

import numpy as np
from gnuradio import blocks, fec, gr
from numpy.typing import NDArray

from gr_softmod.blocks.fec import ldpc_decoder, llr_decoder
from gr_softmod.config import ConfigError
from gr_softmod.modem.coded import CodeConfig, ConvolutionalConfig, LdpcConfig, PolarConfig


class FecCode:
    """A block code of gr-fec, applied to whole arrays.

    Args:
        config: which code.
    Attributes:
        information_bits, coded_bits: of a block.
        rate: their ratio (terminated convolutional codes pay for their tail).
    Raises:
        ConfigError: gr-fec has no such code, or its file is missing.
    """

    def __init__(self, config: CodeConfig) -> None:
        self._scale: float | None = None
        if isinstance(config, LdpcConfig):
            path = _alist(config.alist)
            self._encoder = fec.ldpc_encoder.make(path)
            self._decoder = ldpc_decoder(path, config.iterations)
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
            block = llr_decoder(self._decoder)
        else:
            mean = np.mean(np.abs(llr), axis=1, keepdims=True)
            levels = np.round(llr * (self._scale / np.maximum(mean, 1e-30)))
            source = blocks.vector_source_b((np.clip(levels, -127, 127) + 128).astype(np.uint8).reshape(-1))
            block = fec.decoder(self._decoder, gr.sizeof_char, gr.sizeof_char)
        return _run(source, block).reshape(len(llr), self.information_bits)


def _run(source: Any, block: Any) -> NDArray[np.uint8]:
    """All that ``block`` makes of a finite source."""
    flowgraph = gr.top_block()
    sink = blocks.vector_sink_b()
    flowgraph.connect(source, block, sink)
    flowgraph.run()
    return np.asarray(sink.data(), np.uint8)


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
