# SPDX-License-Identifier: GPL-3.0-or-later
"""What a classifier's logits are worth, in numpy: accuracy with intervals, confusion, calibration, rejection."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["calibration", "confusion", "fit_temperature", "judge", "probabilities", "rejection", "wilson"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

#: From here on a signal counts as well received.
GOOD_SNR_DB = 10.0
#: Bins of the confusion matrices, [low, high) in dB.
SNR_BINS = ((-math.inf, 0.0), (0.0, 10.0), (10.0, math.inf))


def wilson(right: int, total: int, z: float = 1.959964) -> tuple[float, float]:
    """Interval of 95 % of a share, (0, 1) where nothing was counted.

    Source: Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
    """
    if total == 0:
        return 0.0, 1.0
    share = right / total
    middle = share + z * z / (2 * total)
    half = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    scale = 1 + z * z / total
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)


def probabilities(logits: NDArray[np.floating], temperature: float = 1.0) -> Floats:
    """``softmax(logits / temperature)`` of [M, C]."""
    scaled = logits.astype(np.float64) / temperature
    scaled -= scaled.max(1, keepdims=True)
    weights = np.exp(scaled)
    return np.asarray(weights / weights.sum(1, keepdims=True))


def fit_temperature(logits: NDArray[np.floating], labels: Integers) -> float:
    """The temperature of least cross-entropy, between 0.05 and 20; to be fitted on validation frames.

    Cross-entropy is convex in 1 / temperature, so a golden-section search finds it.

    Source: Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", 2017, section 4.2.
    """

    def loss(logarithm: float) -> float:
        p = probabilities(logits, math.exp(logarithm))
        return float(-np.log(np.maximum(p[np.arange(len(labels)), labels], 1e-300)).mean())

    low, high, ratio = math.log(0.05), math.log(20.0), (math.sqrt(5) - 1) / 2
    for _ in range(40):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        low, high = (low, right) if loss(left) < loss(right) else (left, high)
    return math.exp((low + high) / 2)


def confusion(labels: Integers, named: Integers, classes: int) -> Integers:
    """Counts [C, C]: rows are what was sent, columns what it was named."""
    matrix = np.zeros((classes, classes), np.int64)
    np.add.at(matrix, (labels, named), 1)
    return matrix


def calibration(confidence: Floats, right: NDArray[np.bool_], bins: int = 15) -> tuple[float, list[dict[str, float]]]:
    """Expected calibration error, and the bins it comes from.

    ECE = sum over bins of equal width of (share of frames) x |accuracy - mean confidence|. Empty bins are left out.

    Source: Naeini, Cooper, Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian Binning", 2015.
    """
    place = np.clip((confidence * bins).astype(np.int64), 0, bins - 1)
    rows, error = [], 0.0
    for k in range(bins):
        inside = place == k
        if inside.any():
            row = {
                "confidence": float(confidence[inside].mean()),
                "accuracy": float(right[inside].mean()),
                "frames": int(inside.sum()),
            }
            rows.append(row)
            error += row["frames"] / len(confidence) * abs(row["accuracy"] - row["confidence"])
    return error, rows


def rejection(confidence: Floats, right: NDArray[np.bool_], points: int = 20) -> list[dict[str, float]]:
    """Accuracy of the rest when a share of the frames, the least certain ones, is refused; from no frame to 95 %."""
    order = np.argsort(-confidence, kind="stable")
    hits = np.cumsum(right[order])
    curve = []
    for k in range(points):
        kept = max(1, len(order) - k * len(order) // points)
        curve.append(
            {
                "refused": 1 - kept / len(order),
                "threshold": float(confidence[order[kept - 1]]),
                "accuracy": float(hits[kept - 1] / kept),
            }
        )
    return curve


def judge(
    logits: NDArray[np.floating],
    labels: Integers,
    snr_db: NDArray[np.floating],
    class_names: Sequence[str],
    temperature: float = 1.0,
) -> dict[str, Any]:
    """Everything that ``eval.json`` says of a set of frames.

    Args:
        logits: [M, C].
        labels: [M].
        snr_db: [M]; NaN where there is no signal: such frames count overall and in no bin of SNR.
    """
    p = probabilities(logits, temperature)
    named, confidence = p.argmax(1), p.max(1)
    right = named == labels
    error, bins = calibration(confidence, right)
    good = snr_db >= GOOD_SNR_DB
    matrices = {
        _bin_name(low, high): confusion(labels[chosen], named[chosen], len(class_names))
        for low, high in SNR_BINS
        if (chosen := (snr_db >= low) & (snr_db < high)).any()
    }
    return {
        "frames": len(labels),
        "accuracy": _share(right),
        "accuracy_good": {"from_db": GOOD_SNR_DB, **_share(right[good])},
        "cross_entropy": float(-np.log(np.maximum(p[np.arange(len(labels)), labels], 1e-300)).mean()),
        "temperature": temperature,
        "by_snr": [
            {"snr_db": float(snr), **_flat(right[snr_db == snr])} for snr in np.unique(snr_db[~np.isnan(snr_db)])
        ],
        "by_class": [
            {"class": name, "all": _share(right[labels == k]), "good": _share(right[(labels == k) & _heard(snr_db)])}
            for k, name in enumerate(class_names)
        ],
        "confusion": {name: matrix.tolist() for name, matrix in matrices.items()},
        "calibration": {"error": error, "bins": bins},
        "rejection": rejection(confidence, right),
        "class_names": list(class_names),
    }


def _heard(snr_db: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Well received, or nothing but noise."""
    return np.asarray((snr_db >= GOOD_SNR_DB) | np.isnan(snr_db))


def _share(right: NDArray[np.bool_]) -> dict[str, Any]:
    hits, total = int(right.sum()), len(right)
    return {"value": hits / total if total else None, "interval": list(wilson(hits, total)), "frames": total}


def _flat(right: NDArray[np.bool_]) -> dict[str, Any]:
    share = _share(right)
    return {"accuracy": share["value"], "interval": share["interval"], "frames": share["frames"]}


def _bin_name(low: float, high: float) -> str:
    if math.isinf(low):
        return f"below {high:g} dB"
    return f"{low:g} dB and more" if math.isinf(high) else f"{low:g} to {high:g} dB"
