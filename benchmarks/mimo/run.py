# SPDX-License-Identifier: GPL-3.0-or-later
"""MIMO detectors: error rate, information rate and speed; Sionna's on the same signals where it is installed.

    python benchmarks/mimo/run.py [--peer] [--out benchmarks/results/mimo.json]

``--peer`` needs an interpreter that has ``sionna-no-rt==2.2.0`` (a virtual environment of its own) and this package on
PYTHONPATH. The rate is bit-metric decoding's, ``sum of log2-likelihoods`` a channel use, at the LLR scale the detector
gives and at the best scale for it: the second says how good the LLRs are, the first whether they are calibrated.
"""

from __future__ import annotations

import argparse
import datetime
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from gr_softmod.modem import Modulator, seeded_generator
from gr_softmod.modem.channel import AWGN, MIMOChannel
from gr_softmod.modem.mimo import LMMSEDetector, MLDetector, MMSEPICDetector

Detector = Callable[[Tensor, Tensor, float], Tensor]


def rate(llr: Tensor, bits: Tensor, streams: int, m: int) -> float:
    """Bits a channel use that bit-metric decoding could carry with these LLRs."""
    loss = torch.nn.functional.binary_cross_entropy_with_logits(llr.double(), bits.double()).item()
    return streams * m * (1 - loss / torch.log(torch.tensor(2.0)).item())


def best_rate(llr: Tensor, bits: Tensor, streams: int, m: int) -> float:
    return max(rate(llr * 10 ** (k / 20), bits, streams, m) for k in range(-26, 7))


def sionna_detectors(name: str, streams: int, survivors: int) -> dict[str, Detector]:
    from sionna.phy.mimo import KBestDetector, LinearDetector
    from sionna.phy.mimo import MMSEPICDetector as TheirPIC

    m = Modulator(name).bits_per_symbol
    shared = {"output": "bit", "constellation_type": "qam", "num_bits_per_symbol": m}
    theirs = {
        "sionna LMMSE": LinearDetector(equalizer="lmmse", demapping_method="app", **shared),
        "sionna K-best": KBestDetector(num_streams=streams, k=survivors, **shared),
        "sionna MMSE-PIC": TheirPIC(demapping_method="app", num_iter=1, **shared),
    }

    def adapt(detector: Callable, needs_priors: bool) -> Detector:
        def run(received: Tensor, gains: Tensor, noise_var: float) -> Tensor:
            y = received.mT  # [B, N, R]
            h = gains[:, None].expand(-1, y.shape[1], -1, -1)
            s = (noise_var * torch.eye(y.shape[-1], dtype=y.dtype)).expand(*y.shape, y.shape[-1])
            priors = (torch.zeros(*y.shape[:2], streams, m),) if needs_priors else ()
            out = detector(y, h, s, *priors)
            return out.movedim(1, 2).flatten(-2)  # [B, N, T, m] -> [B, T, N m]

        return run

    return {name: adapt(d, "PIC" in name) for name, d in theirs.items()}


def medians(runs: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run()
    for _ in range(rounds):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def case(name: str, streams: int, survivors: int, esn0_db: float, frames: int, rounds: int, peer: bool) -> dict:
    g = seeded_generator(1, streams)
    modulator, noise_var = Modulator(name), 10 ** (-esn0_db / 10)
    m, count = modulator.bits_per_symbol, 24
    bits = torch.randint(0, 2, (frames, streams, count * m), generator=g).float()
    symbols = modulator(bits)
    channel = MIMOChannel(streams, streams)
    gains = channel.draw(symbols, generator=g)
    received = AWGN(noise_var)(channel(symbols, gains), generator=g)
    detectors: dict[str, Detector] = {
        "LMMSE": LMMSEDetector(name),
        "MMSE-PIC": MMSEPICDetector(name),
        "MMSE-PIC, 3 passes": MMSEPICDetector(name, iterations=3),
        "K-best": MLDetector(name, survivors=survivors),
    }
    if modulator.points.order**streams <= 4096:
        detectors["ML"] = MLDetector(name)
    if peer:
        detectors |= sionna_detectors(name, streams, survivors)
    with torch.no_grad():
        llrs = {key: detector(received, gains, noise_var) for key, detector in detectors.items()}
        part = slice(0, max(1, frames // 8))
        seconds = medians(
            {k: lambda d=d: d(received[part], gains[part], noise_var) for k, d in detectors.items()}, rounds
        )
    vectors = len(received[part]) * count
    rows = {
        key: {
            "ber": round(((llr > 0) != bits.bool()).double().mean().item(), 6),
            "rate": round(rate(llr, bits, streams, m), 3),
            "rate_best_scale": round(best_rate(llr, bits, streams, m), 3),
            "microseconds_per_vector": round(1e6 * seconds[key] / vectors, 2),
        }
        for key, llr in llrs.items()
    }
    return {
        "constellation": name,
        "streams": streams,
        "survivors": survivors,
        "esn0_db_per_antenna_and_stream": esn0_db,
        "bits": bits.numel(),
        "detectors": rows,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", action="store_true", help="run Sionna's detectors too")
    parser.add_argument("--frames", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "results" / "mimo.json")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    cpu = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    report = {
        "date": datetime.date.today().isoformat(),
        "machine": cpu[0].split(":")[1].strip() if cpu else "",
        "threads": options.threads,
        "torch": torch.__version__,
        "cases": [
            case(*settings, options.frames, options.rounds, options.peer)
            for settings in [
                ("qpsk", 4, 16, 6.0),
                ("16qam", 4, 32, 16.0),
                ("64qam", 4, 64, 22.0),
                ("16qam", 8, 64, 9.0),
            ]
        ],
    }
    for entry in report["cases"]:
        print(entry["constellation"], f"{entry['streams']}x{entry['streams']}", f"{entry['survivors']} survivors")
        for key, row in entry["detectors"].items():
            print(f"  {key:20s}", row)
    options.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
