# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a recording that changes its modulation four times, and counts the bits that a blind reception got wrong.

    python changing_modulation.py make changing.sigmf-meta
    softmod receive changing.sigmf-meta -o result
    python changing_modulation.py check changing.sigmf-meta result

BPSK, QPSK, 8-PSK, 16-QAM and 64-QAM behind each other without a pause: root raised cosine pulses (roll-off 0.35) at a
symbol rate that is no divisor of the sample rate, off the middle of the band, in white noise. The receiver is told none
of it. Beside the recording lie the labels of the symbols that were sent.

A blind receiver cannot know by which turn of the carrier's phase the constellation looks the same; that turn is taken
from what was sent, once for each segment, and so is the number of the first symbol. From there on every symbol counts.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sigmf import SigMFFile

from gr_softmod.constellation import Constellation

NAMES = ("bpsk", "qpsk", "8psk", "16qam", "64qam")
SYMBOLS = 40_000  # of each
SAMPLE_RATE, SYMBOL_RATE = 96e3, 21_375.0
CARRIER, ROLLOFF, ESN0_DB = 7_321.0, 0.35, 20.0
FULL_SCALE = 6000
#: Points between symbols from which samples are interpolated; symbols of a pulse on either side.
_FINE, _SPAN = 64, 24


def pulse(t: NDArray[np.float64], rolloff: float) -> NDArray[np.float64]:
    """Root raised cosine of unit energy, t in symbols.

    Source: J. Proakis, M. Salehi, "Digital Communications", 5th edition, 2008, section 9.2.
    """
    t = np.where(np.abs(np.abs(4 * rolloff * t) - 1) < 1e-9, t + 1e-6, np.where(np.abs(t) < 1e-9, 1e-9, t))
    edges = np.sin(np.pi * t * (1 - rolloff)) + 4 * rolloff * t * np.cos(np.pi * t * (1 + rolloff))
    return np.asarray(edges / (np.pi * t * (1 - (4 * rolloff * t) ** 2)))


def shaped(symbols: NDArray[np.complex128], samples_per_symbol: float) -> NDArray[np.complex128]:
    """Samples of pulses at any rate."""
    table = pulse(np.arange(-_SPAN * _FINE, _SPAN * _FINE + 1) / _FINE, ROLLOFF)
    times = np.arange(int(len(symbols) * samples_per_symbol)) / samples_per_symbol
    padded = np.pad(symbols, _SPAN)
    nearest = times.astype(int)
    total = np.zeros(len(times), complex)
    for step in range(-_SPAN + 1, _SPAN):
        place = (times - nearest - step + _SPAN) * _FINE
        index = place.astype(int)
        weight = table[index] + (table[index + 1] - table[index]) * (place - index)
        total += padded[nearest + step + _SPAN] * weight
    return total / np.sqrt(samples_per_symbol)


def make(path: Path, seed: int = 1) -> None:
    """Write the recording ``path`` (``.sigmf-meta``), its samples, and the labels sent (``.npz``)."""
    rng = np.random.default_rng(seed)
    schemes = [Constellation.from_name(name) for name in NAMES]
    labels = [rng.integers(0, scheme.order, SYMBOLS) for scheme in schemes]
    symbols = np.concatenate([scheme.points[sent] for scheme, sent in zip(schemes, labels, strict=True)])
    signal = shaped(symbols, SAMPLE_RATE / SYMBOL_RATE)
    turn = np.exp(2j * np.pi * (CARRIER / SAMPLE_RATE * np.arange(len(signal)) + 0.1))
    # One symbol's energy is 1, so is that of the noise in one sample of it over 10^(Es/N0 / 10).
    noise = rng.normal(size=(len(signal), 2)) @ [1, 1j] * np.sqrt(10 ** (-ESN0_DB / 10) / 2)
    samples = FULL_SCALE * (signal * turn + noise)
    data = path.with_suffix(".sigmf-data")
    np.round(np.stack([samples.real, samples.imag], -1)).astype("<i2").tofile(data)
    np.savez_compressed(path.with_suffix(".npz"), **dict(zip(NAMES, labels, strict=True)))
    meta = SigMFFile(
        data_file=data,
        global_info={
            "core:datatype": "ci16_le",
            "core:sample_rate": SAMPLE_RATE,
            "core:description": f"Simulated: {', '.join(NAMES)} at {SYMBOL_RATE:g} Bd, Es/N0 {ESN0_DB:g} dB",
            "core:recorder": "changing_modulation.py",
        },
    )
    meta.add_capture(0, {})
    meta.tofile(path, overwrite=True)


def ideal_errors(scheme: Constellation, count: int = 1 << 20) -> float:
    """Bit error rate of decisions for the nearest point, by as many symbols in white noise."""
    rng = np.random.default_rng(7)
    sent = rng.integers(0, scheme.order, count)
    noise = rng.normal(size=(count, 2)) @ [1, 1j] * np.sqrt(10 ** (-ESN0_DB / 10) / 2)
    return float(np.mean(scheme.bits[scheme.nearest(scheme.points[sent] + noise)] != scheme.bits[sent]))


def symmetry(scheme: Constellation) -> int:
    """How many turns leave the constellation as it is."""
    for order in (8, 4, 2):
        turned = scheme.points * np.exp(2j * np.pi / order)
        if np.allclose(scheme.points[scheme.nearest(turned)], turned):
            return order
    return 1


def align(taken: NDArray[np.complex64], sent: NDArray[np.complex128]) -> tuple[int, complex]:
    """With which of the symbols sent those taken begin, and how they are turned."""
    size = 1 << (len(taken) + len(sent)).bit_length()
    match = np.fft.ifft(np.fft.fft(taken, size) * np.conj(np.fft.fft(sent, size)))
    peak = int(np.argmax(np.abs(match)))
    return (-peak if peak < size // 2 else size - peak), complex(match[peak] / np.abs(match[peak]))


def check(path: Path, folder: Path) -> list[dict[str, float | str]]:
    """Bit errors of each segment that was received; prints a line for each."""
    labels = np.load(path.with_suffix(".npz"))
    symbols = np.fromfile(folder / "symbols.sigmf-data", np.complex64)
    lines: list[dict[str, float | str]] = []
    print(f"{'segment':<8}{'received':>10}{'of':>8}{'wrong bits':>12}{'BER':>10}{'ideal':>10}")
    for segment in json.loads((folder / "report.json").read_text())["segments"]:
        name = segment["constellation"]
        if name not in labels:
            print(f"{name:<8} was never sent")
            lines.append({"name": name, "symbols": 0, "errors": 0, "ber": 1.0, "ideal": 0.0})
            continue
        scheme, label = Constellation.from_name(name), labels[name]
        taken = symbols[segment["first_symbol"] : segment["first_symbol"] + segment["symbols"]]
        first, turned = align(taken, scheme.points[label])
        order = symmetry(scheme)
        turn = np.round(np.angle(turned) / (2 * np.pi / order)) * 2 * np.pi / order
        begin, end = max(0, -first), min(len(taken), len(label) - first)
        decided = scheme.nearest(taken[begin:end] * np.exp(-1j * turn))
        wrong = int(np.sum(scheme.bits[decided] != scheme.bits[label[begin + first : end + first]]))
        ber, ideal = wrong / ((end - begin) * scheme.bits_per_symbol), ideal_errors(scheme)
        print(f"{name:<8}{end - begin:>10,}{len(label):>8,}{wrong:>12,}{ber:>10.1e}{ideal:>10.1e}")
        lines.append({"name": name, "symbols": end - begin, "errors": wrong, "ber": ber, "ideal": ideal})
    return lines


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("make", "check"):
        verbs.add_parser(verb).add_argument("recording", type=Path, help="ends in .sigmf-meta")
    verbs.choices["check"].add_argument("result", type=Path, help="folder that softmod receive has left")
    arguments = parser.parse_args()
    if arguments.verb == "make":
        make(arguments.recording)
    else:
        check(arguments.recording, arguments.result)
