# SPDX-License-Identifier: GPL-3.0-or-later
"""Small configurations and runs that the classifier's tests share."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from gr_softmod.classifier.config import TrainConfig
from gr_softmod.config import load_config

#: Three classes that a few steps tell apart, and one network of every part.
DATA: dict[str, Any] = {
    "class_names": ["BPSK", "FM", "AM-SSB-SC"],
    "snr_db": [10, 30, 10],
    "frame_length": 256,
    "train": 1024,
    "validation": 512,
    "test": 512,
}
MODEL: dict[str, Any] = {
    "architecture": "softmod",
    "arguments": {"channels": [4, 6], "kernels": [8, 5], "strides": [8, 2], "expert": 6, "head": 6},
}
FIT: dict[str, Any] = {"steps": 12, "batch": 64, "lr": 0.01, "log_every": 3, "validate_every": 4}


def small_config(store: Path, **changes: Any) -> TrainConfig:
    """A training of a second; ``changes`` are merged into its sections."""
    given: dict[str, Any] = {"data": {**DATA, "store": str(store)}, "model": MODEL, "train": FIT}
    for key, value in changes.items():
        given[key] = {**given[key], **value} if isinstance(value, dict) else value
    return load_config(TrainConfig, given)


#: Before a worker's own lines: what runs last at its exit notes which threads of gloo would outlive the interpreter.
_NOTE_THREADS = """
import atexit, os
from pathlib import Path
def _note(told=Path(__file__).with_name("threads-" + os.environ["RANK"])):
    names = [(task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()]
    told.write_text(" ".join(n for n in names if "gloo" in n))
atexit.register(_note)
"""


def two_processes(folder: Path, worker: str, *arguments: str) -> None:
    """Run the lines ``worker`` with ``sys.argv[1:] = arguments`` in two processes, which must end cleanly.

    A thread of gloo that is there when the interpreter goes may wait for its lock, and is ended there by an abort:
    seldom, so that threads are looked for and not aborts.
    """
    folder.mkdir(parents=True, exist_ok=True)
    script = folder / "worker.py"
    script.write_text(_NOTE_THREADS + worker)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    subprocess.run([*launch, *arguments], check=True, env=environment, timeout=300)
    assert [(folder / f"threads-{rank}").read_text() for rank in range(2)] == ["", ""]
