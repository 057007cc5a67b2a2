# SPDX-License-Identifier: GPL-3.0-or-later
"""Evaluation: intervals, calibration, rejection and confusion against direct counts; what ``eval`` leaves."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from classifier_helpers import small_config
from gr_softmod.classifier.evaluate import EvaluateConfig, evaluate, run_evaluate
from gr_softmod.classifier.metrics import (
    calibration,
    confusion,
    fit_temperature,
    judge,
    probabilities,
    rejection,
    wilson,
)
from gr_softmod.classifier.train import train
from gr_softmod.config import ConfigError
from gr_softmod.run_dir import RunDir, RunError

RNG = np.random.default_rng(1)


def logits_of(frames: int = 4000, classes: int = 5, sharpness: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Logits that are the truth: labels are drawn with the probabilities that they stand for."""
    logits = RNG.normal(size=(frames, classes)) * sharpness
    p = probabilities(logits)
    labels = (p.cumsum(1) < RNG.random((frames, 1))).sum(1)
    return logits, labels


@given(total=st.integers(1, 500), data=st.data())
def test_wilson_solves_its_equation(total: int, data: st.DataObject) -> None:
    """The ends p of the interval are where |share - p| is 1.96 standard deviations of p."""
    right = data.draw(st.integers(0, total))
    for p in wilson(right, total):
        assert abs(right / total - p) == pytest.approx(1.959964 * math.sqrt(p * (1 - p) / total), abs=1e-7)


def test_nothing_counted_says_nothing() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


def test_temperature_is_the_best_one() -> None:
    logits, labels = logits_of()
    for factor in (0.3, 1.0, 4.0):

        def loss(t: float, z: np.ndarray = factor * logits) -> float:
            return -np.log(probabilities(z, t)[np.arange(len(labels)), labels]).mean()

        best = minimize_scalar(loss, bounds=(0.05, 20), method="bounded").x
        assert fit_temperature(factor * logits, labels) == pytest.approx(best, rel=1e-3)
        assert fit_temperature(factor * logits, labels) == pytest.approx(factor, rel=0.1)


def test_calibration_by_hand() -> None:
    confidence = np.array([0.95, 0.95, 0.95, 0.95, 0.55, 0.55])
    right = np.array([1, 1, 1, 0, 1, 0], bool)
    error, bins = calibration(confidence, right, bins=10)
    assert error == pytest.approx(4 / 6 * abs(0.75 - 0.95) + 2 / 6 * abs(0.5 - 0.55))
    assert [row["frames"] for row in bins] == [2, 4]


def test_true_probabilities_are_calibrated_and_sharpened_ones_are_not() -> None:
    logits, labels = logits_of(20_000)
    errors = []
    for sharpness in (1, 3):
        p = probabilities(sharpness * logits)
        errors.append(calibration(p.max(1), p.argmax(1) == labels)[0])
    assert errors[0] < 0.02 and errors[1] > 0.1


def test_rejection_refuses_the_least_certain() -> None:
    confidence = np.linspace(0.0, 1.0, 1000)
    right = confidence > 0.5
    curve = rejection(confidence, right, points=4)
    assert [row["refused"] for row in curve] == pytest.approx([0, 0.25, 0.5, 0.75])
    assert [row["accuracy"] for row in curve] == pytest.approx([0.5, 500 / 750, 1, 1])
    assert curve[1]["threshold"] == pytest.approx(confidence[250])


def test_confusion_counts() -> None:
    labels, named = RNG.integers(0, 4, (2, 300))
    matrix = confusion(labels, named, 4)
    for i in range(4):
        for j in range(4):
            assert matrix[i, j] == sum(1 for a, b in zip(labels, named, strict=True) if (a, b) == (i, j))


def test_judge_counts_what_it_says() -> None:
    logits, labels = logits_of(600, 3)
    snr = RNG.choice([-10.0, 0.0, 9.0, 10.0, 30.0], 600)
    snr[labels == 2] = np.nan  # noise
    result = judge(logits, labels, snr, ("A", "B", "noise"))
    named = logits.argmax(1)
    assert result["accuracy"]["value"] == np.mean(named == labels)
    assert result["accuracy_good"]["value"] == np.mean((named == labels)[snr >= 10])
    assert [row["snr_db"] for row in result["by_snr"]] == [-10, 0, 9, 10, 30]
    assert sum(row["frames"] for row in result["by_snr"]) == np.sum(~np.isnan(snr))
    for row in result["by_snr"]:
        assert row["accuracy"] == np.mean((named == labels)[snr == row["snr_db"]])
    assert set(result["confusion"]) == {"below 0 dB", "0 to 10 dB", "10 dB and more"}
    assert np.sum(result["confusion"]["0 to 10 dB"]) == np.sum((snr >= 0) & (snr < 10))
    assert result["by_class"][2]["good"]["frames"] == np.sum(labels == 2)
    assert result["cross_entropy"] == pytest.approx(-np.log(probabilities(logits)[np.arange(600), labels]).mean())


def test_probabilities_do_not_overflow() -> None:
    p = probabilities(np.array([[1e4, 0, -1e4]], np.float32), 0.05)
    assert np.array_equal(p, [[1, 0, 0]])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    folder = tmp_path_factory.mktemp("runs")
    config = small_config(folder / "frames", data={"shares": {"FM": 1.5}}, train={"steps": 60, "validate_every": 30})
    trained = train(config, folder / "run")
    return evaluate(str(trained), EvaluateConfig(frames=400))


def test_eval_leaves_figures_and_counts(run: RunDir) -> None:
    result = run.read_json("eval.json")
    assert result["frames"] == 400 and result["accuracy"]["value"] > 0.8
    assert {"cpu", "date", "torch"} <= set(result["machine"])
    for name in ("accuracy", "confusion", "calibration", "rejection"):
        assert (run / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_card_says_what_matters(run: RunDir) -> None:
    result, card = run.read_json("eval.json"), (run / "MODEL_CARD.md").read_text()
    low, high = result["accuracy"]["interval"]
    value = result["accuracy"]["value"]
    assert f"| all | {100 * value:.2f} % | {100 * low:.2f} to {100 * high:.2f} % | 400 |" in card
    for text in (
        "BPSK, FM, AM-SSB-SC",
        "preset",
        "3,840 shown, 1,024 different",
        "60 steps of 64 frames",
        "no recording",
        "FM 1.5, others 1",
    ):
        assert text in card, text


def test_eval_again_gives_the_same(run: RunDir) -> None:
    before = run.read_json("eval.json")
    run_evaluate([str(run), "frames=400"])
    assert run.read_json("eval.json") == before


def test_refusals(run: RunDir, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="not a run directory"):
        evaluate(str(tmp_path))
    with pytest.raises(ConfigError, match="one run directory"):
        run_evaluate([])
    with pytest.raises(ConfigError, match="frame"):
        run_evaluate([str(run), "frame=3"])
