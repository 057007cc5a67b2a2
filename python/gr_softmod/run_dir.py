# SPDX-License-Identifier: GPL-3.0-or-later
"""RunDir: the directory a training or a simulation writes, and the only thing handed from one verb to the next.

    config.yaml        what was asked for, complete: enough to run it again
    log.jsonl          one JSON object a line, in order
    last.pt, best.pt   checkpoints: tensors, numbers and strings alone (read with ``weights_only=True``)
    eval.json          the results
    *.png              figures
    model.safetensors  the trained weights
    MODEL_CARD.md      what the weights are for and how good they are

Every file is replaced as a whole (written aside, flushed, renamed), so an interruption leaves the old or the new one.
Checkpoints are written and read by :mod:`gr_softmod.modem.checkpoint`; nothing here needs torch.
"""

from __future__ import annotations

import json
import os
import platform
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import numpy as np

from gr_softmod.config import Config, ConfigError, dump_yaml, read_yaml


class RunError(OSError):
    """A run directory that cannot be used; its text is one line naming the file."""


@contextmanager
def replacing(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a file beside ``path`` that takes its place when the block ends without an exception."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, mode, encoding=None if "b" in mode else "utf-8") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)  # mkstemp makes 0600
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def plain(value: Any) -> Any:
    """``value`` as JSON can hold it: numpy scalars and arrays become numbers and lists, not-finite numbers None."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def machine() -> dict[str, Any]:
    """Where a figure was measured: processor, cores, operating system, versions, date."""
    cpu = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            cpu = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), cpu)
    except OSError:
        pass
    versions = {"python": platform.python_version(), "numpy": np.__version__}
    try:
        from importlib.metadata import version

        versions["torch"] = version("torch")
    except ImportError:  # PackageNotFoundError is one; a run directory needs no torch
        pass
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"cpu": cpu, "cores": cores, "system": platform.platform(), **versions, "date": f"{datetime.now():%Y-%m-%d}"}


class RunDir:
    """A directory with the files above.

    ``RunDir(path)`` opens an existing one; :meth:`create` makes one or takes it up again.

    Raises:
        RunError: ``path`` holds no ``config.yaml``.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not (self.path / "config.yaml").is_file():
            raise RunError(f"{self.path}: not a run directory (it has no config.yaml)")

    @classmethod
    def create(
        cls, path: str | Path, config: Config | Mapping[str, Any], *, may_change: Collection[str] = ()
    ) -> RunDir:
        """Make the directory, or open it when it already holds a run of the same configuration (to take it up again).

        Args:
            may_change: top-level keys that may differ from the run that is there; ``config.yaml`` then takes the new
                values.
        Raises:
            RunError: it holds a run of another configuration, or cannot be written.
        """
        target = Path(path)
        wanted = plain(config.to_dict() if isinstance(config, Config) else dict(config))
        file = target / "config.yaml"
        if file.exists():
            differing = sorted(_differences(cls(target).config, wanted))
            fixed = [key for key in differing if key.partition(".")[0] not in may_change]
            if fixed:
                shown = ", ".join(fixed[:3]) + (", ..." if len(fixed) > 3 else "")
                raise RunError(f"{target}: holds a run of another configuration ({shown}); give another directory")
            if not differing:
                return cls(target)
        try:
            with replacing(file) as out:
                dump_yaml(wanted, out)
        except OSError as error:
            raise RunError(f"{target}: cannot be written: {error.strerror}") from None
        return cls(target)

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        return str(self.path)

    @property
    def config(self) -> dict[str, Any]:
        """``config.yaml`` as plain values."""
        try:
            return read_yaml(self / "config.yaml")
        except ConfigError as error:
            raise RunError(str(error)) from None

    # ---- log.jsonl

    def log(self, **record: Any) -> None:
        """Append one line to ``log.jsonl``."""
        with open(self / "log.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(plain(record), allow_nan=False) + "\n")

    def read_log(self) -> list[dict[str, Any]]:
        """The records of ``log.jsonl``. A last line cut short by a crash is left out.

        Raises:
            RunError: another line is not JSON.
        """
        file = self / "log.jsonl"
        if not file.exists():
            return []
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        records = []
        for number, line in enumerate(lines, 1):
            try:
                records.append(json.loads(line))
            except json.JSONDecodeError:
                if number == len(lines):
                    break
                raise RunError(f"{file}: line {number} is not JSON; the log is damaged") from None
        return records

    def rewind_log(self, records: int) -> None:
        """Keep the first ``records`` records: what was logged after the checkpoint being taken up is logged again."""
        kept = self.read_log()[:records]
        with replacing(self / "log.jsonl") as file:
            file.writelines(json.dumps(record) + "\n" for record in kept)

    # ---- whole files

    def write_json(self, name: str, data: Any) -> None:
        """Write ``name`` (``eval.json``) as readable JSON; numpy values are welcome, NaN and inf become null."""
        with replacing(self / name) as file:
            json.dump(plain(data), file, indent=1, allow_nan=False)
            file.write("\n")

    def read_json(self, name: str) -> Any:
        """Raises RunError: the file is absent or not JSON."""
        try:
            return json.loads((self / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise RunError(f"{self / name}: no such file") from None
        except (OSError, ValueError) as error:
            raise RunError(f"{self / name}: damaged or unreadable: {first_line(error)}") from None

    def write_text(self, name: str, text: str) -> None:
        """Write ``name`` (``MODEL_CARD.md``)."""
        with replacing(self / name) as file:
            file.write(text)


def _differences(old: Any, new: Any, prefix: str = "") -> Iterator[str]:
    """Dotted keys under which two configurations differ."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in {*old, *new}:
            yield from _differences(old.get(key), new.get(key), f"{prefix}.{key}" if prefix else str(key))
    elif old != new:
        yield prefix


def first_line(error: Exception) -> str:
    """The first line of an exception's text, for a message of one line."""
    text = str(error).strip().splitlines()
    return text[0][:120].rstrip(".") if text else type(error).__name__
