# SPDX-License-Identifier: GPL-3.0-or-later
"""Off-air recordings through the receiver: frames, frames that soft bits add, code bits that soft bits correct."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks" / "recordings"))
from chains import code_windows, deframer_frames, noisy_code_errors, samples, soft_bits

from gr_softmod.framing.ax25 import recover_frames


def llrs(recordings, name, noise_db=None, seed=0):
    data, rate = samples(recordings / name, noise_db, seed)
    return soft_bits(data, rate, 9600, 12000)


def test_picsat_frames_every_time(recordings) -> None:
    first, second = (llrs(recordings, "picsat_9k6.wav") for _ in range(2))
    assert deframer_frames(first) >= 57 and deframer_frames(second) >= 57


def test_entrysat_frame(recordings) -> None:
    assert deframer_frames(llrs(recordings, "entrysat.wav")) == 1


def test_soft_bits_recover_frames_lost_in_noise(recordings) -> None:
    llr = llrs(recordings, "picsat_9k6.wav", noise_db=4, seed=1)
    plain, soft = deframer_frames(llr), len(recover_frames(llr))
    assert plain >= 17
    assert soft >= plain + 20  # 52 and 18 measured, see docs/recordings.md
    assert len(recover_frames(np.random.default_rng(1).permutation(llr))) <= 1


def test_by701_soft_decoding_beats_signs(recordings) -> None:
    windows = code_windows(llrs(recordings, "by701.wav"))
    assert len(windows) >= 20
    errors = noisy_code_errors(windows, llrs(recordings, "by701.wav", noise_db=6, seed=1))
    assert errors["windows"] >= 20
    assert errors["ber_llrs"] < errors["ber_signs"] < errors["ber_channel"]
