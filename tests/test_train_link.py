# SPDX-License-Identifier: GPL-3.0-or-later
"""Training a link: importance sampling is unbiased, learning helps, interrupted is not interrupted, damage is said."""

from __future__ import annotations

import json
import math
import re
import shutil
from pathlib import Path

import pytest
import torch
import yaml

from gr_softmod import theory
from gr_softmod.ber import run_ber
from gr_softmod.config import SHIPPED, load_config
from gr_softmod.constellation import Constellation
from gr_softmod.modem import train_link
from gr_softmod.modem.importance import BoostedAWGN, boost_for, boosted_noise
from gr_softmod.modem.train_link import Trainer, run_train_link
from gr_softmod.modem.trained_link import TrainLinkConfig, load_link
from gr_softmod.run_dir import RunDir, RunError

SMALL = {
    "title": "small",
    "seed": 3,
    "constellation": {"start": "16qam", "hidden": [8]},
    "demapper": {"hidden": [16]},
    "train": {"steps": 12, "rows": 4, "symbols": 32, "ebn0_db": [0, 14], "log_every": 1, "validate_every": 3},
    "rates_ebn0_db": [6],
    "rates_symbols": 2000,
    "ber": {"ebn0_db": [4, 8], "target_bit_errors": 200, "batch_size": 20},
}
IMPAIRED = {"rapp": {"saturation": 1.2}, "phase_noise": {"linewidth": 1e-4}, "awgn": {}}


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(yaml.safe_dump(SMALL))
    return "small.yaml"


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    (folder / "small.yaml").write_text(yaml.safe_dump(SMALL))
    return Path(run_train_link([str(folder / "small.yaml"), f"out={folder / 'run'}"]))


@pytest.fixture
def trained(trained_once: Path, small: str) -> RunDir:
    """A trained run of ``small`` to do as one likes with."""
    return RunDir(shutil.copytree(trained_once, "runs/small"))


# ---- importance sampling


@pytest.mark.parametrize("boost", [1.0, 3.0, 10.0])
def test_boosted_noise_has_the_moments_of_ordinary_noise(boost: float) -> None:
    noise_var = 0.3
    noise, weights = boosted_noise(
        torch.Size([400_000]), torch.tensor(noise_var), torch.tensor(boost), generator=torch.Generator().manual_seed(1)
    )
    power = noise.abs().square().double()
    assert float(weights.max()) <= 2.0 and float(weights.min()) >= 0
    assert float(weights.mean()) == pytest.approx(1, abs=0.01)
    assert float((weights * power).mean()) == pytest.approx(noise_var, rel=0.01)
    assert float((weights * power**2).mean()) == pytest.approx(2 * noise_var**2, rel=0.02)
    assert float((weights * noise.real * noise.imag).mean()) == pytest.approx(0, abs=0.01)
    assert boost > 1 or bool((weights == 1).all())


def test_rare_errors_are_found_and_weighed() -> None:
    """QPSK at 2.4e-6: 100,000 ordinary bits show nothing, boosted ones the rate to a few per cent."""
    ebn0_db, n = 10.2, 200_000
    noise_var = torch.tensor(10 ** (-ebn0_db / 10) / 2)
    channel = BoostedAWGN(distance=math.sqrt(0.5))
    received = channel(
        torch.full((n,), math.sqrt(0.5) * (1 + 1j)), noise_var, generator=torch.Generator().manual_seed(2)
    )
    wrong = channel.weights * ((received.real < 0).double() + (received.imag < 0).double()) / 2
    expected = float(theory.ber(Constellation.qpsk(), ebn0_db))
    spread = float(wrong.std()) / math.sqrt(n)
    assert expected < 3e-6 and spread < 0.03 * expected
    assert float(wrong.mean()) == pytest.approx(expected, abs=4 * spread)


def test_no_boost_where_errors_are_common() -> None:
    assert boost_for(0.1, torch.tensor([1.0, 0.01, 0.001])).tolist() == pytest.approx([1, 1, 10])


def test_infinite_ratios_weigh_nothing() -> None:
    noise, weights = boosted_noise(torch.Size([1000]), torch.tensor(1e-8), torch.tensor(1e6))
    assert bool(torch.isfinite(weights).all()) and bool(torch.isfinite(noise.abs()).all())


# ---- training


def test_what_it_writes(trained: RunDir) -> None:
    run = trained
    names = {path.name for path in Path(run).iterdir()}
    wanted = (
        "config.yaml log.jsonl last.pt best.pt eval.json constellation.png training.png model.safetensors MODEL_CARD.md"
    )
    assert set(wanted.split()) == names
    config, link = load_link(run)
    assert config.title == "small" and not link.training
    noise_var = 0.05
    points = link.constellation(noise_var).points
    assert abs(points.mean()) < 1e-6 and (abs(points) ** 2).mean() == pytest.approx(1)
    rates = run.read_json("eval.json")["rates"][0]
    assert rates["plain_interval"][0] < rates["plain_by_quadrature"] < rates["plain_interval"][1]
    card = (run / "MODEL_CARD.md").read_text()
    assert "16qam" in card and re.search(r"Trained on cpu \(.+ thread\), for [0-9.]+ minutes", card)


def test_interrupted_is_not_interrupted(small: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run_train_link([small, "out=runs/whole"])
    advance, left = Trainer.advance, [8]

    def failing(self: Trainer) -> float:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return advance(self)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(train_link.Trainer, "advance", failing)
        run_train_link([small, "out=runs/parts"])  # ends after 8 steps; the last checkpoint is of step 6
    parts = run_train_link([small, "out=runs/parts"])
    without_time = [[{k: v for k, v in r.items() if k != "time"} for r in run.read_log()] for run in (whole, parts)]
    assert without_time[0] == without_time[1]
    assert (whole / "model.safetensors").read_bytes() == (parts / "model.safetensors").read_bytes()
    again = run_train_link([small, "out=runs/parts"])  # complete: nothing is trained
    assert len(again.read_log()) == len(whole.read_log())


def test_learning_helps(small: str) -> None:
    overrides = ["train.steps=250", "train.rows=8", "train.symbols=64", "train.validate_every=250", "train.lr=1e-2"]
    log = run_train_link([small, *overrides, "train.log_every=10", "train.warmup=0.05"]).read_log()
    losses = [record["log_loss"] for record in log if "log_loss" in record]
    assert losses[-1] < losses[0] - 0.5


@pytest.mark.parametrize("kind", ["fixed", "trainable", "conditioned"])
@pytest.mark.parametrize(
    "channel", [{"awgn": {}}, {"rapp": {"saturation": 1.2}, "phase_noise": {"linewidth": 1e-4}, "awgn": {}}]
)
def test_kinds_and_channels(tmp_path: Path, kind: str, channel: dict) -> None:
    change = {"channel": channel, "constellation": {"start": "16qam", "kind": kind, "hidden": [8]}}
    config = load_config(TrainLinkConfig, SMALL | change, ["train.points_after=0", "train.lr_points=1e-2"])
    trainer = Trainer(config, RunDir.create(tmp_path / "run", config))
    for _ in range(3):
        assert math.isfinite(trainer.advance())
    moved = (trainer.history[0] - trainer.history[-1]).abs().max() > 1e-4
    assert bool(moved) == (kind != "fixed")


def test_points_stand_still_and_the_network_learns_on(tmp_path: Path) -> None:
    overrides = ["train.points_after=0", "train.points_until=0.5", "train.points_learn_from=exact"]
    config = load_config(TrainLinkConfig, SMALL, overrides)
    trainer = Trainer(config, RunDir.create(tmp_path / "run", config))
    found = []
    for _ in range(config.train.steps):
        trainer.advance()
        network = [parameter.detach().clone() for parameter in trainer.link.demapper.parameters()]
        found.append((trainer._points(), network))
    half = config.train.steps // 2
    moved = [bool((a[0] != b[0]).any()) for a, b in zip(found[:-1], found[1:], strict=True)]
    assert moved == [True] * (half - 1) + [False] * half
    assert all(bool((a != b).any()) for a, b in zip(found[-2][1], found[-1][1], strict=True))


def test_the_network_learns_exact_soft_bits_where_they_are_known(tmp_path: Path) -> None:
    """Their cross-entropy has the expectation of that of the bits that were sent."""
    config = load_config(TrainLinkConfig, SMALL, ["train.points_learn_from=exact", "train.symbols=4096"])
    trainer = Trainer(config, RunDir.create(tmp_path / "run", config))
    trainer.link.demapper = trainer.exact
    losses = trainer.batch(torch.Generator().manual_seed(0))
    assert losses.exact is not None
    torch.testing.assert_close(losses.neural, losses.exact, rtol=0.15, atol=1e-4)


def test_gradients_reach_both_ends_through_the_channel(tmp_path: Path) -> None:
    config = load_config(TrainLinkConfig, SMALL | {"channel": IMPAIRED})
    trainer = Trainer(config, RunDir.create(tmp_path / "run", config))
    trainer.batch(torch.Generator().manual_seed(0)).neural.sum().backward()
    for name, parameter in trainer.link.named_parameters():
        assert parameter.grad is not None and bool(parameter.grad.abs().sum() > 0) or "network.0" in name, name


@pytest.mark.parametrize("name", ["last.pt", "best.pt"])
def test_damaged_checkpoints(trained: RunDir, small: str, name: str) -> None:
    run = trained
    (run / name).write_bytes((run / name).read_bytes()[:-30])
    with pytest.raises(RunError, match=f"{name}: damaged checkpoint") as caught:
        run_train_link([small, "out=runs/small"])
    assert "\n" not in str(caught.value)


def test_damaged_weights(trained: RunDir) -> None:
    run = trained
    file = run / "model.safetensors"
    whole = file.read_bytes()
    for text in (whole[:-20], b"", whole.replace(b"demapper", b"dewrappe")):
        file.write_bytes(text)
        with pytest.raises(RunError, match=r"model\.safetensors: (damaged|does not fit)"):
            run_ber([f"run={run}"])
    file.unlink()
    with pytest.raises(RunError, match="no such file; the training has not ended"):
        run_ber([f"run={run}"])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.stepz=3", "did you mean train.steps?"),
        ("constellation.start=17qam", "there is no constellation '17qam'"),
        ("constellation.kind=free", "constellation.kind: must be 'fixed', 'trainable' or 'conditioned'"),
        ("demapper.activation=step", "demapper.activation: must be"),
        ("train.points_until=0.05", "points_after is 0.1; it must be below points_until, 0.05"),
        ("train.ebn0_db=[9, 3]", "train.ebn0_db: [9.0, 3.0] is not [lowest, highest]"),
        ("channel={rapp: {}}", "channel: there must be an awgn"),
        ("channel={awgn: {noise_var: 1}}", "channel: awgn takes its noise_var"),
        ("ber.ebn0_db=[]", "ber.ebn0_db"),
    ],
)
def test_a_mistake_is_one_clear_line(small: str, override: str, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        run_train_link([small, override])
    assert message in str(caught.value) and "\n" not in str(caught.value)
    assert not Path("runs").exists()


def test_another_configuration_does_not_go_on(trained: RunDir, small: str) -> None:
    with pytest.raises(RunError, match=r"another configuration \(train.lr\)"):
        run_train_link([small, "out=runs/small", "train.lr=0.1"])


# ---- the trained link beside the plain modem


def test_evaluation(trained: RunDir) -> None:
    run = trained
    curves = run_ber([f"run={run}"])
    assert [curve.name for curve in curves] == [
        "plain 16qam", "trained, neural demapper", "trained points, nearest point",
    ]  # fmt: skip
    plain, _, nearest = curves
    for row in plain.rows():
        assert 0.8 * row["theory"] < row["ber"] < 1.2 * row["theory"]
    # Hardly trained points are still nearly a 16-QAM.
    assert nearest.points[0].counts.ber == pytest.approx(plain.points[0].counts.ber, rel=0.3)
    saved = json.loads((run / "eval.json").read_text())
    assert set(saved) >= {"rates", "curves", "machine"}
    assert "trained points, nearest point" in (run / "MODEL_CARD.md").read_text()
    before = [curve.points for curve in curves]
    assert [[p.counts for p in points] for points in before] == [
        [p.counts for p in c.points] for c in run_ber([f"run={run}"])
    ]
    with pytest.raises(ValueError, match="did you mean seed"):
        run_ber([f"run={run}", "sead=3"])


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("link_*.yaml")), ids=lambda path: path.stem)
def test_shipped_configurations_load(path: Path) -> None:
    assert load_config(TrainLinkConfig, path).title
