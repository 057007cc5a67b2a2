# SPDX-License-Identifier: GPL-3.0-or-later
"""Training: stored frames, losses, the loop, taking up a run, several processes."""

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from classifier_helpers import small_config, two_processes
from gr_softmod.classifier import store as stored
from gr_softmod.classifier.config import DeviceConfig
from gr_softmod.classifier.features import features, normalise
from gr_softmod.classifier.fit import Fit, make_fabric, score
from gr_softmod.classifier.losses import distillation_loss, training_loss
from gr_softmod.classifier.network import Network
from gr_softmod.classifier.shared_norm import SharedBatchNorm
from gr_softmod.classifier.store import LiveFeed, StoredFeed, open_store
from gr_softmod.classifier.train import new_network, open_validation, train
from gr_softmod.classifier.trained import load_network, load_saved
from gr_softmod.modem.checkpoint import load_checkpoint
from gr_softmod.run_dir import RunDir, RunError


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("frames")


# ---- frames on disk


def test_store_holds_what_the_source_gives(frames: Path) -> None:
    config = small_config(frames).data
    store = open_store(config, "train", 700)
    raw = torch.cat([config.open().batch(k, stored.PIECE, "train").frames for k in range(2)])[:700]
    given = store.rows(torch.tensor([699, 3, 512]))
    unit = normalise(raw[[699, 3, 512]])
    torch.testing.assert_close(given.signal, torch.view_as_real(unit).transpose(1, 2), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(given.features, features(unit))
    assert torch.equal(torch.cat([part.labels for part in store.batches(300)]), store.labels)
    assert len(store.labels) == 700


def test_store_goes_on_where_it_was_interrupted(tmp_path: Path) -> None:
    config = small_config(tmp_path).data
    seen: list[int] = []
    whole = open_store(config, "train", 1536, seen.append)
    before = [part.signal.clone() for part in whole.batches(1536)][0]
    folder = next(tmp_path.glob("*/train"))
    (folder / "000001.npy").unlink()  # the piece that an interruption left out: its table is there, its signal is not
    times = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.npy")}
    again = open_store(config, "train", 1536)
    assert seen == [512, 1024, 1536]
    assert torch.equal(before, next(again.batches(1536)).signal)
    assert all((folder / name).stat().st_mtime_ns == stamp for name, stamp in times.items())


@pytest.mark.parametrize("change", [{"seed": 2}, {"snr_db": [0, 20, 10]}, {"class_names": ["BPSK", "FM"]}])
def test_runs_that_ask_otherwise_share_no_frames(tmp_path: Path, change: dict) -> None:
    for data in ({}, change):
        open_store(small_config(tmp_path, data=data).data, "test", 1)
    assert len(list(tmp_path.iterdir())) == 2


def test_splits_and_counts_share_a_folder(tmp_path: Path) -> None:
    for data in ({}, {"train": 2048, "test": 9}, {"preset": "radioml2018"}):
        open_store(small_config(tmp_path, data=data).data, "test", 1)
    assert len(list(tmp_path.iterdir())) == 1


def test_stored_feed_shows_every_frame_once_an_epoch(frames: Path) -> None:
    store = open_store(small_config(frames).data, "train", 1024)
    feed = StoredFeed(store, seed=5, rotate=False)
    epochs = [torch.cat([feed.batch(4 * e + i, 256).signal for i in range(4)]) for e in range(2)]
    everything = next(store.batches(1024)).signal
    for epoch in epochs:
        assert torch.equal(_sorted(epoch), _sorted(everything))
    assert not torch.equal(epochs[0], epochs[1])
    assert torch.equal(feed.batch(1, 256).signal, epochs[0][256:512])  # back again: depends on the step alone


def test_rotation_turns_the_signal_and_nothing_else(frames: Path) -> None:
    store = open_store(small_config(frames).data, "train", 1024)
    plain, turned = (StoredFeed(store, seed=5, rotate=rotate).batch(3, 64) for rotate in (False, True))
    assert torch.equal(plain.features, turned.features) and torch.equal(plain.labels, turned.labels)
    before, after = (torch.complex(b.signal[:, 0], b.signal[:, 1]) for b in (plain, turned))
    ratio = (after * before.conj()).mean(1)
    turn = ratio / ratio.abs()
    torch.testing.assert_close(after, before * turn[:, None], rtol=1e-3, atol=1e-3)
    assert turn.angle().std() > 1


@pytest.mark.parametrize("live", [False, True])
def test_processes_share_a_batch_without_gap_or_overlap(frames: Path, live: bool) -> None:
    config = small_config(frames).data
    feed = (
        LiveFeed(config.open(), 5, True, piece=16) if live else StoredFeed(open_store(config, "train", 1024), 5, True)
    )
    whole = feed.batch(2, 64)
    parts = [feed.batch(2, 64, rank, 4) for rank in range(4)]
    for name in whole._fields:
        torch.testing.assert_close(torch.cat([getattr(part, name) for part in parts]), getattr(whole, name))


# ---- losses


def test_distillation_is_the_kullback_leibler_divergence() -> None:
    logits, teacher = torch.randn(2, 8, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    p, q = (F.softmax(z / 3, 1) for z in (teacher, logits))
    expected = 9 * (p * (p / q).log()).sum(1).mean()
    torch.testing.assert_close(distillation_loss(logits, teacher, 3.0), expected)
    assert distillation_loss(teacher, teacher, 3.0) == pytest.approx(0, abs=1e-12)


def test_training_loss_is_the_sum_of_its_parts() -> None:
    g = torch.Generator().manual_seed(2)
    logits, teacher, helper = torch.randn(3, 8, 5, generator=g)
    labels = torch.randint(0, 5, (8,), generator=g)
    given = training_loss(
        logits, {"a": helper}, labels, teacher=teacher, distillation=0.25, temperature=2.0, auxiliary_weight=0.3,
        label_smoothing=0.1,
    )  # fmt: skip
    smooth = F.one_hot(labels, 5) * 0.9 + 0.02
    task, aside = (-(smooth * F.log_softmax(z, 1)).sum(1).mean() for z in (logits, helper))
    torch.testing.assert_close(given, 0.75 * task + 0.25 * distillation_loss(logits, teacher, 2.0) + 0.3 * aside)


# ---- the loop


def test_training_learns_and_leaves_a_run(frames: Path, tmp_path: Path) -> None:
    config = small_config(frames, train={"steps": 60, "validate_every": 30})
    run = train(config, tmp_path / "run")
    checks = [record["validation"]["accuracy"] for record in run.read_log() if "validation" in record]
    assert checks[-1] > 0.8
    saved = load_saved(run)
    assert saved.trained_on["frames"] == 60 * 64 and saved.trained_on["preset"] == "radioml2018"
    reached = score(load_network(run), open_validation(config.data, make_fabric(config.device)), torch.device("cpu"))
    assert reached.accuracy == pytest.approx(saved.score["accuracy"])
    assert (run / "training.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("ema", [0.0, 0.9])
@pytest.mark.parametrize("stop", [4, 7])
def test_interrupted_run_ends_as_one_that_was_not(frames: Path, tmp_path: Path, ema: float, stop: int) -> None:
    config = small_config(frames, train={"ema": ema})
    whole = train(config, tmp_path / "whole")
    run = RunDir.create(tmp_path / "parts", config)
    broken = _fit(run, config)
    while broken.step < stop:
        broken.advance()
    train(config, tmp_path / "parts")
    for name in ("last", "best"):
        one, other = (load_checkpoint(r, name)["weights"] for r in (whole, run))
        assert all(torch.equal(one[key], other[key]) for key in one)
    assert [_timeless(record) for record in whole.read_log()] == [_timeless(record) for record in run.read_log()]


def test_masked_weights_stay_zero(frames: Path, tmp_path: Path) -> None:
    config = small_config(frames)
    network = _network(config)
    mask = torch.rand(network.nodes["expert"].layer.weight.shape) > 0.5
    fit = _fit(RunDir.create(tmp_path, config), config, network, masks={"nodes.expert.layer.weight": mask})
    before = network.nodes["expert"].layer.weight.detach().clone()
    fit.fit()
    after = network.nodes["expert"].layer.weight.detach()
    assert (after[~mask] == 0).all() and (after[mask] != before[mask]).all()


def test_running_mean_of_weights(frames: Path, tmp_path: Path) -> None:
    config = small_config(frames, train={"ema": 0.5})
    fit = _fit(RunDir.create(tmp_path, config), config)
    expected = fit.network.nodes["head"].layer.weight.detach().clone()
    for step in range(5):
        fit.advance()
        share = max(0.5, 1 / (1 + step))
        expected.lerp_(fit.network.nodes["head"].layer.weight.detach(), share)
    torch.testing.assert_close(fit.learnt.nodes["head"].layer.weight, expected)


def test_schedule_rises_and_falls_to_nothing(frames: Path, tmp_path: Path) -> None:
    config = small_config(frames, train={"steps": 10, "warmup": 0.2, "log_every": 1})
    run = train(config, tmp_path / "run")
    rates = [record["lr"] for record in run.read_log() if "lr" in record]
    assert rates[0] == pytest.approx(0.005) and rates[1] == pytest.approx(0.01) and rates[-1] == pytest.approx(0)
    assert all(a > b for a, b in zip(rates[1:], rates[2:], strict=False))


def test_a_loss_that_is_not_finite_ends_the_run(frames: Path, tmp_path: Path) -> None:
    config = small_config(frames)
    network = _network(config)
    with torch.no_grad():
        network.nodes["head"].layer.weight.fill_(torch.nan)
    with pytest.raises(RunError, match=r"loss is nan at step 1"):
        _fit(RunDir.create(tmp_path, config), config, network).advance()


def test_a_checkpoint_of_another_network_is_refused(frames: Path, tmp_path: Path) -> None:
    config = small_config(frames)
    run = RunDir.create(tmp_path, config)
    fit = _fit(run, config)
    for _ in range(4):
        fit.advance()
    other = small_config(frames, model={"arguments": {"channels": [4], "kernels": [8], "strides": [8]}})
    with pytest.raises(RunError, match=r"last\.pt: does not fit"):
        _fit(run, other)


# ---- several processes


def test_shared_norm_alone_is_batch_norm() -> None:
    one, other = SharedBatchNorm(3), torch.nn.BatchNorm1d(3)
    x = torch.randn(4, 3, 7)
    assert torch.equal(one(x), other(x)) and torch.equal(one.running_var, other.running_var)


_WORKER = """
import json, sys
import torch
from gr_softmod.classifier.config import TrainConfig
from gr_softmod.classifier.fit import make_fabric
from gr_softmod.classifier.train import train
config = TrainConfig.model_validate(json.loads(sys.argv[1]))
train(config)
held = make_fabric(config.device).setup(torch.nn.Linear(1, 1))  # until the end, as the traceback of a failed step does
"""


def test_two_processes_give_what_one_gives(frames: Path, tmp_path: Path) -> None:
    config = small_config(frames, train={"steps": 6, "validate_every": 3})
    alone = train(config, tmp_path / "alone")
    there = config.model_copy(update={"out": str(tmp_path / "together")})
    two_processes(tmp_path, _WORKER, json.dumps(there.to_dict()))
    together = RunDir(tmp_path / "together")
    one, two = (load_checkpoint(run, "last")["weights"] for run in (alone, together))
    for key in one:
        torch.testing.assert_close(two[key], one[key], rtol=2e-3, atol=2e-5, msg=key)
    one, two = (load_saved(run).score for run in (alone, together))
    assert two["loss"] == pytest.approx(one["loss"], rel=1e-3)


def _network(config: object) -> Network:
    return new_network(config, StoredFeed(open_store(config.data, "train", 1024), config.seed, True))


def _fit(run: RunDir, config: object, network: Network | None = None, **options: object) -> Fit:
    feed = StoredFeed(open_store(config.data, "train", config.data.train), config.seed, config.train.rotate)
    fabric = make_fabric(DeviceConfig(accelerator="cpu"))
    validation = open_validation(config.data, fabric)
    network = network or new_network(config, feed)
    saved = {"graph": network.graph.to_dict(), "title": "t", "trained_on": {}, "history": []}
    return Fit(run, network, feed, validation, config.train, fabric, seed=config.seed, extra=saved, **options)


def _sorted(signal: torch.Tensor) -> torch.Tensor:
    rows = signal.flatten(1)
    return rows[torch.argsort(rows[:, 0] * 1e3 + rows[:, 1])]


def _timeless(record: dict) -> str:
    return json.dumps({key: value for key, value in record.items() if key != "seconds"})
