# SPDX-License-Identifier: GPL-3.0-or-later
"""phase_resolver_cc: the turn off by a known word or a decoder's messages; tags stay at their symbols; faults."""

from __future__ import annotations

import cmath
from typing import Any

import numpy as np
import pmt
import pytest
from gnuradio import softmod
from numpy.typing import NDArray

from flowgraph import run
from gr_softmod.constellation import Constellation

WORD = np.random.default_rng(3).integers(2, size=64)
LOCKED = (0, "locked", True)


def sent(name: str, count: int = 500) -> NDArray[np.complex128]:
    """Random symbols with the word's in the middle."""
    made = Constellation.from_name(name)
    symbols = made.points[np.random.default_rng(4).integers(made.order, size=count)]
    word = made.modulate(WORD[: 64 // made.bits_per_symbol * made.bits_per_symbol])
    return np.concatenate((symbols, word, symbols))


@pytest.mark.parametrize("chunk", [None, 33])
@pytest.mark.parametrize(("name", "symmetry"), [("bpsk", 2), ("8psk", 8), ("64qam", 4)])
def test_a_known_word_takes_the_turn_off(name: str, symmetry: int, chunk: int | None) -> None:
    clean = sent(name)
    turned = (clean * cmath.rect(1, 2 * np.pi * (symmetry - 1) / symmetry)).astype(np.complex64)
    tags = [LOCKED, (0, "constellation", pmt.init_c32vector(2**3, Constellation.from_name("8psk").points.tolist()))]
    block = softmod.phase_resolver_cc(name, WORD.tolist())
    result = run(
        block, turned, tags=tags if name == "8psk" else [LOCKED, (700, "here", True)], outputs="c", chunk=chunk,
        messages=["status"],
    )  # fmt: skip
    np.testing.assert_allclose(result.outputs[0], clean, atol=1e-5)
    assert block.known() and block.turn() == symmetry - 1
    assert result.tagged("phase_known") == [(0, True)] and result.tagged("locked") == [(0, True)]
    if name != "8psk":
        assert result.tagged("here") == [(700, True)]
    (status,) = result.messages["status"]
    assert status["known"] is True and status["turn"] == symmetry - 1 and status["symmetry"] == symmetry


def test_without_lock_nothing_waits_and_nothing_turns() -> None:
    clean = (1j * sent("qpsk")).astype(np.complex64)
    block = softmod.phase_resolver_cc("qpsk", WORD.tolist())
    np.testing.assert_array_equal(run(block, clean, outputs="c").outputs[0], clean)
    assert not block.known()


def test_what_waits_for_a_word_that_never_comes_is_put_out_at_the_end() -> None:
    symbols = sent("qpsk")[:400].astype(np.complex64)
    block = softmod.phase_resolver_cc("qpsk", WORD.tolist(), hold=300)
    np.testing.assert_array_equal(run(block, symbols, tags=[LOCKED], outputs="c").outputs[0], symbols)


def test_turns_go_on_until_the_decoder_succeeds() -> None:
    symbols = np.ones(400, np.complex64)
    block = softmod.phase_resolver_cc("qpsk", dwell=100)
    out = run(block, symbols, tags=[LOCKED], outputs="c").outputs[0]
    np.testing.assert_allclose(out[:99], 1, atol=1e-6)
    np.testing.assert_allclose(out[99:199], -1j, atol=1e-6)
    np.testing.assert_allclose(out[199:299], -1, atol=1e-6)


@pytest.mark.parametrize("message", [pmt.intern("yes"), pmt.from_long(1), pmt.make_dict()], ids=str)
def test_bad_messages_and_tags_are_told_and_change_nothing(message: Any) -> None:
    symbols = np.ones(50, np.complex64)
    result = run(
        softmod.phase_resolver_cc("qpsk"), symbols, tags=[(3, "constellation", 5.0)], outputs="c", messages=["status"],
        post=[("decoded", message)],
    )  # fmt: skip
    np.testing.assert_array_equal(result.outputs[0], symbols)
    reasons = [status["reason"] for status in result.messages["status"]]
    assert any("message ignored: decoded is neither" in reason for reason in reasons)
    assert any("tag at item 3 ignored" in reason for reason in reasons)


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        ({"word": [0, 1, 2, 0, 1, 1, 0, 0]}, "item 2 of the word is 2"),
        ({"word": [0, 1, 1, 0]}, "the word has 4 bits"),
        ({"word": [0, 1] * 32, "hold": 10}, "hold is 10"),
        ({"constellation": "nothing"}, "nothing"),
    ],
    ids=str,
)
def test_bad_parameters(bad: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        softmod.phase_resolver_cc(**({"constellation": "qpsk"} | bad))
