# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables and the picture of docs/field.md, from what run.py counted."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from page import markdown_table, replace_section

ROOT = Path(__file__).resolve().parents[2]
PAGE, PICTURE = ROOT / "docs" / "field.md", ROOT / "docs" / "img" / "field_confusion.png"
#: What the requirement asks of each class.
ASKED = 0.95


def percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def span(count: dict[str, Any]) -> str:
    return f"{100 * count['interval'][0]:.1f} to {100 * count['interval'][1]:.1f} %"


def taken(count: dict[str, Any]) -> str:
    return ", ".join(f"{name} {100 * value:.0f} %" for name, value in count["taken_for"].items() if value >= 0.01)


def classes(result: dict[str, Any]) -> str:
    """Each class where the requirement is."""
    header = [
        "", "frames", "95 % interval", "mean of 8 frames", "95 % interval", "kind", "SNR of the whole band",
        "taken for",
    ]  # fmt: skip
    rows = []
    for name, row in result["signals"].items():
        asked, band = row["asked"], row["asked, SNR of the whole band"]
        rows.append([
            name, percent(asked["share"]), span(asked), percent(asked["mean"]["share"]), span(asked["mean"]),
            percent(asked["kind"]), percent(band["share"]), taken(asked),
        ])  # fmt: skip
    alone = result["noise"]["all"]
    rows.append([
        "noise", percent(alone["share"]), span(alone), percent(alone["mean"]["share"]), span(alone["mean"]),
        percent(alone["kind"]), "", taken(alone),
    ])  # fmt: skip
    return markdown_table(header, rows)


def grid(result: dict[str, Any], key: str, unit: str = "") -> str:
    """Classes by what ``key`` tells apart: shares of frames."""
    columns = list(next(iter(result["signals"].values()))[key])
    rows = [[name, *(percent(row[key][c]["share"]) for c in columns)] for name, row in result["signals"].items()]
    return markdown_table(["", *(f"{c}{unit}" for c in columns)], rows)


def noise(result: dict[str, Any]) -> str:
    """Noise alone by its width and level."""
    counts = result["noise"]
    header = ["", *(f"{width} of the band" for width in counts["width"]), *counts["level"]]
    row = [percent(c["share"]) for c in (*counts["width"].values(), *counts["level"].values())]
    return markdown_table(header, [["noise", *row]])


def recordings(result: dict[str, Any]) -> str:
    """Real recordings."""
    header = [
        "", "samples a symbol", "filter", "frames with signal", "PSK", "95 % interval", "BPSK", "frames of noise",
        "noise", "edges",
    ]  # fmt: skip
    rows = [
        [
            name, str(r["samples_per_symbol"]), r["filter"], str(r["psk"]["count"]), percent(r["psk"]["share"]),
            span(r["psk"]), percent(r["bpsk"]["share"]), str(r["noise"]["count"]), percent(r["noise"]["share"]),
            str(r["edges"]),
        ]
        for name, block in (result["recordings"] or {}).items()
        for r in block
    ]  # fmt: skip
    return markdown_table(header, rows)


def text(result: dict[str, Any]) -> str:
    """What is printed."""
    parts = [classes(result)]
    parts += [grid(result, key) for key in ("samples per symbol", "SNR", "channel", "carrier offset")]
    parts += [noise(result)] + ([recordings(result)] if result["recordings"] else [])
    return "\n\n".join(parts)


def summary(result: dict[str, Any]) -> str:
    """How many classes reach what is asked."""
    of = result["signals"]
    right = [name for name, row in of.items() if row["asked"]["share"] >= ASKED]
    mean = [name for name, row in of.items() if row["asked"]["mean"]["share"] >= ASKED]
    rows = [r for block in (result["recordings"] or {}).values() for r in block]
    reached = sum(r["psk"]["share"] >= ASKED for r in rows)
    where = result["machine"]
    return (
        f"Model `{result['model']['name']}` ({result['model']['hash'][:12]}), judged on {where['cpu']}, "
        f"{where['date']}. At 95 % of single frames or more: {', '.join(right) or 'none'} ({len(right)} of {len(of)}). "
        f"Of means over 8 frames: {', '.join(mean) or 'none'} ({len(mean)} of {len(of)}). Recordings named PSK in at "
        f"least 95 % of frames: {reached} of {len(rows)} ways to receive them."
    )


def picture(result: dict[str, Any]) -> None:
    """Shares of frames, classes by names."""
    columns = result["confusion"]["columns"]
    counts = np.array(result["confusion"]["rows"], float)
    shares = 100 * counts / counts.sum(1, keepdims=True)
    figure = Figure((9, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=100, aspect="auto")
    axes.set_xticks(range(len(columns)), columns, rotation=60, ha="right", rotation_mode="anchor", fontsize=8)
    axes.set_yticks(range(len(counts)), [*result["signals"], "noise"], fontsize=8)
    axes.set(xlabel="named", ylabel="sent")
    for y, x in np.argwhere(shares >= 0.5):
        color = "white" if shares[y, x] > 60 else "black"
        axes.text(x, y, f"{shares[y, x]:.0f}", ha="center", va="center", fontsize=7, color=color)
    figure.savefig(PICTURE, dpi=110)


def write(result: dict[str, Any]) -> None:
    """Tables and picture of the page."""
    sections = {
        "summary": summary(result),
        "classes": classes(result),
        "rates": grid(result, "samples per symbol"),
        "snr": grid(result, "SNR", " dB"),
        "channels": grid(result, "channel"),
        "offsets": grid(result, "carrier offset"),
        "noise": noise(result),
    }
    if result["recordings"]:
        sections["recordings"] = recordings(result)
    for name, table in sections.items():
        replace_section(PAGE, name, table)
    picture(result)
