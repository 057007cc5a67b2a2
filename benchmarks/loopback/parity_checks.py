# SPDX-License-Identifier: GPL-3.0-or-later
"""A regular LDPC code of any rate as an alist file: gr-fec brings none above 1/2 of a useful length."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def write_alist(path: Path, length: int, checks: int, weight: int = 3, seed: int = 1) -> Path:
    """``weight`` checks for each of ``length`` bits, always the least used ones that make no cycle of four.

    The depth-2 case of progressive edge growth: Hu, Eleftheriou, Arnold, "Regular and irregular progressive edge-growth
    Tanner graphs", 2005.
    """
    rng = np.random.default_rng(seed)
    bits_of: list[list[int]] = [[] for _ in range(checks)]
    checks_of: list[list[int]] = [[] for _ in range(length)]
    for bit in range(length):
        for _ in range(weight):
            near = {other for check in checks_of[bit] for b in bits_of[check] for other in checks_of[b]}
            taken = set(checks_of[bit]) | near
            free = [check for check in range(checks) if check not in taken]
            least = min(len(bits_of[check]) for check in free)
            chosen = int(rng.choice([check for check in free if len(bits_of[check]) == least]))
            checks_of[bit].append(chosen)
            bits_of[chosen].append(bit)
    widest = max(map(len, bits_of))
    lines = [f"{length} {checks}", f"{weight} {widest}"]
    lines.append(" ".join(str(weight) for _ in range(length)))
    lines.append(" ".join(str(len(bits)) for bits in bits_of))
    lines += [" ".join(str(check + 1) for check in sorted(found)) for found in checks_of]
    lines += [" ".join(str(bit + 1) for bit in sorted(bits)) for bits in bits_of]
    path.write_text("\n".join(lines) + "\n")
    return path
