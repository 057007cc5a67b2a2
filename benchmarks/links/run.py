# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures and tables of docs/train_link.md: trains, simulates, writes results/links.json and the page.

PYTHONPATH=build/python python benchmarks/links/run.py            two to three hours of one core; goes on where it was
PYTHONPATH=build/python python benchmarks/links/run.py --report   the figures and tables again, from the runs

Every step is a command that a user types; the runs are left in --runs (default: runs/links).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import report

RESULTS = Path(__file__).resolve().parents[1] / "results" / "links.json"


def commands(runs: Path) -> list[list[str]]:
    """What is run, in order."""
    return [
        ["ber", "configs/ber_64qam.yaml", f"out={runs}/ber_64qam"],
        ["train-link", "configs/link_64.yaml", f"out={runs}/link_64"],
        ["ber", f"run={runs}/link_64"],
        ["train-link", "configs/link_pa.yaml", f"out={runs}/link_pa"],
        ["ber", f"run={runs}/link_pa"],
        ["train-link", "configs/link_pa.yaml", "constellation.kind=fixed", f"out={runs}/link_pa_receiver"],
        ["ber", f"run={runs}/link_pa_receiver"],
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--report", action="store_true", help="only write the figures and tables")
    parser.add_argument("--runs", type=Path, default=Path("runs/links"))
    options = parser.parse_args()
    if not options.report:
        for arguments in commands(options.runs):
            print("softmod", *arguments, flush=True)
            subprocess.run([sys.executable, "-m", "gr_softmod", *arguments], check=True)
    results: dict[str, Any] = {
        name: json.loads((options.runs / name / "eval.json").read_text())
        for name in ("ber_64qam", "link_64", "link_pa", "link_pa_receiver")
    }
    results["ber_64qam"]["settings"].pop("out", None)  # where the run lay is nobody's concern
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    report.write(results, options.runs)


if __name__ == "__main__":
    main()
