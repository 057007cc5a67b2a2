# SPDX-License-Identifier: GPL-3.0-or-later
"""One side of the benchmark: a process that times what it is asked for, a line of JSON each way.

``worker.py SIDE THREADS``: SIDE is the module with the cases, ours, sionna_side or kaira_side. Run by run.py.
"""

from __future__ import annotations

import importlib
import json
import resource
import sys
import time
import traceback
from typing import Any


def timed(function: Any, least: float) -> dict[str, float]:
    """Seconds per call by the wall and of CPU time, of as many calls in a row as take ``least`` seconds."""
    count = 0
    wall, cpu = time.perf_counter(), time.process_time()
    while time.perf_counter() - wall < least:
        function()
        count += 1
    return {"wall": (time.perf_counter() - wall) / count, "cpu": (time.process_time() - cpu) / count}


def main() -> None:
    side, threads = sys.argv[1], int(sys.argv[2])
    answers = sys.stdout
    sys.stdout = sys.stderr  # so that a chatty import does not speak in between
    import torch

    torch.set_num_threads(threads)
    cases = importlib.import_module(side)
    ready: dict[str, Any] = {}
    for line in sys.stdin:
        request = json.loads(line)
        key = json.dumps([request["case"], request.get("options", {})], sort_keys=True)
        try:
            if request["do"] == "prepare":
                torch.manual_seed(0)
                ready[key] = getattr(cases, request["case"])(**request.get("options", {}))
                for _ in range(request.get("warm_up", 2)):
                    ready[key]()
                answer: Any = "ready"
            elif request["do"] == "time":
                answer = timed(ready[key], request["least"])
            elif request["do"] == "peak":
                # Resident memory at its highest during one call, less what there was before: in a fresh process only.
                small = getattr(cases, request["case"])(**{**request["options"], "symbols": 64})
                small()
                function = getattr(cases, request["case"])(**request["options"])
                before = resident()
                function()
                answer = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
            elif request["do"] == "drop":
                ready.pop(key, None)
                answer = "dropped"
            else:
                answer = ready[key]() if key in ready else getattr(cases, request["case"])(**request.get("options", {}))
        except Exception:
            answer = {"error": traceback.format_exc(limit=3)}
        print(json.dumps(answer), file=answers, flush=True)


def resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


if __name__ == "__main__":
    main()
