# SPDX-License-Identifier: GPL-3.0-or-later
"""ModelFile: what is written is what is read, and whatever is wrong is refused with a sentence."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load as load_safetensors

from classifier_graphs import every_operation, graphs
from gr_softmod.classifier.graph import Graph, Node
from gr_softmod.classifier.integer import run
from gr_softmod.classifier.random_model import random_model
from gr_softmod.model_file import ModelFile, ModelFileError, read
from gr_softmod.model_file.container import MAX_DEPTH, MAX_HEADER, pack_bits, parse, serialise, unpack_bits
from gr_softmod.model_file.model import canonical, digest


@lru_cache
def model(bits: int = 5) -> ModelFile:
    return random_model(every_operation(), bits, seed=1)


# ---- what is written is what is read


@settings(max_examples=30)
@given(graph=graphs(), seed=st.integers(0, 1000))
def test_round_trip(graph: Graph, seed: int) -> None:
    written = random_model(graph, seed=seed)
    again = read(written.to_bytes())
    assert again == written and again.to_bytes() == written.to_bytes() and again.hash == written.hash
    assert again.nodes == written.nodes and again.parity_logits == written.parity_logits
    assert set(again.tensors) == set(written.tensors)
    for name, array in written.tensors.items():
        np.testing.assert_array_equal(again.tensors[name], array)
        assert again.tensors[name].dtype == array.dtype


def test_file_on_disk_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_text("old")
    model().write(path)
    assert read(path) == model() and list(tmp_path.iterdir()) == [path]


def test_it_is_a_safetensors_file() -> None:
    tensors = load_safetensors(model(8).to_bytes())
    assert set(tensors) == set(model(8).tensors)
    for name, array in model(8).tensors.items():
        np.testing.assert_array_equal(tensors[name], array)


def test_equal_models_have_equal_hashes_and_others_do_not() -> None:
    assert model().hash == random_model(every_operation(), 5, seed=1).hash
    others = [random_model(every_operation(), 5, seed=2), replace(model(), temperature=2.0), replace(model(), name="n")]
    assert len({model().hash, *(other.hash for other in others)}) == 4


@given(bits=st.integers(2, 7), data=st.data())
def test_bits_are_packed_lowest_first(bits: int, data: st.DataObject) -> None:
    high = 2 ** (bits - 1) - 1
    values = data.draw(st.lists(st.integers(-high, high), min_size=1, max_size=40))
    packed = pack_bits(np.array(values, np.int8), bits)
    number = sum((value % 2**bits) << (i * bits) for i, value in enumerate(values))
    assert packed.tobytes() == number.to_bytes(-(-len(values) * bits // 8), "little")
    assert unpack_bits(packed, bits, len(values)).tolist() == values


# ---- what is wrong is refused


def refused(data: bytes, *words: str) -> None:
    with pytest.raises(ModelFileError) as error:
        read(data)
    text = str(error.value)
    assert text.startswith("model: ") and "\n" not in text and len(text) < 400
    assert all(word in text for word in words), text


def with_document(change: Callable[[dict[str, Any]], Any], bits: int = 5) -> bytes:
    """The file with its document changed and hashed anew."""
    text, stored = parse(model(bits).to_bytes())
    document = json.loads(text)
    change(document)
    document.pop("hash", None)
    return serialise(canonical({**document, "hash": digest(canonical(document), stored)}), stored)


def with_tensor(name: str, change: Callable[[np.ndarray], np.ndarray | None], bits: int = 5) -> bytes:
    """The file with one stored tensor changed or, for None, taken out, and hashed anew."""
    text, stored = parse(model(bits).to_bytes())
    changed = change(stored.get(name, np.zeros(1, np.float32)).copy())
    tensors = {**stored, name: changed} if changed is not None else {k: v for k, v in stored.items() if k != name}
    document = json.loads(text)
    document.pop("hash")
    return serialise(canonical({**document, "hash": digest(canonical(document), tensors)}), tensors)


def set_(**values: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda document: document.update(values)


def node(name: str, /, **values: Any) -> Callable[[dict[str, Any]], Any]:
    def change(document: dict[str, Any]) -> None:
        entry = next(entry for entry in document["nodes"] if entry["name"] == name)
        for key, value in values.items():
            entry.update({key: value}) if value is not ... else entry.pop(key)

    return change


def nested(depth: int) -> list[Any]:
    return [nested(depth - 1)] if depth else []


TRAINED = {"preset": "p", "samples_per_symbol": [2, 8], "snr_db": [-20, 30], "frames": 5, "device": "cpu"}
DOCUMENTS = {
    "no key 'kind'": lambda d: d.pop("kind"),
    "unknown key 'colour'": set_(colour=1),
    "has format 2": set_(format=2),
    "has format 1.0": set_(format=1.0),
    "has conventions 99": set_(conventions=99),
    "kind 'demodulator'": set_(kind="demodulator"),
    "a name that": set_(name="two\nlines"),
    "class_names that are no list": set_(class_names="BPSK"),
    "logits for 2 class names": set_(class_names=["a", "b"]),
    "class name 'a' twice": set_(class_names=["a", "b", "a"]),
    "class names that are not": set_(class_names=["a", "b", 3]),
    "'input' has no key 'remove_mean'": lambda d: d["input"].pop("remove_mean"),
    "normalisation 'peak'": lambda d: d["input"].update(normalisation="peak"),
    "remove_mean that is": lambda d: d["input"].update(remove_mean=0),
    "frame_length 256.0": lambda d: d["input"].update(frame_length=256.0),
    "frame_length 0": lambda d: d["input"].update(frame_length=0),
    "features need at least": lambda d: d["input"].update(frame_length=127),
    "parity.frame": lambda d: d["input"].update(frame_length=257),
    "'features' has no key 'set'": set_(features={"names": ["mean"]}),
    "feature set 4": set_(features={"set": 4, "names": ["mean"]}),
    "the feature 'smell'": set_(features={"set": 1, "names": ["smell"]}),
    "a feature twice": set_(features={"set": 1, "names": ["mean", "mean"]}),
    "'features' is null": set_(features=None),
    "tensor 'features.mean' is": set_(features={"set": 1, "names": ["mean"]}),
    "temperature 0": set_(temperature=0),
    "temperature True": set_(temperature=True),
    "'trained_on' has no key 'frames'": set_(trained_on={k: v for k, v in TRAINED.items() if k != "frames"}),
    "low and high": set_(trained_on={**TRAINED, "snr_db": [30, -20]}),
    "are no count": set_(trained_on={**TRAINED, "frames": -1}),
    "device that is not": set_(trained_on={**TRAINED, "device": None}),
    f"more than {MAX_DEPTH} levels": set_(trained_on={**TRAINED, "more": nested(20)}),
    "no hash": set_(trained_on={**TRAINED, "a": {"hash": "0" * 64, "z": 0}}),
    "parity logits for": set_(parity={"logits": [1.0, 2.0]}),
    "parity logits that are no numbers": set_(parity={"logits": [1.0, 2.0, None]}),
    "'parity' has the unknown key": set_(parity={"logits": [1.0, 2.0, 3.0], "argmax": 1}),
    "'parity.frame', which nothing uses": set_(parity=None),
    "no list of at most 256": set_(nodes={}),
    "has 0 nodes": set_(nodes=[]),
    "no JSON object": set_(nodes=[1]),
    "op 'relu'": node("peak", op="relu"),
    "name 'Peak'": node("peak", name="Peak"),
    "two nodes with the name": node("peak", name="average"),
    "unknown key 'dilation'": node("conv.1", dilation=1),
    "has no 'stride'": node("conv.1", stride=...),
    "stride 0": node("conv.1", stride=0),
    "stride 2.0": node("conv.1", stride=2.0),
    "kernel True": node("pool", kernel=True),
    "bits 9": node("conv.1", bits=9),
    "padding [-1, 0]": node("conv.1", padding=[-1, 0]),
    "padding that is no list": node("conv.1", padding=1),
    "output range [0, 100]": node("conv.1", output=[0, 100]),
    "output that is no list": node("conv.1", output=None),
    "no 'output', which only": node("hidden", output=...),
    "no earlier node": node("sum", inputs=["conv.1", "conv.3"]),
    "no list of names": node("sum", inputs="conv.1"),
    "has 1 inputs": node("sum", inputs=["conv.1"]),
    "for 8 inputs": node("conv.2", groups=3),
    "adds [8, 128]": node("conv.2", padding=[2, 1]),
    "for only": node("mean", kernel=40),
    "has no time": node("peak", inputs=["average"]),
    "is read by no other": node("joint", inputs=["average", "hidden"]),
    "without 'output'": node("logits", output=[0, 255]),
    "more than one 'iq'": lambda d: d["nodes"].insert(1, {**d["nodes"][0], "name": "iq2"}),
    "which is more than": lambda d: (d["input"].update(frame_length=65536), node("conv.1", channels=64)(d)),
}


@pytest.mark.parametrize("words", DOCUMENTS)
def test_documents_are_refused(words: str) -> None:
    refused(with_document(DOCUMENTS[words]), words)


def poked(value: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(array: np.ndarray) -> np.ndarray:
        array.flat[0] = value
        return array

    return change


TENSORS: dict[str, tuple[str, Callable[[np.ndarray], np.ndarray | None], int]] = {
    "no tensor 'conv.1.scale'": ("conv.1.scale", lambda a: None, 5),
    "'conv.1.extra', which nothing uses": ("conv.1.extra", lambda a: a, 5),
    "must be float32 [8]": ("conv.1.scale", lambda a: a[:-1], 5),
    "must be uint8 [15]": ("conv.2.weight", lambda a: a[:-1], 5),
    "must be int8 [8, 1, 3]": ("conv.2.weight", lambda a: a.view(np.uint8), 8),
    "weights outside -127 to 127": ("conv.2.weight", poked(-128), 8),
    "weights outside -15 to 15": ("conv.2.weight", poked(0b10000), 5),
    "'conv.1.offset' holds": ("conv.1.offset", poked(np.nan), 5),
    "'conv.2.scale' holds": ("conv.2.scale", poked(np.inf), 5),
    "'logits.scale' holds": ("logits.scale", poked(2e30), 5),
    "'iq.scale' holds a scale": ("iq.scale", poked(0), 5),
    "'features.scale' holds a scale": ("features.scale", poked(-1), 5),
    "'sum.scale' holds a scale": ("sum.scale", poked(-1), 5),
    "'average.scale' holds a scale": ("average.scale", poked(0), 5),
    "'joint.scale' holds a scale": ("joint.scale", poked(0), 5),
    "'parity.frame' holds": ("parity.frame", poked(np.nan), 5),
}


@pytest.mark.parametrize("words", TENSORS)
def test_tensors_are_refused(words: str) -> None:
    name, change, bits = TENSORS[words]
    refused(with_tensor(name, change, bits), words)


def test_unused_bits_are_refused() -> None:
    with pytest.raises(ValueError, match="unused bits"):
        unpack_bits(np.array([0b11000000], np.uint8), 3, 2)


def test_scales_of_convolutions_may_have_any_sign() -> None:
    assert read(with_tensor("conv.1.scale", poked(-1.0))).tensors["conv.1.scale"][0] == -1


def test_accumulators_that_could_overflow_are_refused() -> None:
    graph = Graph((Node("iq", "iq"), Node("dense", "logits", ("iq",), channels=3)), 1024, ("a", "b", "c"))
    good = random_model(graph, 8, parity=False)
    weight = np.zeros((3, 2048), np.int8)
    weight[1, : 2**24 // 127 // 127] = -127
    replace(good, tensors={**good.tensors, "logits.weight": weight}).check()
    weight[1, 2**24 // 127 // 127] = -127
    with pytest.raises(ModelFileError, match="accumulators must stay below"):
        replace(good, tensors={**good.tensors, "logits.weight": weight}).check()


def raw(header: object, body: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


def tensor(begin: int, end: int, dtype: str = "U8", shape: object = None) -> dict[str, Any]:
    return {"dtype": dtype, "shape": [end - begin] if shape is None else shape, "data_offsets": [begin, end]}


META = {"__metadata__": {"gr_softmod": "{}"}}
CONTAINERS = {
    "shorter than 8": b"1234567",
    "ends within": (100).to_bytes(8, "little") + b"{",
    f"at most {MAX_HEADER}": (1 << 62).to_bytes(8, "little") + b"{}",
    "begin with": raw(b"[]"),
    "not JSON": raw(b"{,}"),
    "the header is not JSON": raw(b'{"\xff": 1}'),
    "twice": raw(b'{"a": 1, "a": 2}'),
    "NaN": raw(b'{"a": NaN}'),
    "out of range": raw(b'{"a": 1e999}'),
    "number 99999": raw(b'{"a": ' + b"9" * 5000 + b"}"),
    "levels": raw(b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}"),
    "no model of gr-softmod": raw({"__metadata__": {"format": "pt"}}),
    "the one string": raw({"a": tensor(0, 4)}, b"1234"),
    "name 'A'": raw({**META, "A": tensor(0, 4)}, b"1234"),
    "exactly dtype": raw({**META, "a": {"dtype": "U8"}}, b"1234"),
    "dtype 'F64'": raw({**META, "a": tensor(0, 8, "F64", [1])}, b"12345678"),
    "no shape": raw({**META, "a": tensor(0, 4, shape=[])}, b"1234"),
    "out of bounds": raw({**META, "a": tensor(0, 4, shape=[1 << 17, 1 << 17])}, b"1234"),
    "shape [0]": raw({**META, "a": tensor(0, 4, shape=[0])}, b"1234"),
    "no data_offsets": raw({**META, "a": {**tensor(0, 4), "data_offsets": [0.0, 4]}}, b"1234"),
    "outside the 4": raw({**META, "a": tensor(0, 5)}, b"1234"),
    "lies at -1": raw({**META, "a": tensor(-1, 3)}, b"1234"),
    "lies in 4 bytes": raw({**META, "a": tensor(0, 4, "F32", [2])}, b"1234"),
    "before 2": raw({**META, "a": tensor(0, 2), "b": tensor(1, 4)}, b"1234"),
    "after 2": raw({**META, "a": tensor(0, 2), "b": tensor(3, 4)}, b"1234"),
    "bytes behind": raw({**META, "a": tensor(0, 2)}, b"1234"),
    "the document has no key": raw(META),
    "the document is not JSON": raw({"__metadata__": {"gr_softmod": "{"}}),
    "the document is no JSON object": raw({"__metadata__": {"gr_softmod": "[]"}}),
    "lone surrogate": raw({"__metadata__": {"gr_softmod": '{"a": "\ud800"}'}}),
}


@pytest.mark.parametrize("words", CONTAINERS)
def test_containers_are_refused(words: str) -> None:
    refused(CONTAINERS[words], words)


def test_a_changed_weight_is_noticed() -> None:
    data = bytearray(model().to_bytes())
    data[-1] ^= 1
    refused(bytes(data), "its hash says")


def test_a_document_in_another_form_is_refused() -> None:
    text, stored = parse(model().to_bytes())
    document = json.loads(text)
    document.pop("hash")
    spaced = json.dumps(document, sort_keys=True)
    at = spaced.index('"input"')
    hashed = f'{spaced[:at]}"hash":"{digest(spaced, stored)}",{spaced[at:]}'
    refused(serialise(hashed, stored), "the form that is hashed")


def test_a_huge_file_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "huge.safetensors"
    with open(path, "wb") as file:
        file.truncate(1 << 40)  # sparse
    with pytest.raises(ModelFileError, match=r"huge\.safetensors: is longer than"):
        read(path)


@settings(max_examples=150)
@given(st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(1, 255)), min_size=1, max_size=4), st.integers(0, 9000))
def test_damaged_files_are_refused_or_equal(flips: list[tuple[int, int]], cut: int) -> None:
    data = bytearray(model().to_bytes())
    for place, mask in flips:
        data[place % len(data)] ^= mask
    data = data[: len(data) - cut] if cut < len(data) // 4 else data
    with contextlib.suppress(ModelFileError):
        assert read(bytes(data)) == model()


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 300), st.integers(), st.floats(), st.text(max_size=8),
    st.sampled_from(["iq", "features", "conv", "dense", "add", "concat", "conv.1", "logits"]),
    st.lists(st.integers(-200, 300), max_size=3), st.lists(st.text(max_size=3), max_size=3),
    st.dictionaries(st.text(max_size=6), st.integers(), max_size=2),
)  # fmt: skip


@settings(max_examples=60)
@given(st.data())
def test_documents_with_any_value_anywhere_are_refused_or_hold_together(data: st.DataObject) -> None:
    """One value of the document, wherever it stands, becomes any other; the hash is right: every check is reached."""

    def change(document: dict[str, Any]) -> None:
        place: Any = document
        while True:
            key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
            if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
                break
            place = place[key]
        place[key] = data.draw(VALUES)

    try:
        damaged = with_document(change)
    except ValueError:
        return  # no JSON: NaN, a lone surrogate
    try:
        found = read(damaged)
    except ModelFileError:
        return
    assert read(found.to_bytes()) == found
    found.shapes()
    frames = np.ones((1, found.frame_length), np.complex64)
    assert run(found, frames).shape == (1, len(found.class_names))


@settings(max_examples=100)
@given(st.binary(max_size=200))
def test_noise_is_refused(noise: bytes) -> None:
    for data in (noise, raw(b"{" + noise), raw({"__metadata__": {"gr_softmod": noise.decode("latin-1")}})):
        with pytest.raises(ModelFileError):
            read(data)


# ---- the writer refuses what a reader would


@pytest.mark.parametrize(
    "change, words",
    [
        ({"temperature": float("nan")}, "temperature nan"),
        ({"class_names": ("a", "b")}, "logits for 2"),
        ({"tensors": {}}, "no tensor 'iq.scale'"),
        ({"trained_on": {**TRAINED, "more": np.float32(1)}}, "JSON cannot"),
        ({"trained_on": {**TRAINED, "a": {"hash": "0" * 64, "z": 0}}}, "hash of its own"),
        ({"conventions": 2}, "conventions 2"),
    ],
)
def test_the_writer_refuses_what_a_reader_would(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelFileError) as error:
        replace(model(), **change).to_bytes()
    assert words in str(error.value)
