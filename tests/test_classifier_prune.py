# SPDX-License-Identifier: GPL-3.0-or-later
"""Pruning: exact counts, what goes first, channels that go with all that reads them, the feedback loop."""

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from classifier_helpers import small_config
from gr_softmod.classifier import prune as pruning
from gr_softmod.classifier.architectures import build
from gr_softmod.classifier.fit import Score
from gr_softmod.classifier.network import Network
from gr_softmod.classifier.prune import PruneConfig, count_weights, prune, verb_config
from gr_softmod.classifier.sparsity import prunable, prune_masks, sparsity, uses
from gr_softmod.classifier.structured import prune_channels
from gr_softmod.classifier.train import train
from gr_softmod.classifier.trained import load_network, load_saved, masks_of
from gr_softmod.config import ConfigError, load_config
from gr_softmod.run_dir import RunDir, RunError

NAMES = ("A", "B", "C")


def network(**arguments: object) -> Network:
    torch.manual_seed(1)
    small = {"channels": [4, 6, 6], "kernels": [8, 5, 3], "strides": [8, 2, 1], "expert": 6, "head": 6}
    return Network(build("softmod", NAMES, 256, **{**small, **arguments})).eval()


# ---- single weights


@settings(max_examples=25)
@given(fractions=st.lists(st.floats(0, 0.9), min_size=1, max_size=4))
def test_each_step_takes_its_share_of_what_is_left_to_one_weight(fractions: list[float]) -> None:
    net = network()
    left = sum(p.numel() for p in prunable(net).values())
    total, masks = left, None
    for fraction in fractions:
        before = masks
        masks = prune_masks(net, fraction, masks)
        left -= int(fraction * left)
        assert sum(int(mask.sum()) for mask in masks.values()) == left
        assert before is None or all((masks[name] <= before[name]).all() for name in masks)
    assert sparsity(masks) == pytest.approx(1 - left / total)


def test_the_smallest_magnitudes_of_the_whole_network_go() -> None:
    net = network()
    masks = prune_masks(net, 0.4)
    gone = torch.cat([p.detach().abs()[~masks[name]] for name, p in prunable(net).items()])
    kept = torch.cat([p.detach().abs()[masks[name]] for name, p in prunable(net).items()])
    assert gone.max() <= kept.min()


def test_one_key_of_the_fit_leaves_the_others_at_what_pruning_needs() -> None:
    given = {"run": "r", "data": {}, "prune": {"fit": {"steps": 7}}}
    fit = load_config(PruneConfig, given, ["prune.fit.batch=32"]).prune.fit
    assert (fit.steps, fit.batch) == (7, 32)
    assert (fit.lr, fit.distillation, fit.auxiliary) == (2e-3, 0.5, 0.0)


def test_relative_to_layer_forgets_the_scale_of_a_layer() -> None:
    net = network()
    before = prune_masks(net, 0.5, relative_to="layer")
    with torch.no_grad():
        net.nodes["stem"].layer.weight.mul_(1000)
    after = prune_masks(net, 0.5, relative_to="layer")
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert prune_masks(net, 0.5)["nodes.stem.layer.weight"].all()


def test_relative_to_layer_is_the_share_of_what_is_no_smaller() -> None:
    net = network()
    shares = {}
    for name, p in prunable(net).items():
        w = p.detach().double().flatten()
        shares[name] = torch.stack([v**2 / w[w.abs() >= v.abs()].square().sum() for v in w]).view_as(p)
    masks = prune_masks(net, 0.6, relative_to="layer")
    gone = torch.cat([shares[name][~mask] for name, mask in masks.items()])
    kept = torch.cat([shares[name][mask] for name, mask in masks.items()])
    assert gone.max() <= kept.min() * (1 + 1e-12)


@pytest.mark.parametrize("relative", ["layer", "cost"])
def test_no_layer_is_emptied(relative: str) -> None:
    net = network()
    masks = None
    for _ in range(8):
        masks = prune_masks(net, 0.4, masks, relative, net.graph)
    assert sparsity(masks) > 0.97 and all(mask.any() for mask in masks.values())


def test_relative_to_cost_spares_what_is_used_once() -> None:
    net = network()
    counts = uses(net.graph)
    assert counts["nodes.stem.layer.weight"] == 32 and counts["nodes.head.layer.weight"] == 1
    left = {}
    for relative in ("layer", "cost"):
        masks = prune_masks(net, 0.5, relative_to=relative, graph=net.graph)
        left[relative] = sum(counts[name] * int(mask.sum()) for name, mask in masks.items())
    assert left["cost"] < left["layer"]


@pytest.mark.parametrize("fraction", [-0.1, 1.0])
def test_impossible_fractions(fraction: float) -> None:
    for step in (prune_masks, prune_channels):
        with pytest.raises(ValueError, match="must lie in"):
            step(network(), fraction)


# ---- whole channels


def test_channels_that_give_nothing_go_first_and_change_nothing() -> None:
    net = network()
    silent = {"stem": [1], "block1_pw": [0, 5], "expert": [2], "head": [3]}
    with torch.no_grad():
        for name, channels in silent.items():
            net.nodes[name].norm.weight[channels] = 0
            net.nodes[name].norm.bias[channels] = 0
        net.nodes["block1_dw"].norm.bias[1] = -1  # behind a silent channel, its depthwise one says nothing either
    frames = torch.randn(4, 256, dtype=torch.complex64)
    makers = [4, 6, 6, 6, 6]
    smaller = prune_channels(net, 5 / sum(makers))
    shapes = smaller.graph.weight_shapes()
    assert shapes["stem"][0] == 3 and shapes["block1.dw"] == (3, 1, 5) and shapes["block1.pw"] == (4, 3, 1)
    assert shapes["head"] == (5, 6 + 5) and shapes["logits"] == (3, 5)
    torch.testing.assert_close(smaller(frames), net(frames), rtol=1e-4, atol=1e-5)
    assert smaller.graph.auxiliary == net.graph.auxiliary


def test_channels_that_are_added_stay_and_layers_keep_two() -> None:
    torch.manual_seed(2)
    net = Network(build("bacalhaunet", NAMES, 256, channels=[6, 6, 8], kernels=[5, 3, 3], strides=[2, 1, 2])).eval()
    smaller = prune_channels(net, 0.99)
    assert smaller.graph["block1.pw"].channels == smaller.graph["block2.pw"].channels == 6
    assert smaller.graph["block3.pw"].channels == 2
    assert smaller(torch.randn(2, 256, dtype=torch.complex64)).shape == (2, 3)


def test_flattened_time_goes_with_its_channel() -> None:
    torch.manual_seed(3)
    net = Network(build("vgg10", NAMES, 256, channels=4, hidden=5)).eval()
    with torch.no_grad():
        net.nodes["conv7"].norm.weight[2] = 0
        net.nodes["conv7"].norm.bias[2] = 0
    smaller = prune_channels(net, 1 / (7 * 4 + 2 * 5))
    assert smaller.graph["conv7"].channels == 3 and smaller.graph.weight_shapes()["dense1"] == (5, 3 * 2)
    frames = torch.randn(4, 256, dtype=torch.complex64)
    torch.testing.assert_close(smaller(frames), net(frames), rtol=1e-4, atol=1e-5)


# ---- the verb


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    folder = tmp_path_factory.mktemp("runs")
    return train(small_config(folder / "frames", train={"steps": 30}), folder / "whole")


def config(trained: RunDir, out: Path, **settings: object) -> PruneConfig:
    fit = {"steps": 6, "batch": 64, "validate_every": 3, "distillation": 0.5}
    given = {"fraction": 0.3, "steps": 2, "tolerance": 0.9, **settings}
    return load_config(
        PruneConfig,
        {"run": str(trained), "out": str(out), "data": trained.config["data"], "prune": {**given, "fit": fit}},
    )


def test_pruned_run(trained: RunDir, tmp_path: Path) -> None:
    run = prune(config(trained, tmp_path / "pruned"))
    total = count_weights(load_network(trained))
    left = total
    for _ in range(2):
        left -= int(0.3 * left)
    assert count_weights(load_network(run)) == left
    told = run.read_json("prune.json")
    assert [step["kept"] for step in told["steps"]] == [True, True]
    assert told["after"] == pytest.approx(1 - left / total)
    assert [line.split(":")[0] for line in load_saved(run).history] == ["train", "prune", "prune"]
    assert load_saved(run).trained_on["frames"] == 30 * 64 + 2 * 6 * 64
    assert sum(int((~mask).sum()) for mask in masks_of(load_network(run)).values()) == total - left


def test_interrupted_pruning_ends_as_one_that_was_not(
    trained: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = prune(config(trained, tmp_path / "whole"))
    advance = pruning.Fit.advance

    def stop(self: pruning.Fit) -> float:
        if self.run.path.name == "step02" and self.step == 4:
            raise KeyboardInterrupt
        return advance(self)

    monkeypatch.setattr(pruning.Fit, "advance", stop)
    with pytest.raises(KeyboardInterrupt):
        prune(config(trained, tmp_path / "parts"))
    monkeypatch.setattr(pruning.Fit, "advance", advance)
    parts = prune(config(trained, tmp_path / "parts"))
    one, other = (load_saved(run).weights for run in (whole, parts))
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert whole.read_json("prune.json") == parts.read_json("prune.json")


def test_feedback_takes_a_bad_step_back_and_halves_the_next(
    trained: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached = iter([0.9, 0.5, 0.85, 0.5, 0.5])  # of the whole network, then of each step
    monkeypatch.setattr(pruning, "score", lambda *_: Score(1.0, value := next(reached), value))
    settings = {"fraction": 0.4, "steps": 4, "tolerance": 0.1, "smallest": 0.1, "fit": {}}
    run = prune(config(trained, tmp_path / "fed", **settings))
    steps = run.read_json("prune.json")["steps"]
    assert [step["kept"] for step in steps] == [False, True, False, False]
    assert [step["fraction"] for step in steps] == [0.4, 0.2, 0.2, 0.1]
    total = count_weights(load_network(trained))
    assert count_weights(load_network(run)) == total - int(0.2 * total)


def test_structured_run_is_a_smaller_network(trained: RunDir, tmp_path: Path) -> None:
    run = prune(config(trained, tmp_path / "structured", structured=True, steps=1))
    before, after = (math.prod(load_saved(r).graph.weight_shapes()["head"]) for r in (trained, run))
    assert after < before and not masks_of(load_network(run))


def test_a_pipelines_configuration_serves_the_verb(trained: RunDir, tmp_path: Path) -> None:
    path = tmp_path / "all.yaml"
    path.write_text("title: x\nout: elsewhere\ndata: {test: 99}\ntrain: {steps: 5}\nprune: {fraction: 0.25}\n")
    given = verb_config(PruneConfig, [str(trained), str(path), "prune.steps=3", "out=here"])
    assert (given.prune.fraction, given.prune.steps, given.out, given.data.test) == (0.25, 3, "here", 99)
    assert given.data.class_names == ["BPSK", "FM", "AM-SSB-SC"]


def test_refusals(trained: RunDir, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="not a run directory"):
        verb_config(PruneConfig, [str(tmp_path)])
    with pytest.raises(ConfigError, match="prune.fractions"):
        verb_config(PruneConfig, [str(trained), "prune.fractions=0.2"])
    with pytest.raises(ConfigError, match="give a run directory"):
        verb_config(PruneConfig, [])
