# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands between a model that arrives and the receiver that runs: every check, the way back, and the trial."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from threading import RLock
from typing import Any

from gr_softmod.hooks.keys import PublicKey
from gr_softmod.hooks.message import Message
from gr_softmod.hooks.seal import COMMANDS, SealError, check_seal
from gr_softmod.hooks.sigmf import write_atomically

#: Raises ValueError, with one sentence, for a model that must not run here.
Check = Callable[[bytes], None]
#: Hands a model to what runs it. Raises to say that it could not.
Install = Callable[[bytes], None]


@dataclass(frozen=True)
class Trial:
    """How a new model proves itself: with fewer than ``floor`` on average, it goes.

    Attributes:
        floor: of the mean of what :meth:`Gate.observe` gets (confidence, or 1 and 0 for CRC success), in [0, 1]; 0: no
            trial.
        observations: before it is judged.
        seconds: after so long it has proved itself.
    """

    floor: float = 0.0
    observations: int = 100
    seconds: float = 60.0

    def __post_init__(self) -> None:
        if not 0 <= self.floor <= 1 or self.observations < 1 or not self.seconds > 0:
            raise ValueError(f"{self}: floor must be in [0, 1], observations at least 1, seconds positive")


@dataclass(frozen=True)
class Verdict:
    """What became of a message; ``reason`` is one sentence for the log, ``status`` and the sender."""

    accepted: bool
    reason: str


class Gate:
    """Accepts models that pass every check; keeps the one before. Thread-safe.

    Args:
        folder: remembers the models and the highest serial over restarts.
        target: "classifier" or "demapper".
        check, install: see above. ``install`` runs under the gate's lock: it must not wait.
        signers: whose models are taken; none: everybody's that can reach the socket.
        trial: of each new model.
        tell: gets the reason of a roll back that nobody asked for.
        clock: seconds.
    Raises:
        OSError, ValueError: the folder cannot be used, or holds something else.
    """

    def __init__(
        self,
        folder: str | Path,
        target: str,
        check: Check,
        install: Install,
        signers: tuple[PublicKey, ...] = (),
        trial: Trial | None = None,
        tell: Callable[[str], None] = lambda reason: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.folder, self.target, self.signers = Path(folder), target, signers
        self._check, self._install, self._tell, self._clock = check, install, tell, clock
        self._trial = trial or Trial()
        self._lock = RLock()
        self._ends, self._sum, self._count = float("-inf"), 0.0, 0
        self.folder.mkdir(parents=True, exist_ok=True)
        self._state = self.folder / f"{target}.json"
        self.serial, self.current, self.previous = -1, "", ""
        if self._state.exists():
            self._load()

    def _load(self) -> None:
        try:
            state = json.loads(self._state.read_text(encoding="utf-8"))
            serial, current, previous = state["serial"], state["current"], state["previous"]
            if type(serial) is not int or not isinstance(current, str) or not isinstance(previous, str):
                raise TypeError
        except (ValueError, KeyError, TypeError):
            raise ValueError(f"{self._state} is damaged: without it, old models could be played again") from None
        self.serial, self.current, self.previous = serial, current, previous

    def resume(self) -> Verdict:
        """Install the model that ran before a restart, where there is one."""
        with self._lock:
            return (
                self._put_back(self.current, "the model of before the restart")
                if self.current
                else Verdict(False, "no model was accepted before")
            )

    def receive(self, message: Message) -> Verdict:
        """Do what a message asks, when it may be done. Never raises for what the message holds."""
        with self._lock:
            try:
                blob = self._admit(message)
                if message.kind == "command":
                    self._remember(serial=int(message.fields["serial"] or 0))
                    return self.roll_back("asked to")
                self._check(blob)
            except (SealError, ValueError) as error:
                return Verdict(False, _sentence(error))
            except Exception as error:  # a checker that fails is a check that failed
                return Verdict(False, f"the check failed: {type(error).__name__}: {_sentence(error)}")
            return self._accept(blob, int(message.fields["serial"] or 0))

    def _admit(self, message: Message) -> bytes:
        if message.kind not in ("model", "command"):
            raise SealError(f"a {message.kind} asks for nothing")
        blob = check_seal(message, self.signers)
        serial = int(message.fields["serial"] or 0)
        if serial <= self.serial:
            raise SealError(f"its serial {serial} is not above {self.serial}: it is an old one")
        if message.kind == "command" and message.fields["command"] not in COMMANDS:
            raise SealError(f"command {message.fields['command']!r} is unknown")
        if message.kind == "model" and message.fields["target"] != self.target:
            raise SealError(f"it is for a {message.fields['target']}, this is a {self.target}")
        return blob

    def _accept(self, blob: bytes, serial: int) -> Verdict:
        name = hashlib.sha256(blob).hexdigest()
        try:
            if name != self.current:
                self._path(name).write_bytes(blob)
            before = self.previous if name == self.current else self.current
            # Remembered before it runs: what was accepted once is never accepted again, whatever stops us here.
            self._remember(serial=serial)
            self._install(blob)
            self._remember(serial=serial, current=name, previous=before)
        except Exception as error:
            return Verdict(False, f"it could not be installed: {_sentence(error)}")
        self._begin_trial()
        self._forget_others()
        return Verdict(True, f"model {name[:12]} runs")

    def _remember(self, serial: int, current: str | None = None, previous: str | None = None) -> None:
        current = self.current if current is None else current
        previous = self.previous if previous is None else previous
        state = {"serial": serial, "current": current, "previous": previous}
        write_atomically(self._state, json.dumps(state) + "\n")
        self.serial, self.current, self.previous = serial, current, previous

    def _forget_others(self) -> None:
        for path in self.folder.glob(f"{self.target}-*.model"):
            if path not in (self._path(self.current), self._path(self.previous)):
                path.unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self.folder / f"{self.target}-{name}.model"

    # -- the way back --------------------------------------------------------------------------------------------------

    def roll_back(self, why: str) -> Verdict:
        """Install the model before this one; it becomes the current one, and there is none before it."""
        with self._lock:
            if not self.previous:
                return Verdict(False, "there is no model before this one")
            verdict = self._put_back(self.previous, f"rolled back ({why}):")
            if verdict.accepted:
                self._remember(self.serial, current=self.previous, previous="")
                self._ends = float("-inf")
            return verdict

    def _put_back(self, name: str, what: str) -> Verdict:
        try:
            blob = self._path(name).read_bytes()
            if hashlib.sha256(blob).hexdigest() != name:
                raise ValueError("its file is damaged")
            self._check(blob)
            self._install(blob)
        except Exception as error:
            return Verdict(False, f"{what} model {name[:12]} could not be installed: {_sentence(error)}")
        return Verdict(True, f"{what} model {name[:12]} runs")

    # -- the trial -----------------------------------------------------------------------------------------------------

    def _begin_trial(self) -> None:
        self._ends, self._sum, self._count = self._clock() + self._trial.seconds, 0.0, 0

    def observe(self, value: float) -> Verdict | None:
        """Note how the model does: its confidence, or 1 and 0 for a CRC that holds or not; returns a roll back."""
        with self._lock:
            if self._trial.floor == 0 or not isfinite(value) or self._clock() > self._ends:
                return None
            self._sum += min(max(value, 0.0), 1.0)
            self._count += 1
            mean = self._sum / self._count
            if self._count < self._trial.observations or mean >= self._trial.floor:
                return None
            self._ends = float("-inf")
            verdict = self.roll_back(f"{mean:.3f} on average over {self._count} is below {self._trial.floor:g}")
            self._tell(verdict.reason)
            return verdict


def _sentence(error: BaseException) -> str:
    text: Any = str(error) or type(error).__name__
    return " ".join(text.split())[:300]
