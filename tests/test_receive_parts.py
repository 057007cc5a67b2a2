# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of ``receive`` that need no GNU Radio: bounded memory, the folder of results, the checks of parameters."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gr_softmod.receive.outputs import Outputs
from gr_softmod.receive.settings import Settings
from gr_softmod.receive.thinned import Thinned


@given(st.lists(st.integers(0, 70), max_size=40), st.sampled_from([2, 4, 10, 64]))
def test_thinned_keeps_every_so_many_th_item_of_all(lengths, capacity):
    thinned, everything = Thinned(capacity, dtype=np.int64), np.arange(sum(lengths))
    for part_ in np.split(everything, np.cumsum(lengths)[:-1]) if lengths else []:
        thinned.extend(part_)
    np.testing.assert_array_equal(thinned.items, everything[:: thinned.stride])
    assert len(thinned) <= capacity and (thinned.stride == 1 or len(thinned) > capacity // 4)


def test_thinned_of_vectors():
    thinned = Thinned(4, (2,))
    for number in range(9):
        thinned.append([number, -number])
    assert thinned.items.tolist() == [[0, 0], [4, -4], [8, -8]] and thinned.stride == 4


@pytest.mark.parametrize("capacity", [0, 1, 3, -2])
def test_thinned_faults(capacity):
    with pytest.raises(ValueError, match=f"capacity is {capacity}"):
        Thinned(capacity)


def test_results_appear_at_the_end_only(tmp_path):
    folder = tmp_path / "a" / "b"
    outputs = Outputs(folder)
    outputs.path("llr.sigmf-data").write_bytes(b"1")
    outputs.write_json("report.json", {"x": 1})
    assert not (folder / "report.json").exists()
    outputs.commit()
    assert sorted(path.name for path in folder.iterdir()) == ["llr.sigmf-data", "report.json"]


def test_a_failed_job_leaves_nothing(tmp_path):
    outputs = Outputs(tmp_path / "a" / "b")
    outputs.path("llr.sigmf-data").write_bytes(b"1")
    outputs.discard()
    assert list(tmp_path.iterdir()) == []


def test_a_failed_job_leaves_what_was_there(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "report.json").write_text("old")
    outputs = Outputs(tmp_path / "a", overwrite=True)
    outputs.write_json("report.json", {})
    outputs.discard()
    assert (tmp_path / "a" / "report.json").read_text() == "old"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["report.json"]


def test_results_are_replaced_only_when_asked(tmp_path):
    (tmp_path / "llr.sigmf-data").write_text("old")
    with pytest.raises(ValueError, match="holds llr.sigmf-data already"):
        Outputs(tmp_path)
    outputs = Outputs(tmp_path, overwrite=True)
    outputs.path("llr.sigmf-data").write_text("new")
    outputs.commit()
    assert (tmp_path / "llr.sigmf-data").read_text() == "new"


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "a").write_text("")
    with pytest.raises(ValueError, match="is not a folder"):
        Outputs(tmp_path / "a")


GOOD = {"source": "x.wav", "constellation": "qpsk", "symbol_rate": 9600.0}
NAN, INF = float("nan"), float("inf")
FAULTS = {
    "constellation": ({"constellation": "qqpsk"}, "there is no constellation 'qqpsk'"),
    "symbol rate 0": ({"symbol_rate": 0}, "the symbol rate is 0 Hz; it must be positive and finite"),
    "symbol rate negative": ({"symbol_rate": -1}, "the symbol rate is -1 Hz"),
    "symbol rate NaN": ({"symbol_rate": NAN}, "the symbol rate is nan Hz"),
    "symbol rate infinite": ({"symbol_rate": INF}, "the symbol rate is inf Hz"),
    "sample rate 0": ({"sample_rate": 0}, "the sample rate is 0 Hz"),
    "sample rate NaN": ({"sample_rate": NAN}, "the sample rate is nan Hz"),
    "above": ({"sample_rate": 9599}, "the symbol rate 9600 Hz is above the sample rate 9599 Hz"),
    "outside": ({"sample_rate": 48e3, "center": 25e3}, "the centre 25000 Hz lies outside the band"),
    "outside below": ({"sample_rate": 48e3, "center": -25e3}, "the centre -25000 Hz lies outside the band"),
    "centre NaN": ({"center": NAN}, "the centre is nan Hz"),
    "duration 0": ({"duration": 0}, "the duration is 0 s"),
    "timeout negative": ({"timeout": -1}, "the timeout is -1 s"),
    "timeout NaN": ({"timeout": NAN}, "the timeout is nan s"),
    "decoder": ({"decode": "ax26"}, "there is no decoder 'ax26'"),
    "decoder of changes": ({"constellation": "bpsk", "differential": True, "decode": "ax25"}, "NRZI"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_parameter_faults(fault):
    change, words = fault
    with pytest.raises(ValueError) as error:
        Settings(**GOOD | change)
    assert words in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("center", "rate", "real", "words"),
    [
        (0, 48e3, False, None),
        (12e3, 48e3, True, None),
        (23e3, 48e3, False, "reaches beyond the band's edge"),
        (-23e3, 48e3, False, "reaches beyond the band's edge"),
        (2e3, 48e3, True, "overlaps its own mirror image"),
        (2e3, 48e3, False, None),
        (0, 48e3, True, None),
    ],
)
def test_channel_warnings(center, rate, real, words):
    warnings = Settings(**GOOD, center=center).channel_warnings(rate, real)
    assert (words in warnings[0]) if words else warnings == []
