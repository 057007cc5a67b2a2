# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/modem_speed.md from the JSON of run.py."""

from __future__ import annotations

from typing import Any

INTRODUCTION = """<!-- SPDX-License-Identifier: GPL-3.0-or-later -->
<!-- Written by benchmarks/modem/run.py: change that, not this. -->
# How fast the modem is

Measured {date} on {machine}, with {versions}.
All sides in one run, in turn; medians of {rounds} rounds; {symbols} symbols at a time (128 blocks of 1200 bits of
64-QAM). A ratio is the peer's time over ours. Sionna's `app` is compared with `exact`; Kaira's demodulator is max-log
whatever is asked. One thread is timed by its CPU time, which other work on the machine does not touch, two by the clock
on the wall.

To repeat it:

```
benchmarks/modem/make_peers_env .peers
PYTHONPATH=build/python python benchmarks/modem/run.py --peers .peers/bin/python
```
"""


def page(result: dict[str, Any]) -> str:
    versions = result["versions"]
    named = f"torch {versions['ours']['torch']} on all sides, Sionna {versions['sionna_side'].get('sionna')}, "
    named += f"Kaira {versions['kaira_side'].get('kaira')}, kernels for {versions['ours']['simd']}"
    parts = [INTRODUCTION.format(**{**result, "versions": named})]
    parts += [note + "\n" for note in result.get("notes", [])]
    for threads, found in result["threads"].items():
        parts.append(f"## {threads} thread{'s' if threads != '1' else ''}\n")
        parts.append(speed_table(found["cases"], result["symbols"]))
        parts.append("`forward_soft` over `forward`, ours (asked: at most 2):\n")
        parts.append(table(["", "ratio"], [[row["title"], f"{row['ratio']:.2f}"] for row in found["soft_over_hard"]]))
        parts.append("Without the C++ kernels (the formulas in torch alone), ratio to Sionna:\n")
        parts.append(table(["", "ratio"], [[row["title"], number(row["ratio"])] for row in found["without_kernels"]]))
    parts.append(
        "## Peak memory\n\nBytes per symbol, one call in a fresh process, one thread (asked: at most a quarter).\n"
    )
    parts.append(
        table(
            ["", "ours", "Sionna", "Kaira", "Sionna over ours"],
            [
                [
                    row["title"],
                    *(number(peaks.get(side)) for side in ("ours", "sionna_side", "kaira_side")),
                    number(peaks["sionna_side"] / peaks["ours"]),
                ]
                for row in result["memory"]
                for peaks in [row["bytes_per_symbol"]]
            ],
        )  # fmt: skip
    )
    parts.append(
        "## Agreement\n\nLargest difference of LLRs of the same 20,000 noisy symbols, over max(1, |LLR|), at noise_var "
        "0.01, 0.1 and 1 (asked: 2e-5 between the two).\n"
    )
    parts.append(agreement_table(result["agreement"]))
    trips = "; ".join(f"{name}: {outcome}" for name, outcome in result["kaira_round_trips"].items())
    parts.append(f"Round trips without noise in Kaira: {trips}. Ours have none wrong (`tests/test_modem_named.py`).\n")
    return "\n".join(parts)


def speed_table(cases: list[dict[str, Any]], symbols: int) -> str:
    rows = []
    for row in cases:
        seconds = row["seconds"]
        if "step" in row["title"]:
            ours = f"{1e3 * seconds['ours']:.1f} ms"
        else:
            ours = f"{symbols / seconds['ours'] / 1e6:.3g} Msymbol/s"
        ratios = [number(row["ratios"].get(side)) for side in ("sionna_side", "kaira_side")]
        rows.append([row["title"], ours, *ratios, "" if row["target"] is None else f">= {row['target']:g}"])
    return table(["", "ours", "Sionna / ours", "Kaira / ours", "asked of Sionna"], rows)


def agreement_table(rows: list[dict[str, Any]]) -> str:
    found = []
    for name in dict.fromkeys(row["constellation"] for row in rows):
        for method in ("exact", "maxlog"):
            some = [row for row in rows if row["constellation"] == name and row["method"] == method]
            worst = [
                max(row[key] for row in some) for key in ("difference", "ours_from_float64", "sionna_from_float64")
            ]
            found.append([f"{name} {method}", *(f"{value:.1e}" for value in worst)])
    return table(["", "between the two", "ours to float64", "Sionna to float64"], found)


def number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"
