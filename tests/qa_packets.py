# SPDX-License-Identifier: GPL-3.0-or-later
"""Bits from GNU Radio: packed and unpacked bytes, tagged streams, and packets as messages, through the blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pmt
import pytest
from gnuradio import blocks, digital, gr, pdu, softmod
from numpy.typing import NDArray

from demapper_models import demapper_model
from flowgraph import Messages, run, source
from gr_softmod.constellation import Constellation

LENGTHS = (24, 120, 48)


def bits(count: int, seed: int = 1) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 2, count).astype(np.uint8)


def tags(lengths: Any) -> list[tuple[int, str, int]]:
    starts = np.cumsum([0, *lengths])[:-1]
    return [(int(start), "packet_len", int(length)) for start, length in zip(starts, lengths, strict=True)]


def mapper(name: str, packed: bool) -> list[Any]:
    """Bytes to symbols by blocks of GNU Radio alone, with a constellation of ours."""
    c = Constellation.from_name(name)
    if packed:
        labels = blocks.packed_to_unpacked_bb(c.bits_per_symbol, gr.GR_MSB_FIRST)
    else:
        labels = blocks.pack_k_bits_bb(c.bits_per_symbol)
    return [labels, digital.chunks_to_symbols_bc(c.points.tolist())]


def through(*chain: Any, messages: Any = None) -> None:
    top = gr.top_block()
    top.connect(*chain)
    if messages is not None:
        top.msg_connect((messages[0], "pdus"), (messages[1], "in"))
    top.run()


@pytest.mark.parametrize("name", ["bpsk", "qpsk", "8psk", "16qam", "64qam", "256qam"])
@pytest.mark.parametrize("packed", [False, True])
def test_bytes_in_and_out(name: str, packed: bool) -> None:
    """The labels of GNU Radio's packing blocks are those of our constellations: first bit highest."""
    sent = bits(2400)
    sink = blocks.vector_sink_b()
    chain = [source(np.packbits(sent) if packed else sent), *mapper(name, packed)]
    chain += [softmod.soft_demapper_cf(name, 1e-3), digital.binary_slicer_fb()]
    through(*chain, *([blocks.pack_k_bits_bb(8)] if packed else []), sink)
    got = np.array(sink.data(), np.uint8)
    np.testing.assert_array_equal(np.unpackbits(got) if packed else got, sent)


@pytest.mark.parametrize("make", [softmod.soft_demapper_cf, softmod.soft_demapper_cb], ids=["float", "int8"])
@pytest.mark.parametrize("chunk", [None, 18])
def test_a_packet_of_symbols_is_a_packet_of_llrs(make: Any, chunk: int | None) -> None:
    count = sum(LENGTHS)
    symbols = np.ones(count, np.complex64)
    letter = "f" if make is softmod.soft_demapper_cf else "b"
    result = run(make("64qam", 0.1), symbols, tags=tags(LENGTHS), outputs=letter, chunk=chunk)
    assert result.tagged("packet_len") == [(at, n) for at, _, n in tags([6 * n for n in LENGTHS])]


def test_a_packet_of_llrs_is_a_packet_of_symbols() -> None:
    llr = np.ones(sum(LENGTHS), np.float32)
    for outputs in ("c", "cf"):
        result = run(softmod.soft_mapper_fc("16qam"), llr, tags=tags(LENGTHS), outputs=outputs)
        for port in range(len(outputs)):
            found = result.tagged("packet_len", port)
            assert found == [(at, n) for at, _, n in tags([n // 4 for n in LENGTHS])]


@pytest.mark.parametrize("value", [pmt.intern("24"), pmt.from_double(24.0), pmt.PMT_T], ids=str)
def test_a_length_that_is_no_whole_number_goes_on_as_it_is(value: Any) -> None:
    result = run(softmod.soft_demapper_cf("qpsk"), np.ones(10, np.complex64), tags=[(0, "packet_len", value)])
    assert result.tagged("packet_len") == [(0, pmt.to_python(value))]


@pytest.mark.parametrize("demapper", ["soft", "neural"])
def test_packets_of_bits_become_packets_of_llrs_as_messages(demapper: str) -> None:
    """A tagged stream of bits through mapper and demapper, then PDUs of floats, one a packet."""
    top, sink = gr.top_block(), Messages()
    sent = bits(sum(LENGTHS))
    if demapper == "soft":
        block = softmod.soft_demapper_cf("16qam", 0.1)
    else:
        block = softmod.neural_demapper_cf(demapper_model(4).to_bytes(), 0.1)
    pack, symbols = mapper("16qam", False)
    # GNU Radio's packing leaves lengths as they were: one block of its own puts them right.
    divided = blocks.tagged_stream_multiply_length(gr.sizeof_char, "packet_len", 1 / 4)
    to_pdu = pdu.tagged_stream_to_pdu(gr.types.float_t, "packet_len")
    from_vector = source(sent, tags(LENGTHS))
    top.connect(from_vector, pack, divided, symbols, block, to_pdu)
    top.msg_connect((to_pdu, "pdus"), (sink, "in"))
    top.run()
    assert [len(llr) for _, llr in sink.received] == list(LENGTHS)
    if demapper == "soft":
        llr = np.concatenate([llr for _, llr in sink.received])
        np.testing.assert_array_equal(llr > 0, sent.astype(bool))


def test_packets_of_llrs_as_messages_become_a_stream_again() -> None:
    """PDUs of LLRs into a tagged stream and through the soft mapper: what an iterative receiver does."""
    top, sink = gr.top_block(), blocks.vector_sink_c()
    to_stream = pdu.pdu_to_tagged_stream(gr.types.float_t, "packet_len")
    top.connect(to_stream, softmod.soft_mapper_fc("qpsk"), sink)
    for length in LENGTHS:
        vector = pmt.init_f32vector(length, [50.0] * length)
        to_stream.to_basic_block()._post(pmt.intern("pdus"), pmt.cons(pmt.make_dict(), vector))
    to_stream.to_basic_block()._post(pmt.intern("system"), pmt.cons(pmt.intern("done"), pmt.from_long(1)))
    top.run()
    found = [(tag.offset, pmt.to_python(tag.value)) for tag in sink.tags() if str(tag.key) == "packet_len"]
    assert found == [(at, n) for at, _, n in tags([n // 2 for n in LENGTHS])]
    np.testing.assert_allclose(sink.data(), np.full(sum(LENGTHS) // 2, (-1 - 1j) / np.sqrt(2)), atol=1e-6)
