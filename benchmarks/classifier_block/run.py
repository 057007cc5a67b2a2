# SPDX-License-Identifier: GPL-3.0-or-later
"""Speed of modulation_classifier_c: a file as fast as it goes beside blocks.copy, and 64 channels of a 20 MHz band.

    PYTHONPATH=build/python python benchmarks/classifier_block/run.py [--rounds 5] [--out FILE]

Networks have random weights, for their speed does not depend on them, and those of a model that comes with the project.
Figures are medians over rounds in which all cases take turns. "flowgraph": samples by the clock on the wall, with
scheduler, file and sink, which other load on the machine slows down; "work": by the processor time of the block's own
calls (GNU Radio's performance counters on the thread clock); "kernel": the same of the classifier alone on the same
frames. The band's real-time factor is seconds of signal through seconds of processor time of the whole flowgraph, all
threads together: what one core can follow.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ |= {"GR_CONF_PERFCOUNTERS_ON": "True", "GR_CONF_PERFCOUNTERS_CLOCK": "thread"}

import numpy as np
from gnuradio import blocks, gr, softmod
from gnuradio.filter import pfb

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))
from page import markdown_table, replace_section  # noqa: E402

from gr_softmod.bindings._kernels import Classifier  # noqa: E402
from gr_softmod.classifier.architectures import build  # noqa: E402
from gr_softmod.classifier.random_model import random_model  # noqa: E402
from gr_softmod.conventions import CLASS_NAMES  # noqa: E402
from gr_softmod.run_dir import machine  # noqa: E402

PAGE = ROOT / "docs" / "classifier_block.md"
NETWORKS = {"softmod": 8, "imperial": 8, "bacalhaunet": 6, "vgg10": 8}
TRAINED = "radioml2018"
SAMPLES = 1 << 21
BAND_SAMPLES = 1 << 25  # the file again and again: enough for buffers and threads to cost nothing
BAND_HZ, CHANNELS = 20e6, 64
HOPS = (1024, 4096, 16384)
IN_TREE, ALONE = "in-tree channelizer alone", "channelizer alone"


def qpsk(count: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    symbols = np.exp(0.5j * np.pi * rng.integers(0, 4, count // 8 + 1)).repeat(8)[:count]
    return (symbols + 0.3 * (rng.normal(size=(count, 2)) @ [1, 1j])).astype(np.complex64)


def measure(connect: Callable[[gr.top_block], Any], samples: int) -> dict[str, float]:
    """A flowgraph in a process of its own: buffers are shared memory, of which a system has not much.

    Msample/s by wall clock and of the work of the block that ``connect`` gives back; processor time of all threads.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        top = gr.top_block()
        block = connect(top)
        wall, processor = time.perf_counter(), time.process_time()
        top.run()
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        work = block.pc_work_time_total() / 1e9 if block is not None else float("nan")
        found = {"flowgraph": samples / wall / 1e6, "work": samples / work / 1e6, "processor_s": processor}
        os.write(writing, json.dumps(found).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        found = json.loads(pipe.read())
    os.waitpid(child, 0)
    return found


def file_case(path: Path, make: Callable[[], Any]) -> Callable[[gr.top_block], Any]:
    def connect(top: gr.top_block) -> Any:
        block = make()
        top.connect(blocks.file_source(gr.sizeof_gr_complex, str(path)), block)
        if block.output_signature().min_streams():
            top.connect(block, blocks.null_sink(gr.sizeof_gr_complex))
        return block

    return connect


def band_source(path: Path) -> Any:
    return blocks.file_source(gr.sizeof_gr_complex, str(path), True)


def split_case(path: Path, make: Callable[[int, list[float]], Any]) -> Callable[[gr.top_block], Any]:
    def connect(top: gr.top_block) -> None:
        split, sink = make(CHANNELS, TAPS), blocks.null_sink(gr.sizeof_gr_complex)
        top.connect(band_source(path), blocks.head(gr.sizeof_gr_complex, BAND_SAMPLES), split)
        for channel in range(CHANNELS):
            top.connect((split, channel), (sink, channel))

    return connect


def band_case(path: Path, model: bytes, hop: int) -> Callable[[gr.top_block], Any]:
    def connect(top: gr.top_block) -> Any:
        block = softmod.multichannel_classifier(model, CHANNELS, BAND_HZ, hop=hop, report_period=100)
        top.connect(band_source(path), blocks.head(gr.sizeof_gr_complex, BAND_SAMPLES), block)
        return block.classifier

    return connect


TAPS = softmod.multichannel_classifier.taps(CHANNELS)


def kernel_speed(model: bytes, frames: np.ndarray) -> float:
    """Msample/s of the thread's time."""
    classifier = Classifier.from_bytes(model)
    begin = time.thread_time()
    classifier.run(frames)
    return frames.size / (time.thread_time() - begin) / 1e6


def medians(results: list[dict[str, float]]) -> dict[str, float]:
    return {key: float(f"{statistics.median(result[key] for result in results):.4g}") for key in results[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "classifier_block.json")
    arguments = parser.parse_args()
    gr.logging().set_default_level(gr.log_levels.err)
    models = {
        name: random_model(build(name, CLASS_NAMES), bits, parity=False).to_bytes() for name, bits in NETWORKS.items()
    } | {TRAINED: Path(softmod.shipped_model(TRAINED)).read_bytes()}
    x = qpsk(SAMPLES)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "samples.cf32"
        x.tofile(file)
        cases = {"blocks.copy": file_case(file, lambda: blocks.copy(gr.sizeof_gr_complex))} | {
            name: file_case(file, lambda model=model: softmod.modulation_classifier_c(model, report_period=100))
            for name, model in models.items()
        }
        band = {IN_TREE: split_case(file, pfb.channelizer_ccf), ALONE: split_case(file, softmod.channelizer_cc)} | {
            f"{name}, hop {hop}": band_case(file, models[name], hop) for name in (TRAINED, "imperial") for hop in HOPS
        }
        found: dict[str, list[dict[str, float]]] = {name: [] for name in (*cases, *band)}
        kernels: dict[str, list[float]] = {name: [] for name in models}
        for _ in range(arguments.rounds):
            for name, connect in (cases | band).items():
                found[name].append(measure(connect, BAND_SAMPLES if name in band else SAMPLES))
            for name, model in models.items():
                kernels[name].append(kernel_speed(model, x[: SAMPLES // 8].reshape(-1, 1024)))
    results = {name: medians(runs) for name, runs in found.items()}
    where = machine()
    report = {
        "date": where["date"],
        "machine": f"{where['cpu']}, {where['cores']} cores",
        "gnuradio": gr.version(),
        "rounds": arguments.rounds,
        "instruction_set": Classifier.from_bytes(models["softmod"]).instruction_set,
        "file": {
            name: {key: results[name][key] for key in ("flowgraph", "work")}
            | ({"kernel": float(f"{statistics.median(kernels[name]):.4g}")} if name in kernels else {})
            for name in cases
        },
        "band": {
            name: {
                "real_time_factor": float(f"{BAND_SAMPLES / BAND_HZ / results[name]['processor_s']:.3g}"),
                "channelizer_share": float(f"{results[ALONE]['processor_s'] / results[name]['processor_s']:.2g}"),
            }
            for name in band
        },
    }
    arguments.out.write_text(json.dumps(report, indent=1) + "\n")
    write_page(report)


def write_page(report: dict[str, Any]) -> None:
    rows = [
        [name, *(f"{case[key]:.3g}" if key in case else "-" for key in ("flowgraph", "work", "kernel"))]
        for name, case in report["file"].items()
    ]
    head = f"{report['date']}, {report['machine']}, {report['instruction_set']}, medians of {report['rounds']} rounds"
    table = markdown_table(["Msample/s", "flowgraph", "work", "kernel"], rows)
    band = markdown_table(
        ["64 channels of 20 MHz", "real-time factor of one core", "of that, reading and channelizer"],
        [
            [name, f"{case['real_time_factor']:.2g}", f"{case['channelizer_share']:.0%}" if "hop" in name else "-"]
            for name, case in report["band"].items()
        ],
    )
    replace_section(PAGE, "speed", f"{head}:\n\n{table}\n\n{band}")
    print(f"{head}\n{table}\n\n{band}")


if __name__ == "__main__":
    main()
