# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures and tables of docs/train_link.md, from results/links.json and the run directories."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = DOCS / "train_link.md"
#: Bit error rates printed in the tutorial that trains 64 points the same way (Sionna's, by its own counts).
TUTORIAL = {10.0: 2.61e-2, 12.105: 8.38e-3, 13.684: 2.90e-3, 15.263: 5.01e-4, 16.842: 5.25e-5}
PLAIN, NEURAL, NEAREST = "plain 64qam", "trained, neural demapper", "trained points, nearest point"


def write(results: dict[str, Any], runs: Path) -> None:
    """Replace what stands between the markers of the page, and the figures."""
    page = PAGE.read_text()
    for table in (plain, trained, rates, impaired):
        pattern = rf"(<!-- {table.__name__} -->\n).*?(<!-- end -->)"
        text = table(results)
        page = re.sub(pattern, lambda m, text=text: m[1] + text + m[2], page, flags=re.DOTALL)
    PAGE.write_text(page)
    images = DOCS / "img"
    shutil.copy(runs / "link_64" / "constellation.png", images / "link_64_constellation.png")
    shutil.copy(runs / "link_pa" / "constellation.png", images / "link_pa_constellation.png")
    plot_trained(results, images / "link_64_ber.png")
    plot_impaired(results, images / "link_pa_ber.png")


def plain(results: dict[str, Any]) -> str:
    rows = ["| Eb/N0 [dB] | bit errors | bits | BER | 95 % interval | theory | inside |"]
    rows.append("|---|---|---|---|---|---|---|")
    for r in results["ber_64qam"]["curves"]["64qam"]:
        inside = "yes" if r["ber_low"] <= r["theory"] <= r["ber_high"] else "no"
        interval = f"{r['ber_low']:.3e} to {r['ber_high']:.3e}"
        counts = f"{r['bit_errors']:,} | {r['bits']:,}"
        rows.append(f"| {r['ebn0_db']:g} | {counts} | {r['ber']:.3e} | {interval} | {r['theory']:.3e} | {inside} |")
    return "\n".join(rows) + "\n" + source(results["ber_64qam"])


def trained(results: dict[str, Any]) -> str:
    rows = [
        "| Eb/N0 [dB] | 64-QAM, theory | trained points, nearest point | trained, neural demapper | the tutorial's |",
        "|---|---|---|---|---|",
    ]
    curves = results["link_64"]["curves"]
    for base, nearest, neural in zip(curves[PLAIN], curves[NEAREST], curves[NEURAL], strict=True):
        cells = [f"{base['ebn0_db']:g}", f"{base['theory']:.3e}", rate(nearest), rate(neural)]
        cells.append(f"{TUTORIAL[base['ebn0_db']]:.2e}" if base["ebn0_db"] in TUTORIAL else "")
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n" + source(results["link_64"])


def rates(results: dict[str, Any]) -> str:
    rows = [
        "| Eb/N0 [dB] | capacity | 64-QAM | trained points, exact demapper | trained, neural demapper | gain "
        "| gap to capacity, 64-QAM | gap, trained |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for r in results["link_64"]["rates"]:
        cells = [f"{r['ebn0_db']:g}", f"{r['capacity']:.3f}"]
        for name in ("plain", "trained", "neural"):
            low, high = r[f"{name}_interval"]
            cells.append(f"{r[name]:.4f} ± {(high - low) / 2:.4f}")
        exact = r["trained_by_quadrature"], r["plain_by_quadrature"]
        cells += [f"{exact[0] - exact[1]:+.4f}", *(f"{r['capacity'] - e:.3f}" for e in reversed(exact))]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n" + source(results["link_64"])


def impaired(results: dict[str, Any]) -> str:
    both, receiver = results["link_pa"]["curves"], results["link_pa_receiver"]["curves"]
    rows = ["| Eb/N0 [dB] | before | receiver trained | transmitter and receiver trained |", "|---|---|---|---|"]
    for cells in zip(both["plain 16qam"], receiver[NEURAL], both[NEURAL], strict=True):
        rows.append(f"| {cells[0]['ebn0_db']:g} | {' | '.join(rate(cell) for cell in cells)} |")
    return "\n".join(rows) + "\n" + source(results["link_pa"])


def rate(row: dict[str, Any]) -> str:
    """A rate with its interval, or what is known without an error."""
    if not row["bits"]:
        return ""
    if not row["bit_errors"]:
        return f"below {row['ber_high']:.1e}"
    return f"{row['ber']:.3e} ({row['ber_low']:.2e} to {row['ber_high']:.2e})"


def source(result: dict[str, Any]) -> str:
    machine = result["machine"]
    return f"\n{machine['cpu']}, torch {machine['torch']}, {machine['date']}.\n"


# ---- figures


def plot_trained(results: dict[str, Any], path: Path) -> None:
    curves = results["link_64"]["curves"]
    figure, axes = _figure()
    x = [r["ebn0_db"] for r in curves[PLAIN]]
    axes.semilogy(x, [r["theory"] for r in curves[PLAIN]], color="0.5", label="64-QAM, theory")
    _curve(axes, curves[PLAIN], "64-QAM", "0.5", "s", line="none")
    _curve(axes, curves[NEAREST], "trained points, nearest point", "C0", "o")
    _curve(axes, curves[NEURAL], "trained, neural demapper", "C3", "^")
    axes.semilogy(list(TUTORIAL), list(TUTORIAL.values()), "kx", label="the tutorial's trained model")
    _save(figure, axes, path, "Uncoded, white noise")


def plot_impaired(results: dict[str, Any], path: Path) -> None:
    both, receiver = results["link_pa"]["curves"], results["link_pa_receiver"]["curves"]
    figure, axes = _figure()
    _curve(axes, both["plain 16qam"], "before: 16-QAM, formula", "0.5", "s")
    _curve(axes, receiver[NEURAL], "receiver trained", "C1", "v")
    _curve(axes, both[NEURAL], "transmitter and receiver trained", "C0", "o")
    _save(figure, axes, path, "Through an amplifier and phase noise")


def _figure() -> tuple[Any, Any]:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(7, 5), layout="constrained")


def _curve(axes: Any, rows: list[dict[str, Any]], label: str, colour: str, marker: str, line: str = "-") -> None:
    rows = [r for r in rows if r["bit_errors"]]
    x, y = [r["ebn0_db"] for r in rows], [r["ber"] for r in rows]
    low = [max(0.0, r["ber"] - r["ber_low"]) for r in rows]
    high = [max(0.0, r["ber_high"] - r["ber"]) for r in rows]
    axes.errorbar(x, y, [low, high], color=colour, marker=marker, ms=4, capsize=2, lw=1.2, ls=line, label=label)


def _save(figure: Any, axes: Any, path: Path, title: str) -> None:
    import matplotlib.pyplot as plt

    axes.set_yscale("log")
    axes.set(xlabel="$E_b/N_0$ [dB]", ylabel="bit error rate", title=title)
    axes.grid(which="major", alpha=0.5)
    axes.grid(which="minor", alpha=0.15)
    axes.legend(frameon=False)
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)
