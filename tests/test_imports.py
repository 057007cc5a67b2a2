# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may import whom: what makes a trainer with no GNU Radio and a radio with no torch work."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "python" / "gr_softmod"
GNURADIO = {"gnuradio", "pmt", "osmosdr"}

#: Part of the package (folder or file stem) -> top-level modules and parts of ours it must never import.
FORBIDDEN = {
    "__init__": GNURADIO | {"torch", "zmq"},
    "conventions": GNURADIO | {"torch", "zmq"},
    "theory": GNURADIO | {"torch", "zmq"},
    "constellation": {"torch", "zmq"},
    "run_dir": GNURADIO | {"torch", "zmq"},
    "model_file": GNURADIO | {"torch", "zmq"},
    "modem": GNURADIO | {"zmq", "gr_softmod.blocks"},
    "classifier": GNURADIO | {"zmq", "gr_softmod.blocks"},
    "hooks": GNURADIO | {"torch", "gr_softmod.blocks", "gr_softmod.modem"},
    "bindings": {"torch"},
}


def sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def part_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imported(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                parent = ("gr_softmod", *path.relative_to(PACKAGE).parts[:-1])
                base = ".".join(parent[: len(parent) - node.level + 1])
                module = f"{base}.{node.module}" if node.module else base
            else:
                module = node.module or ""
            yield node.lineno, module
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def module_level_imports(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    tree.body = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_forbidden_import(path: Path) -> None:
    forbidden = FORBIDDEN.get(part_of(path), set()) | {"gr_softmod.cli"}
    if path.name == "__main__.py":
        forbidden -= {"gr_softmod.cli"}
    broken = [
        f"line {line}: {name}"
        for line, name in imported(path)
        if any(name == bad or name.startswith(bad + ".") for bad in forbidden)
    ]
    assert not broken, f"{path.relative_to(PACKAGE)} must not import these: {broken}"


def test_cli_imports_heavy_things_inside_its_verbs() -> None:
    assert not module_level_imports(PACKAGE / "cli.py") & (GNURADIO | {"torch", "matplotlib", "numpy", "sigmf"})


def test_blocks_import_torch_nowhere_at_module_level() -> None:
    for path in (PACKAGE / "blocks").rglob("*.py"):
        assert "torch" not in module_level_imports(path), path


@pytest.mark.parametrize(
    ("blocked", "modules"),
    [
        (
            "gnuradio",
            [
                "gr_softmod.modem",
                "gr_softmod.classifier.data",
                "gr_softmod.constellation",
                "gr_softmod.bindings._kernels",
                "gr_softmod.hooks.recorder",
                "gr_softmod.hooks.verbs",
                "gr_softmod.hooks.model_check",
                "gr_softmod.cli",
            ],
        ),
        (
            "torch",
            [
                "gr_softmod.constellation",
                "gr_softmod.classifier.integer",
                "gr_softmod.bindings._kernels",
                "gr_softmod.hooks.recorder",
                "gr_softmod.hooks.verbs",
                "gr_softmod.hooks.model_check",
                "gr_softmod.cli",
            ],
        ),
    ],
)
def test_imports_with_a_package_absent(blocked: str, modules: list[str]) -> None:
    code = f"import sys; sys.modules[{blocked!r}] = None\n" + "\n".join(f"import {name}" for name in modules)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
