# SPDX-License-Identifier: GPL-3.0-or-later
"""Out and back as a whole: the page's own commands, and a real classifier between a tap and an updater."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gnuradio import blocks, gr, softmod

from flowgraph import Messages, until
from gr_softmod.hooks.capture import read_records
from gr_softmod.hooks.seal import command_message, model_message
from gr_softmod.hooks.stream import Inlet
from gr_softmod.hooks.swap import push
from gr_softmod.hooks.wire import Message
from gr_softmod.model_file import read

PAGE = Path(__file__).resolve().parents[1] / "docs" / "hooks.md"
LOCAL = "tcp://127.0.0.1:*"
FIELD = Path(softmod.shipped_model("field"))


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def renamed(name: str) -> bytes:
    """The shipped classifier under another name: another hash."""
    return replace(read(FIELD), name=name).to_bytes()


def end(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    process.wait(30)


def test_the_sequence_of_the_page(tmp_path: Path, stack: ExitStack) -> None:
    section = PAGE.read_text().split("## A sequence to run")[1].split("\n## ")[0]
    for number in ("5560", "5561"):
        section = section.replace(number, str(free_port()))
    capture, script, pushes = re.findall(r"```\w*\n(.*?)```", section, re.DOTALL)
    (tmp_path / "tap.py").write_text(script)
    for name, blob in (("classifier", FIELD.read_bytes()), ("better", renamed("better"))):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "model.safetensors").write_bytes(blob)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(str(Path(entry).resolve()) for entry in sys.path)}
    softmod_command = f'softmod() {{ {sys.executable} -m gr_softmod "$@"; }}\nset -e\n'
    common: dict[str, Any] = {"cwd": tmp_path, "env": environment, "text": True}

    captured = subprocess.Popen(["bash", "-c", softmod_command + capture], **common)
    tap = subprocess.Popen([sys.executable, "tap.py"], stdout=subprocess.DEVNULL, **common)
    stack.callback(end, tap)
    stack.callback(end, captured)
    pushed = subprocess.run(["bash", "-c", softmod_command + pushes], capture_output=True, **common)
    assert pushed.returncode == 0, pushed.stderr
    first, second, back = pushed.stdout.splitlines()
    assert first in back and second not in back and first != second
    assert captured.wait(60) == 0
    records = list(read_records(tmp_path / "captures"))
    assert len(records) == 200
    labels = {label.value for record in records if (label := record.message.label())}
    assert labels == {"QPSK"}


class Rig:
    """QPSK for ever, the shipped classifier, a tap and an updater."""

    def __init__(self, folder: Path, stack: ExitStack, **arguments: Any) -> None:
        rng = np.random.default_rng(1)
        symbols = np.repeat(np.exp(0.5j * np.pi * (rng.integers(0, 4, 8192) + 0.5)), 8)
        noise = rng.normal(scale=0.1, size=(len(symbols), 2)) @ [1, 1j]
        self.tb = gr.top_block()
        self.classifier = softmod.modulation_classifier_c(str(FIELD), report_period=4)
        self.tap = softmod.training_tap(LOCAL, 1024, "confidence", threshold=1.0)
        names = self.classifier.class_names()
        self.updater = softmod.model_updater(
            LOCAL, folder=str(folder), class_names=names, frame_length=1024, **arguments
        )
        self.status = Messages()
        source = blocks.vector_source_c((symbols + noise).astype(np.complex64).tolist(), True)
        throttle = blocks.throttle(gr.sizeof_gr_complex, 500e3)
        self.tb.connect(source, throttle, self.classifier)
        self.tb.connect(throttle, self.tap)
        self.tb.msg_connect(self.classifier, "classification", self.tap, "classification")
        self.tb.msg_connect(self.classifier, "classification", self.updater, "classification")
        self.tb.msg_connect(self.updater, "model", self.classifier, "model")
        self.tb.msg_connect(self.updater, "status", self.status, "in")
        self.inlet = Inlet(self.tap.address())
        self.throttle = throttle
        self.tb.start()
        for close in (self.updater.close, self.tap.close, self.inlet.close, self.stop):
            stack.callback(close)

    def stop(self) -> None:
        self.tb.stop()
        self.tb.wait()

    def push(self, blob: bytes, serial: int) -> Any:
        return push(self.updater.address(), model_message(blob, "classifier", serial))

    def window_of(self, model_hash: str) -> Message:
        """The next window whose label that model gave."""
        found: list[Message] = []

        def came() -> bool:
            message = self.inlet.receive(0.05)
            if message is not None and message.model_hash == model_hash:
                found.append(message)
            return bool(found)

        until(came)
        return found[0]


def test_a_real_classifier_between_tap_and_updater(tmp_path: Path, stack: ExitStack) -> None:
    rig = Rig(tmp_path, stack)
    old, better = FIELD.read_bytes(), renamed("better")
    window = rig.window_of(read(old).hash)
    assert window.label().source == "classifier" and window.fields["policy"] == "confidence"
    assert window.label().value in rig.classifier.class_names() and len(window.arrays["iq"]) == 1024

    other = Path(softmod.shipped_model("radioml2018")).read_bytes()
    for serial, (blob, word) in enumerate(((other, "classes"), (better[:-1], "model:"))):
        verdict = rig.push(blob, serial)
        assert not verdict.accepted and word in verdict.reason
    assert rig.classifier.model() == read(old).hash

    assert rig.push(old, 10).accepted and rig.push(better, 11).accepted
    until(lambda: rig.classifier.model() == read(better).hash)
    rig.window_of(read(better).hash)
    assert push(rig.updater.address(), command_message("rollback", 12)).accepted
    until(lambda: rig.classifier.model() == read(old).hash)
    rig.stop()
    counts = rig.classifier.counts()
    assert counts["skipped"] == counts["invalid"] == 0
    assert 0 <= rig.throttle.nitems_written(0) - 1024 * counts["classified"] < 16 * 1024  # what it had not taken yet


def test_a_real_classifier_that_is_unsure_is_rolled_back(tmp_path: Path, stack: ExitStack) -> None:
    """A model whose temperature is a thousand is unsure of everything."""
    rig = Rig(tmp_path, stack, floor=0.2, observations=8)
    old, unsure = FIELD.read_bytes(), replace(read(FIELD), temperature=1000.0).to_bytes()
    assert rig.push(old, 1).accepted and rig.push(unsure, 2).accepted
    until(lambda: any("below 0.2" in str(said["reason"]) for said in rig.status.received))
    until(lambda: rig.classifier.model() == read(old).hash)
