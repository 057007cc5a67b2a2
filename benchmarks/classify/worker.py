# SPDX-License-Identifier: GPL-3.0-or-later
"""One side of the benchmark: a process that times what it is asked for, a line of JSON each way.

``worker.py SIDE``: ours, torch, onnxruntime or openvino, on one thread. Run by run.py.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np

Case = Callable[[], Any]


CLOCKS = {"processor": time.process_time, "wall": time.perf_counter}


def timed(function: Case, least: float, clock: str) -> float:
    """Seconds of processor time, or by the clock on the wall, per call, of as many calls in a row as take ``least``."""
    now = CLOCKS[clock]
    count, start = 0, now()
    while now() - start < least:
        function()
        count += 1
    return (now() - start) / count


def latency(function: Case, calls: int) -> list[float]:
    """Seconds by the clock on the wall of single calls: median and 99 %."""
    seconds = []
    for _ in range(calls):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return [float(np.quantile(seconds, share)) for share in (0.5, 0.99)]


def ours(case: dict[str, Any], data: dict[str, Any]) -> Case:
    from gr_softmod.bindings import _kernels

    if case["case"] == "peak":
        return lambda: _kernels.run_dot_products(100_000)
    if case["case"] == "features":
        return lambda: _kernels.frame_features(data["normalised"], set=case["feature_set"])
    if "set" in case:
        target, dot = case["set"]
        _kernels.use_simd_target(target)
        _kernels.use_simd_dot_products(dot)
    classifier = _kernels.Classifier(case["model"], threads=case.get("threads", 1))
    _kernels.use_simd_target(_kernels.simd_targets()[0])
    _kernels.use_simd_dot_products(True)
    if case["case"] == "frames":
        frames = np.tile(data["frames"], (case.get("repeat", 1), 1))
        return lambda: classifier.run(frames)
    return lambda: classifier.integer_logits(data["iq"], data.get("features"))


def torch(case: dict[str, Any], data: dict[str, Any]) -> Case:
    import torch as t

    t.set_num_threads(1)
    t.set_grad_enabled(False)
    if case["case"] == "features":
        from gr_softmod.classifier.features import features

        frames = t.from_numpy(data["normalised"])
        return lambda: features(frames, case["feature_set"])  # those that the network reads, no more: as ours
    from gr_softmod.classifier.architectures import build
    from gr_softmod.classifier.network import Network

    network = Network(build(case["architecture"], [f"class {i}" for i in range(24)])).eval()
    frames = t.from_numpy(data["frames"])
    return lambda: network(frames)


def onnxruntime(case: dict[str, Any], data: dict[str, Any]) -> Case:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(case["graph"], options, providers=["CPUExecutionProvider"])
    given = peer_inputs(data, [(i.name, i.shape) for i in session.get_inputs()])
    return lambda: session.run(None, given)[0]


def openvino(case: dict[str, Any], data: dict[str, Any]) -> Case:
    import openvino as ov

    config = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY"}
    compiled = ov.Core().compile_model(case["graph"], "CPU", config)
    request = compiled.create_infer_request()
    named = [(i.any_name, list(i.shape)) for i in compiled.inputs]
    for name, values in peer_inputs(data, named).items():
        request.set_tensor(name, ov.Tensor(values))

    def run() -> Any:
        request.infer()
        return request.get_output_tensor(0).data

    return run


def peer_inputs(data: dict[str, Any], wanted: list[tuple[str, list[int]]]) -> dict[str, Any]:
    """Integers as the peers' graphs take them: bytes that stand 128 above."""
    return {name: np.ascontiguousarray((data[name] + 128).astype(np.uint8).reshape(shape)) for name, shape in wanted}


def main() -> None:
    side = sys.argv[1]
    answers = sys.stdout
    sys.stdout = sys.stderr  # so that a chatty import does not speak in between
    make = {"ours": ours, "torch": torch, "onnxruntime": onnxruntime, "openvino": openvino}[side]
    ready: dict[str, Case] = {}
    answer: Any
    for line in sys.stdin:
        request = json.loads(line)
        key = json.dumps(request["case"], sort_keys=True)
        try:
            if request["do"] == "prepare":
                with np.load(request["case"]["data"]) as stored:
                    data = {name: stored[name][: request["case"]["batch"]] for name in stored.files}
                ready[key] = make(request["case"], data)
                for _ in range(3):
                    ready[key]()
                answer = "ready"
            elif request["do"] == "time":
                answer = timed(ready[key], request["least"], request["clock"])
            elif request["do"] == "latency":
                answer = latency(ready[key], request["calls"])
            elif request["do"] == "answer":
                answer = np.asarray(ready[key]()).argmax(-1).tolist()
            elif request["do"] == "drop":
                ready.pop(key, None)
                answer = "dropped"
            else:
                answer = sys.modules[side].__version__ if side in sys.modules else ""
        except Exception:
            answer = {"error": traceback.format_exc(limit=3)}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
