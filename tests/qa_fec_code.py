# SPDX-License-Identifier: GPL-3.0-or-later
"""Codes of gr-fec around a modem: what they correct, and that they get LLRs of the right sign and scale."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from gr_softmod.ber import run_ber
from gr_softmod.blocks.fec_code import FecCode
from gr_softmod.config import ConfigError
from gr_softmod.modem.coded import CodedLink, ConvolutionalConfig, LdpcConfig, PolarConfig
from gr_softmod.modem.link import LinkConfig, build_link
from gr_softmod.modem.simulate import Stop, simulate

CODES = [
    LdpcConfig(kind="ldpc", alist="n_0300_k_0152_gap_03.alist"),
    ConvolutionalConfig(kind="cc", bits=200),
    PolarConfig(kind="polar", block_size=256, bits=128),
]


@pytest.fixture(scope="module", params=CODES, ids=lambda config: config.kind)
def code(request: pytest.FixtureRequest) -> FecCode:
    return FecCode(request.param)


def test_a_clear_channel(code: FecCode) -> None:
    bits = np.random.default_rng(1).integers(0, 2, (7, code.information_bits), dtype=np.uint8)
    coded = code.encode(bits)
    assert coded.shape == (7, code.coded_bits) and set(np.unique(coded)) == {0, 1}
    assert code.rate == code.information_bits / code.coded_bits
    for scale in (0.1, 1.0, 50.0):
        np.testing.assert_array_equal(code.decode(np.float32(scale) * (2.0 * coded - 1).astype(np.float32)), bits)


def test_errors_are_corrected_and_signs_matter(code: FecCode) -> None:
    rng = np.random.default_rng(2)
    bits = rng.integers(0, 2, (20, code.information_bits), dtype=np.uint8)
    noise_var = 10 ** (-4.5 / 10) / code.rate
    received = 2.0 * code.encode(bits) - 1 + np.sqrt(noise_var / 2) * rng.standard_normal((20, code.coded_bits))
    llr = (4 * received / noise_var).astype(np.float32)
    assert np.mean((llr > 0) != code.encode(bits)) > 0.02
    assert np.mean(code.decode(llr) != bits) < 2e-3
    assert np.all(np.any(code.decode(-llr) != bits, axis=1))


def test_llrs_of_the_right_scale_decode_best() -> None:
    """Belief propagation needs true LLRs: scaled ones fail more blocks."""
    code = FecCode(LdpcConfig(kind="ldpc", alist="n_1100_k_0442_gap_24.alist"))
    rng = np.random.default_rng(3)
    bits = rng.integers(0, 2, (150, code.information_bits), dtype=np.uint8)
    noise_var = 10 ** (1.35 / -10) / code.rate
    coded = code.encode(bits)
    received = 2.0 * coded - 1 + np.sqrt(noise_var / 2) * rng.standard_normal(coded.shape)
    failed = {
        scale: int(np.any(code.decode((scale * 4 * received / noise_var).astype(np.float32)) != bits, axis=1).sum())
        for scale in (0.25, 1.0, 6.0)
    }
    assert failed[1.0] < failed[0.25] and failed[1.0] < failed[6.0], failed


def test_coded_beats_uncoded_and_bursts_are_seen() -> None:
    code = FecCode(ConvolutionalConfig(kind="cc", bits=250))
    config = LinkConfig(constellation="16qam", bits_per_block=512)
    link = CodedLink(code, build_link(config, code_rate=code.rate))
    (point,) = simulate(link, [6.0], batch_size=100, stop=Stop(block_errors=30, max_batches=30), seed=1)
    uncoded = build_link(LinkConfig(constellation="16qam", bits_per_block=512))
    (plain,) = simulate(uncoded, [6.0], batch_size=100, stop=Stop(max_batches=2), seed=1)
    assert point.counts.ber < 0.1 * plain.counts.ber
    assert point.counts.dispersion > 2  # a Viterbi decoder's errors come in bursts


def test_the_verb(tmp_path: Path) -> None:
    file = tmp_path / "coded.yaml"
    settings = {
        "link": {"constellation": "64qam"},
        "code": {"kind": "polar", "block_size": 256, "bits": 128},
        "ebn0_db": [4, 8],
        "batch_size": 50,
        "max_batches": 4,
        "target_bit_errors": None,
    }
    file.write_text(yaml.safe_dump(settings))
    (curve,) = run_ber([str(file), f"out={tmp_path / 'run'}"])
    assert curve.name == "64qam, polar 128/256"
    assert curve.points[0].counts.bler > 3 * curve.points[1].counts.bler


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (LdpcConfig(kind="ldpc", alist="no.alist"), "there is no file no.alist; gr-fec brings n_0100"),
        (PolarConfig(kind="polar", block_size=100, bits=50), "block_size is 100"),
        (PolarConfig(kind="polar", block_size=64, bits=64), "bits 64"),
    ],
)
def test_codes_that_do_not_exist(config: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        FecCode(config)


def test_blocks_must_hold_the_code(code: FecCode) -> None:
    with pytest.raises(ValueError, match="do not hold"):
        CodedLink(code, build_link(LinkConfig(constellation="bpsk", bits_per_block=code.coded_bits - 1)))


def test_same_seed_same_bits(code: FecCode) -> None:
    size = -(-code.coded_bits // 2) * 2
    link = CodedLink(code, build_link(LinkConfig(constellation="qpsk", bits_per_block=size), code_rate=code.rate))
    with torch.inference_mode():
        runs = [link(4, 2.0, torch.Generator().manual_seed(5)) for _ in range(2)]
    assert all(torch.equal(a, b) for a, b in zip(*runs, strict=True))
