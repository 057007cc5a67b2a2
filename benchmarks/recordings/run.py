# SPDX-License-Identifier: GPL-3.0-or-later
"""What real recordings give: frames, frames recovered by soft bits, code bits corrected.

    python benchmarks/recordings/run.py [--recordings DIR] [--runs 10] [--seeds 5] [--out FILE.json]

Writes the JSON and the tables of docs/recordings.md, which says what is measured.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
from pathlib import Path

import numpy as np
import report as tables
from chains import (
    AO73,
    BY701,
    BY701_BYTES,
    ENTRYSAT,
    PICSAT,
    Floats,
    ao73_errors,
    by701_windows,
    code_errors,
    deframer_frames,
    llrs,
    signs,
)

from gr_softmod.framing import ao40, ccsds
from gr_softmod.framing.ax25 import recover_frames

ROOT = Path(__file__).resolve().parents[2]
#: Random orders of the LLRs of one run in which frames are looked for that cannot be there.
SHUFFLES = 5


def noisy_frames(folder: Path, noise_db: float, seed: int, clean: set[bytes]) -> dict:
    """Plain and recovered frames; the same recovery on the same LLRs in random order finds false ones only."""
    llr = llrs(folder, PICSAT, noise_db, seed)
    frames = recover_frames(llr)
    rng = np.random.default_rng(seed)
    return {
        "noise_below_recording_db": noise_db,
        "seed": seed,
        "plain": deframer_frames(llr),
        "soft": len(frames),
        "soft_not_in_clean_recording": sum(frame.payload not in clean for frame in frames),
        "shuffles": SHUFFLES,
        "false_in_shuffled_llrs": sum(len(recover_frames(rng.permutation(llr))) for _ in range(SHUFFLES)),
    }


def by701_frames(llr: Floats) -> dict:
    """Frames from the signs of LLRs, from the LLRs, and those that the signs alone give."""
    plain, soft = (
        [frame.payload for frame in ccsds.recover_frames(values, BY701_BYTES)] for values in (signs(llr), llr)
    )
    return {
        "frames_from_signs": len(plain),
        "frames_from_llrs": len(soft),
        "frames_from_signs_alone": len(set(plain) - set(soft)),
    }


def by701(folder: Path, seeds: int) -> dict:
    clean = llrs(folder, BY701)
    frames, windows = ccsds.recover_frames(clean, BY701_BYTES), by701_windows(clean)
    noisy = []
    for db in (6, 4, 2):
        for seed in range(1, seeds + 1):
            llr = llrs(folder, BY701, db, seed)
            noisy.append(
                {"noise_below_recording_db": db, "seed": seed, **by701_frames(llr), **code_errors(windows, llr)}
            )
    return {
        **by701_frames(clean),
        "bytes_corrected": sum(frame.corrected for frame in frames),
        "clean": code_errors(windows, clean),
        "noisy": noisy,
    }


def ao73(folder: Path, seeds: int) -> dict:
    clean = llrs(folder, AO73)
    frame = ao40.recover_frame(clean)
    if frame is None:
        return {"frames_from_llrs": 0}
    noisy = []
    for db in (4, 2, -6, -7, -8):
        for seed in range(1, seeds + 1):
            llr = llrs(folder, AO73, db, seed)
            found = [ao40.recover_frame(values) for values in (signs(llr), llr)]
            noisy.append(
                {
                    "noise_below_recording_db": db,
                    "seed": seed,
                    "frames_from_signs": int(found[0] is not None and found[0].payload == frame.payload),
                    "frames_from_llrs": int(found[1] is not None and found[1].payload == frame.payload),
                    **ao73_errors(frame.payload, llr),
                }
            )
    return {
        "frames_from_llrs": 1,
        "frames_from_signs": int(ao40.recover_frame(signs(clean)) is not None),
        "begins": frame.payload[:12].hex(" "),
        "bytes_corrected": frame.corrected,
        "clean": ao73_errors(frame.payload, clean),
        "noisy": noisy,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recordings", type=Path, default=os.environ.get("SOFTMOD_RECORDINGS"))
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "recordings.json")
    options = parser.parse_args()
    folder = options.recordings
    if folder is None or not folder.is_dir():
        parser.error(f"the folder of recordings is {folder}; pass --recordings DIR or set SOFTMOD_RECORDINGS")
    cpu = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    report = {
        "date": datetime.date.today().isoformat(),
        "machine": cpu[0].split(":")[1].strip() if cpu else os.uname().machine,
    }

    def save(key: str, value: object) -> None:
        report[key] = value
        print(key, json.dumps(value), flush=True)
        options.out.write_text(json.dumps(report, indent=1) + "\n")

    runs = [llrs(folder, PICSAT) for _ in range(options.runs)]
    save("picsat_frames", [deframer_frames(llr) for llr in runs])
    same = [llr for llr in runs if len(llr) == len(runs[0])]
    save(
        "picsat_runs",
        {
            "of_equal_length": len(same),
            "largest_difference_of_llrs": max(float(np.max(np.abs(llr - runs[0]))) for llr in same),
            "decisions_that_differ": max(int(np.sum((llr > 0) != (runs[0] > 0))) for llr in same),
        },
    )
    save("entrysat_frames", [deframer_frames(llrs(folder, ENTRYSAT)) for _ in range(options.runs)])
    found = recover_frames(runs[0])
    save("picsat_soft", len(found))
    clean = {frame.payload for frame in found}
    cases = [(db, seed) for db in (6, 4, 2) for seed in range(1, options.seeds + 1)]
    save("picsat_noisy", [noisy_frames(folder, db, seed, clean) for db, seed in cases])
    save("by701", by701(folder, options.seeds))
    save("ao73", ao73(folder, options.seeds))
    tables.write(report)


if __name__ == "__main__":
    main()
