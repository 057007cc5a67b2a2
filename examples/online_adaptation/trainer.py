# SPDX-License-Identifier: GPL-3.0-or-later
"""Learns from what ``softmod capture`` writes, and puts better models where ``softmod serve`` finds them.

    python trainer.py SETTINGS [--start]

With ``--start`` it makes the models that the radio begins with, and ends. Otherwise it goes on until it is told to end
(SIGTERM): whenever so many new records are there, it learns from the latest ones, and a model that does better on
those of them that it has not learnt from is put into the folder. Prints a line of JSON a round.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import torch
from classifier_trainer import ClassifierTrainer
from demapper_trainer import DemapperTrainer
from settings import Settings

from gr_softmod.hooks.capture import read_records
from gr_softmod.hooks.segment import Record

Trainer = DemapperTrainer | ClassifierTrainer
#: Records that a round learns from, in rounds' worth of new ones.
REMEMBERED = 1.5


def trainers(settings: Settings) -> list[Trainer]:
    return [DemapperTrainer(settings), *([ClassifierTrainer(settings)] if settings.classifier else [])]


def make_start(settings: Settings) -> None:
    """The models to begin with, and the trainers' own state."""
    folder = Path(settings.out) / "start"
    folder.mkdir(parents=True, exist_ok=True)
    for trainer in trainers(settings):
        trainer.start(settings.start_steps).write(folder / f"{trainer.target}.safetensors")
        trainer.save(folder / f"{trainer.target}.pt")


class Rounds:
    """One trainer, its captures, and its folder of models."""

    def __init__(self, trainer: Trainer, settings: Settings) -> None:
        self._trainer, self._out = trainer, Path(settings.out)
        trainer.load(self._out / "start" / f"{trainer.target}.pt")
        self._models = self._out / "models" / trainer.target
        self._models.mkdir(parents=True, exist_ok=True)
        self._wanted = settings.records if trainer.target == "demapper" else settings.classifier_records
        self._number, self._last = 0, -1

    def look(self) -> bool:
        """Learn, when there is enough that is new."""
        records = self._records()
        if sum(record.message.sequence > self._last for record in records) < self._wanted:
            return False
        began = time.monotonic()
        latest = records[-round(REMEMBERED * self._wanted) :]
        self._last = records[-1].message.sequence
        model = self._trainer.learn(latest)
        self._number += 1
        if model is not None:
            temporary = self._models / f"{self._number:04d}.part"
            model.write(temporary)
            os.replace(temporary, temporary.with_suffix(".safetensors"))
        said = {"target": self._trainer.target, "round": self._number, "better": model is not None,
                "records": len(latest), "seconds": round(time.monotonic() - began, 2)}  # fmt: skip
        print(json.dumps(said), flush=True)
        return True

    def _records(self) -> list[Record]:
        try:
            return list(read_records(self._out / "captures" / self._trainer.target))
        except OSError:  # the recorder has just removed the oldest
            return []


def main() -> None:
    settings = Settings.read(sys.argv[1])
    torch.set_num_threads(1)
    if "--start" in sys.argv:
        return make_start(settings)
    stop: list[int] = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
    rounds = [Rounds(trainer, settings) for trainer in trainers(settings)]
    settings.ready.touch()
    while not stop:
        if not any([each.look() for each in rounds]):
            time.sleep(settings.poll_seconds)
    return None


if __name__ == "__main__":
    main()
