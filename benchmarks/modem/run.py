# SPDX-License-Identifier: GPL-3.0-or-later
"""The modem beside Sionna and Kaira: speed, memory and agreement, in one run, all sides in turn.

    benchmarks/modem/make_peers_env .peers
    PYTHONPATH=build/python python benchmarks/modem/run.py --peers .peers/bin/python [--quick] [--only WORD ..]
        [--out FILE] [--page PAGE]

Each side is a process of its own (worker.py); at any time one of them works. A case is timed in rounds, every side once
in each round, so that whatever else the machine does hits all alike; medians of the rounds are compared. Ratios are the
peer's time over ours: above 1 is in our favour. Writes benchmarks/results/modem.json and docs/modem_speed.md.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from report import page

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SYMBOLS = 25600  # 128 blocks of 1200 bits of 64-QAM, as in Sionna's tutorials


class Side:
    """A worker process.

    One thread is timed by its CPU time, which other work on the machine does not touch; more by the clock on the wall.
    """

    def __init__(self, name: str, python: str, threads: int) -> None:
        self.name, self.clock = name, "cpu" if threads == 1 else "wall"
        environment = dict(os.environ, OMP_NUM_THREADS=str(threads), PYTHONWARNINGS="ignore")
        if name != "ours":
            environment.pop("PYTHONPATH", None)
        self.process = subprocess.Popen(
            [python, str(HERE / "worker.py"), name, str(threads)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, text=True,
        )  # fmt: skip

    def ask(self, do: str, case: str, options: dict[str, Any] | None = None, **more: Any) -> Any:
        assert self.process.stdin and self.process.stdout
        request = {"do": do, "case": case, "options": options or {}, **more}
        print(json.dumps(request), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"error": f"the {self.name} process ended"}

    def prepare(self, case: str, options: dict[str, Any]) -> str | None:
        """None, or why it cannot."""
        answer = self.ask("prepare", case, options)
        return answer["error"].strip().splitlines()[-1] if isinstance(answer, dict) else None

    def seconds(self, case: str, options: dict[str, Any]) -> float:
        return self.ask("time", case, options, least=0.05)[self.clock]

    def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()


def in_turn(jobs: Sequence[tuple[Side, str, dict[str, Any]]], rounds: int) -> list[float]:
    """Median seconds of each job (side, case, options), all prepared."""
    times: list[list[float]] = [[] for _ in jobs]
    for _ in range(rounds):
        for found, (side, case, options) in zip(times, jobs, strict=True):
            found.append(side.seconds(case, options))
    for side, case, options in jobs:
        side.ask("drop", case, options)
    return [median(found) for found in times]


def cases(quick: bool) -> list[dict[str, Any]]:
    """What is timed: a function of the sides with options, and what is asked of the ratio to Sionna."""
    found: list[dict[str, Any]] = []

    def add(case: str, title: str, target: float | None = None, **options: Any) -> None:
        found.append({"case": case, "title": title, "target": target, "options": options})

    names = ("64qam",) if quick else ("64qam", "256qam")
    for name in names:
        for method, target in (("exact", 10), ("maxlog", 50)):
            options = {"name": name, "method": method, "symbols": SYMBOLS}
            add("forward", f"{name} {method} forward", target, **options)
            add("forward_backward", f"{name} {method} forward and backward", 20, **options)
    random = {"name": "random-64", "symbols": SYMBOLS}
    add("forward", "64 random points exact forward", 2, method="exact", **random)
    add("forward", "64 random points maxlog forward", 2, method="maxlog", **random)
    title = "64 random points exact, gradient to the points too"
    add("forward_backward", title, 2, method="exact", points=True, **random)
    add("modulate", "64qam modulator", name="64qam", symbols=SYMBOLS)
    add("neural_step", "neural demapper training step", 2)
    add("neural_step", "constellation and neural demapper training step", constellation="trained")
    if not quick:
        for name in names:
            options = {"name": name, "method": "exact", "symbols": SYMBOLS, "compiled": True}
            add("forward", f"{name} exact forward, both compiled", 25, **options)
            add("forward_backward", f"{name} exact forward and backward, both compiled", **options)
        add("neural_step", "neural demapper training step, both compiled", compiled=True)
    return found


def compare(sides: list[Side], entry: dict[str, Any], rounds: int) -> dict[str, Any]:
    """Seconds of each side that can do it, and their ratios to ours."""
    case, options = entry["case"], entry["options"]
    errors, running = {}, []
    for side in sides:
        if side.name == "kaira_side" and not kaira_has(entry):
            continue
        problem = side.prepare(case, options)
        if problem:
            errors[side.name] = problem
        else:
            running.append(side)
    medians = in_turn([(side, case, options) for side in running], rounds)
    seconds = {side.name: value for side, value in zip(running, medians, strict=True)}
    ratios = {name: value / seconds["ours"] for name, value in seconds.items() if name != "ours"}
    row = {"title": entry["title"], "target": entry["target"], "seconds": seconds, "ratios": ratios, "errors": errors}
    print(row["title"], {name: round(value, 2) for name, value in ratios.items()}, errors or "", flush=True)
    return row


def kaira_has(entry: dict[str, Any]) -> bool:
    options = entry["options"]
    square = options.get("name") in ("64qam", "256qam")
    return square and "compiled" not in options and options.get("method") in (None, "maxlog")


def soft_over_hard(ours: Side, rounds: int) -> list[dict[str, Any]]:
    """Time of forward_soft over that of forward."""
    rows = []
    for name in ("64qam", "256qam", "random-64"):
        for case, method in (("forward", "exact"), ("forward", "maxlog"), ("modulate", None)):
            options = {"name": name, "symbols": SYMBOLS} | ({"method": method} if method else {})
            jobs = [(ours, case, options | {"soft": soft}) for soft in (True, False)]
            for _, _, each in jobs:
                ours.prepare(case, each)
            soft, hard = in_turn(jobs, rounds)
            what = f"Demodulator {name} {method}" if method else f"Modulator {name}"
            rows.append({"title": what, "ratio": soft / hard})
    return rows


def without_kernels(pythons: dict[str, str], threads: int, quick: bool, rounds: int) -> list[dict[str, Any]]:
    """The formulas in torch alone, against Sionna."""
    rows = []
    ours, sionna = (Side(name, pythons[name], threads) for name in ("ours", "sionna_side"))
    for name in ("64qam",) if quick else ("64qam", "256qam"):
        for method in ("exact", "maxlog"):
            for case in ("forward", "forward_backward"):
                options = {"name": name, "method": method, "symbols": SYMBOLS}
                jobs = [(ours, case, options | {"without_kernels": True}), (sionna, case, options)]
                for side, _, each in jobs:
                    side.prepare(case, each)
                mine, theirs = in_turn(jobs, rounds)
                title = f"{name} {method} {case.replace('_', ' and ')}"
                rows.append({"title": title, "ratio": theirs / mine})
    ours.close()
    sionna.close()
    return rows


def memory(pythons: dict[str, str], quick: bool) -> list[dict[str, Any]]:
    """Peak memory per symbol of one call in a fresh process."""
    rows = []
    for name, symbols in (("64qam", 1 << 19),) if quick else (("64qam", 1 << 19), ("256qam", 1 << 17)):
        for case in ("forward", "forward_backward"):
            peaks = {}
            for side_name, python in pythons.items():
                side = Side(side_name, python, 1)
                answer = side.ask("peak", case, {"name": name, "method": "exact", "symbols": symbols})
                side.close()
                if not isinstance(answer, dict):
                    peaks[side_name] = answer / symbols
            rows.append({"title": f"{name} exact {case.replace('_', ' and ')}", "bytes_per_symbol": peaks})
    return rows


def agreement(pythons: dict[str, str]) -> list[dict[str, Any]]:
    """Largest difference of the LLRs of the same symbols, and how far each side is from float64."""
    sys.path.insert(0, str(ROOT / "tests"))
    from gr_softmod.constellation import Constellation
    from oracle import brute_force_llr

    rows = []
    sides = [Side(name, pythons[name], 1) for name in ("ours", "sionna_side")]
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        for name in ("qpsk", "16qam", "64qam", "256qam"):
            constellation = Constellation.from_name(name)
            for method in ("exact", "maxlog"):
                for noise_var in (0.01, 0.1, 1.0):
                    y = constellation.points[rng.integers(constellation.order, size=(1, 20000))]
                    y = y + np.sqrt(noise_var / 2) * (rng.normal(size=y.shape) + 1j * rng.normal(size=y.shape))
                    y = y.astype(np.complex64)
                    np.save(Path(folder) / "symbols.npy", y)
                    options = {"name": name, "method": method, "noise_var": noise_var, "folder": folder}
                    for side in sides:
                        side.prepare("llrs", options)
                    ours, theirs = (np.load(Path(folder) / f"{who}.npy") for who in ("ours", "sionna"))
                    exact = brute_force_llr(constellation, y, noise_var, method=method)
                    scale = np.maximum(np.abs(exact), 1.0)
                    row = {"constellation": name, "method": method, "noise_var": noise_var}
                    pairs = {
                        "difference": (ours, theirs),
                        "ours_from_float64": (ours, exact),
                        "sionna_from_float64": (theirs, exact),
                    }
                    rows.append(row | {key: float(np.max(np.abs(a - b) / scale)) for key, (a, b) in pairs.items()})
    for side in sides:
        side.close()
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", required=True, help="python of the peers' environment")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--quick", action="store_true", help="64-QAM only, nothing compiled")
    parser.add_argument("--only", nargs="+", metavar="WORD", help="time anew what has one of these in its title")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "modem.json")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "modem_speed.md")
    arguments = parser.parse_args()
    pythons = {"ours": sys.executable, "sionna_side": arguments.peers, "kaira_side": arguments.peers}
    result = again(pythons, arguments) if arguments.only else everything(pythons, arguments)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=1) + "\n")
    arguments.page.write_text(page(result))
    print(f"wrote {arguments.out} and {arguments.page}")


def again(pythons: dict[str, str], arguments: argparse.Namespace) -> dict[str, Any]:
    """The results that there are, with some timed anew."""

    def wanted(row: dict[str, Any]) -> bool:
        return any(word.lower() in row["title"].lower() for word in arguments.only)

    result: dict[str, Any] = json.loads(arguments.out.read_text())
    for threads in arguments.threads:
        found = result["threads"][str(threads)]
        sides = [Side(name, python, threads) for name, python in pythons.items()]
        timed = [compare(sides, entry, arguments.rounds) for entry in filter(wanted, cases(arguments.quick))]
        soft = soft_over_hard(sides[0], arguments.rounds) if any(map(wanted, found["soft_over_hard"])) else []
        for key, rows in (("cases", timed), ("soft_over_hard", soft)):
            new = {row["title"]: row for row in rows}
            found[key] = [new.get(row["title"], row) for row in found[key]]
        for side in sides:
            side.close()
    return result


def everything(pythons: dict[str, str], arguments: argparse.Namespace) -> dict[str, Any]:
    result: dict[str, Any] = {
        "date": datetime.date.today().isoformat(),
        "machine": f"{cpu()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}",
        "symbols": SYMBOLS,
        "rounds": arguments.rounds,
        "threads": {},
    }
    for threads in arguments.threads:
        print(f"--- {threads} threads", flush=True)
        sides = [Side(name, python, threads) for name, python in pythons.items()]
        result["versions"] = {side.name: side.ask("call", "versions") for side in sides}
        found: dict[str, Any] = {"clock": sides[0].clock}
        found["cases"] = [compare(sides, entry, arguments.rounds) for entry in cases(arguments.quick)]
        found["soft_over_hard"] = soft_over_hard(sides[0], arguments.rounds)
        if threads == arguments.threads[-1]:
            result["kaira_round_trips"] = sides[-1].ask("call", "round_trips")
        for side in sides:
            side.close()
        found["without_kernels"] = without_kernels(pythons, threads, arguments.quick, arguments.rounds)
        result["threads"][str(threads)] = found
    result["memory"] = memory(pythons, arguments.quick)
    result["agreement"] = agreement(pythons)
    return result


def cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


if __name__ == "__main__":
    main()
