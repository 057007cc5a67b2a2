# SPDX-License-Identifier: GPL-3.0-or-later
"""modulator_bc: symbols of the module, packed and unpacked bytes, packets, faults that stop nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pmt
import pytest
from gnuradio import blocks, gr, softmod

from demapper_models import demapper_model, qpsk_model
from flowgraph import Messages, Staged, run, until
from gr_softmod.constellation import Constellation

torch = pytest.importorskip("torch")

from gr_softmod.modem import Modulator  # noqa: E402
from gr_softmod.modem.trainable import ConditionedConstellation  # noqa: E402
from torch_modules import Failing, WrongShape  # noqa: E402


def bits(count: int) -> Any:
    return np.random.default_rng(1).integers(0, 2, count).astype(np.uint8)


def two_noises() -> Modulator:
    """Points of 16-QAM that follow noise_var."""
    torch.manual_seed(0)
    points = ConditionedConstellation("16qam")
    torch.nn.init.normal_(points.network[-1].weight, std=0.1)
    return Modulator(points)


@pytest.mark.parametrize("name", ["bpsk", "8psk", "64qam"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("chunk", [None, 40])
def test_symbols_are_those_of_the_constellation(name: str, packed: bool, chunk: int | None) -> None:
    constellation, sent = Constellation.from_name(name), bits(6 * 8 * 40)
    block = softmod.modulator_bc(Modulator(name), packed=packed)
    given = np.packbits(sent) if packed else sent
    result = run(block, given, outputs="c", chunk=chunk).outputs[0]
    np.testing.assert_allclose(result, constellation.modulate(sent), atol=1e-6)
    assert block.bits_per_symbol() == constellation.bits_per_symbol


def test_points_of_a_model_file_and_of_setters(tmp_path: Path) -> None:
    qpsk_model().write(tmp_path / "qpsk")
    demapper_model(4).write(tmp_path / "psk16")
    block, sent = softmod.modulator_bc(str(tmp_path / "qpsk")), bits(400)
    np.testing.assert_allclose(run(block, sent, outputs="c").outputs[0], Constellation.qpsk().modulate(sent), atol=1e-6)
    block = softmod.modulator_bc(str(tmp_path / "qpsk"))
    block.set_model(str(tmp_path / "psk16"))
    assert block.bits_per_symbol() == 4 and block.model().bits_per_symbol == 4
    np.testing.assert_allclose(
        run(block, sent, outputs="c").outputs[0], Constellation.psk(16).modulate(sent), atol=1e-6
    )


def test_points_follow_the_noise_by_setter_tag_and_message() -> None:
    module, sent = two_noises(), bits(400)
    expected = {noise: module(torch.from_numpy(sent), noise).detach().numpy() for noise in (0.5, 0.01)}
    block = softmod.modulator_bc(module, noise_var=0.5)
    result = run(block, sent, tags=[(200, "noise_var", 0.01)], outputs="c").outputs[0]
    np.testing.assert_allclose(result, np.r_[expected[0.5][:50], expected[0.01][50:]], atol=1e-6)
    assert block.noise_var() == pytest.approx(0.01)
    block = softmod.modulator_bc(module)
    result = run(block, sent, outputs="c", post=[("noise_var", pmt.from_double(0.01))]).outputs[0]
    np.testing.assert_allclose(result, expected[0.01], atol=1e-6)


@pytest.mark.parametrize(("packed", "length"), [(False, 300), (True, 30)])
def test_the_length_of_a_packet_is_told_in_symbols(packed: bool, length: int) -> None:
    tags = [(0, "packet_len", length), (length, "packet_len", length), (length, "other", 5)]
    result = run(softmod.modulator_bc(Modulator("64qam"), packed=packed), bits(2 * length), tags=tags, outputs="c")
    symbols = length * (8 if packed else 1) // 6
    assert result.tagged("packet_len") == [(0, symbols), (symbols, symbols)]
    assert result.tagged("other") == [(symbols, 5)]


# -- faults ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (("/nowhere",), "/nowhere"),
        ((torch.nn.Linear(2, 2),), "no bits_per_symbol"),
        ((7,), "model"),
        ((Modulator("qpsk"), 0.0), "noise_var is 0"),
        ((Modulator("qpsk"), float("nan")), "noise_var is nan"),
        ((Modulator("qpsk"), "loud"), "noise_var is loud"),
        ((Modulator("qpsk"), 1.0, False, 0), "threads is 0"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_is_refused_at_construction(arguments: tuple, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        softmod.modulator_bc(*arguments)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (pmt.from_double(0.0), "noise_var is 0"),
        (pmt.intern("1"), "must be a real number"),
        (pmt.PMT_NIL, "must be a real number"),
        (pmt.to_pmt({"snr": 1.0}), "must be a real number"),
    ],
    ids=str,
)
@pytest.mark.parametrize("way", ["message", "tag"])
def test_a_bad_setting_changes_nothing_and_is_told(message: Any, reason: str, way: str) -> None:
    given = {"post": [("noise_var", message)]} if way == "message" else {"tags": [(4, "noise_var", message)]}
    sent, block = bits(400), softmod.modulator_bc(Modulator("qpsk"), 0.5)
    result = run(block, sent, outputs="c", messages=["status"], **given)
    np.testing.assert_allclose(result.outputs[0], Constellation.qpsk().modulate(sent), atol=1e-6)
    (status,) = result.messages["status"]
    assert status["severity"] == "warning" and reason in status["reason"] and way in status["reason"]
    assert block.noise_var() == 0.5


@pytest.mark.parametrize("module", [Failing(False), WrongShape()], ids=["raises", "wrong shape"])
def test_an_exception_gives_zeros_and_stops_nothing(module: Any) -> None:
    block = softmod.modulator_bc(module)
    result = run(block, bits(100_000), outputs="c", messages=["status"])
    assert len(result.outputs[0]) == 50_000 and block.error_count() >= 1
    assert np.all((result.outputs[0] == 0) | (result.outputs[0] == 1)) and (result.outputs[0] == 0).any()
    status = result.messages["status"][0]
    assert status["severity"] == "error" and "came out as zeros" in status["reason"] and "\n" not in status["reason"]


def test_a_model_by_message_sends_its_points(tmp_path: Path) -> None:
    block, status, sink, top = (
        softmod.modulator_bc(Modulator("qpsk"), 0.1),
        Messages(),
        blocks.vector_sink_c(),
        gr.top_block(),
    )
    data, blob = bits(240), demapper_model(4).to_bytes()

    def swap() -> None:
        block._post(pmt.intern("model"), pmt.init_u8vector(len(blob), list(blob)))
        until(lambda: bool(status.received))

    stages = Staged([data, data], [swap], lambda total: block.nitems_read(0) >= total)
    top.connect(stages, block, sink)
    top.msg_connect(block, "status", status, "in")
    top.run()
    assert [said["severity"] for said in status.received] == ["info"]
    (tmp_path / "model").write_bytes(blob)
    after = run(softmod.modulator_bc(str(tmp_path / "model"), 0.1), data, outputs="c").outputs[0]
    np.testing.assert_allclose(np.array(sink.data()), [*Constellation.qpsk().modulate(data), *after], atol=1e-6)
