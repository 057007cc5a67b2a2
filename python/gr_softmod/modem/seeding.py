# SPDX-License-Identifier: GPL-3.0-or-later
"""Reproducible randomness: batch i depends on (seed, i) alone, not on what ran before it or on which rank it runs."""

from __future__ import annotations

import numpy as np
import torch

__all__ = ["seeded_generator"]


def seeded_generator(seed: int, *index: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator for ``(seed, *index)``: equal arguments give equal streams, others unrelated ones.

    Args:
        seed: the run's seed, not negative.
        index: what is being drawn, for example the batch number, or the Eb/N0 point and the batch.
        device: where the numbers are drawn; streams of different devices differ.
    Raises:
        ValueError: a number is negative.
    """
    if min((seed, *index)) < 0:
        raise ValueError(f"seed and index are {(seed, *index)}; they must not be negative")
    *place, last = (0, *index)
    first = int(np.random.SeedSequence(seed, spawn_key=place).generate_state(1)[0])
    # Torch's CPU generator keeps 32 bits of a seed. Hashing the last index too would make two of 100,000 batches equal
    # more likely than not; counting on from a hash keeps 2^32 of them apart.
    return torch.Generator(device).manual_seed((first + last) & 0xFFFFFFFF)
