# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a recording, or takes yours, and receives it: `softmod receive` with the parameters written out.

    python demo.py                          makes a recording with demo_transmitter.py and receives it
    python demo.py RECORDING [OPTIONS]      receives yours; OPTIONS are those of `softmod receive`

The results lie in the folder ``demo`` below the current one (or where --out says); report.png is the one to look at.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

OUT = Path("demo")

#: Public off-air recordings (github.com/daniestevez/satellite-recordings), by file name: how to receive them.
KNOWN = {
    "picsat_9k6.wav": "--constellation bpsk --symbol-rate 9600 --center 12000 --decode ax25",
    "entrysat.wav": "--constellation bpsk --symbol-rate 9600 --center 12000 --decode ax25",
    "by701.wav": "--constellation bpsk --symbol-rate 9600 --center 12000",
    "ao73.wav": "--constellation bpsk --symbol-rate 1200 --center 1500 --differential",
}


def run(*command: object) -> None:
    """Show a command and run it; end with its exit code when it fails."""
    words = [str(word) for word in command]
    print("$", *(("softmod", *words[2:]) if words[:2] == ["-m", "gr_softmod"] else ("python", *words)), flush=True)
    code = subprocess.run([sys.executable, *words], check=False).returncode
    if code:
        sys.exit(code)


def receive(recording: object, *options: object) -> None:
    run("-m", "gr_softmod", "receive", recording, *options)


def main(arguments: list[str]) -> None:
    if arguments and arguments[0] in ("-h", "--help"):
        print(__doc__)
    elif not arguments:
        recording = OUT / "made.sigmf-meta"
        OUT.mkdir(exist_ok=True)
        run(Path(__file__).with_name("demo_transmitter.py"), recording)
        signal = ["--constellation", "qpsk", "--differential", "--symbol-rate", "16000", "--center", "18000"]
        results = ["--decode", "ax25", "--reference", recording.with_suffix(".bits"), "--overwrite"]
        receive(recording, *signal, *results, "--out", OUT / "made")
    else:
        recording, *options = arguments
        name = Path(recording).name
        if not options and name not in KNOWN:
            sys.exit(
                f"How is {name} modulated? For example: scripts/demo {recording} --constellation qpsk"
                " --symbol-rate 16000 --center 0"
            )
        out = [] if {"--out", "-o"} & set(options) else ["--out", OUT / Path(recording).stem, "--overwrite"]
        receive(recording, *(options or KNOWN[name].split()), *out)


if __name__ == "__main__":
    main(sys.argv[1:])
