# SPDX-License-Identifier: GPL-3.0-or-later
"""What every file of the tree keeps."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CODE = {".py", ".cc", ".h", ".yml", ".yaml", ".cmake", ".toml", ".sh", ".grc", ".lock"}


def tracked() -> list[Path]:
    done = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_every_source_file_says_its_licence() -> None:
    missing = [
        str(path.relative_to(ROOT))
        for path in tracked()
        if (path.suffix in CODE or path.parent.name == "scripts" or path.name == "CMakeLists.txt")
        and "SPDX-License-Identifier: GPL-3.0-or-later" not in path.read_text(errors="replace")[:400]
    ]
    assert not missing


def test_every_dependency_is_pinned_and_has_its_reason() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = list(project["dependencies"]) + [n for extra in project["optional-dependencies"].values() for n in extra]
    names = {re.split("[;<>=[]", name)[0].strip().lower() for name in wanted}
    lock = (ROOT / "requirements.lock").read_text().lower().splitlines()
    pinned = {line.split("==")[0].strip() for line in lock if "==" in line}
    reasons = (ROOT / "docs" / "dependencies.md").read_text().lower()
    assert names <= pinned, f"not in requirements.lock: {sorted(names - pinned)}"
    without_reason = [name for name in names if f"`{name}`" not in reasons]
    assert not without_reason, f"no reason in docs/dependencies.md: {without_reason}"


def test_results_name_no_place_on_the_machine_that_measured() -> None:
    found = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "benchmarks" / "results").glob("*.json")
        if any(f'"{place}/' in path.read_text() for place in ("/work", "/home", "/root", "/tmp", "/mnt"))
    ]
    assert not found
