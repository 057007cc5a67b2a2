# SPDX-License-Identifier: GPL-3.0-or-later
"""modulation_classifier_c: every frame classified or counted, reports, models by message, live sources, faults."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pmt
import pytest
from gnuradio import softmod
from numpy.typing import NDArray

from classifier_models import sign_model, small_model, u8vector
from flowgraph import Result, Staged, Tag, run, until
from gr_softmod.bindings._kernels import Classifier
from gr_softmod.model_file import ModelFile

N = 64  # samples of a frame


def signal(count: int, seed: int = 0) -> NDArray[np.complex64]:
    """Noise whose colour changes from frame to frame, so that probabilities do."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(count, 2)) @ [1, 1j]
    return (noise + rng.uniform(0, 3, count // N + 1).repeat(N)[:count] * np.roll(noise, 1)).astype(np.complex64)


def frames_of(x: NDArray, length: int = N, hop: int = 0, start: int = 0) -> NDArray[np.complex64]:
    hop = hop or length
    return np.array([x[i : i + length] for i in range(start, len(x) - length + 1, hop)]).reshape(-1, length)


def expected(model: ModelFile, frames: NDArray) -> NDArray[np.float32]:
    return Classifier.from_bytes(model.to_bytes()).run(frames)


def classify(block: Any, *inputs: Any, classes: int = 3, **options: Any) -> tuple[list[NDArray], list[dict], Result]:
    """Probabilities [frames, classes] of each channel, the reports, and all."""
    result = run(
        block, *inputs, outputs="f" * len(inputs), vlen=classes, messages=["classification", "status"], **options
    )
    return [y.reshape(-1, classes) for y in result.outputs], result.messages["classification"], result


def block_of(model: ModelFile | None = None, **options: Any) -> Any:
    return softmod.modulation_classifier_c((model or small_model()).to_bytes(), **options)


# -- frames ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hop", [0, 1, 40, 64, 100, 5000])
@pytest.mark.parametrize("chunk", [None, 7])
def test_every_frame_is_classified_as_the_kernel_does(hop: int, chunk: int | None) -> None:
    x = signal(20 * N + 17 if hop != 5000 else 20_000)
    block = block_of(hop=hop)
    (y,), reports, result = classify(block, x, input_chunk=chunk)
    frames = frames_of(x, hop=hop)
    np.testing.assert_array_equal(y, expected(small_model(), frames))
    assert block.counts() == {
        "classified": len(frames), "unsure": 0, "squelched": 0, "invalid": 0, "skipped": 0, "samples": len(x)
    }  # fmt: skip
    assert [report["sample_index"] for report in reports] == [i * (hop or N) for i in range(len(frames))]
    assert result.tagged("sample_index") == [(0, 0)]
    assert [item for item, _ in result.tagged("classification")] == list(range(len(frames)))


def test_a_report_says_it_all(tmp_path: Path) -> None:
    small_model().write(tmp_path / "model.safetensors")
    block = softmod.modulation_classifier_c(tmp_path / "model.safetensors", frequency_offsets=[100.0])
    assert (block.frame_length(), block.hop(), block.model()) == (N, N, small_model().hash)
    assert block.class_names() == ["class 0", "class 1", "class 2"] and block.instruction_set()
    x = signal(N)
    (y,), (report,), result = classify(block, x)
    best = int(y[0].argmax())
    assert report["class"] == f"class {best}" and report["probability"] == pytest.approx(y[0, best])
    np.testing.assert_array_equal(report["probabilities"], y[0])
    assert list(report["class_names"]) == block.class_names()
    assert (report["channel"], report["sample_index"], report["frame_length"]) == (0, 0, N)
    assert report["model_hash"] == small_model().hash and report["rx_freq"] == 100 and "rx_time" not in report
    assert report["power_db"] == pytest.approx(10 * np.log10(np.mean(np.abs(x) ** 2)), abs=1e-4)
    assert result.tagged("classification")[0][1]["class"] == report["class"]


@pytest.mark.parametrize("count", [0, 1, N - 1, N, 3 * N - 1])
def test_a_stream_that_ends_within_a_frame(count: int) -> None:
    x = signal(count)
    block = block_of()
    (y,), _, _ = classify(block, x)
    assert len(y) == count // N == block.counts()["classified"] and block.counts()["samples"] == count


def test_the_level_does_not_matter() -> None:
    x = signal(10 * N)
    (y,), _, _ = classify(block_of(), x)
    for level in (2.0**-20, 2.0**30):
        np.testing.assert_array_equal(classify(block_of(), x * np.float32(level))[0][0], y)


def test_channels_are_classified_together_each_by_itself() -> None:
    x = [signal(12 * N + 5, seed) for seed in range(3)]
    x[1][4 * N : 5 * N] = 0  # a pause in one of them
    for threads in (1, 2):
        block = block_of(channels=3, threads=threads)
        y, reports, result = classify(block, *x)
        for channel in (0, 2):
            np.testing.assert_array_equal(y[channel], expected(small_model(), frames_of(x[channel])))
        np.testing.assert_array_equal(y[1], expected(small_model(), np.delete(frames_of(x[1]), 4, 0)))
        assert result.tagged("sample_index", 1) == [(0, 0), (4, 5 * N)]
        assert {report["channel"] for report in reports} == {0, 1, 2}
        assert (block.counts()["classified"], block.counts()["squelched"]) == (35, 1)


# -- what is not classified --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hop", [0, 24])
def test_silence_and_what_is_not_finite_are_counted(hop: int) -> None:
    x = signal(12 * N)
    x[2 * N + 3] = complex(np.nan, 0)
    x[4 * N : 6 * N] = 0
    x[7 * N] = complex(0, -np.inf)
    frames = frames_of(x, hop=hop)
    invalid = ~np.isfinite(frames).all(1)
    silent = (frames == 0).all(1)
    heard = np.flatnonzero(~invalid & ~silent)
    block = block_of(hop=hop)
    (y,), _, result = classify(block, x)
    np.testing.assert_array_equal(y, expected(small_model(), frames[heard]))
    counts = block.counts()
    assert (counts["invalid"], counts["squelched"]) == (invalid.sum(), silent.sum())
    assert counts["classified"] == len(heard)
    jumps = [0, *(np.flatnonzero(np.diff(heard) > 1) + 1)]
    assert result.tagged("sample_index") == [(i, heard[i] * (hop or N)) for i in jumps]
    (status,) = result.messages["status"]
    assert status["severity"] == "warning" and status["invalid"] >= 1 and status["skipped"] == 0


def test_full_scale_clipping_is_a_signal_like_others() -> None:
    x = 100 * signal(10 * N)
    x = (np.clip(x.real, -1, 1) + 1j * np.clip(x.imag, -1, 1)).astype(np.complex64)
    huge = np.full(2 * N, 3e38 + 3e38j, np.complex64)
    block = block_of()
    (y,), _, _ = classify(block, np.concatenate([x, huge]))
    np.testing.assert_array_equal(y[:10], expected(small_model(), frames_of(x)))
    assert np.isfinite(y).all() and len(y) == 12


def test_squelch_and_dc() -> None:
    quiet, loud = 0.01 * signal(4 * N), signal(4 * N)
    x = np.concatenate([quiet, loud, quiet + 10]).astype(np.complex64)
    block = block_of(squelch_db=-20)
    (y,), _, _ = classify(block, x)
    assert len(y) == 8 and block.counts()["squelched"] == 4
    block = block_of(squelch_db=-20, remove_dc=True)
    (y,), _, _ = classify(block, x)
    middle = frames_of(loud)
    np.testing.assert_allclose(y, expected(small_model(), middle - middle.mean(1, keepdims=True)), atol=0.02)
    assert block.counts()["squelched"] == 8


# -- reports -----------------------------------------------------------------------------------------------------------


def dc(levels: str) -> NDArray[np.complex64]:
    """A frame a letter: I and Q are what sign_model tells apart; "." is silence."""
    return np.repeat([{"I": 1, "Q": 1j, ".": 0}[letter] for letter in levels], N).astype(np.complex64)


def test_smoothing_is_the_mean_over_frames_and_silence_ends_it() -> None:
    x = dc("IIQQQ.Q")
    (y,), reports, _ = classify(block_of(sign_model(), smoothing=3), x, classes=2)
    mean, seen, means = np.zeros(2), 0, []
    for letter, p in zip("IIQQQ.Q", [*y[:5], y[0], y[5]], strict=True):
        seen = 0 if letter == "." else min(seen + 1, 3)
        if seen:
            mean = mean + (p - mean) / seen
            means.append(mean)
    np.testing.assert_allclose([report["probabilities"] for report in reports], means, atol=1e-6)
    assert "".join(report["class"] for report in reports) == "IIIQQQ"
    assert means[-1][1] == y[5, 1]


@pytest.mark.parametrize("period", [1, 2, 4, 100])
def test_reports_come_in_their_period(period: int) -> None:
    _, reports, _ = classify(block_of(sign_model(), report_period=period), dc("IIIIIIIII"), classes=2)
    assert [report["sample_index"] // N for report in reports] == list(range(0, 9, period))


def test_a_burst_is_reported_at_once_and_one_that_is_unsure_later() -> None:
    _, reports, _ = classify(block_of(sign_model(), report_period=3), dc("...I...QQQQ"), classes=2)
    assert [report["sample_index"] // N for report in reports] == [3, 7, 10]
    unsure = dc("I") + dc("Q")
    block = block_of(sign_model(), report_period=3, min_confidence=0.6)
    _, reports, _ = classify(block, np.concatenate([unsure, unsure, dc("IIIII")]), classes=2)
    assert [report["sample_index"] // N for report in reports] == [2, 5] and block.counts()["unsure"] == 2


def test_tags_are_carried_from_their_sample_on() -> None:
    time = pmt.make_tuple(pmt.from_uint64(100), pmt.from_double(0.75))
    tags: list[Tag] = [
        (0, "rx_freq", 1e6), (0, "rx_time", time), (0, "rx_rate", 128.0), (5, "other", 1),
        (2 * N, "rx_freq", 2e6), (3 * N + 1, "rx_freq", 3e6), (5 * N - 1, "rx_freq", "x"), (5 * N - 1, "rx_rate", -1.0),
        (5 * N - 1, "rx_time", 3.0),
    ]  # fmt: skip
    for chunk in (None, 7):
        _, reports, result = classify(block_of(), signal(6 * N), tags=tags, input_chunk=chunk)
        assert [report["rx_freq"] for report in reports] == [1e6, 1e6, 2e6, 2e6, 3e6, 3e6]
        assert reports[0]["rx_time"] == (100, 0.75) and reports[1]["rx_time"] == (101, 0.25)
        assert reports[5]["rx_time"] == (103, 0.25)
        assert "tag at item 319 ignored" in result.messages["status"][0]["reason"]
    (_, reports, _) = classify(block_of(sample_rate=64.0), signal(2 * N), tags=tags)
    assert reports[1]["rx_time"] == (101, 0.75)


# -- models by message -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [16, 20, 64, 200])
@pytest.mark.parametrize("way", ["blob", "path", "pair"])
def test_a_model_by_message_within_a_frame(length: int, way: str, tmp_path: Path) -> None:
    """Frames that were whole are the old model's; the next one, in part there already, is the new one's."""
    old, new = small_model(), small_model(length, seed=3)
    new.write(tmp_path / "new.safetensors")
    messages = {
        "blob": u8vector(new.to_bytes()),
        "path": pmt.intern(str(tmp_path / "new.safetensors")),
        "pair": pmt.cons(pmt.intern("model"), u8vector(new.to_bytes())),
    }
    x = signal(1000)
    block = block_of(old)

    def act() -> None:
        block.to_basic_block()._post(pmt.intern("model"), messages[way])
        until(lambda: block.model() == new.hash)

    source = Staged([x[: 5 * N + 40], x[5 * N + 40 :]], [act], lambda sent: block.counts()["samples"] == sent)
    (y,), reports, result = classify(block, source)
    before, after = expected(old, frames_of(x[: 5 * N])), expected(new, frames_of(x, length, start=5 * N))
    np.testing.assert_array_equal(y, np.concatenate([before, after]))
    assert [report["sample_index"] for report in reports[5:]] == list(range(5 * N, 1001 - length, length))
    assert reports[4]["model_hash"] == old.hash and reports[5]["model_hash"] == new.hash
    (status,) = result.messages["status"]
    assert (status["severity"], status["hash"]) == ("info", new.hash)


def test_models_that_come_and_go_lose_no_sample() -> None:
    """Every frame begins where the one before it ends, and each is that of the model which it names."""
    models = {model.hash: model for model in (small_model(), small_model(48, seed=1), small_model(100, seed=2))}
    x = signal(60_000)
    block = block_of()
    post = [("model", u8vector(model.to_bytes())) for model in list(models.values()) * 8]
    (y,), reports, _ = classify(block, x, input_chunk=512, post=post)
    at = 0
    for report, p in zip(reports, y, strict=True):
        model = models[report["model_hash"]]
        assert (report["sample_index"], report["frame_length"]) == (at, model.frame_length)
        np.testing.assert_array_equal(p[None], expected(model, x[None, at : at + model.frame_length]))
        at += model.frame_length
    assert at + 100 > len(x) and block.counts()["samples"] == len(x)


BAD_MODELS: list[tuple[Callable[[], Any], str]] = [
    (lambda: pmt.from_double(1.0), "must be a path or a u8vector"),
    (lambda: pmt.PMT_NIL, "must be a path or a u8vector"),
    (lambda: pmt.intern("/nowhere/model"), "/nowhere/model: cannot be read"),
    (lambda: u8vector(small_model().to_bytes()[:-1]), "model: "),
    (lambda: u8vector(small_model(classes=4).to_bytes()), "has 4 classes; the connected output has 3"),
]


@pytest.mark.parametrize(("message", "reason"), BAD_MODELS, ids=range(len(BAD_MODELS)))
def test_a_bad_model_leaves_the_old_one_running(message: Callable[[], Any], reason: str) -> None:
    x, told = signal(10 * N), []
    block = block_of()

    def act() -> None:  # the model is read on a thread of its own
        block.to_basic_block()._post(pmt.intern("model"), message())
        until(lambda: bool(told))

    source = Staged([x, x], [act], lambda sent: block.counts()["samples"] == sent)
    result = run(block, source, vlen=3, messages=["status"], heard=told)
    y = result.outputs[0].reshape(-1, 3)
    np.testing.assert_array_equal(y, expected(small_model(), frames_of(np.tile(x, 2))))
    (status,) = told
    assert (status["severity"], status["block"]) == ("warning", block.alias()) and reason in status["reason"]


def test_other_classes_where_no_output_is_connected() -> None:
    block = block_of()
    block.set_model(small_model(100, 7).to_bytes())
    reports = run(block, signal(300), outputs="", messages=["classification"]).messages["classification"]
    assert len(reports) == 3 and len(reports[0]["probabilities"]) == 7 == len(block.class_names())


# -- live --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backlog", [1, 3])
@pytest.mark.parametrize("connected", [True, False])
def test_a_live_source_that_is_too_fast_never_waits(backlog: int, connected: bool) -> None:
    """It delivers thousands of samples at once, so frames must be skipped: each is classified or counted."""
    x = signal(400 * N + 9)
    block = block_of(live_backlog=backlog)
    if connected:
        (y,), reports, result = classify(block, x)
    else:
        result = run(block, x, outputs="", messages=["classification", "status"])
        reports = result.messages["classification"]
        y = np.array([report["probabilities"] for report in reports])
    counts = block.counts()
    assert counts["skipped"] > 0 and counts["samples"] == len(x)
    assert counts["classified"] + counts["skipped"] == 400 and counts["classified"] == len(y) > 0
    starts = [report["sample_index"] for report in reports]
    np.testing.assert_array_equal(y, expected(small_model(), np.array([x[i : i + N] for i in starts])))
    assert result.messages["status"][0]["skipped"] > 0


def test_a_live_source_that_is_slow_enough_loses_nothing() -> None:
    x = signal(100 * N)
    block = block_of(live_backlog=100)
    (y,), _, _ = classify(block, x)
    np.testing.assert_array_equal(y, expected(small_model(), frames_of(x)))
    assert block.counts()["skipped"] == 0


# -- a band ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [8, 6])  # with our channelizer and with the in-tree one
def test_a_band_of_channels(channels: int) -> None:
    """Carriers in the middle of three of the channels: what lies there, at which frequency, and nothing elsewhere."""
    rate = 1000.0 * channels
    time = np.arange(channels * N * 40) / rate
    x = sum(a * np.exp(2j * np.pi * f * time) for f, a in ((0, 1), (2000, 1j), (-1000, 1j))).astype(np.complex64)
    block = softmod.multichannel_classifier(
        sign_model().to_bytes(), channels, rate, squelch_db=-20, report_period=10, hop=2 * N
    )
    reports = run(block, x, outputs="", messages=["classification"]).messages["classification"]
    found = {(report["channel"], report["rx_freq"]) for report in reports if report["sample_index"] > 0}
    assert found == {(0, 0.0), (2, 2000.0), (channels - 1, -1000.0)}
    counts = block.classifier.counts()
    assert counts["classified"] + counts["squelched"] == channels * 20 and counts["classified"] <= 3 * 20 + 8


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"channels": 1}, "channels is 1"),
        ({"sample_rate": 0.0}, "sample_rate is 0"),
        ({"attenuation_db": 0.0}, "attenuation_db is 0"),
        ({"model": "/nowhere/model"}, "/nowhere/model: cannot be read"),
    ],
)
def test_what_a_band_refuses(arguments: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        softmod.multichannel_classifier(**({"model": small_model().to_bytes()} | arguments))


# -- setters and faults ------------------------------------------------------------------------------------------------


def test_setters() -> None:
    block, x = block_of(), signal(10 * N)
    for name, value in {
        "hop": 100, "smoothing": 2, "report_period": 3, "min_confidence": 0.25, "squelch_db": -30.0, "remove_dc": True
    }.items():  # fmt: skip
        getattr(block, f"set_{name}")(value)
        assert getattr(block, name)() == value
    block.set_remove_dc(False)
    (y,), reports, _ = classify(block, x)
    np.testing.assert_array_equal(y, expected(small_model(), frames_of(x, hop=100)))
    assert [report["sample_index"] for report in reports] == [0, 300]


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"model": "/nowhere/model"}, "/nowhere/model: cannot be read"),
        ({"model": ""}, "cannot be read"),
        ({"model": small_model().to_bytes()[:-1]}, "model: "),
        ({"channels": 0}, "channels is 0"),
        ({"channels": 1025}, "channels is 1025"),
        ({"smoothing": 0}, "smoothing is 0"),
        ({"report_period": 0}, "report_period is 0"),
        ({"min_confidence": 1.5}, "min_confidence is 1.5"),
        ({"min_confidence": float("nan")}, "min_confidence is nan"),
        ({"squelch_db": float("inf")}, "squelch_db is inf"),
        ({"live_backlog": 1 << 40}, "frames that may wait"),
        ({"sample_rate": -1.0}, "sample_rate is -1"),
        ({"frequency_offsets": [1.0, 2.0]}, "number of frequency_offsets is 2"),
        ({"frequency_offsets": [float("nan")]}, "frequency offset is nan"),
        ({"threads": 0}, "threads is 0"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_refused(arguments: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match) as refused:
        softmod.modulation_classifier_c(**({"model": small_model().to_bytes()} | arguments))
    assert "\n" not in str(refused.value)
    (name, value), block = next(iter(arguments.items())), block_of()
    if hasattr(block, f"set_{name}"):
        before = getattr(block, name)()
        with pytest.raises(ValueError, match=match):
            getattr(block, f"set_{name}")(value)
        assert getattr(block, name)() == before


def test_a_model_of_another_type_is_no_model() -> None:
    with pytest.raises(TypeError):
        softmod.modulation_classifier_c(7)
