# SPDX-License-Identifier: GPL-3.0-or-later
"""Complex Conv1d and Linear: torch's native complex64 form, ours, and cplxmodule's where it is installed.

    python benchmarks/complexnn/run.py [--peer DIR] [--out benchmarks/results/complexnn.json]

``--peer`` is a folder with cplxmodule in it (``pip install --target DIR --no-deps cplxmodule==2022.6``). All forms take
turns within one process; figures are medians over the rounds.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from gr_softmod.modem import complexnn as cnn
from gr_softmod.modem.complexnn import linear

# batch, channels in, channels out, samples, taps
CONVOLUTIONS = [
    (64, 1, 32, 1024, 7),
    (64, 2, 16, 1024, 7),
    (64, 8, 16, 1024, 7),
    (64, 16, 16, 1024, 7),
    (32, 32, 32, 1024, 7),
    (32, 64, 64, 256, 7),
    (256, 32, 32, 128, 3),
    (16, 128, 128, 256, 3),
    (1, 1, 1, 65536, 33),
]
PRODUCTS = [(4096, 64, 64), (256, 512, 512), (16384, 32, 32)]  # batch, features in, features out


def medians(forms: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Milliseconds of each form, taken in turn."""
    for form in forms.values():
        form()
    times: dict[str, list[float]] = {name: [] for name in forms}
    for _ in range(rounds):
        for name, form in forms.items():
            start = time.perf_counter()
            form()
            times[name].append(time.perf_counter() - start)
    return {name: 1e3 * statistics.median(values) for name, values in times.items()}


def compare(forms: dict[str, Callable[[Tensor, Tensor], Tensor]], z: Tensor, w: Tensor, rounds: int) -> dict:
    """Forward without gradients, and forward with backward to input and weights; over_ours: ratios of the two."""
    expected = next(iter(forms.values()))(z, w).detach()
    for name, form in forms.items():
        worst = ((form(z, w) - expected).abs().max() / expected.abs().max()).item()
        assert worst < 1e-4, f"{name} is off by {worst}"
    with torch.no_grad():
        forward = medians({name: lambda form=form: form(z, w) for name, form in forms.items()}, rounds)
    upstream = torch.randn_like(expected)
    both = {n: lambda form=form: torch.autograd.grad(form(z, w), (z, w), upstream) for n, form in forms.items()}
    backward = medians(both, rounds)
    return {
        "forward_ms": {k: round(v, 3) for k, v in forward.items()},
        "forward_backward_ms": {k: round(v, 3) for k, v in backward.items()},
        "over_ours": {
            name: [round(forward[name] / forward["ours"], 2), round(backward[name] / backward["ours"], 2)]
            for name in forms
            if name != "ours"
        },
    }


def convolution(shape: tuple[int, ...], rounds: int, peer: bool) -> dict:
    batch, inputs, outputs, samples, taps = shape
    z = torch.randn(batch, inputs, samples, dtype=torch.complex64, requires_grad=True)
    w = torch.randn(outputs, inputs, taps, dtype=torch.complex64, requires_grad=True)

    def real_form(form: Callable) -> Callable[[Tensor, Tensor], Tensor]:
        return lambda z, w: torch.complex(*form(z, w, 1, {"padding": taps // 2}))

    forms: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        "native": lambda z, w: F.conv1d(z, w, padding=taps // 2),
        "ours": lambda z, w: cnn.conv1d(z, w, padding=taps // 2),
        "one_convolution": real_form(linear._one_convolution),
        "three_convolutions": real_form(linear._three_convolutions),
    }
    if peer:
        from cplxmodule import cplx

        def theirs(z: Tensor, w: Tensor) -> Tensor:
            out = cplx.conv1d(cplx.Cplx(z.real, z.imag), cplx.Cplx(w.real, w.imag), padding=taps // 2)
            return torch.complex(out.real, out.imag)

        forms["cplxmodule"] = theirs
    return {"shape": "B,C_in,C_out,N,K=" + ",".join(map(str, shape)), **compare(forms, z, w, rounds)}


def product(shape: tuple[int, ...], rounds: int) -> dict:
    batch, inputs, outputs = shape
    z = torch.randn(batch, inputs, dtype=torch.complex64, requires_grad=True)
    w = torch.randn(outputs, inputs, dtype=torch.complex64, requires_grad=True)

    def block_real(z: Tensor, w: Tensor) -> Tensor:
        block = torch.cat([torch.cat([w.real, -w.imag], 1), torch.cat([w.imag, w.real], 1)])
        return torch.complex(*F.linear(torch.cat([z.real, z.imag], -1), block).chunk(2, -1))

    forms = {"ours": F.linear, "block_real": block_real}  # ours is torch's own product
    return {"shape": "B,in,out=" + ",".join(map(str, shape)), **compare(forms, z, w, rounds)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, help="folder that holds cplxmodule")
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "results" / "complexnn.json")
    options = parser.parse_args()
    if options.peer:
        sys.path.append(str(options.peer))
    torch.manual_seed(0)
    report: dict = {
        "date": datetime.date.today().isoformat(),
        "machine": cpu_name(),
        "torch": torch.__version__,
        "rounds": options.rounds,
        "threads": {},
    }
    for threads in options.threads:
        torch.set_num_threads(threads)
        convolutions = [convolution(shape, options.rounds, options.peer is not None) for shape in CONVOLUTIONS]
        report["threads"][threads] = {
            "conv1d": convolutions,
            "linear": [product(shape, options.rounds) for shape in PRODUCTS],
        }
        for line in report["threads"][threads]["conv1d"] + report["threads"][threads]["linear"]:
            print(threads, line["shape"], line["over_ours"], flush=True)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(report, indent=1) + "\n")


def cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


if __name__ == "__main__":
    main()
