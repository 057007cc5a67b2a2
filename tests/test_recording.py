# SPDX-License-Identifier: GPL-3.0-or-later
"""What is found out about a file of samples, and what is refused."""

import hashlib
import json
import struct
import tarfile
from pathlib import Path

import numpy as np
import pytest

from gr_softmod.recording import RAW_EXTENSIONS, Datatype, open_recording

RNG = np.random.default_rng(1)
IQ = (RNG.uniform(-0.9, 0.9, 3000) + 1j * RNG.uniform(-0.9, 0.9, 3000)).astype(np.complex64)
COMPLEX = [
    kind + order
    for kind in ("cf32", "cf64", "ci32", "ci16", "cu32", "cu16")
    for order in ("_le", "_be")
] + ["ci8", "cu8"]  # fmt: skip
ALL = COMPLEX + ["r" + name[1:] for name in COMPLEX]


def encode(samples: np.ndarray, datatype: str) -> bytes:
    """Written independently of Datatype.decode, in float64 and the words of the standard."""
    bits = int("".join(c for c in datatype.split("_")[0][2:]))
    parts = np.stack([samples.real, samples.imag], -1).ravel() if datatype[0] == "c" else samples.real
    parts = parts.astype(np.float64)
    dtype = np.dtype(f"{'>' if datatype.endswith('be') else '<'}{datatype[1]}{bits // 8}")
    if datatype[1] == "f":
        return parts.astype(dtype).tobytes()
    full = 2.0 ** (bits - 1)
    return np.round(parts * full + (full - 0.5 if datatype[1] == "u" else 0)).astype(dtype).tobytes()


def wav(data: bytes, channels: int = 1, rate: int = 48000, bits: int = 16, code: int = 1, **change: object) -> bytes:
    """A WAV file; `change` replaces parts of it."""
    form = struct.pack("<HHIIHH", code, channels, rate, rate * channels * bits // 8, channels * bits // 8, bits)
    form = change.get("form", form)
    length = change.get("length", len(data))
    chunks = change.get("before", b"") + b"fmt " + struct.pack("<I", len(form)) + form
    chunks += change.get("between", b"") + b"data" + struct.pack("<I", length) + data
    return change.get("magic", b"RIFF") + struct.pack("<I", 4 + len(chunks) & 0xFFFFFFFF) + b"WAVE" + chunks


def sigmf(folder: Path, data: bytes | None, name: str = "x", **change: object) -> Path:
    """A SigMF pair; `change` replaces parts of its metadata (global_ adds to the global object)."""
    meta = {
        "global": {"core:datatype": "cf32_le", "core:version": "1.2.0", "core:sample_rate": 1e6},
        "captures": change.get("captures", [{"core:sample_start": 0}]),
        "annotations": change.get("annotations", []),
    }
    meta["global"] |= change.get("global_", {})
    for key in change.get("without", ()):
        del meta["global"][key]
    path = folder / f"{name}.sigmf-meta"
    path.write_text(change.get("text", json.dumps(meta)))
    if data is not None:
        path.with_suffix(".sigmf-data").write_bytes(data)
    return path


@pytest.mark.parametrize("datatype", ALL)
def test_every_sigmf_datatype_is_read(tmp_path, datatype):
    path = sigmf(tmp_path, encode(IQ, datatype), global_={"core:datatype": datatype})
    recording = open_recording(path)
    expected = IQ if datatype[0] == "c" else IQ.real
    step = 0 if datatype[1] == "f" else 2.0 ** -(recording.datatype.bits - 1)
    np.testing.assert_allclose(recording.read(0, len(IQ)), expected, rtol=0, atol=step + 1e-7)
    assert recording.samples == len(IQ) and recording.sample_rate == 1e6 and recording.kind == "SigMF"


@pytest.mark.parametrize("extension", RAW_EXTENSIONS)
def test_raw_by_extension(tmp_path, extension):
    path = tmp_path / ("x" + extension.upper())
    path.write_bytes(encode(IQ, RAW_EXTENSIONS[extension]))
    recording = open_recording(path, sample_rate=2e6)
    np.testing.assert_allclose(recording.read(100, 50), IQ[100:150], rtol=0, atol=1 / 127)
    assert recording.duration == len(IQ) / 2e6


@pytest.mark.parametrize(
    ("bits", "code", "component"),
    [(8, 1, "u8"), (16, 1, "i16_le"), (32, 1, "i32_le"), (32, 3, "f32_le"), (64, 3, "f64_le")],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_wav(tmp_path, bits, code, component, channels):
    path = tmp_path / "x.wav"
    path.write_bytes(wav(encode(IQ, "rc"[channels - 1] + component), channels, 96000, bits, code))
    recording = open_recording(path)
    expected = IQ if channels == 2 else IQ.real
    np.testing.assert_allclose(recording.read(0, len(IQ)), expected, rtol=0, atol=2.0 ** -(bits - 2))
    assert recording.sample_rate == 96000 and recording.warnings == ()


def test_wav_of_24_bits(tmp_path):
    values = np.array([0, 1, -1, 2**23 - 1, -(2**23)], np.int64)
    (tmp_path / "x.wav").write_bytes(wav(b"".join(int(v).to_bytes(3, "little", signed=True) for v in values), bits=24))
    np.testing.assert_array_equal(open_recording(tmp_path / "x.wav").read(0, 9).real, values / np.float32(2**23))


S16 = encode(IQ, "ri16_le")
LIST = b"LIST" + struct.pack("<I", 3) + b"abc\0"


DS64 = b"ds64" + struct.pack("<IQQQI", 28, 0, 4000, 0, 0)
EXTENSIBLE = struct.pack("<HHIIHHHHIH", 0xFFFE, 1, 48000, 96000, 2, 16, 22, 16, 4, 1) + bytes(14)


@pytest.mark.parametrize(
    ("content", "samples", "warning"),
    [
        (wav(S16, between=LIST), 3000, None),
        (wav(S16, before=LIST), 3000, None),
        (wav(S16) + LIST, 3000, None),
        (wav(S16, length=0), 3000, "does not say how long"),
        (wav(S16 + b"x", length=0xFFFFFFFF), 3000, "does not say how long"),
        (wav(S16, length=0xFFFFFFFF, magic=b"RF64", before=DS64), 2000, None),
        (wav(S16, form=EXTENSIBLE), 3000, None),
    ],
    ids=["chunk between", "chunk before", "chunk after", "length 0", "length -1", "RF64", "extensible"],
)
def test_wav_variants(tmp_path, content, samples, warning):
    (tmp_path / "x.wav").write_bytes(content)
    recording = open_recording(tmp_path / "x.wav")
    np.testing.assert_allclose(recording.read(0, 9999).real, IQ.real[:samples], atol=1e-4)
    assert (warning in recording.warnings[0]) if warning else recording.warnings == ()


def test_sigmf_tags_and_metadata(tmp_path):
    captures = [
        {"core:sample_start": 0, "core:frequency": 145.9e6, "core:datetime": "2026-01-02T03:04:05.25Z"},
        {"core:sample_start": 1000, "core:frequency": 146.0e6},
    ]
    annotation = {"core:sample_start": 500, "core:sample_count": 20, "core:label": "burst"}
    path = sigmf(tmp_path, IQ.tobytes(), captures=captures, annotations=[annotation], global_={"core:author": "me"})
    recording = open_recording(path)
    assert [(tag.sample, tag.key, tag.value) for tag in recording.tags] == [
        (0, "rx_freq", 145.9e6),
        (0, "rx_time", "2026-01-02T03:04:05.25Z"),
        (500, "annotation", annotation),
        (1000, "rx_freq", 146.0e6),
    ]
    assert recording.metadata["core:author"] == "me"


@pytest.mark.parametrize("name", ["x.sigmf-meta", "x.sigmf-data", "x", "x.sigmf"])
def test_sigmf_by_any_of_its_names(tmp_path, name):
    meta = sigmf(tmp_path, IQ.tobytes(), global_={"core:sha512": hashlib.sha512(IQ.tobytes()).hexdigest()})
    if name == "x.sigmf":
        with tarfile.open(tmp_path / name, "w") as archive:
            archive.add(meta, "x/x.sigmf-meta")
            archive.add(meta.with_suffix(".sigmf-data"), "x/x.sigmf-data")
    np.testing.assert_array_equal(open_recording(tmp_path / name).read(5, 5), IQ[5:10])


def test_sigmf_of_a_foreign_file(tmp_path):
    (tmp_path / "x.bin").write_bytes(b"header!!" + IQ.tobytes() + b"tail")
    path = sigmf(
        tmp_path,
        None,
        global_={"core:dataset": "x.bin", "core:trailing_bytes": 4},
        captures=[{"core:sample_start": 0, "core:header_bytes": 8}],
    )
    recording = open_recording(path)
    np.testing.assert_array_equal(recording.read(0, 9999), IQ)


def test_a_given_rate_overrides_with_a_warning(tmp_path):
    recording = open_recording(sigmf(tmp_path, IQ.tobytes()), sample_rate=5e5)
    assert recording.sample_rate == 5e5 and "says 1e+06 Hz" in recording.warnings[0]


def test_a_part_that_is_nan_is_accepted(tmp_path):
    samples = np.tile(IQ, 50)
    samples[:-3000] = np.nan
    assert open_recording(sigmf(tmp_path, samples.tobytes())).samples == len(samples)


@pytest.mark.parametrize("truncate", [1, 3, 4, 7])
def test_what_is_left_of_a_truncated_file_can_be_asked_for(tmp_path, truncate):
    path = sigmf(tmp_path, IQ.tobytes()[:-truncate], global_={"core:sha512": "0" * 128})
    with pytest.raises(ValueError, match="--truncated"):
        open_recording(path)
    np.testing.assert_array_equal(open_recording(path, truncated=True).read(0, 9999), IQ[:-1])


CI16, CU8 = encode(IQ, "ci16_le"), encode(IQ, "cu8")
FAULTS = {
    # name: (file name, content, keywords of open_recording, words of the message)
    "absent": ("gone.wav", None, {}, "there is no file"),
    "empty raw": ("x.cf32", b"", {"sample_rate": 1}, "is empty"),
    "empty wav": ("x.wav", b"", {}, "is empty"),
    "no rate": ("x.cf32", IQ.tobytes(), {}, "does not say its sample rate; pass --sample-rate"),
    "rate 0": ("x.cf32", IQ.tobytes(), {"sample_rate": 0}, "must be positive and finite"),
    "rate negative": ("x.cf32", IQ.tobytes(), {"sample_rate": -1}, "must be positive and finite"),
    "rate NaN": ("x.cf32", IQ.tobytes(), {"sample_rate": float("nan")}, "must be positive and finite"),
    "rate infinite": ("x.cf32", IQ.tobytes(), {"sample_rate": float("inf")}, "must be positive and finite"),
    "unknown extension": ("x.bin", IQ.tobytes(), {"sample_rate": 1}, "pass --format"),
    "unknown format": ("x.bin", IQ.tobytes(), {"sample_rate": 1, "datatype": "cf31"}, "'cf31_le' is unknown"),
    "truncated raw": ("x.cf32", IQ.tobytes()[:-3], {"sample_rate": 1}, "truncated or not cf32_le"),
    "less than a sample": ("x.cf32", b"abc", {"sample_rate": 1, "truncated": True}, "holds no sample"),
    "NaN": ("x.cf32", np.full(99, np.nan, np.complex64).tobytes(), {"sample_rate": 1}, "no finite sample"),
    "infinite": ("x.cf32", np.full(99, np.inf, np.complex64).tobytes(), {"sample_rate": 1}, "no finite sample"),
    "zeros": ("x.cf32", bytes(8000), {"sample_rate": 1}, "every sample is 0"),
    "constant": ("x.cu8", b"\x7f" * 8000, {"sample_rate": 1}, "every sample is"),
    "zeros and NaN": ("x.cf32", bytes(80) + b"\xff" * 80, {"sample_rate": 1}, "every sample is 0"),
    "ci16 called cf32": ("x.cf32", CI16, {"sample_rate": 1}, "does not hold cf32_le"),
    "cu8 called cf32": ("x.cf32", CU8[:-CU8.__len__() % 8 or None], {"sample_rate": 1}, "does not hold cf32_le"),
    "byte order": ("x.cf32", encode(IQ, "cf32_be"), {"sample_rate": 1}, "does not hold cf32_le"),
    "cf32 called ci16": ("x.ci16", IQ.tobytes(), {"sample_rate": 1}, "content is 32 bit floats"),
    "cf32 called cu8": ("x.cu8", IQ.tobytes(), {"sample_rate": 1}, "content is 32 bit floats"),
    "cf32 BE called ci16": ("x.ci16", encode(IQ, "cf32_be"), {"sample_rate": 1}, "content is 32 bit floats"),
    "not a wav": ("x.wav", IQ.tobytes(), {}, "is not a WAV file"),
    "text called wav": ("x.wav", b"hello", {}, "is not a WAV file"),
    "wav header only": ("x.wav", wav(b""), {}, "holds no sample"),
    "wav cut in its header": ("x.wav", wav(S16)[:30], {}, "truncated: it ends before its"),
    "wav cut before its data": ("x.wav", wav(S16)[:38], {}, "truncated: it ends before its data"),
    "wav cut in its data": ("x.wav", wav(S16)[:-500], {}, "promises 6000 bytes of samples and holds 5500"),
    "wav odd": ("x.wav", wav(S16[:-1]), {}, "truncated or not ri16_le"),
    "wav compressed": ("x.wav", wav(S16, code=2), {}, "compressed samples (WAV format 2)"),
    "wav 12 bit": ("x.wav", wav(S16, bits=12), {}, "12 bit samples"),
    "wav 5 channels": ("x.wav", wav(S16, channels=5), {}, "5 channels"),
    "wav rate 0": ("x.wav", wav(S16, rate=0), {}, "sample rate is 0"),
    "wav without fmt": ("x.wav", wav(S16, form=b""), {}, "no fmt chunk"),
    "archive": ("x.sigmf", b"hello" * 300, {}, "not a SigMF archive"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_faults(tmp_path, fault):
    name, content, keywords, words = fault
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert_refused(tmp_path / name, words, keywords)


BEYOND = [{"core:sample_start": 2990, "core:sample_count": 11}]
SIGMF_FAULTS = {
    # name: (data, changes of the metadata, words of the message)
    "no data file": (None, {}, "there is no x.sigmf-data"),
    "empty data": (b"", {}, "x.sigmf-data is empty"),
    "not JSON": (b"", {"text": "{"}, "is not SigMF metadata"),
    "not an object": (b"", {"text": "[]"}, "is not valid SigMF: at the top level"),
    "no datatype": (IQ.tobytes(), {"without": ["core:datatype"]}, "'core:datatype' is a required property"),
    "bad datatype": (IQ.tobytes(), {"global_": {"core:datatype": "cf99_le"}}, "not valid SigMF: at global"),
    "no byte order": (IQ.tobytes(), {"global_": {"core:datatype": "cf32"}}, "'cf32' is unknown"),
    "no rate": (IQ.tobytes(), {"without": ["core:sample_rate"]}, "pass --sample-rate"),
    "rate 0": (IQ.tobytes(), {"global_": {"core:sample_rate": 0}}, "is not valid SigMF: at global.core:sample_rate"),
    "rate NaN": (IQ.tobytes(), {"global_": {"core:sample_rate": float("nan")}}, "must be positive and finite"),
    "truncated": (IQ.tobytes()[:-5], {}, "is truncated or not cf32_le"),
    "annotation beyond": (IQ.tobytes(), {"annotations": BEYOND}, "sample 3000"),
    "capture beyond": (IQ.tobytes(), {"captures": [{"core:sample_start": 3000}]}, "sample 3000"),
    "hash": (IQ.tobytes(), {"global_": {"core:sha512": "ab" * 64}}, "SHA-512 differs"),
    "mislabelled": (CI16, {}, "does not hold cf32_le"),
    "channels": (IQ.tobytes(), {"global_": {"core:num_channels": 2}}, "2 channels"),
    "metadata only": (IQ.tobytes(), {"global_": {"core:metadata_only": True}}, "has no samples"),
}  # fmt: skip


@pytest.mark.parametrize("fault", SIGMF_FAULTS.values(), ids=SIGMF_FAULTS.keys())
def test_sigmf_faults(tmp_path, fault):
    data, change, words = fault
    assert_refused(sigmf(tmp_path, data, **change), words, {})


def test_data_without_metadata(tmp_path):
    (tmp_path / "x.sigmf-data").write_bytes(IQ.tobytes())
    assert_refused(tmp_path / "x.sigmf-data", "there is no x.sigmf-meta beside it", {})


def assert_refused(path: Path, words: str, keywords: dict) -> None:
    with pytest.raises((ValueError, OSError)) as error:
        open_recording(path, **keywords)
    assert words in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["cf32_le", "CF32", "cs16", "ci16", "cu8", "ri16_be", "fc32"])
def test_datatype_names(name):
    assert Datatype.parse(name).name in ("cf32_le", "ci16_le", "cu8", "ri16_be")


@pytest.mark.parametrize("name", ["", "c", "xf32_le", "cf16_le", "cu8_le", "ci16", "ci64_le"])
def test_datatype_faults(name):
    with pytest.raises(ValueError, match="is unknown"):
        Datatype(name)
