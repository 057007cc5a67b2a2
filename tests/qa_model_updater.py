# SPDX-License-Identifier: GPL-3.0-or-later
"""model_updater in a flowgraph: models that pass become messages, others a reason on status."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pmt
import pytest
from gnuradio import gr, softmod

from flowgraph import Messages, until
from gr_softmod.hooks.seal import model_message
from gr_softmod.hooks.swap import push
from test_hooks_swap import model

LOCAL = "tcp://127.0.0.1:*"


class Rig:
    def __init__(self, folder: Path, **arguments: Any) -> None:
        self.tb = gr.top_block()
        self.updater = softmod.model_updater(LOCAL, folder=str(folder), **arguments)
        self.models, self.status = Messages(), Messages()
        self.tb.msg_connect(self.updater, "model", self.models, "in")
        self.tb.msg_connect(self.updater, "status", self.status, "in")
        self.tb.start()

    def post(self, port: str, message: Any) -> None:
        self.updater._post(pmt.intern(port), message)

    def blobs(self) -> list[bytes]:
        for key, _ in self.models.received:
            assert key == "model"
        return [np.asarray(blob, np.uint8).tobytes() for _, blob in self.models.received]

    def close(self) -> None:
        self.tb.stop()
        self.tb.wait()
        self.updater.close()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Any]:
    made: list[Rig] = []

    def make(**arguments: Any) -> Rig:
        made.append(Rig(tmp_path / "models", **arguments))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_models_are_handed_on_and_refused_and_come_back(rig: Any) -> None:
    r = rig(class_names=("BPSK", "QPSK", "8PSK"), frame_length=64)
    one, two = model(0), model(1)
    assert push(r.updater.address(), model_message(one, "classifier", 1)).accepted
    refused = push(r.updater.address(), model_message(two[:-1], "classifier", 2))
    assert not refused.accepted
    assert push(r.updater.address(), model_message(two, "classifier", 3)).accepted
    until(lambda: len(r.status.received) == 3)  # the sender hears of a verdict before the flowgraph does
    r.post("command", pmt.from_long(3))
    r.post("command", pmt.intern("rollback"))
    until(lambda: len(r.models.received) == 3 and len(r.status.received) >= 5)
    assert r.blobs() == [one, two, one]
    severities = [said["severity"] for said in r.status.received]
    assert severities == ["info", "warning", "info", "warning", "info"]
    assert r.status.received[1]["reason"] == refused.reason


@pytest.mark.parametrize("port", ["classification", "crc"])
def test_a_new_model_that_does_badly_is_rolled_back(rig: Any, port: str) -> None:
    r = rig(floor=0.5, observations=10)
    one, two = model(0), model(1)
    for serial, blob in enumerate((one, two)):
        assert push(r.updater.address(), model_message(blob, "classifier", serial)).accepted
    bad = pmt.to_pmt({"probability": 0.1, "class": "QPSK"}) if port == "classification" else pmt.PMT_F
    for message in (pmt.PMT_NIL, pmt.intern("x"), pmt.to_pmt({"probability": "x"}), *[bad] * 10):
        r.post(port, message)
    until(lambda: len(r.models.received) == 3)
    assert r.blobs() == [one, two, one]
    until(lambda: "below 0.5" in str(r.status.received[-1]["reason"]))


def test_the_model_of_before_a_restart_is_installed(rig: Any) -> None:
    first = rig()
    assert push(first.updater.address(), model_message(model(), "classifier", 1)).accepted
    first.close()
    second = Rig(first.updater.gate.folder)
    try:
        until(lambda: len(second.models.received) == 1)
        assert second.blobs() == [model()]
    finally:
        second.close()


@pytest.mark.parametrize(
    ("arguments", "match"),
    [({"address": "tcp://0.0.0.0:*"}, "key"), ({"target": "toaster"}, "target"), ({"floor": 2}, "floor"),
     ({"key": "x"}, "go together"), ({"observations": 0}, "observations")],
)  # fmt: skip
def test_arguments_are_checked(tmp_path: Path, arguments: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        softmod.model_updater(**{"address": LOCAL, "folder": str(tmp_path)} | arguments)
