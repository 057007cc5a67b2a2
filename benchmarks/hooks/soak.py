# SPDX-License-Identifier: GPL-3.0-or-later
"""A long run of the hooks: models swapped, consumers killed, corrupt models sent. Is a sample lost, does memory grow?

    PYTHONPATH=build/python python benchmarks/hooks/soak.py [--minutes 60] [--rate 2e6] [--out FILE]

A source of known QPSK symbols, throttled, that waits rather than loses, feeds a neural demapper, a classifier and a
training tap; two updaters bring them models. Every ``--swap`` seconds a model is pushed to both, every fifth of them
corrupt; every ``--kill`` seconds the process that captures (``softmod capture``) is killed with SIGKILL and started
again. What proves that no sample is lost: the bit error rate meter counts all bits of all symbols that were made,
without an error or a slip; a stream tag on every 32767th symbol arrives at its own place; the classifier has seen every
frame; the tap was asked for every window. The report is written every ``--swap`` seconds; a run that was interrupted
goes on until the minutes of all runs together are over. Exits with 1 when a check fails.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pmt
from gnuradio import blocks, gr, softmod
from soak_models import CORRUPT, MAKERS, NOISE_VAR

from gr_softmod.constellation import Constellation
from gr_softmod.hooks.capture import read_records
from gr_softmod.hooks.message import Message
from gr_softmod.hooks.seal import model_message, new_serial
from gr_softmod.hooks.swap import push
from gr_softmod.run_dir import machine

ROOT = Path(__file__).resolve().parents[2]
LOCAL = "tcp://127.0.0.1:*"
PERIOD, HOP = 32767, 4096
#: Memory is judged from here on, in seconds; libraries and caches have been filled by then.
SETTLED = 300
#: A model in so many is corrupt; of the two, not both at once.
CORRUPT_EVERY = 5


class Tags(gr.sync_block):
    """Counts the tags of a stream, and those that are not where the next one should be."""

    def __init__(self, apart: int) -> None:
        gr.sync_block.__init__(self, "tags", [np.float32], [])
        self.set_output_multiple(8192)
        self.apart, self.seen, self.misplaced = apart, 0, 0

    def work(self, input_items: list, output_items: list) -> int:
        for tag in self.get_tags_in_window(0, 0, len(input_items[0]), pmt.intern("period")):
            self.misplaced += tag.offset != self.seen * self.apart
            self.seen += 1
        return len(input_items[0])


class Radio:
    """The flowgraph."""

    def __init__(self, folder: Path, rate: float) -> None:
        bits = np.array(_prbs15(), np.uint8)
        symbols = Constellation.qpsk().modulate(np.tile(bits, 2)).astype(np.complex64)
        tag = gr.tag_t()
        tag.offset, tag.key, tag.value = 0, pmt.intern("period"), pmt.PMT_T
        self.tb = tb = gr.top_block()
        self.source = blocks.vector_source_c(symbols.tolist(), True, 1, [tag])
        throttle = blocks.throttle(gr.sizeof_gr_complex, rate)
        self.demapper = softmod.neural_demapper_cf(MAKERS["demapper"](0), NOISE_VAR)
        self.classifier = softmod.modulation_classifier_c(MAKERS["classifier"](0), hop=HOP, report_period=1 << 20)
        self.tap = softmod.training_tap(LOCAL, 1024, period=1 << 16, label="QPSK", sample_rate=rate)
        self.meter, self.tags = softmod.ber_meter(bits.tolist()), Tags(2 * PERIOD)
        self.updaters = {
            target: softmod.model_updater(LOCAL, target, str(folder / target), **more)
            for target, more in (
                ("classifier", {"class_names": self.classifier.class_names(), "frame_length": 1024}),
                ("demapper", {"bits_per_symbol": 2}),
            )
        }
        tb.connect(self.source, throttle, self.demapper, self.meter)
        tb.connect(self.demapper, self.tags)
        tb.connect(throttle, self.classifier)
        tb.connect(throttle, self.tap)
        self.throttle = throttle
        for target, block in (("classifier", self.classifier), ("demapper", self.demapper)):
            tb.msg_connect(self.updaters[target], "model", block, "model")

    def close(self) -> None:
        self.tb.stop()
        self.tb.wait()
        self.tap.close()
        for updater in self.updaters.values():
            updater.close()

    def counts(self) -> dict[str, Any]:
        met, classified = self.meter.counts(), self.classifier.counts()
        return {
            "samples": int(self.throttle.nitems_written(0)),
            "bits": met["bits"],
            "bit_errors": met["errors"],
            "slips": met["slips"],
            "tags": self.tags.seen,
            "tags_misplaced": self.tags.misplaced,
            "frames": classified["classified"],
            "frames_not_classified": classified["squelched"] + classified["invalid"] + classified["skipped"],
            "tap": self.tap.counts(),
        }


def _prbs15() -> list[int]:
    """x^15 + x^14 + 1: 32767 bits."""
    register, bits = 1, []
    for _ in range(PERIOD):
        bits.append(new := (register >> 14 ^ register >> 13) & 1)
        register = (register << 1 | new) & 0x7FFF
    return bits


class Consumer:
    """``softmod capture`` in a process of its own, which gets killed."""

    def __init__(self, address: str, folder: Path) -> None:
        self.folder, self.deaths = folder, 0
        self._command = [sys.executable, "-m", "gr_softmod", "capture", address, "-o", str(folder), "--quota", "64M",
                         "--when-full", "oldest", "--segment-seconds", "20", "-q"]  # fmt: skip
        self._process = subprocess.Popen(self._command)

    def kill(self) -> None:
        self.end(signal.SIGKILL)
        self.deaths += 1
        self._process = subprocess.Popen(self._command)

    def end(self, number: int = signal.SIGTERM) -> None:
        self._process.send_signal(number)
        self._process.wait()


class Trainer:
    """Pushes models; each that is corrupt must be refused, each that is not taken."""

    def __init__(self, radio: Radio) -> None:
        self._radio, self._swaps = radio, 0
        self.counts: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()

    def swap(self) -> None:
        self._swaps += 1
        for number, (target, updater) in enumerate(self._radio.updaters.items()):
            corrupt = (self._swaps + 2 * number) % CORRUPT_EVERY == 0
            message = self._message(target, corrupt)
            try:
                verdict = push(updater.address(), message, timeout=60)
            except OSError as error:
                self.counts["unanswered"] += 1
                print(error, file=sys.stderr)
                continue
            word = "corrupt" if corrupt else "good"
            self.counts[f"{word}_{'taken' if verdict.accepted else 'refused'}"] += 1
            if corrupt or not verdict.accepted:
                self.refused[f"{target}: {verdict.reason[:80]}"] += 1

    def _message(self, target: str, corrupt: bool) -> Message:
        serial = new_serial()
        if corrupt:
            return CORRUPT[self._swaps // CORRUPT_EVERY % len(CORRUPT)](target, serial)
        return model_message(MAKERS[target](self._swaps % 6), target, serial)


def resident_kib() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


def growth(memory: list[list[float]]) -> float | None:
    """KiB an hour, by least squares, after the run has settled."""
    points = np.array([point for point in memory if point[0] >= SETTLED])
    return round(float(np.polyfit(points[:, 0], points[:, 1], 1)[0]) * 3600, 1) if len(points) > 5 else None


def run(seconds: float, rate: float, swap: float, kill: float, tell: Any) -> dict[str, Any]:
    """One run; ``tell`` gets the report again and again."""
    with TemporaryDirectory(prefix="softmod-soak-") as name:
        folder = Path(name)
        radio = Radio(folder, rate)
        consumer = Consumer(radio.tap.address(), folder / "captures")
        trainer, memory, stop = Trainer(radio), [], []
        signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
        signal.signal(signal.SIGINT, lambda *_: stop.append(1))
        report: dict[str, Any] = {"ended": "not yet"}
        begin = time.monotonic()
        radio.tb.start()
        try:
            next_kill = kill
            for number in range(1, int(seconds / swap) + 1):
                while not stop and (left := begin + number * swap - time.monotonic()) > 0:
                    time.sleep(min(left, 0.5))
                if stop:
                    break
                trainer.swap()
                now = time.monotonic() - begin
                if now >= next_kill:
                    consumer.kill()
                    next_kill += kill
                memory.append([round(now, 1), resident_kib()])
                report |= {"seconds": round(now, 1), "consumers_killed": consumer.deaths,
                           "models": dict(trainer.counts), "refusals": dict(trainer.refused),
                           "memory_kib": memory, **radio.counts()}  # fmt: skip
                tell(report)
            radio.tb.stop()
            radio.tb.wait()
            report |= radio.counts() | {"ended": "interrupted" if stop else "in time"}
            report["seconds"] = round(time.monotonic() - begin, 1)
        finally:
            consumer.end()
            radio.close()
        records = list(read_records(consumer.folder))
        report["windows_on_disk"] = len(records)
        report["windows_damaged"] = sum(not np.isfinite(r.message.arrays["iq"]).all() for r in records)
    return report


def checks(report: dict[str, Any]) -> dict[str, bool]:
    """What must hold at the end of a run. What was under way when it was stopped cannot be counted: a buffer or two."""
    samples, models = report["samples"], report["models"]
    slope = growth(report["memory_kib"])
    return {
        "no bit of the demapper's wrong, no slip": report["bit_errors"] == report["slips"] == 0,
        "every symbol demapped": 0 <= 2 * samples - report["bits"] <= 1 << 20,
        "every tag in its place": report["tags_misplaced"] == 0 and abs(report["tags"] - samples / PERIOD) <= 16,
        "every frame classified": report["frames_not_classified"] == 0 and abs(report["frames"] - samples / HOP) <= 128,
        "every window cut": abs(report["tap"]["cut"] - samples / (1 << 16)) <= 8,
        "every corrupt model refused": models.get("corrupt_taken", 0) == 0 and models.get("corrupt_refused", 0) > 0,
        "every good model taken": models.get("good_refused", 0) == models.get("unanswered", 0) == 0,
        "every window on disk whole": report.get("windows_on_disk", 0) > 0 and report.get("windows_damaged") == 0,
        "memory flat (less than 4 MiB an hour)": slope is None or slope < 4096,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--rate", type=float, default=2e6, help="samples a second")
    parser.add_argument("--swap", type=float, default=10, help="seconds from one model to the next")
    parser.add_argument("--kill", type=float, default=60, help="seconds that a consumer lives")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "hooks_soak.json")
    options = parser.parse_args()
    gr.logging().set_default_level(gr.log_levels.off)
    before = json.loads(options.out.read_text())["runs"] if options.out.exists() else []
    left = 60 * options.minutes - sum(one["seconds"] for one in before)
    if left < options.swap:
        parser.error(f"{options.out} has {options.minutes:g} minutes already; remove it to start over")
    where = machine()
    head = {
        "date": where["date"], "machine": f"{where['cpu']}, {where['cores']} cores", "rate": options.rate,
        "swap_seconds": options.swap, "kill_seconds": options.kill,
    }  # fmt: skip

    def tell(report: dict[str, Any]) -> None:
        found = {**report, "checks": checks(report), "kib_an_hour": growth(report["memory_kib"]),
                 "samples_a_second": round(report["samples"] / report["seconds"])}  # fmt: skip
        temporary = options.out.with_suffix(".part")
        temporary.write_text(json.dumps({**head, "runs": [*before, found]}) + "\n")
        os.replace(temporary, options.out)

    report = run(left, options.rate, options.swap, options.kill, tell)
    tell(report)
    for check, holds in checks(report).items():
        print(f"{'yes' if holds else 'NO ':4}{check}")
    return 0 if all(checks(report).values()) else 1


if __name__ == "__main__":
    sys.exit(main())
