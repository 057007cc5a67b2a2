# SPDX-License-Identifier: GPL-3.0-or-later
"""Models into a running receiver: every check, the way back, the trial, and attackers."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq

from gr_softmod.classifier.graph import Graph, Node
from gr_softmod.classifier.random_model import random_model
from gr_softmod.hooks import verbs
from gr_softmod.hooks.endpoint import Security
from gr_softmod.hooks.gate import Gate, Trial
from gr_softmod.hooks.keys import SecretKey, make_keys
from gr_softmod.hooks.message import Limits, Message, WireError
from gr_softmod.hooks.model_check import classifier_check
from gr_softmod.hooks.seal import command_message, model_message, sealed_file
from gr_softmod.hooks.swap import Receiver, Server, push
from gr_softmod.hooks.wire import encode
from gr_softmod.model_file import read

LOCAL = "tcp://127.0.0.1:*"


class Rig:
    """A gate whose models are bytes; those that begin with "bad" do not pass."""

    def __init__(self, folder: Path, **more: Any) -> None:
        self.ran: list[bytes] = []
        self.now = 0.0
        self.told: list[str] = []
        self.fails = False
        more.setdefault("check", self.check)
        self.gate = Gate(
            folder, "classifier", install=self.install, clock=lambda: self.now, tell=self.told.append, **more
        )

    def check(self, blob: bytes) -> None:
        if blob.startswith(b"bad"):
            raise ValueError("it is bad")
        if blob.startswith(b"crash"):
            raise RuntimeError("the checker\nbroke")

    def install(self, blob: bytes) -> None:
        if self.fails:
            raise RuntimeError("no room")
        self.ran.append(blob)

    def offer(self, blob: bytes, serial: int, key: SecretKey | None = None, **changes: Any) -> tuple[bool, str]:
        message = model_message(blob, "classifier", serial, key)
        verdict = self.gate.receive(replace(message, **changes))
        return verdict.accepted, verdict.reason


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, SecretKey]:
    folder = tmp_path_factory.mktemp("keys")
    return {name: make_keys(folder, name) for name in ("radio", "trainer", "foe")}


# -- the gate ----------------------------------------------------------------------------------------------------------


def test_a_model_runs_and_a_bad_one_changes_nothing(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    assert rig.offer(b"one", 1) == (True, f"model {rig.gate.current[:12]} runs")
    for blob, word in ((b"bad", "it is bad"), (b"crash", "the checker broke")):
        accepted, reason = rig.offer(blob, 2)
        assert not accepted and word in reason and "\n" not in reason
    rig.fails = True
    assert "no room" in rig.offer(b"two", 3)[1]
    rig.fails = False
    assert rig.ran == [b"one"] and rig.gate.previous == ""
    assert not rig.offer(b"three", 3)[0]  # that serial is used up, installed or not
    assert rig.offer(b"three", 4)[0] and rig.ran == [b"one", b"three"]


@pytest.mark.parametrize(
    ("changes", "word"),
    [({"model_hash": "00" * 32}, "SHA-256"), ({"arrays": {"model": np.frombuffer(b"onf", np.uint8)}}, "SHA-256"),
     ({"fields": {"target": "demapper", "serial": 1}}, "for a demapper"),
     ({"fields": {"target": "classifier", "serial": 0}}, "old one")],
)  # fmt: skip
def test_what_the_gate_refuses(tmp_path: Path, changes: dict[str, Any], word: str) -> None:
    rig = Rig(tmp_path)
    assert rig.offer(b"zero", 0)[0]
    accepted, reason = rig.offer(b"one", 1, **changes)
    assert not accepted and word in reason and rig.ran == [b"zero"]
    assert not rig.gate.receive(Message("hello", 0, fields={"role": "x"})).accepted


def test_an_old_model_is_not_played_again_even_after_a_restart(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    assert rig.offer(b"old", 5)[0] and rig.offer(b"new", 6)[0]
    assert not rig.offer(b"old", 5)[0] and not rig.offer(b"new", 6)[0]
    again = Rig(tmp_path)
    assert again.gate.resume().accepted and again.ran == [b"new"]
    assert not again.offer(b"old", 5)[0] and again.gate.roll_back("asked to").accepted
    assert again.ran == [b"new", b"old"]
    state = tmp_path / "classifier.json"
    for text in ("", "{}", '{"serial": "6", "current": "", "previous": ""}', "[]"):
        state.write_text(text)
        with pytest.raises(ValueError, match="played again"):
            Rig(tmp_path)


def test_roll_back_brings_the_model_before_once(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    assert not rig.gate.roll_back("asked to").accepted
    for serial, blob in enumerate((b"one", b"two", b"three")):
        assert rig.offer(blob, serial)[0]
    assert rig.gate.receive(command_message("rollback", 9)).accepted
    assert rig.ran[-1] == b"two" and not rig.gate.roll_back("asked to").accepted
    assert not rig.gate.receive(command_message("rollback", 9)).accepted  # nor is a command played again
    assert rig.offer(b"four", 10)[0] and rig.gate.roll_back("asked to").accepted and rig.ran[-1] == b"two"
    assert len(list(tmp_path.glob("*.model"))) <= 2


def test_a_damaged_file_of_the_model_before_is_not_run(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    assert rig.offer(b"one", 1)[0] and rig.offer(b"two", 2)[0]
    (tmp_path / f"classifier-{rig.gate.previous}.model").write_bytes(b"onf")
    verdict = rig.gate.roll_back("asked to")
    assert not verdict.accepted and "damaged" in verdict.reason and rig.ran == [b"one", b"two"]


def test_the_trial(tmp_path: Path) -> None:
    rig = Rig(tmp_path, trial=Trial(floor=0.6, observations=10, seconds=60))
    assert rig.offer(b"one", 1)[0] and rig.offer(b"two", 2)[0]
    assert [rig.gate.observe(0.9) for _ in range(5)] == [None] * 5
    assert [rig.gate.observe(0.0) for _ in range(4)] == [None] * 4  # below the floor, but too few yet
    verdict = rig.gate.observe(0.0)
    assert verdict is not None and verdict.accepted and rig.ran[-1] == b"one" and "0.450" in rig.told[0]
    assert [rig.gate.observe(0.0) for _ in range(50)] == [None] * 50  # that one was on trial before
    assert rig.offer(b"three", 3)[0]
    rig.now = 61
    assert [rig.gate.observe(0.0) for _ in range(50)] == [None] * 50  # it has proved itself
    assert rig.offer(b"four", 4)[0]
    assert [rig.gate.observe(value) for value in (float("nan"), *[0.7] * 50)] == [None] * 51
    for wrong in ({"floor": 2}, {"observations": 0}, {"seconds": 0}):
        with pytest.raises(ValueError, match="Trial"):
            Trial(**wrong)


def test_only_signed_models_of_those_on_the_list(tmp_path: Path, keys: dict[str, SecretKey]) -> None:
    trainer, foe = keys["trainer"], keys["foe"]
    rig = Rig(tmp_path, signers=(trainer.public,))
    assert "not signed" in rig.offer(b"one", 1)[1]
    assert "allow-list" in rig.offer(b"one", 1, foe)[1]
    good = dict(model_message(b"one", "classifier", 1, trainer).fields)
    other = model_message(b"two", "classifier", 1, trainer).fields["signature"]
    for change in (
        {"serial": 2}, {"signature": other}, {"signature": "00" * 64}, {"signature": ""}, {"signature": "zz"},
        {"signer": foe.public.ed25519}, {"signer": "", "signature": foe.sign(b"")},
    ):  # fmt: skip
        assert not rig.offer(b"one", 1, fields=good | change)[0]
    forged = model_message(b"one", "classifier", 1, foe).fields["signature"]
    assert "does not hold" in rig.offer(b"one", 1, fields=good | {"signature": forged})[1]
    assert not rig.gate.receive(command_message("rollback", 2)).accepted
    assert rig.ran == [] and rig.offer(b"one", 1, trainer)[0]


# -- what a model must be ----------------------------------------------------------------------------------------------


@cache
def model(seed: int = 0, names: tuple[str, ...] = ("BPSK", "QPSK", "8PSK"), parity: bool = True) -> bytes:
    nodes = (
        Node("iq", "in"), Node("conv", "c1", ("in",), channels=4, kernel=3, stride=4, activation="relu"),
        Node("global_avg_pool", "pool", ("c1",)), Node("dense", "out", ("pool",), channels=len(names)),
    )  # fmt: skip
    return random_model(Graph(nodes, 64, names), 8, seed, parity=parity).to_bytes()


def test_a_classifier_is_checked_and_run(tmp_path: Path) -> None:
    rig = Rig(tmp_path, check=classifier_check(("BPSK", "QPSK", "8PSK"), 64))
    assert rig.offer(model(), 1) == (True, f"model {rig.gate.current[:12]} runs")
    for blob, word in (
        (b"", "model"), (model()[:-5], "model"), (model(names=("BPSK", "8PSK", "QPSK")), "classes"),
        (model(parity=False), "parity"), (model().replace(rb'\"conventions\":1', rb'\"conventions\":9'), "conventions"),
    ):  # fmt: skip
        accepted, reason = rig.offer(blob, 2)
        assert not accepted and word in reason, reason
    other = read(model(1))
    lies = replace(read(model()), parity_logits=other.parity_logits).to_bytes()
    assert "on this machine" in rig.offer(lies, 2)[1]
    shorter = classifier_check((), 32)
    with pytest.raises(ValueError, match="64 samples"):
        shorter(model())
    assert len(rig.ran) == 1


def test_every_flipped_byte_of_a_model_is_found() -> None:
    check, blob = classifier_check(), model()
    for at in np.random.default_rng(0).integers(0, len(blob), 100):
        broken = bytearray(blob)
        broken[at] ^= 1
        with pytest.raises(ValueError):
            check(bytes(broken))


# -- over the network --------------------------------------------------------------------------------------------------


class Running:
    """A receiver in a thread, as in the block."""

    def __init__(self, rig: Rig, address: str = LOCAL, security: Security | None = None, **more: Any) -> None:
        self.receiver = Receiver(rig.gate, address, security, **more)
        self.address, self.verdicts, self.done = self.receiver.address, [], threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self) -> None:
        while not self.done.is_set():
            verdict = self.receiver.step(0.02)
            if verdict:
                self.verdicts.append(verdict)

    def close(self) -> None:
        self.done.set()
        self.thread.join()
        self.receiver.close()


def test_push_and_its_answer(tmp_path: Path, stack: ExitStack) -> None:
    rig = Rig(tmp_path / "state")
    running = stack.enter_context(closing(Running(rig)))
    path = tmp_path / "model"
    for blob, match in ((b"one", None), (b"bad one", "it is bad"), (b"two", None)):
        path.write_bytes(blob)
        if match:
            with pytest.raises(ValueError, match=match):
                verbs.push(running.address, path, False, "classifier", None, None, 20)
        else:
            assert "runs" in verbs.push(running.address, path, False, "classifier", None, None, 20)
    assert "rolled back" in verbs.push(running.address, None, True, "classifier", None, None, 20)
    assert rig.ran == [b"one", b"two", b"one"]
    for wrong in ((None, False), (path, True)):
        with pytest.raises(ValueError, match="--rollback"):
            verbs.push(running.address, *wrong, "classifier", None, None, 20)
    with pytest.raises(ValueError, match="target"):
        model_message(b"", "toaster", 1)


def test_attackers_change_nothing_and_hold_nothing_up(tmp_path: Path, stack: ExitStack) -> None:
    rig = Rig(tmp_path)
    limits = Limits(part_bytes=1 << 16, arrays=1)
    running = stack.enter_context(closing(Running(rig, limits=limits, handshake_ms=200, stall_ms=400)))
    host, port = running.address.removeprefix("tcp://").split(":")
    greeting = b"\xff" + bytes(8) + b"\x7f\x03\x01NULL" + bytes(16) + b"\x00" + bytes(31)
    ready = b"\x04\x26\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER\x08Identity\x00\x00\x00\x00"
    loris = []
    for data in (
        b"",
        b"\xff",
        greeting[:20],
        greeting,
        greeting + ready + b"\x02" + (60000).to_bytes(8, "big") + b"SM",
    ):
        raw = stack.enter_context(socket.create_connection((host, int(port))))
        raw.sendall(data)  # and the rest never comes
        loris.append(raw)
    context = zmq.Context()
    stack.callback(context.term)
    rude = context.socket(zmq.DEALER)
    stack.callback(rude.close, 0)
    rude.connect(running.address)
    good = [bytes(part) for part in encode(model_message(b"one", "classifier", 1))]
    tampered = [*good[:-1], b"onf"]
    for parts in ([b""], [b"x"] * 20, good[:2], tampered, [*good, b""], [b"SMOD" + bytes(4), b"{}"]):
        rude.send_multipart(parts)
    fat = context.socket(zmq.DEALER)
    stack.callback(fat.close, 0)
    fat.connect(running.address)
    fat.send_multipart([good[0], good[1], bytes(1 << 17)])
    assert push(running.address, model_message(b"one", "classifier", 1), timeout=30).accepted
    assert rig.ran == [b"one"]
    for raw in loris:  # each is cut off in the end
        raw.settimeout(30)
        try:
            while raw.recv(4096):
                pass
        except ConnectionResetError:
            pass
    assert push(running.address, model_message(b"two", "classifier", 2), timeout=30).accepted


def test_without_the_right_key_nothing_is_accepted(
    tmp_path: Path, stack: ExitStack, keys: dict[str, SecretKey]
) -> None:
    radio, trainer, foe = keys["radio"], keys["trainer"], keys["foe"]
    rig = Rig(tmp_path, signers=(trainer.public,))
    running = stack.enter_context(closing(Running(rig, LOCAL, Security(radio, (trainer.public,)))))
    message = model_message(b"one", "classifier", 1, trainer)  # even with a good signature
    for security in (
        None, Security(foe, (radio.public,)), Security(trainer, (foe.public,)),
        Security(replace(foe, public=trainer.public), (radio.public,)),
    ):  # fmt: skip
        with pytest.raises(OSError, match="did not answer"):
            push(running.address, message, security, timeout=0.4)
    trusted = Security(trainer, (radio.public,))
    for wrong in (model_message(b"one", "classifier", 1), model_message(b"one", "classifier", 1, foe)):
        assert not push(running.address, wrong, trusted).accepted
    assert rig.ran == []
    assert push(running.address, message, trusted).accepted and rig.ran == [b"one"]
    assert "old one" in push(running.address, message, trusted).reason
    with pytest.raises(ValueError, match="signed"):
        Receiver(Rig(tmp_path / "other").gate, LOCAL, Security(radio, (trainer.public,)))
    with pytest.raises(ValueError, match="key"):
        Receiver(rig.gate, "tcp://0.0.0.0:*")


def test_a_message_too_large_to_send_is_refused_here(tmp_path: Path) -> None:
    with pytest.raises(WireError, match="model"):
        push("tcp://127.0.0.1:9", model_message(bytes((1 << 26) + 1), "classifier", 1))


def pump(server: Server, receiver: Receiver, rounds: int = 400) -> list[str]:
    """Until both are quiet."""
    verdicts: list[str] = []
    quiet = 0
    for _ in range(rounds):
        server.scan()
        server.step(0.005)
        verdict = receiver.step(0.005)
        quiet = 0 if verdict else quiet + 1
        verdicts += [verdict.reason] if verdict else []
        if quiet > 60 and verdicts:
            break
    return verdicts


@pytest.mark.parametrize("secure", [False, True])
def test_a_server_offers_the_newest_first_and_older_ones_where_it_is_refused(
    tmp_path: Path, stack: ExitStack, keys: dict[str, SecretKey], secure: bool
) -> None:
    folder = tmp_path / "served"
    folder.mkdir()
    for age, (name, blob) in enumerate((("a", b"one"), ("b", b"two"), ("c", b"bad three"))):
        (folder / f"{name}.safetensors").write_bytes(blob)
        os.utime(folder / f"{name}.safetensors", (1000 + age, 1000 + age))
    (folder / "notes.txt").write_text("not a model")
    radio, trainer = keys["radio"], keys["trainer"]
    told: list[str] = []
    server = Server(
        folder, LOCAL, Security(trainer, (radio.public,)) if secure else None, key=trainer if secure else None,
        tell=told.append,
    )  # fmt: skip
    stack.callback(server.close)
    rig = Rig(tmp_path / "state", signers=(trainer.public,) if secure else ())
    receiver = Receiver(rig.gate, server.address, Security(radio, (trainer.public,)) if secure else None, serve=True)
    stack.callback(receiver.close)
    verdicts = pump(server, receiver)
    assert [word in reason for word, reason in zip(("bad", "runs"), verdicts, strict=True)] == [True, True]
    assert rig.ran == [b"two"] and server.count == 3 and told[0].startswith("refused") and "accepted" in told[1]
    (folder / "d.safetensors").write_bytes(b"four")
    pump(server, receiver)
    assert rig.ran == [b"two", b"four"]
    (folder / "d.safetensors").unlink()
    server.scan()
    assert server.count == 3
    # A server that comes again seals nothing anew, and a receiver that comes again takes nothing twice.
    seal = json.loads((folder / "b.safetensors.seal").read_text())
    assert (
        sealed_file(folder / "b.safetensors", "classifier", trainer if secure else None, 0).fields["serial"]
        == seal["serial"]
    )
    with pytest.raises(NotADirectoryError):
        Server(tmp_path / "absent", LOCAL)
