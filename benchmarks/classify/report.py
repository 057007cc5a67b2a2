# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/classify_speed.md from the JSON of run.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

INTRODUCTION = """<!-- SPDX-License-Identifier: GPL-3.0-or-later -->
<!-- Written by benchmarks/classify/run.py: change that, not this. -->
# How fast the classifier is

Measured {date} on {machine}, {cores} cores, one thread, kernels for {instruction_set}; torch {torch},
onnxruntime {onnxruntime}, OpenVINO {openvino}. Frames of {frame} samples; the same integer weights on all sides: random
ones, and those of the models that come with the project (torch: float32 of the same topology, for comparison). All
in one run, in turn; CPU time, medians of {rounds} rounds.

The peers get 8-bit graphs in the pattern that they fuse, once with one- and once with two-dimensional convolutions, of
which the faster counts; they are spared the clipping to fewer bits and get integers, where ours take complex frames
(normalisation and quantisation are in our time) unless it says so. The core's peak is that of the dot products of bytes
(registers only), measured in the same run.

To repeat it:

```
benchmarks/classify/make_peers_env .peers-classify
PYTHONPATH=build/python python benchmarks/classify/run.py
```
"""
LATENCY = """## From the last sample to the decision

Microseconds by the clock of single calls from Python with one frame: power, features, network, probabilities. Asked:
under 100.
"""
THREADS = """## Several threads

Frames a second by the clock, complex frames to probabilities, batch 512, shared out over one and two threads. Whatever
else runs on the machine slows two down more than one.
"""
ZEROS = """## Zeros

Frames a second from integers, batch 32, by the share of the weights that are not zero. A group of four weights of all
of up to 64 outputs is left out where it is zero. Zeros that lie anywhere hardly ever make such a group: they save
memory and the multiplications of hardware made for them, not time here; zeros by groups do. The trained `radioml2018`,
where 15 to 85 % of a layer's weights are left, has no such group.
"""
PEERS = ("onnxruntime", "openvino")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"


def best(seconds: dict[str, float], peer: str, batch: int) -> float:
    return min(seconds[f"{peer} {dimensions}-D {batch}"] for dimensions in (1, 2))


def network_rows(result: dict[str, Any], batch: int) -> list[list[str]]:
    rows = []
    for network in result["networks"]:
        seconds = network["seconds_per_frame"]
        own = seconds[f"ours {batch}"]
        peers = [best(seconds, peer, batch) for peer in PEERS]
        asked = network["target" if batch > 1 else "target_batch_1"]
        gmac = network["multiply_accumulates"] / own / 1e9
        name = network["network"] + (f" w{network['bits']}a{network['bits']}" if network["bits"] else ", trained")
        rows.append(
            [
                name + (" (from integers)" if network["ours_from"] == "integers" else ""),
                f"{network['multiply_accumulates'] / 1e6:.2f}",
                *(f"{1 / peer:,.0f}" for peer in peers),
                f"{1 / seconds[key]:,.0f}" if (key := f"torch float {batch}") in seconds else "",
                f"{1 / own:,.0f}",
                f"{min(peers) / own:.1f}",
                f"{asked:g}" if asked else "",
                f"{gmac:.0f}",
                f"{100 * gmac / network['peak_gmac']:.0f} %",
            ]
        )
    return rows


def whole_rows(result: dict[str, Any]) -> list[list[str]]:
    rows = []
    for network in result["networks"]:
        seconds = network["seconds_per_frame"]
        for batch in (32, 1):
            if f"whole ours {batch}" not in seconds:
                continue
            own = seconds[f"whole ours {batch}"]
            peer = seconds[f"features torch {batch}"] + min(best(seconds, name, batch) for name in PEERS)
            rows.append(
                [
                    network["network"], str(batch), f"{1 / peer:,.0f}", f"{1 / own:,.0f}", f"{peer / own:.0f}",
                    f"{result['frame'] / own / 1e6:.0f}", f"{own * batch * 1e6:.1f}",
                    f"{seconds[f'features torch {batch}'] / seconds[f'features ours {batch}']:.0f}",
                ]
            )  # fmt: skip
    return rows


def latency_rows(result: dict[str, Any]) -> list[list[str]]:
    return [
        [row["network"], *(f"{row['latency'][key] * 1e6:.0f}" for key in ("median", "99 %"))]
        for row in result["networks"]
    ]


def thread_rows(result: dict[str, Any]) -> list[list[str]]:
    rows = []
    for network in result["networks"]:
        one, two = (network["seconds_per_frame"][f"threads {threads}"] for threads in (1, 2))
        rows.append([network["network"], f"{1 / one:,.0f}", f"{1 / two:,.0f}", f"{one / two:.2f}"])
    return rows


def density_rows(result: dict[str, Any], keys: Sequence[str]) -> list[list[str]]:
    return [
        [network["network"], *(f"{1 / network['seconds_per_frame'][key]:,.0f}" for key in keys)]
        for network in result["networks"]
        if network["bits"]
    ]


def page(result: dict[str, Any]) -> str:
    parts = [INTRODUCTION.format(**{**result, **result["versions"]})]
    head = [
        "network", "MMAC", "onnxruntime", "OpenVINO", "torch float", "ours", "ratio to the best 8-bit peer", "asked",
        "GMAC/s", "of peak",
    ]  # fmt: skip
    for batch in (32, 1):
        parts.append(f"## The networks, batch {batch}\n\nFrames a second.\n")
        parts.append(table(head, network_rows(result, batch)))
    parts.append(
        "## With the expert features\n\nFrames a second from complex frames to probabilities. The peer is the features "
        "in torch, then the best peer's network. Asked: 10 times the peer and 20 million samples a second.\n"
    )
    head = ["network", "batch", "peer", "ours", "ratio", "Msample/s", "us a call", "features alone, ratio to torch"]
    parts.append(table(head, whole_rows(result)))
    floor = next(row for row in result["networks"] if row["network"] == "imperial")
    least = floor["multiply_accumulates"] / floor["peak_gmac"] / 1e3
    parts.append(
        f"Imperial's products alone take {least:.1f} us at the core's peak, which bounds what can be reached there.\n"
    )
    parts.append(LATENCY)
    parts.append(table(["network", "median", "99 %"], latency_rows(result)))
    parts.append(THREADS)
    parts.append(table(["network", "1 thread", "2 threads", "ratio"], thread_rows(result)))
    densities = [key for key in result["networks"][0]["seconds_per_frame"] if key.startswith("density ")]
    parts.append(ZEROS)
    parts.append(
        table(["network", *(key.removeprefix("density ") for key in densities)], density_rows(result, densities))
    )
    sets = [key for key in result["networks"][0]["seconds_per_frame"] if key.startswith("set ")]
    parts.append("## Instruction sets\n\nFrames a second of the networks alone, from integers, batch 8.\n")
    rows = [
        [network["network"], *(f"{1 / network['seconds_per_frame'][key]:,.0f}" for key in sets)]
        for network in result["networks"]
    ]
    parts.append(table(["network", *(key.removeprefix("set ") for key in sets)], rows))
    agreed = [
        f"{network['network']} {min(share for key, share in network['agreement'].items()):.0%}"
        for network in result["networks"]
    ]
    parts.append(
        "Share of the frames in which the peers decide as we do, the least of all forms (random weights; they round "
        "elsewhere and do not clip to fewer bits): " + ", ".join(agreed) + ".\n"
    )
    peaks = ", ".join(f"{network['peak_gmac']:.0f}" for network in result["networks"])
    arenas = ", ".join(f"{network['network']} {network['arena_bytes'] // 1024} KiB" for network in result["networks"])
    parts.append(
        f"Peak of the core during these measurements: {peaks} GMAC/s. Memory of a frame's activations: {arenas}.\n"
    )
    return "\n".join(parts)
