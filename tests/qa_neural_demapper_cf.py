# SPDX-License-Identifier: GPL-3.0-or-later
"""neural_demapper_cf: LLRs, noise by tag and message, models by message while the stream goes on, faults."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pmt
import pytest
from gnuradio import softmod

from demapper_models import demapper_model, qpsk_model, symbols
from flowgraph import Staged, Tag, run, until
from gr_softmod.constellation import Constellation
from oracle import assert_llr_close, brute_force_llr


def u8vector(data: bytes) -> Any:
    return pmt.init_u8vector(len(data), list(data))


def close(llr: Any, expected: Any, unit: float) -> None:
    np.testing.assert_array_less(np.abs(llr - expected), 1e-4 * (unit + np.abs(expected)))


@pytest.mark.parametrize("m", [1, 4, 6])
@pytest.mark.parametrize("chunk", [None, 6, 18])
def test_llrs_are_those_of_the_model(m: int, chunk: int | None, tmp_path: Path) -> None:
    model, y = demapper_model(m), symbols(1000)
    model.write(tmp_path / "model.safetensors")
    for given in (str(tmp_path / "model.safetensors"), tmp_path / "model.safetensors", model.to_bytes()):
        block = softmod.neural_demapper_cf(given, 0.1)
        assert (block.bits_per_symbol(), block.model()) == (m, model.hash)
        close(run(block, y, chunk=chunk).outputs[0], model.demap(y, 0.1), 1.0)


def test_the_network_that_is_the_formula_gives_its_llrs() -> None:
    y = symbols(2000)
    block = softmod.neural_demapper_cf(qpsk_model().to_bytes(), 0.25)
    assert_llr_close(run(block, y).outputs[0], brute_force_llr(Constellation.qpsk(), y, 0.25))
    np.testing.assert_allclose(block.constellation(), Constellation.qpsk().points, atol=1e-6)


def test_noise_variance_by_tags_and_priors_by_the_second_input() -> None:
    y, model = symbols(60), demapper_model(4)
    noise_var = np.repeat([0.5, 0.05, 2.0], [7, 20, 33])
    tags: list[Tag] = [(0, "noise_var", 0.5), (7, "noise_var", 0.05), (27, "noise_var", 2.0), (9, "other", 1)]
    priors = np.linspace(-3, 3, 240).astype(np.float32)
    for chunk in (None, 4, 12):
        result = run(softmod.neural_demapper_cf(model.to_bytes()), y, priors, tags=tags, chunk=chunk)
        close(result.outputs[0], model.demap(y, noise_var) + priors, 2.0)
        assert result.tagged("other") == [(36, 1)]


def test_the_length_of_a_packet_is_told_in_llrs() -> None:
    tags = [(0, "packet_len", 25), (25, "packet_len", 35)]
    result = run(softmod.neural_demapper_cf(demapper_model(6).to_bytes()), symbols(60), tags=tags)
    assert result.tagged("packet_len") == [(0, 150), (150, 210)]


@pytest.mark.parametrize("way", ["blob", "path", "pair"])
@pytest.mark.parametrize("m", [2, 6])
def test_a_model_by_message_while_the_stream_goes_on(way: str, m: int, tmp_path: Path) -> None:
    """What came before is demapped by the old model, what comes after by the new one; no LLR is lost."""
    old, new = qpsk_model(), demapper_model(m, seed=5)
    new.write(tmp_path / "new.safetensors")
    messages = {
        "blob": u8vector(new.to_bytes()),
        "path": pmt.intern(str(tmp_path / "new.safetensors")),
        "pair": pmt.cons(pmt.intern("model"), u8vector(new.to_bytes())),
    }
    y = [symbols(3001), symbols(500, 2)]
    block = softmod.neural_demapper_cf(old.to_bytes(), 0.1)

    def act() -> None:
        block.to_basic_block()._post(pmt.intern("model"), messages[way])
        until(lambda: block.model() == new.hash)

    source = Staged(y, [act], lambda sent: block.nitems_written(0) == 2 * sent)
    result = run(block, source, messages=["status"])
    llr = result.outputs[0]
    close(llr[: 2 * 3001], old.demap(y[0], 0.1), 1.0)
    close(llr[2 * 3001 :], new.demap(y[1], 0.1), 1.0)
    assert block.bits_per_symbol() == m
    (status,) = result.messages["status"]
    assert (status["severity"], status["hash"]) == ("info", new.hash)


def test_models_that_come_and_go_lose_no_symbol() -> None:
    """Every LLR is that of the one or of the other model, and there are as many as there should be."""
    first, second = qpsk_model(), qpsk_model(-1.0)
    y = symbols(300_000)
    block = softmod.neural_demapper_cf(first.to_bytes(), 0.5)
    post = [("model", u8vector(model.to_bytes())) for model in [second, first] * 20]
    llr = run(block, y, chunk=2048, post=post).outputs[0]
    close(np.abs(llr), np.abs(first.demap(y, 0.5)), 1.0)
    assert len(llr) == 600_000


def test_setters() -> None:
    block, y = softmod.neural_demapper_cf(qpsk_model().to_bytes()), symbols(50)
    block.set_model(demapper_model(4).to_bytes())
    block.set_noise_var(0.25)
    assert (block.bits_per_symbol(), block.noise_var()) == (4, 0.25)
    close(run(block, y).outputs[0], demapper_model(4).demap(y, 0.25), 1.0)


# -- faults ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        (("/nowhere/model",), ValueError, "/nowhere/model: cannot be read"),
        (("/",), ValueError, "/: "),
        (("",), ValueError, "cannot be read"),
        ((b"\0",), ValueError, "model: "),
        ((qpsk_model().to_bytes()[:-1],), ValueError, "model: "),
        ((qpsk_model().to_bytes(), 0.0), ValueError, "noise_var is 0"),
        ((qpsk_model().to_bytes(), float("nan")), ValueError, "noise_var is nan"),
        ((7,), TypeError, "int"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_is_refused_at_construction(arguments: tuple, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        softmod.neural_demapper_cf(*arguments)
    if error is ValueError:
        block = softmod.neural_demapper_cf(qpsk_model().to_bytes(), 0.5)
        with pytest.raises(ValueError, match=match):
            block.set_model(arguments[0]) if len(arguments) == 1 else block.set_noise_var(arguments[1])
        assert (block.model(), block.noise_var()) == (qpsk_model().hash, 0.5)


BAD_MESSAGES: list[tuple[str, Callable[[], Any], str]] = [
    ("model", lambda: pmt.from_double(1.0), "must be a path or a u8vector"),
    ("model", lambda: pmt.PMT_NIL, "must be a path or a u8vector"),
    ("model", lambda: pmt.init_f32vector(2, [1, 2]), "must be a path or a u8vector"),
    ("model", lambda: pmt.intern("/nowhere/model"), "/nowhere/model: cannot be read"),
    ("model", lambda: u8vector(b"\0" * 30), "model: "),
    ("model", lambda: u8vector(qpsk_model().to_bytes()[:-1]), "model: "),
    ("noise_var", lambda: pmt.from_double(0.0), "noise_var is 0"),
    ("noise_var", lambda: pmt.intern("1"), "must be a real number"),
]


@pytest.mark.parametrize(("port", "message", "reason"), BAD_MESSAGES, ids=range(len(BAD_MESSAGES)))
def test_a_bad_message_changes_nothing_and_is_told(port: str, message: Callable[[], Any], reason: str) -> None:
    block, y, told = softmod.neural_demapper_cf(qpsk_model().to_bytes(), 0.5), symbols(200), []

    def act() -> None:  # the model is read on a thread of its own
        block.to_basic_block()._post(pmt.intern(port), message())
        until(lambda: bool(told))

    result = run(
        block, Staged([y, y], [act], lambda sent: block.nitems_written(0) == 2 * sent), messages=["status"], heard=told
    )
    np.testing.assert_allclose(result.outputs[0], qpsk_model().demap(np.tile(y, 2), 0.5), rtol=1e-4, atol=1e-4)
    (status,) = result.messages["status"]
    assert status["severity"] == "warning" and reason in status["reason"] and status["block"] == block.alias()


def test_samples_that_are_not_finite_give_zeros_and_are_counted() -> None:
    y = symbols(500)
    bad = [0, 17, 499]
    y[bad] = [complex("nan"), complex(0, np.inf), complex(-np.inf, 0)]
    block = softmod.neural_demapper_cf(demapper_model(4).to_bytes(), 0.5)
    result = run(block, y, messages=["status"])
    llr = result.outputs[0].reshape(-1, 4)
    assert not llr[bad].any() and np.isfinite(llr).all() and block.invalid_count() == 3
    assert result.messages["status"][0]["count"] >= 1


@pytest.mark.parametrize("count", [0, 1, 2])
def test_streams_that_end_at_once(count: int) -> None:
    block = softmod.neural_demapper_cf(demapper_model(6).to_bytes())
    assert len(run(block, symbols(count)).outputs[0]) == 6 * count


def test_the_shipped_model_runs_and_another_name_is_refused() -> None:
    block = softmod.neural_demapper_cf(softmod.shipped_model("link_impaired"), 0.004)
    points = np.array(block.constellation())
    llr = run(block, points.astype(np.complex64)).outputs[0].reshape(64, 6)
    bits = np.unpackbits(np.arange(64, dtype=np.uint8)[:, None], axis=1)[:, 2:]
    assert np.mean((llr > 0) == bits) > 0.9  # the amplifier that it expects is absent
    with pytest.raises(ValueError, match="no shipped model 'other'; there are: .*link_impaired"):
        softmod.shipped_model("other")
