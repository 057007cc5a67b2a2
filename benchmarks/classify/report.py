# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/classify_speed.md from the JSON of run.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

INTRODUCTION = """<!-- SPDX-License-Identifier: GPL-3.0-or-later -->
<!-- Written by benchmarks/classify/run.py: change that, not this. -->
# How fast the classifier is

Measured {date} on {machine}, one thread, kernels for {instruction_set}; torch {torch}, onnxruntime {onnxruntime},
OpenVINO {openvino}. Frames of {frame} samples; the same random integer weights on all sides (torch: float32 of the same
topology, for comparison). All in one run, in turn; CPU time, medians of {rounds} rounds. Other programs ran on the
machine meanwhile.

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
        name = f"{network['network']} w{network['bits']}a{network['bits']}"
        rows.append(
            [
                name + (" (from integers)" if network["ours_from"] == "integers" else ""),
                f"{network['multiply_accumulates'] / 1e6:.2f}",
                *(f"{1 / peer:,.0f}" for peer in peers),
                f"{1 / seconds[f'torch float {batch}']:,.0f}",
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
