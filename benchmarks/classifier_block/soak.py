# SPDX-License-Identifier: GPL-3.0-or-later
"""A long run of modulation_classifier_c whose model changes every second: is a sample lost, does memory grow?

    PYTHONPATH=build/python python benchmarks/classifier_block/soak.py [--seconds 600] [--rate 1e6] [--out FILE]

A throttled source, the classifier as for a live source, models of three frame lengths one after another as messages
(each fourth time a damaged one, which must be refused). What proves that no sample is lost: as many went in as came out
of the source, none was skipped, each frame begins where the one before it ends (a stream tag `sample_index` would tell
where not), and frames times their lengths are the samples. Exits with 1 when any of this fails, or memory grew by more
than 4 MiB after the first tenth of the run.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pmt
from gnuradio import blocks, gr, softmod

from gr_softmod.classifier.architectures import build
from gr_softmod.classifier.random_model import random_model
from gr_softmod.conventions import CLASS_NAMES
from gr_softmod.run_dir import machine

ROOT = Path(__file__).resolve().parents[2]
LENGTHS = (1024, 512, 2048)


class Vectors(gr.sync_block):
    """Counts the vectors, and the tags that tell of a frame which does not follow the one before it."""

    def __init__(self, classes: int) -> None:
        gr.sync_block.__init__(self, "vectors", [(np.float32, classes)], [])
        self.vectors = self.jumps = self.bad = 0

    def work(self, input_items: list, output_items: list) -> int:
        y = input_items[0]
        self.vectors += len(y)
        self.bad += int((np.abs(y.sum(1) - 1) > 1e-4).sum())
        self.jumps += len(self.get_tags_in_window(0, 0, len(y), pmt.intern("sample_index")))
        return len(y)


class Reports(gr.basic_block):
    """Adds up the samples of the reported frames (all are reported) and counts what the status says."""

    def __init__(self) -> None:
        gr.basic_block.__init__(self, "reports", [], [])
        self.samples = self.reports = self.used = self.refused = self.other = 0
        for port, handler in (("classification", self.classification), ("status", self.status)):
            self.message_port_register_in(pmt.intern(port))
            self.set_msg_handler(pmt.intern(port), handler)

    def classification(self, message: Any) -> None:
        self.reports += 1
        self.samples += pmt.to_uint64(pmt.dict_ref(message, pmt.intern("frame_length"), pmt.PMT_NIL))

    def status(self, message: Any) -> None:
        fields = pmt.to_python(message)
        if "hash" in fields:
            self.used += 1
        elif fields["reason"].startswith("message ignored"):
            self.refused += 1
        else:
            self.other += 1


def resident_kib() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--rate", type=float, default=1e6)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "classifier_soak.json")
    arguments = parser.parse_args()
    gr.logging().set_default_level(gr.log_levels.err)
    models = [random_model(build("softmod", CLASS_NAMES, length), 8, parity=False).to_bytes() for length in LENGTHS]
    messages = [pmt.init_u8vector(len(model), list(model)) for model in models]
    damaged = pmt.init_u8vector(len(models[0]) - 1, list(models[0][:-1]))

    rng = np.random.default_rng(1)
    noise = (rng.normal(size=(1 << 16, 2)) @ [1, 1j]).astype(np.complex64)
    top = gr.top_block()
    total = int(arguments.seconds * arguments.rate)
    head = blocks.head(gr.sizeof_gr_complex, total)
    block = softmod.modulation_classifier_c(models[0], live_backlog=1024)
    vectors, reports = Vectors(len(CLASS_NAMES)), Reports()
    throttle = blocks.throttle(gr.sizeof_gr_complex, arguments.rate)
    top.connect(blocks.vector_source_c(noise.tolist(), True), head, throttle, block, vectors)
    top.msg_connect(block, "classification", reports, "classification")
    top.msg_connect(block, "status", reports, "status")
    memory, sent, refused = [], 0, 0
    begin = time.monotonic()
    top.start()
    while (now := time.monotonic() - begin) < arguments.seconds - 1:
        second = len(memory)
        time.sleep(max(0.0, second + 1 - now))
        if second % 4 == 3:
            block.to_basic_block()._post(pmt.intern("model"), damaged)
            refused += 1
        else:
            block.to_basic_block()._post(pmt.intern("model"), messages[sent % 3])
            sent += 1
        memory.append(resident_kib())
    top.wait()
    elapsed = time.monotonic() - begin
    counts, settled = block.counts(), memory[len(memory) // 10 :]
    checks = {
        "every sample went in": counts["samples"] == total,
        "no frame skipped or invalid": counts["skipped"] == counts["invalid"] == counts["squelched"] == 0,
        "each frame follows the one before it": vectors.jumps == 1,
        "frames times lengths are the samples": 0 <= total - reports.samples < max(LENGTHS),
        "a vector and a report a frame": counts["classified"] == vectors.vectors == reports.reports,
        "vectors are probabilities": vectors.bad == 0,
        "each model used or refused": (reports.used, reports.refused, reports.other) == (sent, refused, 0),
        "memory is flat": max(settled) - settled[0] < 4096,
    }
    where = machine()
    report = {
        "date": where["date"],
        "machine": f"{where['cpu']}, {where['cores']} cores",
        "seconds": round(elapsed, 1),
        "rate": arguments.rate,
        "instruction_set": block.instruction_set(),
        "counts": counts,
        "models_used": reports.used,
        "models_refused": reports.refused,
        "memory_kib": {"first": memory[0], "settled": settled[0], "largest": max(settled), "last": memory[-1]},
        "checks": checks,
    }
    arguments.out.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report, indent=1))
    return 0 if all(checks.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
