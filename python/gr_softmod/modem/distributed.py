# SPDX-License-Identifier: GPL-3.0-or-later
"""The few lines of torch.distributed that the simulations need. The same command runs with or without ``torchrun``."""

from __future__ import annotations

import atexit
import functools
import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel


@contextmanager
def process_group() -> Iterator[None]:
    """Join the processes that ``torchrun`` started (by gloo: only counts are exchanged); alone, do nothing."""
    if int(os.environ.get("WORLD_SIZE", "1")) <= 1 or not dist.is_available() or dist.is_initialized():
        yield
        return
    dist.init_process_group("gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


@functools.cache
def leave_group_at_exit() -> None:
    """Take down the process group that Lightning made before the interpreter goes; Lightning does so for NCCL alone.

    A thread of gloo keeps the tensors of its last work for a moment longer than the caller. If it comes to drop them
    when the interpreter is going, it is refused the interpreter's lock and its end aborts the process.
    """
    atexit.register(_leave_group)


def _leave_group() -> None:
    """The group's threads are joined when nobody holds it any more: what a failed step left in a traceback does."""
    if not dist.is_available() or not dist.is_initialized():
        return
    for module in gc.get_objects():
        if type(module) is DistributedDataParallel:
            for name in ("reducer", "logger", "process_group"):
                vars(module).pop(name, None)
    gc.collect()
    dist.destroy_process_group()


def rank() -> int:
    """Number of this process, 0 when alone."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def world_size() -> int:
    """Number of processes, 1 when alone."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def gather_rows(row: list[int]) -> list[list[int]]:
    """The row of every process, in the order of ranks, in every process."""
    if world_size() == 1:
        return [row]
    rows = torch.zeros(world_size(), len(row), dtype=torch.int64)
    rows[rank()] = torch.tensor(row, dtype=torch.int64)
    dist.all_reduce(rows)
    return [[int(value) for value in line] for line in rows.tolist()]


def share(value: Any) -> Any:
    """The value of rank 0 (plain Python values), in every process."""
    if world_size() == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box, 0)
    return box[0]


def local_device(device: str) -> torch.device:
    """``"cuda"`` becomes the GPU of this process on its machine (``LOCAL_RANK``); anything else is taken as it is."""
    if device == "cuda" and torch.cuda.is_available():
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
    return torch.device(device)
