# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of docs/recordings.md, from results/recordings.json."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parents[2] / "docs" / "recordings.md"


def write(results: dict[str, Any]) -> None:
    """Replace what stands between the markers of the page."""
    page = PAGE.read_text()
    tables = {
        "frames": frames(results),
        "code bits": code_bits(results),
        "source": f"{results['machine']}, {results['date']}.\n",
    }
    for name, text in tables.items():
        page, found = re.subn(
            rf"(<!-- {name} -->\n).*?(<!-- end -->)", lambda m, t=text: m[1] + t + m[2], page, flags=re.DOTALL
        )
        if found != 1:
            raise ValueError(f"{PAGE} has {found} places for {name}; it must have one")
    PAGE.write_text(page)


def frames(results: dict[str, Any]) -> str:
    lines = [
        "| recording | noise below it | runs or seeds | through GNU Radio | by soft bits | of these not in the clean "
        "recording | false, in shuffled LLRs |",
        "|---|---|---|---|---|---|---|",
    ]
    runs = results["picsat_frames"]
    lines.append(f"| picsat_9k6 | none | {len(runs)} runs | {span(runs)} | {results['picsat_soft']} | | |")
    runs = results["entrysat_frames"]
    lines.append(f"| entrysat | none | {len(runs)} runs | {span(runs)} | | | |")
    for db, rows in by_noise(results["picsat_noisy"]):
        plain, soft, other = ([r[k] for r in rows] for k in ("plain", "soft", "soft_not_in_clean_recording"))
        shuffles = sum(r["shuffles"] for r in rows)
        lines.append(
            f"| picsat_9k6 | {db} dB | {len(rows)} seeds | {span(plain)} | {span(soft)} | {span(other)} "
            f"| {sum(r['false_in_shuffled_llrs'] for r in rows)} in {shuffles} |"
        )
    return "\n".join(lines) + "\n"


def code_bits(results: dict[str, Any]) -> str:
    lines = [
        "| recording | noise below it | channel | from signs | from LLRs | frames from signs | frames from LLRs |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in ("by701", "ao73"):
        got = results[name]
        for db, rows in [("none", [{**got, **got["clean"]}]), *by_noise(got["noisy"])]:
            rates = [f"{sum(r[f'ber_{k}'] for r in rows) / len(rows):.4f}" for k in ("channel", "signs", "llrs")]
            found = [span(int(r[f"frames_from_{k}"]) for r in rows) for k in ("signs", "llrs")]
            shown = db if isinstance(db, str) else f"{db} dB" if db > 0 else f"{-db} dB above it"
            lines.append(f"| {name} | {shown} | " + " | ".join(rates + found) + " |")
    return "\n".join(lines) + "\n"


def by_noise(rows: list[dict[str, Any]]) -> list[tuple[Any, list[dict[str, Any]]]]:
    """Rows of each level of noise, in their order."""
    levels = dict.fromkeys(row["noise_below_recording_db"] for row in rows)
    return [(db, [row for row in rows if row["noise_below_recording_db"] == db]) for db in levels]


def span(values: Iterable[int]) -> str:
    """Every value, or the least and the greatest."""
    found = list(values)
    return str(found[0]) if len(set(found)) == 1 else f"{min(found)} to {max(found)}"
