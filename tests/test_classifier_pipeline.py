# SPDX-License-Identifier: GPL-3.0-or-later
"""All verbs in a row, as a person runs them."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from classifier_helpers import DATA, MODEL, two_processes
from gr_softmod.classifier.pipeline import PipelineConfig, run_pipeline, run_train
from gr_softmod.classifier.prune import PruneConfig, PruneSettings, count_weights
from gr_softmod.classifier.quantize import QuantizeConfig, QuantizeSettings
from gr_softmod.classifier.trained import load_network, load_saved
from gr_softmod.cli import app
from gr_softmod.config import SHIPPED, Config, ConfigError, dump_yaml, load_config
from gr_softmod.model_file import read
from gr_softmod.run_dir import RunDir

FIT = {"steps": 8, "batch": 64, "lr": 0.005, "validate_every": 8, "distillation": 0.5}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pipeline")
    given = {
        "title": "Three classes",
        "data": {**DATA, "store": str(folder / "frames")},
        "model": MODEL,
        "train": {"steps": 60, "batch": 64, "lr": 0.01, "validate_every": 30},
        "prune": {"steps": 2, "tolerance": 0.5, "fit": FIT},
        "quantize": {"bits": [[8, 8], [6, 6]], "fit": FIT, "lower": {"attempts": 1, "tolerance": 0.5, "fit": FIT}},
        "eval": {"frames": 300},
        "export": {"frames": 300},
    }
    path = folder / "three.yaml"
    with path.open("w") as file:
        dump_yaml(given, file)
    return path


@pytest.fixture(scope="module")
def runs(config: Path) -> list[RunDir]:
    return run_pipeline([str(config), f"out={config.parent / 'out'}"])


def test_every_stage_is_there_and_judged(runs: list[RunDir]) -> None:
    assert [run.path.name for run in runs] == ["1-train", "2-prune", "3-quantize"]
    for run in runs:
        assert run.read_json("eval.json")["accuracy"]["value"] > 0.6, run
        assert run.read_json("cost.json")["score"] > 0
        assert "# Three classes" in (run / "MODEL_CARD.md").read_text()
    scores = [run.read_json("cost.json")["score"] for run in runs]
    assert scores[0] > scores[1] > scores[2]


def test_zeros_stay_zero_through_quantisation(runs: list[RunDir]) -> None:
    assert count_weights(load_network(runs[2])) <= count_weights(load_network(runs[1]))
    assert [line.split(":")[0] for line in load_saved(runs[2]).history][:3] == ["train", "prune", "prune"]


def test_the_last_stage_is_exported(runs: list[RunDir]) -> None:
    model = read(runs[2] / "model.safetensors")
    assert tuple(model.class_names) == ("BPSK", "FM", "AM-SSB-SC")


def test_a_pipeline_that_is_done_is_only_read(config: Path, runs: list[RunDir]) -> None:
    before = {run.path.name: torch.load(run / "best.pt", weights_only=True)["weights"] for run in runs}
    logs = {run.path.name: (run / "log.jsonl").read_text() for run in runs[:1]}
    result = CliRunner().invoke(app, ["pipeline", str(config), f"out={config.parent / 'out'}"])
    assert result.exit_code == 0, result.output
    for run in runs:
        after = torch.load(run / "best.pt", weights_only=True)["weights"]
        assert all(torch.equal(after[key], value) for key, value in before[run.path.name].items())
    assert logs == {run.path.name: (run / "log.jsonl").read_text() for run in runs[:1]}


_WORKER = "from gr_softmod.cli import app; app()"


def test_two_processes_run_the_pipeline_as_one_does(config: Path, tmp_path: Path) -> None:
    """Each stage goes on from the one before, so that rounding adds up: the same bits, and weights that are close."""
    stages = {"train": 6, "prune.fit": 4, "quantize.fit": 4}
    short = [f"{stage}.{key}={steps}" for stage, steps in stages.items() for key in ("steps", "validate_every")]
    short += ["prune.steps=1", "quantize.bits=[[8,8]]", "quantize.lower.attempts=0"]
    arguments = [str(config), *short]
    alone = run_pipeline([*arguments, f"out={tmp_path / 'alone'}"])
    two_processes(tmp_path, _WORKER, "pipeline", *arguments, f"out={tmp_path / 'together'}")
    for run in alone:
        together = RunDir(tmp_path / "together" / run.path.name)
        one, two = load_saved(run), load_saved(together)
        assert two.graph == one.graph and two.history == one.history
        for key, tensor in one.weights.items():
            torch.testing.assert_close(two.weights[key], tensor, rtol=1e-2, atol=1e-3, msg=f"{run} {key}")
        assert together.read_json("cost.json")["score"] == pytest.approx(run.read_json("cost.json")["score"])
    assert read(together / "model.safetensors").class_names == read(run / "model.safetensors").class_names


@pytest.mark.parametrize("verb", ["prune", "eval", "cost"])
def test_verbs_read_what_the_pipeline_left(config: Path, runs: list[RunDir], verb: str, tmp_path: Path) -> None:
    arguments = {
        "prune": [str(runs[0]), str(config), f"out={tmp_path / 'pruned'}", "prune.steps=1"],
        "eval": [str(runs[0]), "frames=100"],
        "cost": [str(runs[1])],
    }
    result = CliRunner().invoke(app, [verb, *arguments[verb]])
    assert result.exit_code == 0, result.output


def test_train_reads_its_part_alone(config: Path, tmp_path: Path) -> None:
    run = run_train([str(config), f"out={tmp_path / 'run'}", "train.steps=2", "train.validate_every=2"])
    assert set(run.config) == {"out", "title", "seed", "data", "model", "train", "device"}
    assert json.loads((run / "log.jsonl").read_text().splitlines()[-1])["step"] == 2


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("classifier_*.yaml")), ids=lambda path: path.stem)
def test_shipped_configurations_are_valid(path: Path) -> None:
    config = load_config(PipelineConfig, path)
    assert config.training().model.architecture in path.stem + " softmod"


def _nested(model: type[Config]) -> Iterator[tuple[str, Config]]:
    """Every settings object that stands as a default in another one."""
    for name, field in model.model_fields.items():
        value = field.get_default(call_default_factory=True)
        if isinstance(value, Config):
            yield f"{model.__name__}.{name}", value
            yield from _nested(type(value))


@pytest.mark.parametrize("model", [PipelineConfig, PruneConfig, QuantizeConfig, PruneSettings, QuantizeSettings])
def test_to_set_one_key_of_a_section_changes_no_other(model: type[Config]) -> None:
    """A section with one key is that key and its type's defaults: these must be what stands without the section."""
    for name, value in _nested(model):
        assert value == type(value)(), name


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.step=3", "did you mean train.steps"),
        ("model.architecture=vgg11", "no architecture 'vgg11'"),
        ("data.train=10", "at least one batch"),
        ("train.lr=0", "greater than 0"),
    ],
)
def test_refusals(config: Path, override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        run_train([str(config), override])
