# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``softmod ber``: what it writes, how it goes on, and how it says what is wrong."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from rich.console import Console

import gr_softmod
from gr_softmod import theory
from gr_softmod.ber import run_ber
from gr_softmod.config import SHIPPED, ConfigError, load_config
from gr_softmod.constellation import Constellation
from gr_softmod.modem.curves import COLUMNS
from gr_softmod.modem.link import LinkConfig, build_channel, build_link, closed_form
from gr_softmod.run_dir import RunError

QUICK = ["target_bit_errors=300", "batch_size=16", "link.bits_per_block=240"]


@pytest.fixture
def configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({"link": {"constellation": "16qam"}, "ebn0_db": "2:8:3"}))
    return tmp_path


def test_what_it_writes(configuration: Path) -> None:
    console = Console(width=140, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    (curve,) = run_ber(["mine.yaml", *QUICK], console)
    run = configuration / "runs" / "mine"
    names = ("config.yaml", "ber.csv", "eval.json", "ber.png", "bler.png", "counts-16qam.json")
    assert sorted(names) == sorted(path.name for path in run.iterdir())
    text = console.export_text()
    for heading in (
        "Eb/N0",
        "BER",
        "95 % interval",
        "theory",
        "BLER",
        "bit errors",
        "block errors",
        "run time",
        "status",
    ):
        assert heading in text
    rows = list(csv.DictReader((run / "ber.csv").open()))
    assert tuple(rows[0]) == COLUMNS and [float(row["ebn0_db"]) for row in rows] == [2, 5, 8]
    for row, point in zip(rows, curve.points, strict=True):
        assert int(row["bit_errors"]) == point.counts.bit_errors >= 300
        expected = float(theory.ber(Constellation.qam(16), point.ebn0_db))
        assert float(row["theory"]) == pytest.approx(expected)
        low, high = point.counts.ber_interval(0.9999)
        assert low < expected < high
    saved = json.loads((run / "eval.json").read_text())
    assert saved["curves"]["16qam"][0]["bit_errors"] == curve.points[0].counts.bit_errors
    assert saved["machine"]["torch"] and saved["settings"]["target_bit_errors"] == 300
    assert (run / "ber.png").read_bytes().startswith(b"\x89PNG")


def test_a_run_is_extended_but_never_mixed(configuration: Path) -> None:
    first = run_ber(["mine.yaml", *QUICK])
    longer = [*QUICK, "target_bit_errors=900"]
    extended = run_ber(["mine.yaml", *longer, "ebn0_db=2:11:3"])
    fresh = run_ber(["mine.yaml", *longer, "ebn0_db=2:11:3", "out=runs/fresh"])
    assert [p.counts for p in extended[0].points] == [p.counts for p in fresh[0].points]
    assert extended[0].points[0].counts.bit_errors > first[0].points[0].counts.bit_errors
    with pytest.raises(RunError, match=r"another configuration \(seed\)"):
        run_ber(["mine.yaml", *longer, "seed=5"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mine.yaml", "target_bit_eror=3"], "did you mean target_bit_errors?"),
        (["mine.yaml", "link.constellation=65qam"], "there is no constellation '65qam'; did you mean"),
        (["mine.yaml", "link.demapper=hard"], "link.demapper: must be 'exact' or 'maxlog', not 'hard'"),
        (["mine.yaml", "link.bits_per_block=7"], "link: bits_per_block is 7; it must be a multiple of 4"),
        (["mine.yaml", "link.channel={awng: {}}"], "awng is no part of a channel; did you mean awgn?"),
        (
            ["mine.yaml", "link.channel={rapp: {saturaton: 1}, awgn: {}}"],
            "rapp has no argument saturaton; did you mean saturation?",
        ),
        (["mine.yaml", "link.channel={rapp: {saturation: -1}, awgn: {}}"], "link.channel: saturation"),
        (["mine.yaml", "link.channel.dc_offset.offset=0.1"], "link.channel: there must be an awgn in the channel"),
        (["mine.yaml", "link.channel={rayleigh_fading: {}, awgn: {}}"], "rayleigh_fading is no part of a channel"),
        (["mine.yaml", "code.kind=turbo"], "code"),
        (["mine.yaml", "out=mine.yaml/run"], "cannot be written"),
        (["nine.yaml"], "nine.yaml: no such configuration"),
        ([], "give one configuration"),
        (["mine.yaml", "run=x"], "give one configuration"),
        (["run=x"], "x: not a run directory"),
    ],
)
def test_a_mistake_is_one_clear_line(configuration: Path, arguments: list[str], message: str) -> None:
    with pytest.raises((ValueError, OSError)) as caught:
        run_ber(arguments)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (configuration / "runs").exists()


def test_a_mistake_at_the_command_line(configuration: Path) -> None:
    command = [sys.executable, "-m", "gr_softmod", "ber", "mine.yaml", "sed=1"]
    environment = os.environ | {"PYTHONPATH": str(Path(gr_softmod.__file__).resolve().parents[1])}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == "softmod: mine.yaml: sed: unknown key; did you mean seed?\n"


def test_a_damaged_checkpoint(configuration: Path) -> None:
    run_ber(["mine.yaml", *QUICK])
    (configuration / "runs/mine/counts-16qam.json").write_text("{")
    with pytest.raises(RunError, match="damaged checkpoint"):
        run_ber(["mine.yaml", *QUICK])


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("ber_*.yaml")), ids=lambda path: path.stem)
def test_shipped_configurations_load(path: Path) -> None:
    from gr_softmod.ber import BerRunConfig

    assert load_config(BerRunConfig, path).title


# ---- links


@pytest.mark.parametrize(
    "settings",
    [
        {"constellation": "bpsk"},
        {"constellation": "64qam", "demapper": "maxlog", "bits_per_block": 600},
        {"constellation": "8psk", "demapper": "maxlog", "bits_per_block": 600},
        {"constellation": "pi4-qpsk"},
        {"constellation": "dbpsk"},
        {"constellation": "DQPSK"},
        {"constellation": "16qam", "fading": {}, "bits_per_block": 4, "demapper": "maxlog"},
    ],
    ids=lambda settings: settings["constellation"],
)
def test_links_reach_their_closed_form(settings: dict, tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    ebn0_db = 6.0
    block = settings.get("bits_per_block", 1536)
    file.write_text(yaml.safe_dump({"link": settings, "ebn0_db": ebn0_db, "batch_size": 60_000 // block, "seed": 3}))
    (curve,) = run_ber([str(file), f"out={tmp_path / 'run'}", "target_bit_errors=2000"])
    (row,) = curve.rows()
    low, high = curve.points[0].counts.ber_interval(0.999)
    assert low < row["theory"] < high


@pytest.mark.parametrize(
    "settings",
    [
        {"constellation": "32qam"},
        {"constellation": "qpsk", "channel": {"phase_noise": {"linewidth": 1e-4}, "awgn": {}}},
        {"constellation": "qpsk", "fading": {"k_factor": 3}},
        {"constellation": "dqpsk", "fading": {}},
    ],
    ids=str,
)
def test_where_there_is_no_closed_form(settings: dict) -> None:
    assert closed_form(load_config(LinkConfig, settings)) is None


def test_the_channel_keeps_its_order() -> None:
    parts = {"rapp": {"saturation": 1.5}, "phase_noise": {"linewidth": 1e-4}, "awgn": {}}
    assert [type(part).__name__ for part in build_channel(parts)] == ["Rapp", "PhaseNoise", "AWGN"]


def test_blocks_must_hold_whole_symbols() -> None:
    with pytest.raises(ConfigError, match="multiple of 6"):
        build_link(LinkConfig(constellation="64qam", bits_per_block=10))
