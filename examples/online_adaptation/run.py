#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A receiver that learns while it receives: transmitter, drifting channel, radio, recorder, trainer, model server.

    python examples/online_adaptation/run.py [--out DIR] [--quick] [--no-classifier] [--seconds 480]

One command starts them all, each a process of its own, and ends with the signal:

    air.py  --rtl_tcp-->  radio.py  --training_tap-->  softmod capture  -->  trainer.py
                             ^-- model_updater <--  softmod serve  <----------  |

Two demappers and two classifiers get the same received samples; one of each keeps the model it began with, the other
gets what the trainer has learnt. Writes ``report.json`` and ``adaptation.png``. With ``--radio`` and ``--trainer``,
commands are put before those of either side, to run it in two network namespaces or on two machines (two_machines).
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from progress import Progress
from report import make_report, picture
from settings import Settings

HERE = Path(__file__).parent
#: What --quick changes: everything is shorter; the drift is the same.
QUICK: dict[str, Any] = {
    "seconds": 20.0, "rate": 60e3, "drift_seconds": (3.0, 6.0), "tone_second": 5.0, "records": 6, "steps": 150,
    "poll_seconds": 0.5, "start_steps": 250, "classifier": False,
}  # fmt: skip


class Processes:
    """Those of the example; all end when it ends."""

    def __init__(self, stack: ExitStack, out: Path) -> None:
        self._stack, self._out = stack, out

    def start(self, name: str, before: str, command: list[str], **more: Any) -> subprocess.Popen[str]:
        log = self._stack.enter_context((self._out / f"{name}.log").open("w"))
        more.setdefault("stdout", log)
        made = subprocess.Popen([*shlex.split(before), *command], stderr=log, text=True, **more)
        self._stack.callback(_end, made)
        return made


def _end(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def run(settings: Settings, radio: str = "", trainer: str = "") -> dict[str, Any]:
    """All of it; returns the report."""
    out, told = Path(settings.out), str(settings.write())
    python, here = sys.executable, str(HERE)
    subprocess.run([python, f"{here}/trainer.py", told, "--start"], check=True)
    with ExitStack() as stack:
        processes = Processes(stack, out)
        air = processes.start("air", radio, [python, f"{here}/air.py", told], stdout=subprocess.PIPE)
        assert air.stdout is not None
        port = air.stdout.readline().strip()
        targets = {"demapper": (settings.tap, settings.serve)}
        if settings.classifier:
            targets["classifier"] = (settings.iq_tap, settings.serve_classifier)
        softmod = [python, "-m", "gr_softmod"]
        keys = ["--key", f"{settings.keys}/trainer.secret"] if settings.keys else []
        for target, (tap, serve) in targets.items():
            (out / "models" / target).mkdir(parents=True, exist_ok=True)
            processes.start(
                f"capture_{target}", trainer,
                [*softmod, "capture", tap, "-o", str(out / "captures" / target), "--quota", "32M", "--when-full",
                 "oldest", "--segment-seconds", "10", *keys,
                 *(["--peer", f"{settings.keys}/radio.public"] if keys else [])],
            )  # fmt: skip
            processes.start(
                f"serve_{target}", trainer,
                [*softmod, "serve", str(out / "models" / target), "-a", serve, "--target", target, *keys,
                 *(["--peers", f"{settings.keys}/radio.public"] if keys else [])],
            )  # fmt: skip
        settings.ready.unlink(missing_ok=True)
        learner = processes.start("trainer", trainer, [python, f"{here}/trainer.py", told])
        while not settings.ready.exists():  # on a busy machine it takes a while to begin
            if learner.poll() is not None:
                raise RuntimeError(f"the trainer ended with {learner.returncode}; see {out}/trainer.log")
            time.sleep(0.1)
        receiver = processes.start("radio", radio, [python, f"{here}/radio.py", told, f"127.0.0.1:{port}"])
        with Progress(settings) as progress:
            while receiver.poll() is None:
                progress.show()
        if receiver.returncode:
            raise RuntimeError(f"the radio ended with {receiver.returncode}; see {out}/radio.log")
        sent = json.loads(air.stdout.read() or "{}").get("sent", 0)
    report = make_report(settings, json.loads((out / "score.json").read_text()), sent)
    (out / "report.json").write_text(json.dumps(report, indent=1) + "\n")
    picture(report, out / "adaptation.png")
    return report


def free_ports(count: int) -> list[int]:
    """TCP ports that nobody listens at now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in sockets]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/online_adaptation"), help="a folder; what is in it goes")
    parser.add_argument("--quick", action="store_true", help="20 seconds of signal, the demapper alone")
    parser.add_argument("--no-classifier", action="store_true")
    parser.add_argument("--seconds", type=float, help="of signal")
    parser.add_argument("--radio", default="", metavar="COMMAND", help="before the radio's commands")
    parser.add_argument("--trainer", default="", metavar="COMMAND", help="before the trainer's commands")
    parser.add_argument("--addresses", nargs=2, metavar=("RADIO", "TRAINER"), help="IP addresses of two machines")
    parser.add_argument("--keys", default="", metavar="DIR", help="of radio.* and trainer.* of softmod keys")
    options = parser.parse_args()
    names = ("tap", "iq_tap", "serve", "serve_classifier")
    changes: dict[str, Any] = {name: f"tcp://127.0.0.1:{port}" for name, port in zip(names, free_ports(4), strict=True)}
    changes |= QUICK if options.quick else {}
    if options.no_classifier:
        changes["classifier"] = False
    if options.seconds:
        changes["seconds"] = options.seconds
    if options.addresses:
        radio, trainer = options.addresses
        changes |= {"tap": f"tcp://{radio}:5560", "iq_tap": f"tcp://{radio}:5570"}
        changes |= {"serve": f"tcp://{trainer}:5562", "serve_classifier": f"tcp://{trainer}:5572"}
    for name in ("captures", "models", "radio", "start"):
        shutil.rmtree(options.out / name, ignore_errors=True)
    report = run(Settings(str(options.out), keys=options.keys, **changes), options.radio, options.trainer)
    print(json.dumps({key: value for key, value in report.items() if key not in ("seconds", "events")}, indent=1))


if __name__ == "__main__":
    main()
