# SPDX-License-Identifier: GPL-3.0-or-later
"""A model of the field on signals that its training cannot have seen: GNU Radio's own, and real recordings.

    PYTHONPATH=build/python python benchmarks/field/run.py [--model FILE] [--recordings DIR] [--out FILE] [--quick]

Signals are made once and kept in build/field; after that a model is judged in seconds. Without --out and --model, the
figures go to benchmarks/results/field.json and docs/field.md, which says what is measured. Instead of a model file, a
run directory may be given: its network, float or quantised, runs in torch.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

import cases as made
import judge
import numpy as np
import report
from transmitters import Samples

from gr_softmod.bindings._kernels import Classifier
from gr_softmod.blocks.models import shipped_model
from gr_softmod.run_dir import machine

ROOT = Path(__file__).resolve().parents[2]


def load(path: Path) -> tuple[judge.Run, list[str], dict[str, str]]:
    """What runs frames [B, N] to probabilities [B, C], the names of the classes, and what the model is called."""
    if path.is_dir():
        import torch

        from gr_softmod.classifier.trained import load_network, load_saved
        from gr_softmod.run_dir import RunDir

        network, saved = load_network(RunDir(path)), load_saved(RunDir(path))

        @torch.no_grad()
        def run(frames: Samples) -> judge.Probabilities:
            return network(torch.from_numpy(np.ascontiguousarray(frames))).softmax(1).numpy()

        return run, list(saved.graph.class_names), {"name": saved.title, "hash": str(path)}
    classifier = Classifier(str(path))
    told = {"name": classifier.name, "hash": classifier.hash}
    return lambda frames: classifier.run(np.ascontiguousarray(frames)), classifier.class_names, told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=None, help="model file or run directory; the shipped file without it")
    parser.add_argument("--recordings", type=Path, default=os.environ.get("SOFTMOD_RECORDINGS"))
    parser.add_argument("--out", type=Path, default=None, help="JSON; without it results/field.json and the page")
    parser.add_argument("--cache", type=Path, default=ROOT / "build" / "field")
    parser.add_argument("--quick", action="store_true", help="a third of the signals: for a first look")
    options = parser.parse_args()
    folder = options.recordings
    if folder is not None and not folder.is_dir():
        parser.error(f"the folder of recordings is {folder}; pass --recordings DIR or set SOFTMOD_RECORDINGS")
    if options.model and not options.out:
        parser.error("results/field.json is of the shipped model: give --out for another one")
    run, names, model = load(Path(options.model or shipped_model("field")))
    begin = time.monotonic()
    frames, told = made.kept(options.cache, *((8, 4) if options.quick else ()))
    ready = time.monotonic()
    named = judge.Named(judge.probabilities(run, frames), names)
    result = {
        "model": {**model, "classes": len(names)},
        "machine": machine(),
        "signals": judge.signals(told, named),
        "noise": judge.noise(told, named),
        "recordings": judge.recordings(folder, run, names) if folder else None,
        "confusion": {"columns": names, "rows": judge.confusion(told, named, names)},
    }
    print(report.text(result))
    print(f"signals made in {ready - begin:.1f} s, judged in {time.monotonic() - ready:.1f} s")
    out = options.out or ROOT / "benchmarks" / "results" / "field.json"
    out.write_text(json.dumps(result, indent=1) + "\n")
    if not options.out:
        report.write(result)


if __name__ == "__main__":
    main()
