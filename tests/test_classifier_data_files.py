# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames from files of the exact layout of the data sets: what is read, what is refused, who is in which split."""

import json
import os
import pickle
import pickletools
import re
import tempfile
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from sigmf import SigMFCollection, SigMFFile

from gr_softmod.classifier.data import SPLITS, DataConfig, FrameSource
from gr_softmod.classifier.data.array_pickle import load_arrays
from gr_softmod.classifier.data.files import FileFrames, split_records
from gr_softmod.classifier.data.radioml2018 import RadioML2018
from gr_softmod.config import Config, ConfigError, load_config
from gr_softmod.conventions import CLASS_NAMES
from gr_softmod.hooks.capture import Capture, Rolling
from gr_softmod.hooks.message import Label, Message

WRONG_ORDER = (
    "32PSK", "16APSK", "32QAM", "FM", "GMSK", "32APSK", "OQPSK", "8ASK", "BPSK", "8PSK", "AM-SSB-SC", "4ASK", "16PSK",
    "64APSK", "128QAM", "128APSK", "AM-DSB-SC", "AM-SSB-WC", "64QAM", "QPSK", "256QAM", "AM-DSB-WC", "OOK", "16QAM",
)  # fmt: skip


def numbered(count: int, length: int) -> np.ndarray:
    """float32 [count, length, 2] in which every frame tells its number."""
    frames = np.zeros((count, length, 2), np.float32)
    frames[:, :, 0] = np.arange(count)[:, None]
    frames[:, :, 1] = np.arange(length) / length
    return frames


def write_2018(
    path: Path, per_cell: int = 20, snrs: tuple[int, ...] = (-20, 0, 30), length: int = 64, **extra: Any
) -> Path:
    """GOLD_XYZ_OSC's layout: by class, then SNR, ``per_cell`` frames of each."""
    label = np.repeat(np.arange(24), per_cell * len(snrs))
    snr = np.tile(np.repeat(snrs, per_cell), 24)
    parts = {
        "X": numbered(len(label), length),
        "Y": np.eye(24, dtype=np.int64)[label],
        "Z": snr.astype(np.int64)[:, None],
    } | extra
    with h5py.File(path, "w") as file:
        for name, values in parts.items():
            if values is not None:
                file[name] = values
    return path


def opened(path: Path, source: str = "radioml2018", **keys: Any) -> FrameSource:
    return DataConfig(source=source, path=str(path), **keys).open()


def all_frames(source: FrameSource, split: str, size: int = 37) -> list[int]:
    """The numbers of all frames of a split, in order."""
    count = source.count(split)
    batches = [source.batch(i, size, split) for i in range(-(-count // size))]
    return [int(n) for n in torch.cat([b.frames[:, 0].real for b in batches])][:count]


# --- RadioML 2018.01A ----------------------------------------------------------------------------------------------


def test_2018_frames_labels_and_snr(tmp_path: Path) -> None:
    source = opened(write_2018(tmp_path / "gold.hdf5"))
    assert source.class_names == CLASS_NAMES and source.frame_length == 64
    for split in SPLITS:
        batch = source.batch(0, 50, split)
        assert batch.frames.dtype == torch.complex64 and batch.labels.dtype == torch.int64
        assert batch.snr_db.dtype == torch.float32
        number = batch.frames[:, 0].real.long()
        assert torch.equal(batch.labels, number // 60)
        assert torch.equal(batch.snr_db, torch.tensor([-20.0, 0.0, 30.0])[number // 20 % 3])
        assert torch.equal(batch.frames.imag, (torch.arange(64) / 64).expand(50, 64))


def test_splits_are_stratified_disjoint_and_whole(tmp_path: Path) -> None:
    path = write_2018(tmp_path / "gold.hdf5")
    source = opened(path)
    parts = {split: all_frames(source, split) for split in SPLITS}
    assert sorted(sum(parts.values(), [])) == list(range(24 * 60))
    for split, each in (("test", 2), ("validation", 2), ("train", 16)):
        assert (np.bincount(np.array(parts[split]) // 20, minlength=72) == each).all()
    again, other = opened(path), opened(path, seed=2)
    assert all_frames(again, "test") == parts["test"] != all_frames(other, "test")


class Cells:
    """A store of cells (label, SNR) with counts."""

    region = None

    def __init__(self, counts: list[int]) -> None:
        cell = np.repeat(np.arange(len(counts)), counts)
        self.labels = (cell // 3).astype(np.int16)
        self.snr_db = np.array([0, 10, np.nan], np.float32)[cell % 3]
        self.cell = cell


@settings(max_examples=40)
@given(
    st.lists(st.integers(0, 60), min_size=1, max_size=9), st.integers(0, 99), st.floats(0.01, 0.8), st.floats(0.01, 0.8)
)
def test_each_cell_is_split_by_its_shares(
    counts: list[int], seed: int, test_share: float, validation_share: float
) -> None:
    store = Cells(counts)
    parts = split_records(store, np.arange(len(store.labels)), seed, test_share, validation_share)
    assert sorted(np.concatenate(list(parts.values()))) == list(range(sum(counts)))
    for cell, count in enumerate(counts):
        test = int(np.rint(test_share * count))
        assert (store.cell[parts["test"]] == cell).sum() == test
        assert (store.cell[parts["validation"]] == cell).sum() == int(np.rint(validation_share * (count - test)))


def test_training_order_depends_on_seed_and_index_alone(tmp_path: Path) -> None:
    path = write_2018(tmp_path / "gold.hdf5")
    source = opened(path)
    count = source.count("train")
    late = source.batch(3 * count // 50, 50)  # over the border of two epochs
    source.batch(0, 50)
    assert torch.equal(opened(path).batch(3 * count // 50, 50).frames, late.frames)
    first, second = ([int(n) for n in source.batch(i, count).frames[:, 0].real] for i in (0, 1))
    assert sorted(first) == sorted(second) and first != second != sorted(second)


def test_wrong_class_order_beside_the_file_is_said_and_not_used(tmp_path: Path) -> None:
    path = write_2018(tmp_path / "gold.hdf5")
    (tmp_path / "classes.txt").write_text("classes = " + repr(list(WRONG_ORDER)).replace(", ", ",\n ") + "\n")
    with pytest.warns(UserWarning, match="wrong for gold.hdf5"):
        assert opened(path).class_names == CLASS_NAMES
    (tmp_path / "classes.txt").write_text("\n".join(CLASS_NAMES))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        opened(path)


def test_part_of_the_data_set_needs_its_own_order(tmp_path: Path) -> None:
    label = np.repeat([0, 1], 30)
    parts = {"X": numbered(60, 64), "Y": np.eye(2, dtype=np.int64)[label], "Z": np.zeros((60, 1), np.int64)}
    path = write_2018(tmp_path / "part.hdf5", **parts)
    with pytest.raises(ValueError, match="2 columns"):
        opened(path)
    (tmp_path / "classes.txt").write_text("GMSK\nBPSK\n")
    assert opened(path).class_names == ("GMSK", "BPSK")


def test_chosen_classes_and_their_order(tmp_path: Path) -> None:
    source = opened(write_2018(tmp_path / "gold.hdf5"), class_names=["QPSK", "OOK"])
    batch = source.batch(0, 96)
    assert source.class_names == ("QPSK", "OOK")
    assert torch.equal(batch.labels, (batch.frames[:, 0].real.long() // 60 == CLASS_NAMES.index("OOK")).long())
    with pytest.raises(ValueError, match="17PSK"):
        opened(tmp_path / "gold.hdf5", class_names=["17PSK"])


def changed(make: Callable[[], np.ndarray], at: Any, value: Any) -> np.ndarray:
    array = make()
    array[at] = value
    return array


ONE_HOT = np.eye(24, dtype=np.int64)[np.repeat(np.arange(24), 60)]


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({"Z": None}, "bad.hdf5 has no data set Z"),
        ({"X": np.zeros((1440, 64), np.float32)}, r"X is float32 \(1440, 64\)"),
        ({"X": np.zeros((1440, 64, 3), np.float32)}, r"X is float32 \(1440, 64, 3\)"),
        ({"X": np.zeros((1440, 64, 2), np.int16)}, "X is int16"),
        ({"Y": ONE_HOT[:-1]}, "Y is int64"),
        ({"Y": changed(ONE_HOT.copy, (77, 5), 1)}, "record 77: its row of Y"),
        ({"Y": changed(ONE_HOT.copy, 1439, 0)}, "record 1439: its row of Y"),
        ({"Y": changed(lambda: ONE_HOT.astype(np.float32), (3, 9), np.nan)}, "record 3: its row of Y"),
        ({"Z": changed(lambda: np.zeros((1440, 1)), 12, np.inf)}, "record 12: its SNR is inf"),
        ({"Z": np.zeros((1440, 2))}, "Z is float64"),
    ],
)
def test_2018_damage_is_named(tmp_path: Path, extra: dict, said: str) -> None:
    path = write_2018(tmp_path / "bad.hdf5", **extra)
    with pytest.raises(ValueError, match=said):
        opened(path)


def test_frames_that_are_not_finite_are_named(tmp_path: Path) -> None:
    path = write_2018(tmp_path / "nan.hdf5", X=changed(lambda: numbered(1440, 64), (30, 63, 1), np.nan))
    source = opened(path)
    split = next(split for split in SPLITS if 30 in source._records[split])
    with pytest.raises(ValueError, match="nan.hdf5, record 30 holds NaN"):
        for index in range(source.count(split)):
            source.batch(index, 1, split)


def test_truncated_and_foreign_files(tmp_path: Path) -> None:
    whole = write_2018(tmp_path / "gold.hdf5").read_bytes()
    (tmp_path / "cut.hdf5").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.hdf5").write_text("not this")
    for name in ("cut.hdf5", "text.hdf5"):
        with pytest.raises(ValueError, match=f"{name} is not an HDF5 file, or is damaged"):
            opened(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="absent.hdf5"):
        opened(tmp_path / "absent.hdf5")


def test_memory_stays_flat_on_20_gigabytes(tmp_path: Path) -> None:
    count, cell = 2_555_904, 4096  # as the data set: 24 classes, 26 SNRs, 4096 frames of each
    path = tmp_path / "large.hdf5"
    with h5py.File(path, "w") as file:
        # Never written, X takes no room on the disk; it reads as zeros.
        x = file.create_dataset("X", (count, 1024, 2), np.float32)
        y = file.create_dataset("Y", (count, 24), np.int8)
        z = file.create_dataset("Z", (count, 1), np.int64)
        for label in range(24):
            rows = np.s_[label * 26 * cell : (label + 1) * 26 * cell]
            y[rows] = np.eye(24, dtype=np.int8)[np.full(26 * cell, label)]
            z[rows] = np.repeat(np.arange(-20, 31, 2), cell)[:, None]
        assert x.size * 4 > 20e9
    tracemalloc.start()
    try:
        source = FileFrames(RadioML2018(path))
        opening = tracemalloc.get_traced_memory()[1]
        source.batch(0, 1)
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        for index in range(1, 6):
            batch = source.batch(index * 1000, 256)
        reading = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert batch.frames.shape == (256, 1024)
    assert [source.count(split) for split in SPLITS] == [624 * 3317, 624 * 369, 624 * 410]
    assert opening < 300e6 and reading < 20e6, (opening, reading)


# --- RadioML 2016.10a / b -----------------------------------------------------------------------------------------


def arrays_2016(names: tuple[str, ...] = ("QPSK", "WBFM", "PAM4"), count: int = 20) -> dict:
    frames = np.moveaxis(numbered(len(names) * 2 * count, 128), 1, 2).reshape(len(names), 2, count, 2, 128)
    return {(name, snr): frames[i, j] for i, name in enumerate(names) for j, snr in enumerate((-20, 18))}


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
def test_2016_frames_labels_and_snr(tmp_path: Path, protocol: int) -> None:
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(arrays_2016(), protocol))
    source = opened(tmp_path / "a.pkl", "radioml2016")
    assert source.class_names == ("4PAM", "FM", "QPSK") and source.frame_length == 128
    batch = source.batch(0, 90)
    number = batch.frames[:, 0].real.long()
    assert torch.equal(batch.labels, torch.tensor([2, 1, 0])[number // 40])
    assert torch.equal(batch.snr_db, torch.tensor([-20.0, 18.0])[number // 20 % 2])
    assert torch.equal(batch.frames.imag, (torch.arange(128) / 128).expand(90, 128))


def python2_pickle(arrays: dict) -> bytes:
    """What Python 2's cPickle writes (protocol 2, byte strings): the way the data set was written."""

    def text(value: bytes) -> bytes:
        return b"T" + len(value).to_bytes(4, "little") + value

    def array(a: np.ndarray) -> bytes:
        shape = b"".join(b"J" + n.to_bytes(4, "little") for n in a.shape)
        dtype = (
            b"cnumpy\ndtype\n"
            + text(b"f4")
            + b"K\x00K\x01\x87R(K\x03"
            + text(b"<")
            + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        )
        make = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + text(b"b") + b"\x87R"
        return make + b"(K\x01(" + shape + b"t" + dtype + b"\x89" + text(a.tobytes()) + b"tb"

    items = b"".join(
        text(k[0].encode()) + b"J" + k[1].to_bytes(4, "little", signed=True) + b"\x86" + array(a)
        for k, a in arrays.items()
    )
    return b"\x80\x02}(" + items + b"u."


def test_2016_as_python_2_wrote_it(tmp_path: Path) -> None:
    data = python2_pickle(arrays_2016())
    assert "GLOBAL" in {op.name for op, _, _ in pickletools.genops(data)}
    (tmp_path / "a.pkl").write_bytes(data)
    (tmp_path / "b.pkl").write_bytes(pickle.dumps(arrays_2016()))
    first, second = (opened(tmp_path / name, "radioml2016").batch(0, 60) for name in ("a.pkl", "b.pkl"))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


class Attack:
    def __init__(self, call: Callable, *arguments: Any) -> None:
        self.call = (call, arguments)

    def __reduce__(self) -> tuple:
        return self.call


@pytest.mark.parametrize("protocol", range(5))
def test_no_code_in_a_pickle_runs(tmp_path: Path, protocol: int) -> None:
    mark = tmp_path / "ran"
    for attack in (
        Attack(os.system, f"touch {mark}"),
        Attack(exec, f"open({str(mark)!r}, 'w')"),
        Attack(getattr, 1, "real"),
    ):
        (tmp_path / "evil.pkl").write_bytes(pickle.dumps(arrays_2016() | {("QPSK", 0): attack}, protocol))
        with pytest.raises(ValueError, match="evil.pkl cannot be read as a pickle of arrays: it asks for"):
            opened(tmp_path / "evil.pkl", "radioml2016")
    assert not mark.exists()


@pytest.mark.parametrize(
    "program",
    [
        b"cnumpy\ndtype\n(X\x01\x00\x00\x00a\x85tb.",  # attributes set on a stand-in
        b"cnumpy\nndarray\n(N}X\x01\x00\x00\x00aK\x01stb.",
        b"cnumpy.core.multiarray\n_reconstruct\n)R.",  # an array that is never filled
        b"cnumpy\ndtype\nX\x01\x00\x00\x00O\x85R.",  # an array of objects
        b"}r\xff\xff\xff\x7f.",  # a table of two thousand million entries
        b"}p99999999999\n.",
        b"]q\x00.", b"}.", b"", b"garbage", b"\x80\x02}q\x00(K\x01K\x02",
    ],
)  # fmt: skip
def test_odd_pickles_are_refused(tmp_path: Path, program: bytes) -> None:
    (tmp_path / "odd.pkl").write_bytes(program)
    with pytest.raises(ValueError, match="odd.pkl"):
        opened(tmp_path / "odd.pkl", "radioml2016")


GOOD_PICKLES = [pickle.dumps(arrays_2016(("QPSK",), 3), protocol) for protocol in (0, 2, 4)]


@given(
    st.sampled_from(GOOD_PICKLES),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=4),
)
def test_damaged_pickles_are_read_or_refused(whole: bytes, changes: list[tuple[float, int]]) -> None:
    damaged = bytearray(whole)
    for place, value in changes:
        # Most of a pickle is samples: every other change goes where its program is.
        damaged[int(place * (len(damaged) if value % 2 else 300))] = value
    with tempfile.NamedTemporaryFile() as file:
        file.write(damaged)
        file.flush()
        try:
            arrays = load_arrays(Path(file.name))
        except ValueError:
            return
        assert all(type(array) is np.ndarray and array.dtype.kind in "iuf" for array in arrays.values())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({("17PSK", 0): np.zeros((5, 2, 128), np.float32)}, "'17PSK' is not known"),
        ({("QPSK", 0): np.zeros((5, 128), np.float32)}, r"record \('QPSK', 0\): its array is \(5, 128\)"),
        ({("QPSK", 0): np.zeros((5, 2, 64), np.float32)}, "longer or shorter"),
        ({("QPSK", 0): np.array([None])}, "type 'O8' is not one of plain numbers"),
        ({("QPSK", 0): [1, 2]}, "is not an array"),
        ({"QPSK": np.zeros((5, 2, 128), np.float32)}, "a key must be"),
    ],
)
def test_2016_damage_is_named(tmp_path: Path, change: dict, said: str) -> None:
    (tmp_path / "bad.pkl").write_bytes(pickle.dumps(arrays_2016() | change))
    with pytest.raises(ValueError, match=f"bad.pkl.*{said}"):
        opened(tmp_path / "bad.pkl", "radioml2016")


def test_2016_nan_is_named(tmp_path: Path) -> None:
    arrays = arrays_2016()
    arrays["WBFM", 18][:, 1, 7] = np.nan
    (tmp_path / "nan.pkl").write_bytes(pickle.dumps(arrays))
    with pytest.raises(ValueError, match=r"nan.pkl, record \('WBFM', 18\)\[\d+\] holds NaN"):
        opened(tmp_path / "nan.pkl", "radioml2016").batch(0, 90)


# --- SigMF ----------------------------------------------------------------------------------------------------------


def write_sigmf(path: Path, annotations: list[tuple[int, int | None, dict]], samples: int = 40000) -> Path:
    """A recording whose sample n is n, with annotations (start, count, fields)."""
    data = path.with_suffix(".sigmf-data")
    (np.arange(samples) + 1j).astype("<c8").tofile(data)
    meta = SigMFFile(
        global_info={"core:datatype": "cf32_le", "core:sample_rate": 48000.0, "core:extensions": EXTENSIONS}
    )
    meta.set_data_file(data)
    meta.add_capture(0)
    for start, count, fields in annotations:
        meta.add_annotation(start, count, fields)
    meta.tofile(path)
    return path


#: The project's own field, declared as the standard asks.
EXTENSIONS = [{"name": "softmod", "version": "1.0.0", "optional": True}]
TWO = [
    (100, 20050, {"core:label": "BPSK", "softmod:snr_db": 12.5}),
    (25000, None, {"core:label": "gmsk"}),
    (50, 30, {"core:comment": "nothing said"}),
]


def test_sigmf_frames_labels_and_snr(tmp_path: Path) -> None:
    source = opened(write_sigmf(tmp_path / "two.sigmf-meta", TWO), "sigmf", frame_length=512)
    assert source.class_names == ("BPSK", "GMSK") and source.frame_length == 512
    starts = {split: all_frames(source, split) for split in SPLITS}
    bpsk, gmsk = [100 + 512 * n for n in range(39)], [25000 + 512 * n for n in range(29)]
    assert sorted(sum(starts.values(), [])) == bpsk + gmsk
    # A region is split in time: its end is test, what is before validation.
    assert starts["test"] == bpsk[-4:] + gmsk[-3:] and starts["validation"] == bpsk[-8:-4] + gmsk[-6:-3]
    batch = source.batch(0, 7, "test")
    assert batch.labels.tolist() == [0] * 4 + [1] * 3
    assert batch.snr_db[:4].tolist() == [12.5] * 4 and batch.snr_db[4:].isnan().all()
    assert torch.equal(batch.frames[0].real, bpsk[-4] + torch.arange(512.0))


def test_sigmf_folder_and_collection(tmp_path: Path) -> None:
    files = [write_sigmf(tmp_path / f"{name}.sigmf-meta", TWO[:1]) for name in ("a", "b")]
    collection = SigMFCollection([file.name for file in files], base_path=tmp_path)
    collection.tofile(str(tmp_path / "capture.sigmf-collection"))
    assert opened(tmp_path, "sigmf").count("train") == opened(tmp_path / "capture.sigmf-collection", "sigmf").count(
        "train"
    )
    for content in ("{}", "[]", '{"collection": {"core:streams": [{"name": 1}]}}'):
        (tmp_path / "bad.sigmf-collection").write_text(content)
        with pytest.raises(ValueError, match="bad.sigmf-collection"):
            opened(tmp_path / "bad.sigmf-collection", "sigmf")


def test_captures_of_a_flowgraph(tmp_path: Path) -> None:
    with Capture(tmp_path, rolling=Rolling(records=40)) as capture:
        for n in range(200):
            labels = (
                Label("modulation", ("BPSK", "QPSK")[n % 2], "parameter"),
                Label("snr_db", str(n / 10), "message"),
            )
            iq = (n + 1j * np.arange(1024) / 1024).astype(np.complex64)
            time = f"2026-01-01T00:00:{n // 10:02d}.{n % 10}Z"
            capture.add(
                Message("window", n, n * 2000, 48000.0, 437e6, time, None, labels, {"iq": iq}, {"policy": "test"})
            )
    for path in (tmp_path, tmp_path / "capture.sigmf-collection"):
        source = opened(path, "sigmf")
        assert source.class_names == ("BPSK", "QPSK")
        assert all_frames(source, "test") == list(range(180, 200))
        assert [source.count(split) for split in SPLITS] == [162, 18, 20]
        batch = source.batch(0, 64)
        assert torch.equal(batch.labels, batch.frames[:, 0].real.long() % 2)
        torch.testing.assert_close(batch.snr_db, batch.frames[:, 0].real / 10)


def test_sigmf_labels_are_mapped_left_out_or_refused(tmp_path: Path) -> None:
    path = write_sigmf(tmp_path / "sat.sigmf-meta", [(0, 20000, {"core:label": "bpsk 1k2"}), *TWO[1:]])
    with pytest.raises(ValueError, match="sat.sigmf-data, annotation at sample 0: the label 'bpsk 1k2' is no class"):
        opened(path, "sigmf")
    assert opened(path, "sigmf", labels={"BPSK 1k2": "BPSK"}).class_names == ("BPSK", "GMSK")
    assert opened(path, "sigmf", labels={"bpsk 1k2": None}).class_names == ("GMSK",)


def test_sigmf_without_a_frame(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no annotation with a label and 1024 samples"):
        opened(write_sigmf(tmp_path / "short.sigmf-meta", [(0, 1023, {"core:label": "BPSK"})]), "sigmf")


def test_sigmf_nan_is_named(tmp_path: Path) -> None:
    path = write_sigmf(tmp_path / "nan.sigmf-meta", TWO[1:2])
    data = np.fromfile(tmp_path / "nan.sigmf-data", "<c8")
    data[25000 + 1024 * 2] = np.nan
    data.tofile(tmp_path / "nan.sigmf-data")
    meta = path.read_text()
    info = json.loads(meta)
    info["global"].pop("core:sha512", None)
    path.write_text(json.dumps(info))
    with pytest.raises(ValueError, match="nan.sigmf-data, record 2 .sample 27048. holds NaN"):
        opened(path, "sigmf").batch(0, 12)


# --- Configuration ----------------------------------------------------------------------------------------------------


class Whole(Config):
    data: DataConfig = DataConfig()


def test_configuration_picks_the_source(tmp_path: Path) -> None:
    path = write_2018(tmp_path / "gold.hdf5")
    made = load_config(Whole, {"data": {"source": "synthetic", "preset": "field", "snr_db": [0, 10, 5]}}).data.open()
    assert made.class_names[-1] == "noise" and set(made.batch(0, 24).snr_db.nan_to_num(5).tolist()) <= {0.0, 5.0, 10.0}
    config = load_config(Whole, {"data": {"source": "radioml2018", "path": str(path)}})
    assert load_config(Whole, config.to_dict()) == config and config.data.open().count("test") == 144


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"source": "radioml2018"}, "needs a path"),
        ({"path": "x"}, "takes no path"),
        ({"source": "sigmf", "path": "x", "preset": "field"}, "preset means nothing"),
        ({"labels": {}}, "labels means nothing"),
        ({"prset": "field"}, "did you mean data.preset"),
        ({"test_share": 0}, "data.test_share"),
        ({"delay_spread": [5]}, "data.delay_spread"),
    ],
)
def test_wrong_configurations(keys: dict, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_config(Whole, {"data": keys})


def test_the_page_says_what_works() -> None:
    page = (Path(__file__).resolve().parents[1] / "docs" / "classifier_data.md").read_text()
    code, configurations = (re.search(rf"```{kind}\n(.*?)```", page, re.DOTALL)[1] for kind in ("python", "yaml"))
    exec(code, {})
    for text in configurations.split("# or\n"):
        assert load_config(Whole, yaml.safe_load(text)).data.source in text
