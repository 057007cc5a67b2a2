# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of docs/receiver.md, from results/receiver.json."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parents[2] / "docs" / "receiver.md"
NAMES = {"bpsk": "BPSK", "qpsk": "QPSK", "8psk": "8-PSK", "16qam": "16-QAM", "64qam": "64-QAM"}


def write(results: dict[str, Any]) -> None:
    """Replace what stands between the markers of the page."""
    page = PAGE.read_text()
    tables = {
        "rates": table(results["rates"], "samples a symbol", "samples_per_symbol", "{:g}".format),
        "bit error rates": table(results["bit_error_rates"], "bit error rate", "at_ber", "{:g}".format),
        "offsets": table(results["offsets"], "carrier off by", "carrier", "{:g}".format),
        "far offsets": table(results["far_offsets"], "carrier off by", "carrier", "{:g}".format),
        "clocks": table(results["clocks"], "clock off by", "clock", lambda c: f"{c * 1e6:g} ppm"),
        "roll-offs": table(results["roll_offs"], "roll-off", "roll_off", "{:g}".format),
        "source": f"{results['machine']}, {results['date']}; the figures depend on no timing.\n",
    }
    for name, text in tables.items():
        page, found = re.subn(
            rf"(<!-- {name} -->\n).*?(<!-- end -->)", lambda m, t=text: m[1] + t + m[2], page, flags=re.DOTALL
        )
        if found != 1:
            raise ValueError(f"{PAGE} has {found} places for {name}; it must have one")
    PAGE.write_text(page)


def table(rows: list[dict[str, Any]], title: str, key: str, shown: Callable[[Any], str]) -> str:
    """A row for each value of ``key``, a column for each constellation."""
    columns = list(dict.fromkeys(row["constellation"] for row in rows))
    lines = [f"| {title} | " + " | ".join(NAMES[c] for c in columns) + " |", "|---" * (1 + len(columns)) + "|"]
    for value in dict.fromkeys(row[key] for row in rows):
        cells = [cell(next(r for r in rows if r["constellation"] == c and r[key] == value)) for c in columns]
        lines.append(f"| {shown(value)} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def cell(row: dict[str, Any]) -> str:
    """Loss and its standard error in dB; how many runs found no lock, a wrong one, or slipped."""
    if "loss_db" not in row:
        return "lost"
    lost = f", {row['lost']} of {row['runs']} lost" if row["lost"] else ""
    return f"{row['loss_db']:.2f} ± {row['standard_error_db']:.2f}{lost}"
