# SPDX-License-Identifier: GPL-3.0-or-later
"""The network of integers in C++ equals the reference in numpy to the last bit, on every instruction set."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gr_softmod.bindings import _kernels
from gr_softmod.classifier import feature_set, integer
from gr_softmod.classifier.architectures import build
from gr_softmod.classifier.graph import Graph, Node
from gr_softmod.classifier.random_model import random_model
from gr_softmod.model_file import ModelFile

TARGETS = _kernels.simd_targets()
#: Instruction sets, each with and without its dot products of bytes.
SETS = [(target, dot) for target in TARGETS for dot in (True, False) if dot or target != "generic"]
NAMES = tuple(f"class {i}" for i in range(24))


@pytest.fixture(params=SETS, ids=lambda s: s[0] + ("" if s[1] else " plain"))
def target(request: pytest.FixtureRequest) -> Iterator[str]:
    use(*request.param)
    yield request.param[0]
    use(TARGETS[0], True)


def use(target: str, dot: bool) -> None:
    _kernels.use_simd_target(target)
    _kernels.use_simd_dot_products(dot)


def frames(n: int, length: int, seed: int = 0) -> NDArray[np.complex64]:
    rng = np.random.default_rng(seed)
    symbols = np.exp(0.5j * np.pi * rng.integers(0, 4, (n, length // 4 + 1)))
    noise = rng.normal(size=(n, length)) + 1j * rng.normal(size=(n, length))
    loud = 10.0 ** rng.uniform(-3, 3, (n, 1))
    return (loud * (np.repeat(symbols, 4, 1)[:, :length] + rng.uniform(0, 1, (n, 1)) * noise)).astype(np.complex64)


def load(model: ModelFile, folder: Path, **options: Any) -> Any:
    path = folder / "model.safetensors"
    model.write(path)
    return _kernels.Classifier(str(path), **options)


def assert_exact(model: ModelFile, classifier: Any, n: int = 3, seed: int = 0) -> None:
    iq, features = integer.quantise_inputs(model, frames(n, model.frame_length, seed))
    expected = integer.run_integers(model, iq, features)
    got = classifier.integer_logits(iq, features)
    np.testing.assert_array_equal(got, expected, err_msg=f"{classifier.instruction_set}: {model.nodes}")


@pytest.mark.parametrize("name", ["vgg10", "bacalhaunet", "imperial", "softmod"])
@pytest.mark.parametrize("bits", [8, 6, 4])
def test_logits_equal_the_reference(name: str, bits: int, tmp_path: Path) -> None:
    model = random_model(build(name, NAMES), bits=bits, seed=bits)
    given = frames(3, model.frame_length)
    inputs = integer.quantise_inputs(model, given)
    expected = integer.run_integers(model, *inputs)
    for chosen in SETS:
        try:
            use(*chosen)
            classifier = load(model, tmp_path)
            if chosen[0] == "generic" and name == "vgg10" and bits != 8:
                continue  # the plain form is slow
            np.testing.assert_array_equal(classifier.integer_logits(*inputs), expected, err_msg=str(chosen))
            from_frames = classifier.logits(given)
        finally:
            use(TARGETS[0], True)
        # Through float32 features an integer may differ by one step, so that this is close and not equal.
        if "features" not in {node.op for node in model.nodes}:
            np.testing.assert_array_equal(from_frames, expected, err_msg=str(chosen))


@pytest.mark.parametrize("density", [0.0, 0.03, 0.5])
def test_zeros_of_pruned_weights_change_nothing(density: float, target: str, tmp_path: Path) -> None:
    model = random_model(build("bacalhaunet", NAMES, 256), bits=6, density=density)
    assert_exact(model, load(model, tmp_path))


# ---- any shape


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Chains of every operation with odd widths, kernels, strides, padding, groups and bits, joined at the end."""
    length = draw(st.integers(128, 150))
    nodes = [Node("iq", "iq")]
    time, width, last = length, 2, "iq"
    for i in range(draw(st.integers(1, 5))):
        op = draw(st.sampled_from(["conv", "conv", "depthwise", "grouped", "add", "max_pool", "avg_pool"]))
        name, kernel, stride = f"n{i}", draw(st.integers(1, 9)), draw(st.integers(1, 4))
        if op in ("conv", "depthwise", "grouped"):
            padding = (draw(st.integers(0, 5)), draw(st.integers(0, 5)))
            groups = {"conv": 1, "depthwise": width, "grouped": 2 if width % 2 == 0 else 1}[op]
            channels = width if op == "depthwise" else draw(st.integers(1, 40)) * groups
            if time + sum(padding) < kernel:
                continue
            nodes.append(
                Node("conv", name, (last,), channels, kernel, stride, padding, groups,
                     activation=draw(st.sampled_from(["relu", "none"])))
            )  # fmt: skip
            time, width = (time + sum(padding) - kernel) // stride + 1, channels
        elif op == "add":
            nodes.append(Node("conv", f"{name}.side", (last,), width, 1, activation="relu"))
            nodes.append(Node("add", name, (last, f"{name}.side"), activation=draw(st.sampled_from(["relu", "none"]))))
        else:
            kernel, stride = draw(st.sampled_from([(2, 2), (kernel, stride)]))
            if time < kernel:
                continue
            nodes.append(Node(op, name, (last,), kernel=kernel, stride=stride))
            time = (time - kernel) // stride + 1
        last = name
    end = draw(st.sampled_from(["global_avg_pool", "global_max_pool", "flat"]))
    if end != "flat":
        nodes.append(Node(end, "end", (last,)))
        last = "end"
    names: tuple[str, ...] = ()
    if draw(st.booleans()):
        known = feature_set.known_features(length)
        names = tuple(draw(st.lists(st.sampled_from(known), min_size=1, max_size=50, unique=True)))
        nodes += [Node("features", "features"), Node("concat", "joint", ("features", last))]
        last = "joint"
    nodes.append(Node("dense", "hidden", (last,), draw(st.integers(1, 70)), activation="relu"))
    classes = draw(st.integers(1, 20))
    nodes.append(Node("dense", "logits", ("hidden",), classes))
    graph = Graph(tuple(nodes), length, NAMES[:classes], names)
    return graph.with_bits(draw(st.integers(2, 8)), draw(st.integers(2, 8)))


@settings(max_examples=60, deadline=None)
@given(graph=graphs(), seed=st.integers(0, 1000), density=st.sampled_from([1.0, 0.2]))
def test_any_shape_equals_the_reference(
    graph: Graph, seed: int, density: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    model = random_model(graph, seed=seed, density=density, parity=False)
    folder = tmp_path_factory.mktemp("model")
    for chosen in SETS:
        try:
            use(*chosen)
            assert_exact(model, load(model, folder), 2, seed)
        finally:
            use(TARGETS[0], True)


def test_extreme_scales_equal_the_reference(target: str, tmp_path: Path) -> None:
    model = random_model(build("softmod", NAMES), bits=8)
    for name in ("stem.scale", "block1.dw.scale", "joint.scale", "expert.offset"):
        model.tensors[name] = (model.tensors[name] * np.float32(1e26)).astype(np.float32)
    assert_exact(model, load(model, tmp_path))


# ---- frames


def test_features_equal_the_formulas(target: str) -> None:
    for length in (128, 1000, 1024, 1037, 9001):
        given = feature_set.normalise(frames(40, length, seed=length))
        expected = feature_set.compute(given.astype(np.complex128))
        assert expected.shape[1] == len(feature_set.known_features(length))
        got = _kernels.frame_features(given, set=3)
        for smaller in (1, 2):
            part = [feature_set.known_features(length).index(x) for x in feature_set.known_features(length, smaller)]
            np.testing.assert_array_equal(_kernels.frame_features(given, set=smaller), got[:, part])
        error = np.abs(got - expected)
        assert (error <= 1e-4 * expected.std(0)).all(), (length, error.max(0) / expected.std(0))


def test_names_of_features_are_those_of_the_formulas() -> None:
    assert tuple(_kernels.feature_names()) == feature_set.FEATURE_NAMES


@pytest.mark.parametrize("number", [0, 4])
def test_other_sets_of_features_are_refused(number: int) -> None:
    with pytest.raises(ValueError, match=f"set is {number}; allowed are 1 to 3"):
        _kernels.frame_features(frames(1, 128), set=number)


def test_a_name_of_a_rate_that_the_frame_has_not_is_refused(tmp_path: Path) -> None:
    model = random_model(build("softmod", NAMES, 256, feature_set=3, auxiliary=False), bits=8)
    path = tmp_path / "model.safetensors"
    model.write(path)
    for name in ("mean", "band_1"):
        wrong = path.read_bytes().replace(rf"\"{name}/2\"".encode(), rf"\"{name}/4\"".encode())
        with pytest.raises(ValueError, match=f"'{name}/4', which frames of 256 samples do not have"):
            _kernels.Classifier.from_bytes(wrong)


def test_probabilities_are_those_of_the_logits(tmp_path: Path) -> None:
    model = random_model(build("softmod", NAMES), bits=6)
    classifier = load(model, tmp_path)
    given = frames(5, model.frame_length)
    probabilities = classifier.run(given)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-6)
    scaled = classifier.logits(given).astype(np.float64) / model.temperature
    expected = np.exp(scaled - scaled.max(1, keepdims=True))
    np.testing.assert_allclose(probabilities, expected / expected.sum(1, keepdims=True), rtol=1e-5)


def test_the_models_own_parity_frame(tmp_path: Path) -> None:
    model = random_model(build("bacalhaunet", NAMES), bits=6)
    i, q = model.tensors["parity.frame"]
    got = load(model, tmp_path).logits((i + 1j * q).astype(np.complex64)[None])
    np.testing.assert_array_equal(got[0], np.float32(model.parity_logits))


@pytest.mark.parametrize("remove_mean", [False, True])
def test_level_does_not_matter_and_mean_can_be_removed(remove_mean: bool, tmp_path: Path) -> None:
    model = random_model(build("bacalhaunet", NAMES), bits=6, parity=False)
    model = ModelFile(**{**vars(model), "remove_mean": remove_mean, "parity_logits": ()})
    classifier = load(model, tmp_path)
    given = frames(4, model.frame_length) + np.complex64(0.3 - 0.2j)
    expected = integer.run(model, given)
    np.testing.assert_array_equal(classifier.logits(given), expected)
    np.testing.assert_array_equal(classifier.logits(given * np.float32(2.0**40)), expected)


@pytest.mark.parametrize("bad", [0, np.nan, np.inf, 1e38, 1e-38])
def test_silence_and_what_is_not_finite_are_defined(bad: float, target: str, tmp_path: Path) -> None:
    model = random_model(build("softmod", NAMES), bits=8)
    classifier = load(model, tmp_path)
    given = frames(2, model.frame_length)
    silent = np.full_like(given[:1], bad) if bad in (0, 1e38, 1e-38) else given[:1].copy()
    if bad not in (0, 1e38, 1e-38):
        silent[0, 7] = bad
    got = classifier.logits(np.concatenate([silent, given]))
    assert np.isfinite(got).all()
    if bad != 1e-38:  # numpy's own sum of squares of such numbers is what differs
        np.testing.assert_allclose(got[:1], integer.run(model, silent), atol=1e-3)
    np.testing.assert_array_equal(got[1:], classifier.logits(given))


def test_threads_and_batches_give_the_same(tmp_path: Path) -> None:
    model = random_model(build("bacalhaunet", NAMES, 128), bits=6)
    given = frames(37, 128)
    expected = load(model, tmp_path).logits(given)
    shared = load(model, tmp_path, threads=3)
    for n in (0, 1, 2, 37):
        np.testing.assert_array_equal(shared.logits(given[:n]), expected[:n])
    results: list[NDArray[np.float32]] = []
    callers = [Thread(target=lambda: results.append(shared.logits(given))) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    for result in results:
        np.testing.assert_array_equal(result, expected)


# ---- faults


def test_says_what_it_is(tmp_path: Path) -> None:
    model = random_model(build("vgg10", NAMES), bits=8)
    classifier = load(model, tmp_path)
    assert tuple(classifier.class_names) == NAMES and classifier.frame_length == 1024
    assert classifier.multiply_accumulates == 12_864_512
    assert classifier.name == model.name and len(classifier.hash) == 64
    blob = (tmp_path / "model.safetensors").read_bytes()
    assert _kernels.Classifier.from_bytes(blob).hash == classifier.hash


@pytest.mark.parametrize(
    "call, reason",
    [
        (lambda c: c.run(np.zeros((1, 100), np.complex64)), r"frames must be complex64 \[batch, 128\]"),
        (lambda c: c.run(np.zeros(128, np.complex64)), "frames must be complex64"),
        (lambda c: c.integer_logits(), "integer_logits needs iq"),
        (lambda c: c.integer_logits(np.zeros((1, 2, 127))), "iq has the wrong shape"),
        (lambda c: c.integer_logits(np.full((1, 2, 128), 128)), "iq holds 128; allowed are -127 to 127"),
        (lambda c: c.integer_logits(np.zeros((1, 2, 128)), np.zeros((1, 0))), "features must be given if, and only if"),
    ],
)
def test_wrong_arguments_are_refused(call: Any, reason: str, tmp_path: Path) -> None:
    classifier = load(random_model(build("bacalhaunet", NAMES, 128), bits=6), tmp_path)
    with pytest.raises(ValueError, match=reason):
        call(classifier)


def test_wrong_files_and_threads_are_refused(tmp_path: Path) -> None:
    model = random_model(build("softmod", NAMES), bits=6)
    path = tmp_path / "model.safetensors"
    model.write(path)
    whole = path.read_bytes()
    with pytest.raises(ValueError, match="threads is 0; allowed are 1 to 256"):
        _kernels.Classifier(str(path), threads=0)
    with pytest.raises(ValueError, match="nowhere: cannot be read"):
        _kernels.Classifier(str(tmp_path / "nowhere"))
    rng = np.random.default_rng(0)
    for at in rng.integers(0, len(whole), 60):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"model.safetensors: "):
            _kernels.Classifier(str(path))
    path.write_bytes(whole[:-1])
    with pytest.raises(ValueError, match="model.safetensors: "):
        _kernels.Classifier(str(path))
