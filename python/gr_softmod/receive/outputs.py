# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder of results: everything is written under temporary names and appears, whole, at the end."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

NAMES = (
    "llr.sigmf-data", "llr.sigmf-meta", "symbols.sigmf-data", "symbols.sigmf-meta", "frames.jsonl", "report.json",
    "report.png",
)  # fmt: skip


class Outputs:
    """A folder of results in the making.

    Nothing under a final name is touched before :meth:`commit`, and a job that fails leaves nothing behind.

    Args:
        folder: where the results will lie.
        overwrite: whether results that lie there may be replaced.
    Raises:
        OSError: the folder cannot be made or written.
        ValueError: results lie there already and ``overwrite`` is not set.
    """

    def __init__(self, folder: str | Path, overwrite: bool = False) -> None:
        self.folder = Path(folder)
        if self.folder.exists() and not self.folder.is_dir():
            raise ValueError(f"{self.folder} is not a folder")
        present = [name for name in NAMES if (self.folder / name).exists()]
        if present and not overwrite:
            raise ValueError(f"{self.folder} holds {present[0]} already; choose another folder or pass --overwrite")
        missing = [parent for parent in (self.folder, *self.folder.parents) if not parent.exists()]
        self._made = missing
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self._staging = Path(tempfile.mkdtemp(prefix=".softmod-", dir=self.folder))
        except BaseException:
            self._remove_made()
            raise

    def path(self, name: str) -> Path:
        """Where a result lies while it is written."""
        return self._staging / name

    def write_json(self, name: str, value: Any) -> None:
        self.path(name).write_text(json.dumps(value, indent=2, allow_nan=False) + "\n")

    def commit(self) -> None:
        """Give every result its final name; what lay there of an earlier job goes."""
        made = sorted(self._staging.iterdir())
        for path in made:
            path.replace(self.folder / path.name)
        for name in set(NAMES) - {path.name for path in made}:
            (self.folder / name).unlink(missing_ok=True)
        self._staging.rmdir()

    def discard(self) -> None:
        """Remove what was written, and the folders that were made for it."""
        shutil.rmtree(self._staging, ignore_errors=True)
        self._remove_made()

    def _remove_made(self) -> None:
        for folder in self._made:
            try:
                folder.rmdir()
            except OSError:
                return  # someone else has put something there
