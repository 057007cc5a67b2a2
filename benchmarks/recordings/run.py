# SPDX-License-Identifier: GPL-3.0-or-later
"""What real recordings give: frames, frames recovered by soft bits, code bits corrected.

    python benchmarks/recordings/run.py [--recordings DIR] [--runs 10] [--seeds 3] [--out FILE.json]

docs/recordings.md says what is measured.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
from pathlib import Path

import numpy as np
from chains import AGREES, WINDOW, Floats, code_windows, deframer_frames, noisy_code_errors, samples, soft_bits

from gr_softmod.framing.ax25 import recover_frames

ROOT = Path(__file__).resolve().parents[2]
#: file: symbol rate, centre in hertz
PICSAT, ENTRYSAT, BY701 = (("picsat_9k6", 9600, 12000), ("entrysat", 9600, 12000), ("by701", 9600, 12000))


def llrs(folder: Path, signal: tuple[str, int, int], noise_db: float | None = None, seed: int = 0) -> Floats:
    name, symbol_rate, center = signal
    data, rate = samples(folder / f"{name}.wav", noise_db, seed)
    return soft_bits(data, rate, symbol_rate, center)


def noisy_frames(folder: Path, noise_db: float, seed: int) -> dict:
    """Plain and recovered frames; the same recovery on the same LLRs in random order finds false ones only."""
    llr = llrs(folder, PICSAT, noise_db, seed)
    clean = {frame.payload for frame in recover_frames(llrs(folder, PICSAT))}
    frames = recover_frames(llr)
    shuffled = np.random.default_rng(seed).permutation(llr)
    return {
        "noise_below_recording_db": noise_db,
        "seed": seed,
        "plain": deframer_frames(llr),
        "soft": len(frames),
        "soft_not_in_clean_recording": sum(frame.payload not in clean for frame in frames),
        "false_in_shuffled_llrs": len(recover_frames(shuffled)),
    }


def convolutional(folder: Path) -> dict:
    clean = llrs(folder, BY701)
    windows = code_windows(clean)
    noisy = [
        {"noise_below_recording_db": db, **noisy_code_errors(windows, llrs(folder, BY701, db, 1))} for db in (6, 4, 2)
    ]
    return {
        "windows_in_agreement": len(windows),
        "bits_a_window": 2 * WINDOW,
        "agreement": AGREES,
        "channel_ber": round(float(np.mean([w.channel_error for w in windows])), 6),
        "noisy": noisy,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recordings", type=Path, default=ROOT.parent / "shared" / "iq")
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results" / "recordings.json")
    options = parser.parse_args()
    folder = options.recordings
    cpu = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    report = {
        "date": datetime.date.today().isoformat(),
        "machine": cpu[0].split(":")[1].strip() if cpu else os.uname().machine,
    }

    def save(key: str, value: object) -> None:
        report[key] = value
        print(key, json.dumps(value), flush=True)
        options.out.write_text(json.dumps(report, indent=1) + "\n")

    save("by701", convolutional(folder))
    save("picsat_noisy", [noisy_frames(folder, db, seed) for db, seed in [(4, s) for s in range(1, options.seeds + 1)]])
    save("entrysat_frames", [deframer_frames(llrs(folder, ENTRYSAT)) for _ in range(options.runs)])
    save("picsat_frames", [deframer_frames(llrs(folder, PICSAT)) for _ in range(options.runs)])
    save("picsat_noisy_more", [noisy_frames(folder, db, 1) for db in (6, 2)])


if __name__ == "__main__":
    main()
