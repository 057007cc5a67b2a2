# SPDX-License-Identifier: GPL-3.0-or-later
"""Configurations and run directories: every mistake is one clear line, every file is whole."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from gr_softmod.config import (
    SHIPPED,
    Config,
    ConfigError,
    Grid,
    dump_yaml,
    find_config,
    is_override,
    load_config,
    parse_override,
    read_yaml,
)
from gr_softmod.run_dir import RunDir, RunError, machine, replacing


class Train(Config):
    lr: float = Field(1e-3, gt=0)
    steps: int = 100


class Example(Config):
    name: str = "x"
    ebn0_db: Grid = [0.0]
    seed: int = Field(0, ge=0)
    train: Train = Train()
    limit: int | None = None


# ---- configurations


def test_defaults_and_overrides() -> None:
    config = load_config(Example, {"name": "a"}, ["train.lr=1e-2", "seed=3", "limit=7"])
    assert (config.name, config.train.lr, config.seed, config.limit, config.train.steps) == ("a", 0.01, 3, 7, 100)


def test_overrides_leave_their_input_alone() -> None:
    data = {"train": {"lr": 0.5}}
    assert load_config(Example, data, ["train.steps=3"]).train == Train(lr=0.5, steps=3)
    assert data == {"train": {"lr": 0.5}}


@pytest.mark.parametrize(
    ("written", "grid"),
    [
        ("10:18.4:1.2", [10, 11.2, 12.4, 13.6, 14.8, 16, 17.2, 18.4]),
        ("0:0:1", [0]),
        ("0:1:0.3", [0, 0.3, 0.6, 0.9]),
        ("4.5", [4.5]),
        ("[1, 2.5]", [1, 2.5]),
        ("-3:3:3", [-3, 0, 3]),
    ],
)
def test_grid(written: str, grid: list[float]) -> None:
    assert load_config(Example, None, [f"ebn0_db={written}"]).ebn0_db == grid


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("nmae=b", "nmae: unknown key; did you mean name?"),
        ("train.learning=1", "train.learning: unknown key; known: train.lr, train.steps"),
        ("train.stps=1", "train.stps: unknown key; did you mean train.steps?"),
        ("lr=1", "lr: unknown key; did you mean train.lr?"),
        ("seed=-1", "seed: must be greater than or equal to 0, not -1"),
        ("seed=many", "seed: must be a valid integer, unable to parse string as an integer, not 'many'"),
        ("train.lr=0", "train.lr: must be greater than 0, not 0"),
        ("train.lr=.nan", "train.lr: must be a finite number, not nan"),
        ("ebn0_db=1:2", "ebn0_db: '1:2' is not start:stop:step with start <= stop and step > 0"),
        ("ebn0_db=5:2:1", "ebn0_db: '5:2:1' is not start:stop:step with start <= stop and step > 0"),
        ("ebn0_db=a:b:c", "ebn0_db: 'a:b:c' is not a number, a list of numbers or start:stop:step"),
        ("ebn0_db=[]", "ebn0_db: "),
        ("name=[", "name=[, line 1: not valid YAML"),
        ("seed", "'seed' is not key=value (nested keys with dots: train.lr=1e-3)"),
    ],
)
def test_a_mistake_is_one_clear_line(override: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(Example, None, [override])
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seed: 1\nseed: 2\n", "line 2: not valid YAML: key 'seed' is given twice"),
        ("- 1\n", "holds a list, not keys and values"),
        ("a: [1\n", "not valid YAML"),
        ("seed: 1\nlimits: 3\n", "limits: unknown key; did you mean limit?"),
    ],
)
def test_a_bad_file_names_itself(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=str(file)) as caught:
        load_config(Example, file)
    assert message in str(caught.value)


def test_an_absent_file_lists_what_is_shipped() -> None:
    with pytest.raises(ConfigError, match="no such configuration"):
        load_config(Example, "no_such_thing.yaml")


def test_an_empty_file_is_all_defaults(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("")
    assert load_config(Example, tmp_path / "empty.yaml") == Example()


def test_shipped_configurations_are_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for path in SHIPPED.glob("*.yaml"):
        for name in (f"configs/{path.name}", path.name, path.stem):
            assert find_config(name).resolve() == path.resolve()


@pytest.mark.parametrize(
    ("argument", "answer"),
    [("a=1", True), ("a.b=x=y", True), ("configs/a=1.yaml", False), ("a.yaml", False), ("=1", False), ("a b=1", False)],
)
def test_is_override(argument: str, answer: bool) -> None:
    assert is_override(argument) is answer


@given(
    value=st.floats(allow_nan=False, allow_infinity=False)
    | st.integers()
    | st.booleans()
    | st.none()
    | st.text()
    | st.from_regex(r"\A[-+.0-9eE_:]{1,6}\Z")
)
def test_what_yaml_writes_is_what_is_read(tmp_path_factory: pytest.TempPathFactory, value: object) -> None:
    file = tmp_path_factory.getbasetemp() / "value.yaml"
    with open(file, "w", encoding="utf-8") as out:
        dump_yaml({"value": value}, out)
    assert read_yaml(file) == {"value": value}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("010", "010"),
        ("1:30", "1:30"),
        ("-5", -5),
        (".5", 0.5),
        ("2.", 2.0),
        ("+1E2", 100.0),
        ("-.inf", -math.inf),
    ],
)
def test_numbers_are_those_of_yaml_1_2(text: str, value: object) -> None:
    _, read = parse_override(f"x={text}")
    assert read == value and type(read) is type(value)


# ---- run directories


def test_a_run_can_be_taken_up_again(tmp_path: Path) -> None:
    config = Example(name="a", ebn0_db=[1, 2.5])
    run = RunDir.create(tmp_path / "r", config)
    assert load_config(Example, run.config) == config
    assert RunDir.create(tmp_path / "r", config).path == run.path
    with pytest.raises(RunError, match=r"another configuration \(train.lr\)"):
        RunDir.create(tmp_path / "r", Example(name="a", ebn0_db=[1, 2.5], train=Train(lr=2)))


def test_some_keys_may_change(tmp_path: Path) -> None:
    RunDir.create(tmp_path / "r", Example(seed=1, limit=2))
    with pytest.raises(RunError, match=r"\(limit\)"):
        RunDir.create(tmp_path / "r", Example(seed=1, limit=3), may_change=("seed",))
    run = RunDir.create(tmp_path / "r", Example(seed=1, limit=3), may_change=("limit",))
    assert run.config["limit"] == 3


def test_not_a_run_directory(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="not a run directory"):
        RunDir(tmp_path)
    (tmp_path / "config.yaml").write_text("a: [")
    with pytest.raises(RunError, match="not valid YAML"):
        RunDir(tmp_path).config  # noqa: B018


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir.create(tmp_path / "run", Example())


def test_log_keeps_order_and_rewinds(run: RunDir) -> None:
    assert run.read_log() == []
    for step in range(5):
        run.log(step=np.int64(step), loss=np.float32(0.5), bad=float("nan"))
    assert [record["step"] for record in run.read_log()] == [0, 1, 2, 3, 4]
    assert run.read_log()[0] == {"step": 0, "loss": 0.5, "bad": None}
    run.rewind_log(2)
    run.log(step=9)
    assert [record["step"] for record in run.read_log()] == [0, 1, 9]


def test_a_log_cut_short_loses_its_last_line_alone(run: RunDir) -> None:
    run.log(step=0)
    with open(run / "log.jsonl", "a") as file:
        file.write('{"step": 1, "lo')
    assert run.read_log() == [{"step": 0}]
    run.rewind_log(1)
    run.log(step=1)
    assert run.read_log() == [{"step": 0}, {"step": 1}]
    (run / "log.jsonl").write_text("{}\nxx\n{}\n")
    with pytest.raises(RunError, match="line 2 is not JSON"):
        run.read_log()


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(data=JSON_VALUES)
def test_json_returns_what_went_in(tmp_path_factory: pytest.TempPathFactory, data: object) -> None:
    run = RunDir.create(tmp_path_factory.getbasetemp() / "json", Example())
    run.write_json("eval.json", data)
    assert run.read_json("eval.json") == data


def test_damaged_json(run: RunDir) -> None:
    with pytest.raises(RunError, match="no such file"):
        run.read_json("eval.json")
    (run / "eval.json").write_text('{"a": ')
    with pytest.raises(RunError, match="damaged"):
        run.read_json("eval.json")


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "f.txt"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError), replacing(target) as file:
        file.write("half")
        raise ZeroDivisionError
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["f.txt"]


def test_no_torch_is_needed(tmp_path: Path) -> None:
    script = (
        "import sys; sys.modules['torch'] = None\n"
        "from gr_softmod.run_dir import RunDir, machine\n"
        f"run = RunDir.create({str(tmp_path / 'r')!r}, {{'a': 1}}); run.log(x=1)\n"
        f"run.write_json('eval.json', machine())\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
    assert json.loads((tmp_path / "r" / "eval.json").read_text())["python"] == machine()["python"]
    assert yaml.safe_load((tmp_path / "r" / "config.yaml").read_text()) == {"a": 1}
