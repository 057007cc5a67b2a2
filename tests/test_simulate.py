# SPDX-License-Identifier: GPL-3.0-or-later
"""The Monte-Carlo engine: right against theory, reproducible, resumable, the same on any number of processes."""

from __future__ import annotations

import json
import math
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from gr_softmod import theory
from gr_softmod.constellation import Constellation
from gr_softmod.modem.simulate import (
    BIT_TARGET,
    BLOCK_TARGET,
    MAX_BATCHES,
    NEXT,
    NO_ERRORS,
    NOT_RUN,
    STOPPED,
    Point,
    Stop,
    batch_generator,
    simulate,
)
from gr_softmod.run_dir import RunError


def bpsk(batch_size: int, ebn0_db: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The smallest link: antipodal amplitudes in real noise of variance N0/2."""
    bits = torch.randint(0, 2, (batch_size, 100), generator=generator, dtype=torch.uint8)
    noise = torch.randn(bits.shape, generator=generator) * math.sqrt(0.5 * 10 ** (-ebn0_db / 10))
    return bits, 2.0 * bits - 1 + noise


def counts(points: list[Point]) -> list[tuple]:
    """Everything but the time it took."""
    return [(p.ebn0_db, p.counts, p.batches, p.status) for p in points]


def test_theory_is_inside_the_interval() -> None:
    points = simulate(bpsk, [0, 2, 4, 6], batch_size=100, stop=Stop(bit_errors=4000), seed=1)
    for point in points:
        low, high = point.counts.ber_interval(0.999)
        assert low < theory.ber(Constellation.bpsk(), point.ebn0_db) < high
        assert point.status == BIT_TARGET and point.counts.bit_errors >= 4000


def test_a_point_does_not_depend_on_the_others() -> None:
    stop = Stop(bit_errors=300)
    together = simulate(bpsk, [4, 0, 2], batch_size=10, stop=stop, seed=3)
    alone = [simulate(bpsk, [value], batch_size=10, stop=stop, seed=3)[0] for value in (4, 0, 2)]
    assert counts(together) == counts(alone)
    assert counts(simulate(bpsk, [0], batch_size=10, stop=stop, seed=4)) != counts(alone[1:2])


def test_generators_of_batches_differ() -> None:
    keys = [(seed, db, i) for seed in (0, 1, 2**32, 2**40) for db in (0.0, -1.0, 1.0, 1e-6) for i in (0, 1, 2**31)]
    drawn = {torch.rand(1, generator=batch_generator(*key)).item() for key in keys}
    assert len(drawn) == len(keys)


@pytest.mark.parametrize(
    ("stop", "status"),
    [
        (Stop(bit_errors=50), BIT_TARGET),
        (Stop(block_errors=30), BLOCK_TARGET),
        (Stop(bit_errors=10**9, block_errors=30), BLOCK_TARGET),
        (Stop(max_batches=7), MAX_BATCHES),
        (Stop(bit_errors=10**9, max_batches=3), MAX_BATCHES),
    ],
)
def test_targets(stop: Stop, status: str) -> None:
    (point,) = simulate(bpsk, [2.0], batch_size=10, stop=stop)
    assert point.status == status
    before = Point(2.0, batches=point.batches - 1)
    assert status == MAX_BATCHES or stop.status(before) != status  # it ended at the first batch that reached it
    assert point.counts.blocks == 10 * point.batches


def test_early_stop_leaves_out_higher_points_alone() -> None:
    points = simulate(bpsk, [20, 0, 14, 16], batch_size=10, stop=Stop(max_batches=3))
    assert [p.status for p in points] == [NOT_RUN, MAX_BATCHES, NO_ERRORS, NOT_RUN]
    points = simulate(bpsk, [0, 14, 16], batch_size=10, stop=Stop(max_batches=3, early=False))
    assert [p.status for p in points] == [MAX_BATCHES] * 3


@pytest.mark.parametrize("stop", [Stop(max_batches=3, below_ber=0.02), Stop(max_batches=3, below_bler=0.9)])
def test_stop_below_a_rate(stop: Stop) -> None:
    points = simulate(bpsk, [0, 4, 6], batch_size=100, stop=stop)
    assert [p.status for p in points] == [MAX_BATCHES, MAX_BATCHES, NOT_RUN]


@pytest.mark.parametrize(
    ("answer", "statuses"), [("next", [NEXT, NEXT]), ("stop", [STOPPED, NOT_RUN]), (None, [MAX_BATCHES, MAX_BATCHES])]
)
def test_callback(answer: str | None, statuses: list[str]) -> None:
    seen = []

    def callback(point: Point) -> str | None:
        seen.append((point.ebn0_db, point.batches))
        return answer if point.batches == 2 else None

    points = simulate(bpsk, [0, 1], batch_size=10, stop=Stop(max_batches=4), callback=callback)
    assert [p.status for p in points] == statuses
    assert seen[:2] == [(0, 1), (0, 2)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ebn0_db": []}, "ebn0_db is"),
        ({"ebn0_db": [1, 1]}, "all different"),
        ({"ebn0_db": [math.nan]}, "finite"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"seed": -1}, "seed -1"),
        ({"callback": lambda point: "halt"}, "the callback returned 'halt'"),
        ({"link": lambda n, db, g: (torch.zeros(n, 3), torch.zeros(n, 4))}, "must have one shape"),
    ],
)
def test_wrong_arguments(change: dict, message: str) -> None:
    arguments = {"link": bpsk, "ebn0_db": [0], "batch_size": 10} | change
    with pytest.raises(ValueError, match=message):
        simulate(**arguments)


@pytest.mark.parametrize("field", ["bit_errors", "block_errors", "max_batches", "below_ber", "below_bler"])
def test_wrong_targets(field: str) -> None:
    with pytest.raises(ValueError, match=f"{field} is 0; it must be positive"):
        Stop(**{field: 0})


# ---- checkpoints


class Interrupted(BaseException):
    """Like KeyboardInterrupt: not an Exception."""


def failing_after(calls: int) -> Callable[..., tuple[Tensor, Tensor]]:
    left = [calls]

    def link(*arguments: object) -> tuple[Tensor, Tensor]:
        left[0] -= 1
        if left[0] < 0:
            raise Interrupted
        return bpsk(*arguments)

    return link


@pytest.mark.parametrize("calls", [0, 1, 5, 12, 29])
def test_resumed_is_not_interrupted(tmp_path: Path, calls: int) -> None:
    arguments = {"ebn0_db": [0, 3, 1], "batch_size": 5, "stop": Stop(max_batches=10), "seed": 2}
    whole = simulate(bpsk, **arguments)
    file = tmp_path / "ber.json"
    with pytest.raises(Interrupted):
        simulate(failing_after(calls), **arguments, checkpoint=file)
    seen = []
    resumed = simulate(bpsk, **arguments, checkpoint=file, progress=seen.append)
    assert counts(resumed) == counts(whole)
    assert len(seen) == 30 - calls  # nothing is simulated twice
    assert counts(simulate(failing_after(0), **arguments, checkpoint=file)) == counts(whole)


def test_a_target_can_be_raised(tmp_path: Path) -> None:
    file = tmp_path / "ber.json"
    simulate(bpsk, [0, 2], batch_size=5, stop=Stop(bit_errors=50), checkpoint=file)
    raised = simulate(bpsk, [0, 2, 4], batch_size=5, stop=Stop(bit_errors=500), checkpoint=file)
    assert counts(raised) == counts(simulate(bpsk, [0, 2, 4], batch_size=5, stop=Stop(bit_errors=500)))


@pytest.mark.parametrize(
    ("change", "what"),
    [({"seed": 9}, "other seed"), ({"batch_size": 6}, "batch_size"), ({"identity": {"m": 2}}, "other m")],
)
def test_a_checkpoint_of_another_simulation(tmp_path: Path, change: dict, what: str) -> None:
    arguments = {"ebn0_db": [0], "batch_size": 5, "stop": Stop(max_batches=1), "checkpoint": tmp_path / "c.json"}
    simulate(bpsk, **arguments, identity={"m": 1})
    with pytest.raises(RunError, match=what):
        simulate(bpsk, **(arguments | {"identity": {"m": 1}} | change))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"identity": {}}', '{"identity": {}, "points": [{"bits": "x"}]}'])
def test_a_damaged_checkpoint(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.json").write_text(text)
    with pytest.raises(RunError, match=r"c\.json: damaged checkpoint") as caught:
        simulate(bpsk, [0], batch_size=5, checkpoint=tmp_path / "c.json")
    assert "\n" not in str(caught.value)


# ---- processes

WORKER = """
import json, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import torch
torch.set_num_threads(1)
from gr_softmod.modem import distributed
from gr_softmod.modem.simulate import Stop, simulate
from test_simulate import bpsk, counts
with distributed.process_group():
    stop_at = lambda point: "next" if point.ebn0_db == 1 and point.batches == 3 else None
    points = simulate(bpsk, [0, 1, 2, 14, 16], batch_size=5, stop=Stop(bit_errors=120, max_batches=9), seed=2,
                      callback=stop_at, checkpoint=Path({folder!r}) / "checkpoint.json")
    name = f"{{distributed.world_size()}}-{{distributed.rank()}}"
    (Path({folder!r}) / name).write_text(repr(counts(points)))
"""


def run_processes(folder: Path, processes: int) -> list[str]:
    """Run WORKER as torchrun would; the results of all ranks."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = WORKER.format(tests=str(Path(__file__).parent), folder=str(folder))
    group = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(processes)}
    workers = [
        subprocess.Popen([sys.executable, "-c", script], env=os.environ | group | {"RANK": str(rank)})
        for rank in range(processes)
    ]
    assert [worker.wait(timeout=60) for worker in workers] == [0] * processes
    return [(folder / f"{processes}-{rank}").read_text() for rank in range(processes)]


def test_the_number_of_processes_does_not_matter(tmp_path: Path) -> None:
    (alone,) = run_processes(tmp_path, 1)
    saved = json.loads((tmp_path / "checkpoint.json").read_text())
    (tmp_path / "checkpoint.json").unlink()
    assert BIT_TARGET in alone and NEXT in alone and NO_ERRORS in alone and NOT_RUN in alone
    assert run_processes(tmp_path, 2) == [alone, alone]
    # What one process had reached is taken up by three.
    for row in saved["points"][1:]:
        row.update(bits=0, bit_errors=0, blocks=0, block_errors=0, squared=0, batches=0, status=NOT_RUN)
    (tmp_path / "checkpoint.json").write_text(json.dumps(saved))
    assert run_processes(tmp_path, 3) == [alone] * 3
