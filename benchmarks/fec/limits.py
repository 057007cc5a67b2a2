# SPDX-License-Identifier: GPL-3.0-or-later
"""Why ``llr_decoder`` and ``ldpc_decoder`` have the scales they have: two measurements over QPSK."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from codes import Code, convolutional, ldpc
from curves import simulate
from gnuradio import fec

from gr_softmod.blocks import fec as ours
from gr_softmod.constellation import Constellation

WEIGHTS = (1.0, 0.9, 0.8, 0.7)
SCALES = (1.0, 0.5, 0.25, 0.125, 0.0625)


def ldpc_weights() -> list[dict[str, Any]]:
    """Frame errors of gr-fec's LDPC decoder by the weight of the LLRs, ``sigma = sqrt(1 / (2 weight))``."""
    if "sigma" not in fec.ldpc_decoder.make.__doc__:
        return []  # from 3.10.8 on there is nothing to choose
    code = ldpc()
    alist = str(code.matrix)
    rows = []
    for ebn0_db, frames in ((1.75, 900), (2.5, 3000)):
        for weight in WEIGHTS:
            sigma = math.sqrt(1 / (2 * weight))
            weighted = replace(code, make_decoder=lambda sigma=sigma: fec.ldpc_decoder.make(alist, sigma, 50))
            point = simulate(weighted, Constellation.qpsk(), "exact", ebn0_db, frames, enough=frames)
            half_wrong = int(np.count_nonzero(point.errors > 0.4 * code.k))
            wrong = int(np.count_nonzero(point.errors))
            rows.append(
                {"ebn0_db": ebn0_db, "weight": weight, "frames": point.errors.size, "wrong": wrong, "half": half_wrong}
            )
            print(f"LDPC weight {weight} at {ebn0_db} dB: {wrong} wrong, {half_wrong} by half", flush=True)
    return rows


def uchar_scales() -> list[dict[str, Any]]:
    """Bit error rate of the convolutional code at 3 dB by the scale in front of ``fec.extended_decoder``."""
    code: Code = convolutional()
    kept, rows = ours.UCHAR_SCALE, []
    try:
        for scale in SCALES:
            ours.UCHAR_SCALE = scale
            point = simulate(code, Constellation.qpsk(), "exact", 3.0, 2400, enough=2400)
            rows.append({"scale": scale, "ber": point.bit_error_rate, "frames": point.errors.size})
            print(f"scale {scale}: {point.bit_error_rate:.2e}", flush=True)
    finally:
        ours.UCHAR_SCALE = kept
    return rows
