# SPDX-License-Identifier: GPL-3.0-or-later
"""demodulator_cf: LLRs of the module, noise by tag and message, threads and lock, faults that stop nothing."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pmt
import pytest
from gnuradio import blocks, gr, softmod

from demapper_models import demapper_model, qpsk_model, symbols
from flowgraph import Messages, Staged, Tag, run, until
from gr_softmod.constellation import Constellation
from oracle import assert_llr_close, brute_force_llr

torch = pytest.importorskip("torch")

from gr_softmod.modem import Demodulator  # noqa: E402
from torch_modules import Failing, Slow, WrongShape  # noqa: E402

QAM16 = Constellation.qam(16)


@pytest.mark.parametrize("name", ["bpsk", "8psk", "64qam"])
@pytest.mark.parametrize("chunk", [None, 60])
def test_llrs_are_those_of_the_module(name: str, chunk: int | None) -> None:
    y, constellation = symbols(3000), Constellation.from_name(name)
    block = softmod.demodulator_cf(Demodulator(name), 0.3)
    assert_llr_close(run(block, y, chunk=chunk).outputs[0], brute_force_llr(constellation, y, 0.3))
    assert block.bits_per_symbol() == constellation.bits_per_symbol


@pytest.mark.parametrize("int8", [False, True])
def test_a_model_file(int8: bool, tmp_path: Path) -> None:
    model, y = demapper_model(4, int8=int8), symbols(2000)
    model.write(tmp_path / "model")
    llr = run(softmod.demodulator_cf(str(tmp_path / "model"), 0.1), y).outputs[0]
    expected = model.demap(y, 0.1)
    # torch does not round activations to integers
    np.testing.assert_array_less(np.abs(llr - expected), (0.1 if int8 else 1e-4) * (1 + np.abs(expected)))


def test_noise_variance_by_tag_message_and_setter() -> None:
    y = symbols(60)
    tags: list[Tag] = [(7, "noise_var", 0.05), (27, "noise_var", 2.0), (9, "other", 1), (0, "packet_len", 60)]
    noise_var = np.repeat([0.5, 0.05, 2.0], [7, 20, 33])
    for chunk in (None, 8):
        block = softmod.demodulator_cf(Demodulator(QAM16))
        result = run(block, y, tags=tags, chunk=chunk, post=[("noise_var", pmt.from_double(0.5))])
        assert_llr_close(result.outputs[0], brute_force_llr(QAM16, y, noise_var), y, noise_var)
        assert result.tagged("other") == [(36, 1)] and result.tagged("packet_len") == [(0, 240)]
    block.set_model(Demodulator("qpsk"))
    block.set_noise_var(0.25)
    assert (block.bits_per_symbol(), block.noise_var(), block.model().bits_per_symbol) == (2, 0.25, 2)
    assert_llr_close(run(block, y).outputs[0], brute_force_llr(Constellation.qpsk(), y, 0.25))


def test_other_threads_run_python_while_torch_computes() -> None:
    module = Slow()
    thread = threading.Thread(target=module.count)
    thread.start()
    try:
        run(softmod.demodulator_cf(module), symbols(100))
    finally:
        module.ended.set()
        thread.join()
    assert module.during > 1000


def test_threads_of_torch_are_those_asked_for() -> None:
    class Threads(torch.nn.Module):
        bits_per_symbol = 1
        found: set[int] = set()

        def forward(self, values: Any, noise_var: Any) -> Any:
            self.found.add(torch.get_num_threads())
            return torch.zeros(len(values))

    for threads in (1, 2):
        Threads.found.clear()
        run(softmod.demodulator_cf(Threads(), threads=threads), symbols(100))
        assert Threads.found == {threads}


def test_bfloat16_is_close_and_no_gradient_is_kept(tmp_path: Path) -> None:
    model, y = demapper_model(4), symbols(2000)
    model.write(tmp_path / "model")
    llr = run(softmod.demodulator_cf(str(tmp_path / "model"), 0.1, bfloat16=True), y).outputs[0]
    expected = model.demap(y, 0.1)
    assert np.mean(np.abs(llr - expected)) < 0.02 * np.mean(np.abs(expected))


# -- faults ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (("/nowhere",), "/nowhere"),
        ((torch.nn.Linear(2, 2),), "no bits_per_symbol"),
        ((None,), "model"),
        ((Demodulator("qpsk"), 0.0), "noise_var is 0"),
        ((Demodulator("qpsk"), float("inf")), "noise_var is inf"),
        ((Demodulator("qpsk"), 1.0, 1.5), "threads is 1.5"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_is_refused_at_construction(arguments: tuple, match: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=match):
        softmod.demodulator_cf(*arguments)
    (tmp_path / "damaged").write_bytes(qpsk_model().to_bytes()[:-1])
    block = softmod.demodulator_cf(Demodulator("8psk"))
    for bad in (str(tmp_path / "damaged"), tmp_path, "/nowhere"):
        with pytest.raises(ValueError):
            block.set_model(bad)
    assert block.bits_per_symbol() == 3


@pytest.mark.parametrize("message", [pmt.from_double(-1.0), pmt.intern("1"), pmt.from_complex(1, 0)], ids=str)
def test_a_bad_message_changes_nothing_and_is_told(message: Any) -> None:
    y, block = symbols(200), softmod.demodulator_cf(Demodulator(QAM16), 0.5)
    result = run(block, y, messages=["status"], post=[("noise_var", message)])
    assert_llr_close(result.outputs[0], brute_force_llr(QAM16, y, 0.5))
    (status,) = result.messages["status"]
    assert status["severity"] == "warning" and "noise_var" in status["reason"] and status["block"] == block.alias()


@pytest.mark.parametrize("module", [Failing(True), WrongShape()], ids=["raises", "wrong shape"])
def test_an_exception_gives_zeros_and_stops_nothing(module: Any) -> None:
    block = softmod.demodulator_cf(module)
    result = run(block, symbols(60_000), messages=["status"])
    assert len(result.outputs[0]) == 120_000 and block.error_count() >= 1
    assert (result.outputs[0] == 0).any() and np.all((result.outputs[0] == 0) | (result.outputs[0] == 1))
    assert result.messages["status"][0]["severity"] == "error"


def test_samples_that_are_not_finite_give_zeros_and_are_counted() -> None:
    y = symbols(500)
    bad = [0, 17, 499]
    y[bad] = [complex("nan"), complex(0, np.inf), complex(-np.inf, 0)]
    block = softmod.demodulator_cf(Demodulator(QAM16), 0.5)
    result = run(block, y, messages=["status"])
    assert_llr_close(result.outputs[0], brute_force_llr(QAM16, y, 0.5))
    assert not result.outputs[0].reshape(-1, 4)[bad].any() and block.invalid_count() == 3
    assert result.messages["status"][0]["count"] >= 1


@pytest.mark.parametrize("kind", ["path", "bytes", "pair"])
def test_a_model_by_message(kind: str, tmp_path: Path) -> None:
    """What came before the message goes through the old model, what comes behind it through the new, to the symbol."""
    model = demapper_model(4)
    model.write(tmp_path / "model")
    blob = model.to_bytes()
    message = pmt.intern(str(tmp_path / "model")) if kind == "path" else pmt.init_u8vector(len(blob), list(blob))
    message = pmt.cons(pmt.intern("model"), message) if kind == "pair" else message
    block, status = softmod.demodulator_cf(Demodulator("qpsk"), 0.3), Messages()
    top, sink, y = gr.top_block(), blocks.vector_sink_f(), symbols(200)

    def swap() -> None:
        block._post(pmt.intern("model"), message)
        until(lambda: bool(status.received))

    stages = Staged([y, y], [swap], lambda total: block.nitems_read(0) >= total)
    top.connect(stages, block, sink)
    top.msg_connect(block, "status", status, "in")
    top.run()
    llr = np.array(sink.data(), np.float32)
    assert [said["severity"] for said in status.received] == ["info"] and "4 bits" in status.received[0]["reason"]
    assert_llr_close(llr[:400], brute_force_llr(Constellation.qpsk(), y, 0.3))
    np.testing.assert_allclose(llr[400:], model.demap(y, 0.3), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    "message",
    [
        pmt.from_long(3),
        pmt.intern("/no/such/file"),
        pmt.init_u8vector(9, [1] * 9),
        pmt.cons(pmt.intern("model"), pmt.PMT_T),
    ],
    ids=["number", "no file", "garbage", "pair of nothing"],
)
def test_a_model_that_is_refused_leaves_the_old_one(message: Any) -> None:
    block, status = softmod.demodulator_cf(Demodulator("qpsk"), 0.3), Messages()
    top, sink, y = gr.top_block(), blocks.vector_sink_f(), symbols(50)

    def swap() -> None:
        block._post(pmt.intern("model"), message)
        until(lambda: bool(status.received))

    stages = Staged([y, y], [swap], lambda total: block.nitems_read(0) >= total)
    top.connect(stages, block, sink)
    top.msg_connect(block, "status", status, "in")
    top.run()
    (said,) = status.received
    assert said["severity"] == "warning" and "ignored" in said["reason"]
    assert_llr_close(np.array(sink.data(), np.float32), brute_force_llr(Constellation.qpsk(), np.tile(y, 2), 0.3))
