# SPDX-License-Identifier: GPL-3.0-or-later
"""The plot and the tables of docs/fec.md, from results/fec.json."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = DOCS / "fec.md"
PLOT = DOCS / "img" / "fec.png"

#: Method -> label, colour, marker of the plot.
STYLE = {
    "hard": ("hard decisions", "#999999", "s"),
    "in-tree": ("GNU Radio's soft decoder", "#d55e00", "v"),
    "in-tree at best": ("the same at best", "#e69f00", "^"),
    "exact": ("soft_demapper", "#0072b2", "o"),
}
CONSTELLATIONS = {"qpsk": "QPSK", "16qam": "16-QAM", "64qam": "64-QAM"}


def write(results: dict[str, Any]) -> None:
    """Replace what stands between the markers of the page, and the plot."""
    page = PAGE.read_text()
    tables = {"gains": gains(results), "weights": weights(results), "scales": scales(results)}
    for name, table in tables.items():
        page = re.sub(
            rf"(<!-- {name} -->\n).*?(<!-- end -->)", lambda m, t=table: m[1] + t + m[2], page, flags=re.DOTALL
        )
    PAGE.write_text(page)
    PLOT.parent.mkdir(exist_ok=True)
    plot(results)


def gains(results: dict[str, Any]) -> str:
    rows = [
        "| code | constellation | hard | in-tree | in-tree at best | soft_demapper | **gain over hard** "
        "| over in-tree | over in-tree at best |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for case in results["cases"]:
        at = case["crossing_db"]
        cells = [number(at[m], "never") for m in ("hard", "in-tree", "in-tree at best", "exact")]
        gain = [gained(case, m) for m in ("hard", "in-tree", "in-tree at best")]
        gain[0] = f"**{gain[0]}**"
        rows.append(f"| {case['code']} | {CONSTELLATIONS[case['constellation']]} | " + " | ".join(cells + gain) + " |")
    source = (
        f"\nEb/N0 in dB at which one frame in {round(1 / results['target_fer'])} is wrong; never: not within 10 dB of "
        "where the curves begin. In brackets the 95 % bootstrap interval. "
        f"{results['machine']}, GNU Radio {results['gnuradio']}, {results['date']}.\n"
    )
    return "\n".join(rows) + "\n" + source


def weights(results: dict[str, Any]) -> str:
    rows = ["| Eb/N0 | weight | frames | wrong | of these by about half of their bits |", "|---|---|---|---|---|"]
    for row in results["ldpc_weights"]:
        rows.append(f"| {row['ebn0_db']} dB | {row['weight']} | {row['frames']} | {row['wrong']} | {row['half']} |")
    return "\n".join(rows) + "\n"


def scales(results: dict[str, Any]) -> str:
    rows = ["| LLRs times | bit error rate at 3 dB |", "|---|---|"]
    rows += [f"| {row['scale']} | {row['ber']:.1e} |" for row in results["uchar_scales"]]
    return "\n".join(rows) + "\n"


def number(value: float | None, otherwise: str) -> str:
    return otherwise if value is None else f"{value:.1f}"


def gained(case: dict[str, Any], method: str) -> str:
    middle, low, high = case["gain_db"][method]
    if middle is None:  # the curve ends before it gets there
        return f"> {case['curves'][method][-1]['ebn0_db'] - case['crossing_db']['exact']:.0f} dB"
    return f"{middle:.1f} dB ({low:.1f} to {high:.1f})"


def plot(results: dict[str, Any]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    codes = list(dict.fromkeys(case["code"] for case in results["cases"]))
    figure, axes = plt.subplots(
        len(codes), len(CONSTELLATIONS), figsize=(11, 9), sharex="col", sharey=True, layout="constrained"
    )
    for case in results["cases"]:
        axis = axes[codes.index(case["code"]), list(CONSTELLATIONS).index(case["constellation"])]
        for method, (label, colour, marker) in STYLE.items():
            # Below three wrong frames a bit error rate says nothing.
            points = [p for p in case["curves"][method] if p["fer"] * p["frames"] > 2.5]
            x, y = [p["ebn0_db"] for p in points], [p["ber"] for p in points]
            low, high = [p["ber_95"][0] for p in points], [p["ber_95"][1] for p in points]
            axis.semilogy(x, y, color=colour, marker=marker, markersize=4, linewidth=1.4, label=label)
            axis.fill_between(x, [max(v, 1e-7) for v in low], high, color=colour, alpha=0.18, linewidth=0)
        axis.set_title(f"{case['code']}, {CONSTELLATIONS[case['constellation']]}", fontsize=10)
        axis.set_ylim(3e-6, 0.7)
        axis.grid(True, which="major", color="#dddddd", linewidth=0.6)
        axis.spines[["top", "right"]].set_visible(False)
    for axis in axes[-1]:
        axis.set_xlabel("Eb/N0 (dB)")
    for axis in axes[:, 0]:
        axis.set_ylabel("bit error rate")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=4, frameon=False)
    figure.savefig(PLOT, dpi=110)
    plt.close(figure)
