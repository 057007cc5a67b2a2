# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables of figures inside pages written by people: what stands between two markers is replaced."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose first column is text and whose others are figures."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *rows))


def replace_section(page: Path, name: str, text: str) -> None:
    """Put ``text`` between ``<!-- name -->`` and ``<!-- end of name -->`` of the page.

    Raises:
        ValueError: the page has no such pair of markers.
    """
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    new, count = re.subn(
        f"{re.escape(begin)}.*?{re.escape(end)}",
        lambda _: f"{begin}\n{text.strip()}\n{end}",
        page.read_text(encoding="utf-8"),
        flags=re.DOTALL,
    )
    if count != 1:
        raise ValueError(f"{page} has {count} sections '{begin}' ... '{end}'; it must have one")
    page.write_text(new, encoding="utf-8")
