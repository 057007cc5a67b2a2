# SPDX-License-Identifier: GPL-3.0-or-later
"""The messages of the hooks: what is valid passes unchanged, everything else is refused with a sentence."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import crc32c
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from fuzz_wire import SCHEMA, accept_only_what_is_valid, preamble, same, sealed
from gr_softmod.hooks.message import LABEL_SOURCES
from gr_softmod.hooks.wire import Label, Limits, Message, WireError, decode, encode

COUNTS = st.integers(0, 2**63 - 1)
REALS = st.floats(-1e12, 1e12)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
HASHES = st.text("0123456789abcdef", min_size=64, max_size=64)
TIMES = st.datetimes().map(lambda t: t.isoformat() + "Z")
LABELS = st.builds(
    Label, st.from_regex(r"\A[a-z][a-z0-9_]{0,63}\Z"), TEXTS, st.sampled_from(LABEL_SOURCES),
    st.none() | st.floats(0, 1),
)  # fmt: skip
FINITE = {"allow_nan": False, "allow_infinity": False}


def arrays(dtype: str, **elements: Any) -> Any:
    return npst.arrays(np.dtype(dtype), st.integers(1, 9), elements=elements or None)


def common(**more: Any) -> dict[str, Any]:
    made = {
        "sequence": COUNTS, "sample_index": st.none() | COUNTS, "frequency": st.none() | REALS,
        "sample_rate": st.none() | st.floats(1e-300, 1e12), "time": st.none() | TIMES,
        "model_hash": st.none() | HASHES, "labels": st.lists(LABELS, max_size=3).map(tuple),
    }  # fmt: skip
    return made | more


WINDOWS = st.builds(
    Message, st.just("window"),
    **common(
        sample_index=COUNTS, sample_rate=st.floats(1e-300, 1e12), time=TIMES,
        arrays=st.fixed_dictionaries(
            {"iq": arrays("complex64", **FINITE)},
            optional={
                "llr": arrays("float32", **FINITE), "symbols": arrays("complex64", **FINITE),
                "bits": arrays("uint8", min_value=0, max_value=1),
            },
        ),
        fields=st.fixed_dictionaries({"policy": TEXTS}, optional={"dropped": COUNTS, "constellation": TEXTS}),
    ),
)  # fmt: skip
MODELS = st.builds(
    Message, st.just("model"),
    **common(
        model_hash=HASHES, arrays=st.fixed_dictionaries({"model": arrays("uint8")}),
        fields=st.fixed_dictionaries({"target": TEXTS, "serial": COUNTS}, optional={"signer": TEXTS}),
    ),
)  # fmt: skip
HELLOS = st.builds(
    Message, st.just("hello"), **common(fields=st.fixed_dictionaries({"role": TEXTS}, optional={"target": TEXTS}))
)
REPLIES = st.builds(
    Message, st.just("reply"),
    **common(fields=st.fixed_dictionaries({"accepted": st.booleans(), "reason": TEXTS, "about": COUNTS})),
)  # fmt: skip
MESSAGES = st.one_of(WINDOWS, MODELS, HELLOS, REPLIES)

WINDOW = Message(
    "window", 7, 4096, 48e3, 435.5e6, "2026-01-31T12:00:00.123456789Z", "ab" * 32,
    (Label("modulation", "QPSK", "classifier", 0.75), Label("snr_db", "12", "message")),
    {"iq": np.arange(4).astype(np.complex64), "llr": np.ones(8, np.float32), "bits": np.array([0, 1], np.uint8)},
    {"policy": "every", "dropped": 3},
)  # fmt: skip
MODEL = Message(
    "model", 0, model_hash="00" * 32, arrays={"model": np.arange(9, dtype=np.uint8)},
    fields={"target": "classifier", "serial": 1},
)  # fmt: skip


def raw(message: Message) -> list[bytes]:
    return [bytes(part) for part in encode(message)]


def refused(parts: list[bytes], match: str = "refused", limits: Limits = Limits()) -> None:  # noqa: B008
    with pytest.raises(WireError, match=match) as caught:
        decode(parts, limits)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


@given(MESSAGES)
def test_what_is_encoded_decodes_to_the_same(message: Message) -> None:
    parts = raw(message)
    assert same(decode(parts), message)
    SCHEMA.validate(json.loads(parts[1]))


def test_the_crc_is_that_of_iscsi() -> None:
    # RFC 3720, B.4: 32 bytes of zeros, of ones, and counting up.
    assert crc32c.crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c.crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c.crc32c(bytes(range(32))) == 0x46DD794E


def test_every_single_wrong_bit_is_found() -> None:
    parts = raw(WINDOW)
    for index, part in enumerate(parts):
        for bit in range(8 * len(part)):
            broken = bytearray(part)
            broken[bit // 8] ^= 1 << bit % 8
            refused([*parts[:index], bytes(broken), *parts[index + 1 :]])


@given(MESSAGES, st.data())
def test_parts_lost_cut_swapped_repeated_or_mutated_are_refused(message: Message, data: st.DataObject) -> None:
    parts = raw(message)
    index = data.draw(st.integers(0, len(parts) - 1))
    part = parts[index]
    how = data.draw(st.sampled_from(["lose", "cut", "repeat", "grow", "mutate"]))
    if how == "lose":
        broken = parts[:index] + parts[index + 1 :]
    elif how == "repeat":
        broken = parts[: index + 1] + parts[index:]
    else:
        at = data.draw(st.integers(0, len(part) - 1))
        patch = data.draw(st.binary(min_size=1, max_size=4))
        made = {"cut": part[:at], "grow": part + patch, "mutate": part[:at] + patch + part[at + len(patch) :]}[how]
        broken = [*parts[:index], made, *parts[index + 1 :]]
    if broken != parts:
        refused(broken)


@given(st.lists(st.binary(max_size=40), max_size=6))
def test_arbitrary_parts_are_refused(parts: list[bytes]) -> None:
    refused(parts)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=300)
@given(st.sampled_from([WINDOW, MODEL]), st.data())
def test_an_entry_replaced_by_anything_is_refused_unless_the_schema_allows_it(
    message: Message, data: st.DataObject
) -> None:
    """The CRCs hold here: the rules alone keep wrong values out."""
    _, text, *body = raw(message)
    header = json.loads(text)
    node: Any = header
    while True:
        key = data.draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))
        if not (isinstance(node[key], dict | list) and node[key] and data.draw(st.booleans())):
            break
        node = node[key]
    node[key] = data.draw(JSON)
    accept_only_what_is_valid(sealed(header, *body))


def changed(**entries: Any) -> dict[str, Any]:
    return json.loads(raw(WINDOW)[1]) | entries


BODY = raw(WINDOW)[2:]
WRONG = {
    "schema": [0, 2, 99, "1", 1.0, True, None],
    "kind": ["windows", None, 3, ["window"], {}, "hello"],
    "sequence": [-1, 2**63, 1.0, True, None, "7"],
    "sample_index": [-1, 2**63, 0.5, None],
    "sample_rate": [0, -1, None, "48000", True, 10**400, 1.1e12],
    "frequency": ["0", False, [], -1.1e12],
    "time": [None, "", "2026-01-31", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-01-31T12:00:00", 0,
             "2026-01-31T12:00:00.1234567890Z", "2026-01-31T12:00:00Z\n", "٢٠٢٦-01-31T12:00:00Z"],
    "model_hash": ["", "AB" * 32, "a" * 63, 5],
    "labels": [None, {}, [1], [{}], [{"key": "K", "value": "", "source": "message", "confidence": None}],
               [{"key": "k", "value": 1, "source": "message", "confidence": None}],
               [{"key": "k", "value": "v" * 1025, "source": "message", "confidence": None}],
               [{"key": "k", "value": "\ud800", "source": "message", "confidence": None}],
               [{"key": "k", "value": "v", "source": "rumour", "confidence": None}],
               [{"key": "k", "value": "v", "source": "message", "confidence": 1.5}],
               [{"key": "k", "value": "v", "source": "message", "confidence": None}] * 65],
    "arrays": [None, [], {}, [{}, {}, {}]],
    "fields": [None, [], {}, {"policy": 1}, {"policy": "p", "dropped": -1}, {"policy": "p", "dropped": True},
               {"policy": "p", "more": 1}],
}  # fmt: skip


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in WRONG.items() for value in values])
def test_each_rule_of_the_header(key: str, value: Any) -> None:
    refused(sealed(changed(**{key: value}), *BODY))


@pytest.mark.parametrize("key", ["name", "dtype", "shape", "crc32c"])
@pytest.mark.parametrize(
    "value",
    ["iq", "bits", "model", "float64", "object", [5], [1] * 5, [0], [-8], [2.0], [2**70], [4, 1], None, {}],
)
def test_each_rule_of_an_array(key: str, value: Any) -> None:
    header = changed()
    if header["arrays"][1][key] == value:
        pytest.skip("that is right")
    header["arrays"][1][key] = value
    text = json.dumps(header).encode()
    refused([preamble(text), text, *BODY])


@pytest.mark.parametrize("name", sorted(changed()))
def test_no_entry_may_be_missing(name: str) -> None:
    header = changed()
    del header[name]
    refused(sealed(header, *BODY))


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b"null", b"{", b"\xff", b'{"a":1,"a":1}', b'{"schema":NaN}', b'{"schema":-Infinity}', b"[" * 60000,
     b'{"a":' * 10000, b"9" * 60000, b'{"schema":1e999}', b" " * 65537],
    ids=lambda text: repr(text[:12]),
)  # fmt: skip
def test_headers_that_are_not_the_json_we_mean(text: bytes) -> None:
    refused([preamble(text), text])


def test_an_unknown_version_says_which_one_is_spoken() -> None:
    refused(sealed(changed(schema=2, future="thing"), *BODY), "schema version 2; this end speaks 1")


def test_size_limits() -> None:
    refused(raw(WINDOW), "header has", Limits(header_bytes=100))
    refused(raw(WINDOW), "iq", Limits(part_bytes=31))
    refused(raw(WINDOW), "parts", Limits(arrays=2))
    with pytest.raises(WireError, match="model"):
        encode(MODEL, Limits(part_bytes=8))


@pytest.mark.parametrize(
    "array", [np.array([np.nan], np.complex64), np.array([np.inf], np.complex64), np.ones((1, 1), np.complex64),
              np.ones(0, np.complex64), np.ones(2, np.complex128), [1j], np.array(["x"]), np.ones(2, object)],
    ids=repr,
)  # fmt: skip
def test_samples_that_cannot_be_sent(array: Any) -> None:
    with pytest.raises(WireError, match="iq"):
        encode(replace(WINDOW, arrays={"iq": array}))


def test_big_endian_and_strided_arrays_arrive_as_they_are() -> None:
    iq = np.arange(10).astype(">c8")[::2]
    got = decode(raw(replace(WINDOW, arrays={"iq": iq}))).arrays["iq"]
    assert np.array_equal(got, iq) and got.dtype == np.dtype("<c8")
    with pytest.raises(ValueError, match="read-only"):
        got[0] = 0


def test_fuzzed(tmp_path: Path) -> None:
    """Coverage-guided, from a corpus of valid headers; a fixed number of runs from a fixed seed."""
    if importlib.util.find_spec("atheris") is None:
        pytest.skip("atheris is not installed")
    for name, message in {"window": WINDOW, "model": MODEL, "hello": Message("hello", 0, fields={"role": "x"})}.items():
        _, text, *body = raw(message)
        (tmp_path / name).write_bytes(text + b"\xff" + b"\xff\xfe".join(body))
    command = [
        sys.executable,
        Path(__file__).with_name("fuzz_wire.py"),
        "-runs=20000",
        "-seed=1",
        "-max_len=2048",
        f"-artifact_prefix={tmp_path}/",
    ]
    done = subprocess.run([*command, tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Done 20000 runs" in done.stderr
