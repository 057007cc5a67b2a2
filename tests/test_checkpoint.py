# SPDX-License-Identifier: GPL-3.0-or-later
"""Checkpoints: what is written is what is read, and a damaged one is one clear line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from gr_softmod.modem.checkpoint import load_checkpoint, save_checkpoint
from gr_softmod.run_dir import RunDir, RunError


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir.create(tmp_path / "run", {"seed": 0})


def test_round_trip(run: RunDir) -> None:
    assert load_checkpoint(run) is None
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(3))])
    save_checkpoint(run, {"step": 3, "w": torch.arange(4.0), "optimizer": optimizer.state_dict()})
    save_checkpoint(run, {"step": 2}, "best")
    state = load_checkpoint(run)
    assert state is not None and state["step"] == 3 and torch.equal(state["w"], torch.arange(4.0))
    assert load_checkpoint(run, "best") == {"step": 2}


@pytest.mark.parametrize("keep", [0, 10, 200, -20])
def test_a_damaged_checkpoint_is_one_clear_line(run: RunDir, keep: int) -> None:
    save_checkpoint(run, {"w": torch.arange(400.0)})
    whole = (run / "last.pt").read_bytes()
    (run / "last.pt").write_bytes(whole[:keep])
    with pytest.raises(RunError, match=r"last\.pt: damaged checkpoint") as caught:
        load_checkpoint(run)
    assert "\n" not in str(caught.value)


def test_a_checkpoint_of_something_else(run: RunDir) -> None:
    torch.save([1, 2], run / "last.pt")
    with pytest.raises(RunError, match="holds a list"):
        load_checkpoint(run)


def test_a_checkpoint_cannot_run_code(run: RunDir, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "owned"),)

    torch.save({"x": Evil()}, run / "last.pt")
    with pytest.raises(RunError, match="damaged checkpoint"):
        load_checkpoint(run)
    assert not (tmp_path / "owned").exists()
