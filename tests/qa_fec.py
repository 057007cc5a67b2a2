# SPDX-License-Identifier: GPL-3.0-or-later
"""Soft bits through gr-fec's decoders: sign, scale, limits, and the gain over hard decisions."""

from __future__ import annotations

import math
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gnuradio import blocks, fec, gr, softmod
from numpy.typing import NDArray

from gr_softmod.bindings._kernels import SoftDemapper
from gr_softmod.blocks import fec as module
from gr_softmod.constellation import Constellation
from gr_softmod.conventions import noise_var_of_ebn0_db

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks" / "fec"))

from codes import Code, convolutional, ldpc, polar, run  # noqa: E402
from curves import Point, crossing, gain  # noqa: E402

CODES = [convolutional(200), ldpc("n_0300_k_0152_gap_03"), polar(256, 128)]


def sent(code: Code, frames: int = 60) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Information bits and coded bits, the same ones every time."""
    bits = np.random.default_rng(4).integers(0, 2, (frames, code.k), dtype=np.uint8)
    return bits, code.encode(bits)


def received_llrs(code: Code, coded: NDArray[np.uint8], name: str, ebn0_db: float) -> NDArray[np.float32]:
    constellation = Constellation.from_name(name)
    noise_var = float(noise_var_of_ebn0_db(ebn0_db, bits_per_symbol=constellation.bits_per_symbol, code_rate=code.rate))
    order = np.random.default_rng(5).permutation(coded.size)
    symbols = constellation.modulate(coded.reshape(-1)[order])
    rng = np.random.default_rng(6)
    noise = rng.normal(size=symbols.size) + 1j * rng.normal(size=symbols.size)
    y = (symbols + np.sqrt(noise_var / 2) * noise).astype(np.complex64)
    llr = np.empty(coded.size, np.float32)
    llr[order] = SoftDemapper(constellation.points, "exact").demap(y, noise_var)
    return llr.reshape(coded.shape)


def frames_lost(code: Code, llr: NDArray[np.float32], bits: NDArray[np.uint8]) -> int:
    return int(np.count_nonzero(np.any(code.decode(llr) != bits, axis=1)))


@pytest.mark.parametrize("code", CODES, ids=lambda c: c.name)
@pytest.mark.parametrize("magnitude", [0.5, 4.0, 20.0, 1e6])
def test_sure_bits_of_any_size_come_through(code: Code, magnitude: float) -> None:
    """Positive is 1, and neither a huge nor a small LLR upsets a decoder."""
    bits, coded = sent(code)
    llr = (magnitude * (2.0 * coded - 1)).astype(np.float32)
    assert frames_lost(code, llr, bits) == 0


@pytest.mark.parametrize("code", CODES, ids=lambda c: c.name)
def test_two_bits_that_are_wrong_beyond_all_doubt_are_outvoted(code: Code) -> None:
    """LLRs of 8, and in each frame two of -8e5: without the limit they win (and gr-fec's exponentials run over)."""
    bits, coded = sent(code)
    llr = (8.0 * (2.0 * coded - 1)).astype(np.float32)
    for frame, row in enumerate(llr):
        row[np.random.default_rng(frame).permutation(code.n)[:2]] *= -1e5
    assert frames_lost(code, llr, bits) <= 4
    if not code.name.startswith("convolutional"):  # whose 8 bits are a limit of their own
        unlimited = code.decode_plainly(llr) != bits
        assert np.count_nonzero(np.any(unlimited, axis=1)) > 50


@pytest.mark.parametrize("code", CODES, ids=lambda c: c.name)
@pytest.mark.parametrize(("name", "ebn0_db"), [("qpsk", 3.0), ("16qam", 5.5), ("64qam", 8.5)])
def test_soft_bits_save_frames_that_hard_decisions_lose(code: Code, name: str, ebn0_db: float) -> None:
    bits, coded = sent(code)
    llr = received_llrs(code, coded, name, ebn0_db)
    p = np.mean((llr > 0) != coded)
    hard = (np.sign(llr) * np.log((1 - p) / p)).astype(np.float32)
    assert frames_lost(code, llr, bits) <= 4
    assert frames_lost(code, hard, bits) >= 20


def test_the_opposite_sign_loses_everything() -> None:
    code = CODES[0]
    bits, coded = sent(code)
    assert frames_lost(code, received_llrs(code, 1 - coded, "qpsk", 6.0), bits) == len(bits)


def test_the_convolutional_decoder_gets_a_range_it_can_resolve(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the scale the same LLRs saturate and cost frames."""
    code = convolutional(500)
    bits, coded = sent(code, 120)
    llr = received_llrs(code, coded, "qpsk", 2.5)
    scaled = frames_lost(code, llr, bits)
    monkeypatch.setattr(module, "UCHAR_SCALE", 1.0)
    assert frames_lost(code, llr, bits) > 1.5 * scaled > 0


def test_int8_soft_bits_go_straight_into_the_convolutional_decoder() -> None:
    """soft_demapper_cb at scale 12 plus 128 is what gr-fec makes of a quarter of the LLR times 48."""
    code = CODES[0]
    bits, coded = sent(code)
    llr = received_llrs(code, coded, "qpsk", 3.0).reshape(-1)
    int8 = np.clip(np.round(12 * llr), -127, 127).astype(np.int8)
    source, sink = blocks.vector_source_b(int8.view(np.uint8).tolist()), blocks.vector_sink_b()
    run(source, blocks.add_const_bb(128), fec.decoder(code.make_decoder(), 1, 1), sink)
    lost = np.count_nonzero(np.any(np.reshape(sink.data(), bits.shape) != bits, axis=1))
    assert abs(lost - frames_lost(code, llr.reshape(coded.shape), bits)) <= 1


def test_the_ldpc_decoder_reads_llrs_in_both_signatures(monkeypatch: pytest.MonkeyPatch) -> None:
    class Recorder:
        def __init__(self, doc: str) -> None:
            self.__doc__ = doc
            self.given: tuple = ()

        def __call__(self, *given: Any) -> None:
            self.given = given

    class Fake:
        make: Recorder

    monkeypatch.setattr(fec, "ldpc_decoder", Fake)
    Fake.make = Recorder("make(alist_file: str, sigma: float = 0.5, max_iterations: int = 50)")
    softmod.ldpc_decoder("a", 7)
    assert Fake.make.given == ("a", math.sqrt(1 / 1.6), 7)
    Fake.make = Recorder("make(alist_file: str, max_iterations: int = 50)")
    softmod.ldpc_decoder("a", 7)
    assert Fake.make.given == ("a", 7)


@pytest.mark.parametrize("limit", [0, -1, math.nan, math.inf])
def test_a_bad_limit_is_refused(limit: float) -> None:
    with pytest.raises(ValueError, match="limit is .* positive and finite"):
        softmod.llr_decoder(CODES[0].make_decoder(), limit)


def test_a_missing_matrix_is_refused() -> None:
    with pytest.raises(RuntimeError):
        softmod.ldpc_decoder("/nowhere.alist")


# -- the arithmetic behind the published gains ------------------------------------------------------------------------


def made_up(threshold_db: float, frames: int = 400) -> list[Point]:
    """A curve whose frame error rate is 10^(threshold - Eb/N0 - 2), 1 % at the threshold."""
    points = []
    for ebn0_db in np.arange(threshold_db - 1.75, threshold_db + 1, 0.5):
        wrong = round(frames * min(1.0, 10 ** (threshold_db - ebn0_db - 2)))
        points.append(Point(float(ebn0_db), np.repeat([3, 0], [wrong, frames - wrong]), 10))
    return points


def test_a_crossing_is_read_between_points() -> None:
    assert crossing(made_up(4.0, 100_000), 0.01) == pytest.approx(4.0, abs=0.01)


def test_a_curve_that_never_gets_there_crosses_nowhere() -> None:
    assert crossing(made_up(4.0)[:2], 0.01) == math.inf
    assert gain(made_up(4.0)[:2], made_up(3.0), 0.01)[0] == math.inf


def test_a_gain_has_an_interval_around_it() -> None:
    middle, low, high = gain(made_up(5.5, 2000), made_up(4.0, 2000), 0.01)
    assert low < 1.5 < high and middle == pytest.approx(1.5, abs=0.1) and high - low < 0.6


def test_the_page_shows_code_that_runs() -> None:
    """The snippet of docs/fec.md, between a vector source and a sink."""
    snippet = re.search(r"```python\n(.*?)```", (ROOT / "docs" / "fec.md").read_text(), re.DOTALL)
    assert snippet is not None
    installed = str(ldpc().matrix)
    code = re.sub(r'"[^"]*\.alist"', repr(installed), snippet[1])
    names: dict[str, Any] = {
        "flowgraph": gr.top_block(),
        "demapper": blocks.vector_source_f([-5.0] * 1800),
        "sink": blocks.vector_sink_b(),
    }
    exec(code, names)
    names["flowgraph"].run()
    assert list(names["sink"].data()) == [0] * 902
