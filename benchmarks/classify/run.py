# SPDX-License-Identifier: GPL-3.0-or-later
"""The classifier's inference beside onnxruntime, OpenVINO and torch: one thread, the same weights, all sides in turn.

    benchmarks/classify/make_peers_env .peers-classify
    PYTHONPATH=build/python python benchmarks/classify/run.py [--peers .peers-classify/bin/python] [--rounds 9]

Each side is a process of its own (worker.py); at any time one of them works. Everything is timed in rounds, every side
once in each, by its CPU time, so that other work on the machine hits all alike; medians of the rounds are compared.
Writes benchmarks/results/classify.json and docs/classify_speed.md.
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
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import peer_graph
from report import page

from gr_softmod import model_file
from gr_softmod.bindings import _kernels
from gr_softmod.classifier import integer
from gr_softmod.classifier.architectures import build
from gr_softmod.classifier.feature_set import set_of
from gr_softmod.classifier.random_model import random_model
from gr_softmod.model_file import ModelFile

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FRAME, BATCHES = 1024, (1, 32)
#: Name, bits (None: a trained model that comes with the project), what of ours is timed, and the asked ratios to the
#: best peer at batch 32 and 1.
NETWORKS = (
    ("vgg10", 8, "frames", 1.5, 2.0),
    ("bacalhaunet", 6, "frames", 3.0, 2.0),
    ("imperial", 8, "integers", 1.5, 2.0),
    ("softmod", 6, "integers", None, None),
    ("radioml2018", None, "integers", None, None),
    ("field", None, "integers", None, None),
)
#: Shares of the weights that are not zero: half, and what BacalhauNet's authors left.
DENSITIES = (1.0, 0.5, 0.16)
THREADS = (1, 2)
CLASSES = tuple(f"class {i}" for i in range(24))


class Side:
    """A worker process."""

    def __init__(self, name: str, python: str, ours: bool) -> None:
        self.name = name
        environment = dict(os.environ, OMP_NUM_THREADS="1", PYTHONWARNINGS="ignore")
        if not ours:
            environment.pop("PYTHONPATH", None)
        self.process = subprocess.Popen(
            [python, str(HERE / "worker.py"), name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, text=True,
        )  # fmt: skip

    def ask(self, do: str, case: dict[str, Any], **more: Any) -> Any:
        assert self.process.stdin and self.process.stdout
        print(json.dumps({"do": do, "case": case, **more}), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        answer = json.loads(line) if line else {"error": f"the {self.name} process ended"}
        if isinstance(answer, dict):
            raise RuntimeError(f"{self.name} {case.get('case')}: {answer['error']}")
        return answer


def frames(n: int) -> Any:
    """QPSK in noise, 8 samples a symbol, complex64 [n, FRAME]."""
    rng = np.random.default_rng(0)
    symbols = np.exp(0.5j * np.pi * rng.integers(0, 4, (n, FRAME // 8))).repeat(8, 1)
    noise = rng.normal(size=(n, FRAME)) + 1j * rng.normal(size=(n, FRAME))
    return (symbols + 0.2 * noise).astype(np.complex64)


def model_of(name: str, bits: int | None, density: float = 1.0) -> ModelFile:
    if bits is None:
        return model_file.read(ROOT / f"python/gr_softmod/models/{name}.safetensors")
    return random_model(build(name, CLASSES), bits=bits, seed=1, density=density, parity=density == 1.0)


def in_groups(model: ModelFile) -> ModelFile:
    """With zeros for three of each four groups of four neighbouring weights (channels before time), in all outputs."""
    tensors = dict(model.tensors)
    for name, weight in tensors.items():
        if name.endswith(".weight") and weight[0].size > 4:
            last = np.moveaxis(weight, 1, -1) if weight.ndim == 3 else weight
            rows = last.reshape(len(last), -1).copy()
            rows[:, np.arange(rows.shape[1]) // 4 % 4 != 0] = 0
            last = rows.reshape(last.shape)
            tensors[name] = np.ascontiguousarray(np.moveaxis(last, -1, 1) if weight.ndim == 3 else last)
    return replace(model, tensors=tensors)


def jobs_of(name: str, bits: int | None, how: str, folder: Path) -> dict[str, tuple[str, dict[str, Any]]]:
    """What is timed for a network, by a key of (what, batch): the side and its case."""
    model = model_of(name, bits)
    path, data = folder / f"{name}.safetensors", folder / f"{name}.npz"
    model.write(path)
    given = frames(max(BATCHES))
    iq, features = integer.quantise_inputs(model, given)
    normalised = integer.normalise(given)
    arrays = {"frames": given, "iq": iq, "normalised": (normalised[:, 0] + 1j * normalised[:, 1]).astype(np.complex64)}
    np.savez(data, **arrays, **({} if features is None else {"features": features}))
    found: dict[str, tuple[str, dict[str, Any]]] = {}
    ours = {"model": str(path), "data": str(data)}
    for target in _kernels.simd_targets():
        for dot in (True, False):
            _kernels.use_simd_target(target)
            _kernels.use_simd_dot_products(dot)
            case = {"case": "integers", "batch": 8, "set": [target, dot], **ours}
            found[f"set {_kernels.Classifier(str(path)).instruction_set}"] = ("ours", case)
    _kernels.use_simd_target(_kernels.simd_targets()[0])
    _kernels.use_simd_dot_products(True)
    if bits is not None:
        for density in DENSITIES:
            sparse = folder / f"{name}_{density}.safetensors"
            model_of(name, bits, density).write(sparse)
            case = {"case": "integers", "batch": max(BATCHES), **ours, "model": str(sparse)}
            found[f"density {density}"] = ("ours", case)
        grouped = folder / f"{name}_groups.safetensors"
        in_groups(model_of(name, bits, 0.999)).write(grouped)
        case = {"case": "integers", "batch": max(BATCHES), **ours, "model": str(grouped)}
        found["density 0.25 in groups"] = ("ours", case)
    for threads in THREADS:
        case = {"case": "frames", "batch": max(BATCHES), "repeat": 16, "threads": threads, **ours}
        found[f"threads {threads}"] = ("ours", case)
    for batch in BATCHES:
        common = {"batch": batch, "architecture": name, **ours}
        found[f"ours {batch}"] = ("ours", {"case": how, **common})
        if bits is not None:
            found[f"torch float {batch}"] = ("torch", {"case": "network", **common})
        if features is not None:
            found[f"whole ours {batch}"] = ("ours", {"case": "frames", **common})
            case = {"case": "features", "feature_set": set_of(model.feature_names), **common}
            found[f"features ours {batch}"] = ("ours", case)
            found[f"features torch {batch}"] = ("torch", case)
        for dimensions in (1, 2):
            graph = folder / f"{name}_{batch}_{dimensions}.onnx"
            peer_graph.write(model, graph, batch, dimensions)
            for peer in ("onnxruntime", "openvino"):
                found[f"{peer} {dimensions}-D {batch}"] = (peer, {"case": "graph", "graph": str(graph), **common})
    return found


def measure(sides: dict[str, Side], jobs: dict[str, tuple[str, dict[str, Any]]], rounds: int) -> dict[str, float]:
    """Median seconds a frame of every job, in turn, and the products a second that the core can make ("peak")."""
    peak = ("ours", {**next(iter(jobs.values()))[1], "case": "peak", "batch": 1})
    jobs = {**jobs, "peak": peak}
    for side, case in jobs.values():
        sides[side].ask("prepare", case)
    seconds: dict[str, list[float]] = {key: [] for key in jobs}
    for _ in range(rounds):
        for key, (side, case) in jobs.items():
            clock = "wall" if "threads" in case else "processor"
            taken = sides[side].ask("time", case, least=0.05, clock=clock)
            seconds[key].append(taken / case["batch"] / case.get("repeat", 1))
    for side, case in jobs.values():
        sides[side].ask("drop", case)
    return {key: median(values) for key, values in seconds.items()}


def latency(side: Side, jobs: dict[str, tuple[str, dict[str, Any]]]) -> dict[str, float]:
    """Seconds by the clock from a frame's last sample to its probabilities: median and 99 % of single calls."""
    case = {**jobs["threads 1"][1], "batch": 1, "repeat": 1}
    side.ask("prepare", case)
    found = side.ask("latency", case, calls=3000)
    side.ask("drop", case)
    return {"median": found[0], "99 %": found[1]}


def agreement(sides: dict[str, Side], jobs: dict[str, tuple[str, dict[str, Any]]]) -> dict[str, float]:
    """Share of the frames of the large batch in which a peer decides as we do (its arithmetic rounds elsewhere)."""
    batch = max(BATCHES)
    decided = {}
    for key, (side, case) in jobs.items():
        if key.endswith(f" {batch}") and key.startswith(("ours", "onnxruntime", "openvino")):
            sides[side].ask("prepare", case)
            decided[key] = sides[side].ask("answer", case)
    return {key: float(np.mean(np.equal(found, decided[f"ours {batch}"]))) for key, found in decided.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", default=str(ROOT / ".peers-classify/bin/python"), help="the peers' Python")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/classify.json")
    parser.add_argument("--page", type=Path, default=ROOT / "docs/classify_speed.md")
    arguments = parser.parse_args()
    if not Path(arguments.peers).exists():
        sys.exit(f"{arguments.peers} is not there: run benchmarks/classify/make_peers_env first, or give --peers")
    own = {"ours", "torch"}
    sides = {
        name: Side(name, sys.executable if name in own else arguments.peers, name in own)
        for name in ("ours", "torch", "onnxruntime", "openvino")
    }
    networks = []
    with tempfile.TemporaryDirectory() as folder:
        for name, bits, how, target, target_1 in NETWORKS:
            jobs = jobs_of(name, bits, how, Path(folder))
            found = measure(sides, jobs, arguments.rounds)
            per_call = _kernels.run_dot_products(100_000)
            classifier = _kernels.Classifier(jobs["ours 1"][1]["model"])
            row = {
                "network": name, "bits": bits, "ours_from": how, "target": target, "target_batch_1": target_1,
                "multiply_accumulates": classifier.multiply_accumulates, "arena_bytes": classifier.arena_bytes,
                "peak_gmac": per_call / found.pop("peak") / 1e9, "seconds_per_frame": found,
                "latency": latency(sides["ours"], jobs), "agreement": agreement(sides, jobs),
            }  # fmt: skip
            networks.append(row)
            print(name, {key: f"{value * 1e6:.1f} us" for key, value in found.items()}, flush=True)
    result = {
        "date": datetime.date.today().isoformat(),
        "machine": f"{cpu_name()}, {platform.system()} {platform.release()}",
        "instruction_set": classifier.instruction_set,
        "rounds": arguments.rounds,
        "frame": FRAME,
        "cores": os.cpu_count(),
        "versions": {name: sides[name].ask("version", {}) for name in ("torch", "onnxruntime", "openvino")},
        "networks": networks,
    }
    arguments.out.write_text(json.dumps(result, indent=1) + "\n")
    arguments.page.write_text(page(result))


def cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


if __name__ == "__main__":
    main()
