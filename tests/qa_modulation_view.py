# SPDX-License-Identifier: GPL-3.0-or-later
"""modulation_view: what it takes from streams and messages, and what is then to be seen."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pmt
import pytest
from gnuradio import blocks, gr, softmod

from flowgraph import Messages, until
from gr_softmod.blocks.modulation_view import Report, constellation_of_class

NAMES = ("BPSK", "QPSK", "FM")


def classification(probabilities: tuple[float, ...] = (0.1, 0.7, 0.2), label: str = "QPSK", **more: Any) -> Any:
    message = {"class": label, "class_names": list(NAMES), **more}
    made = pmt.to_pmt(message)
    return pmt.dict_add(made, pmt.intern("probabilities"), pmt.init_f32vector(len(probabilities), list(probabilities)))


class Rig:
    """A view in a running flowgraph without streams, and what it says on status."""

    def __init__(self, **arguments: Any) -> None:
        self.view = softmod.modulation_view(**({"symbols": False, "llrs": False} | arguments))
        self.said = Messages()
        self.top = gr.top_block()
        self.top.msg_connect(self.view, "status", self.said, "in")

    def post(self, port: str, *messages: Any) -> None:
        for message in messages:
            self.view._inbox.to_basic_block()._post(pmt.intern(port), message)

    def __enter__(self) -> Rig:
        self.top.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.top.stop()
        self.top.wait()


def test_the_newest_window_of_each_stream_is_seen() -> None:
    view = softmod.modulation_view("16qam", window=64)
    symbols, llrs = np.arange(1, 1025) * (1 + 1j), np.arange(-256.0, 256)
    top = gr.top_block()
    top.connect(blocks.vector_source_c(symbols.tolist()), (view, 0))
    top.connect(blocks.vector_source_f(llrs.tolist()), (view, 1))
    assert len(view.snapshot().symbols) == len(view.snapshot().llrs) == 0
    top.run()
    seen = view.snapshot()
    np.testing.assert_array_equal(seen.symbols, symbols[-64:].astype(np.complex64))
    np.testing.assert_array_equal(seen.llrs, llrs[-64:].astype(np.float32))
    np.testing.assert_allclose(seen.points, softmod.Constellation.from_name("16qam").points, atol=1e-6)


@pytest.mark.parametrize("shown", ["symbols", "llrs"])
def test_a_stream_may_be_left_out(shown: str) -> None:
    view = softmod.modulation_view(symbols=shown == "symbols", llrs=shown == "llrs", window=16)
    top = gr.top_block()
    source = blocks.vector_source_c([1j] * 32) if shown == "symbols" else blocks.vector_source_f([2.0] * 32)
    top.connect(source, view)
    top.run()
    seen = view.snapshot()
    assert (len(seen.symbols), len(seen.llrs)) == ((16, 0) if shown == "symbols" else (0, 16))


def test_reports_are_seen_once_and_only_those_of_the_channel() -> None:
    with Rig(channel=1) as rig:
        messages = [classification(channel=0), classification((0.0, 0.0, 1.0), "FM", channel=1), classification()]
        rig.post("classification", *messages)
        seen: list[Report] = []
        until(lambda: len(seen.extend(rig.view.snapshot().reports) or seen) == 2)
        rig.view.set_channel(0)
        rig.post("classification", classification(channel=1), classification((1.0, 0.0, 0.0), "BPSK", channel=0))
        until(lambda: len(seen.extend(rig.view.snapshot().reports) or seen) == 3)
    assert [report.label for report in seen] == ["FM", "QPSK", "BPSK"]
    assert seen[1].names == NAMES and seen[1].probability == pytest.approx(0.7)
    np.testing.assert_allclose(seen[1].probabilities, [0.1, 0.7, 0.2], atol=1e-6)


def test_many_reports_cost_no_memory() -> None:
    with Rig() as rig:
        rig.post("classification", *[classification()] * 1000, classification(label="FM"))
        until(lambda: rig.view._inbox._reports and rig.view._inbox._reports[-1].label == "FM")
        assert len(rig.view.snapshot().reports) == 256


def test_symbols_and_llrs_may_come_as_pdus() -> None:
    with Rig() as rig:
        rig.post("pdu", pmt.cons(pmt.PMT_NIL, pmt.init_c32vector(3, [1, 1j, -1])), pmt.init_f32vector(2, [4.0, -5.0]))
        until(lambda: len(rig.view.snapshot().llrs) == 2)
        assert rig.view.snapshot().symbols.tolist() == [1, 1j, -1]


def test_the_constellation_comes_by_message_and_by_class() -> None:
    with Rig(constellation="qpsk") as rig:
        rig.post("constellation", softmod.constellation_message("8psk"))
        until(lambda: len(rig.view.constellation()) == 8)
        rig.post("classification", classification(label="BPSK"))
        until(lambda: len(rig.view.snapshot().reports) == 1)
        assert len(rig.view.constellation()) == 8  # not followed unless asked for
        rig.view.set_follow(True)
        rig.post("classification", classification(label="BPSK"), classification(label="FM"))
        until(lambda: len(rig.view.constellation()) == 2)
        rig.view.set_constellation("64qam")
        assert len(rig.view.snapshot().points) == 64


@pytest.mark.parametrize(
    ("name", "order"),
    [("OOK", 2), ("8ASK", 8), ("32APSK", 32), ("128QAM", 128), ("GMSK", 0), ("OQPSK", 0), ("noise", 0)],
)
def test_which_classes_have_points(name: str, order: int) -> None:
    points = constellation_of_class(name)
    assert (0 if points is None else len(points)) == order


@pytest.mark.parametrize(
    ("port", "message", "reason"),
    [
        ("classification", pmt.from_long(3), "no dictionary"),
        ("classification", pmt.make_dict(), "class_names"),
        ("classification", classification((0.1, 0.9)), "3 classes"),
        ("classification", classification((0.1, float("nan"), 2.0)), "from 0 to 1"),
        ("classification", classification(label="AM"), "none of its class_names"),
        ("constellation", pmt.intern("qpsk"), "c32vector"),
        ("constellation", pmt.init_c32vector(3, [1, 2, 3]), "3"),
        ("pdu", pmt.intern("symbols"), "neither"),
    ],
)
def test_a_message_that_cannot_be_used_is_told_and_changes_nothing(port: str, message: Any, reason: str) -> None:
    with Rig() as rig:
        rig.post(port, message)
        until(lambda: bool(rig.said.received))
        (told,) = rig.said.received
        assert told["severity"] == "warning" and port in told["reason"] and reason in told["reason"], told
        assert not rig.view.snapshot().reports and len(rig.view.constellation()) == 4
        rig.post("classification", classification())
        until(lambda: len(rig.view.snapshot().reports) == 1)  # and the block still listens


@pytest.mark.parametrize(
    "arguments",
    [{"window": 15}, {"rate": 0.0}, {"rate": math.nan}, {"rate": 61.0}, {"seconds": 0.5}, {"constellation": "oqpsk"}],
)
def test_a_wrong_argument_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(arguments)) if "constellation" not in arguments else "oqpsk"):
        softmod.modulation_view(**arguments)


# -- the widget (Qt wants the main thread, so what shows it runs in a process of its own) ------------------------------


def test_a_column_of_the_strip_is_the_mean_of_what_came() -> None:
    pytest.importorskip("PyQt5")
    from gr_softmod.blocks.modulation_panel import Strip

    def report(*probabilities: float) -> Report:
        return Report(("A", "B", "C")[: len(probabilities)], np.array(probabilities), "A", probabilities[0])

    strip = Strip(3)
    strip.add([])
    assert strip.columns.shape == (3, 0) and strip.latest is None
    strip.add([report(1, 0, 0), report(0, 1, 0)])
    strip.add([])
    np.testing.assert_array_equal(strip.columns[-2], [0.5, 0.5, 0])
    assert np.isnan(strip.columns[[0, 2]]).all() and strip.rows() == [0, 1, 2]
    strip.add([report(1, 0, 0), report(0.25, 0.75)])  # another model: the strip begins anew
    assert strip.names == ("A", "B") and np.isnan(strip.columns[:-1]).all()
    np.testing.assert_array_equal(strip.columns[-1], [0.25, 0.75])


def test_the_strip_shows_the_classes_that_were_most_probable() -> None:
    pytest.importorskip("PyQt5")
    from gr_softmod.blocks.modulation_panel import ROWS, Strip

    names = tuple(f"class {i}" for i in range(24))
    strip = Strip(4)
    for likely in (3, 20):
        strip.add([Report(names, np.where(np.arange(24) == likely, 0.9, 0.01), names[likely], 0.9)])
    assert {3, 20} < set(strip.rows()) and len(strip.rows()) == ROWS and strip.rows() == sorted(strip.rows())


@pytest.mark.parametrize(
    ("value", "limit"), [(0.0, 1), (1.0, 1), (1.5, 2), (3.0, 5), (7.0, 10), (10.0, 10), (101.0, 200), (1e30, 1e30)]
)
def test_the_histogram_ends_at_a_round_number(value: float, limit: float) -> None:
    pytest.importorskip("PyQt5")
    from gr_softmod.blocks.modulation_panel import nice

    assert nice(value) == pytest.approx(limit)


def test_llrs_say_which_error_rate_they_expect() -> None:
    pytest.importorskip("PyQt5")
    from gr_softmod.blocks.modulation_panel import expected_errors

    llrs = np.array([np.log(9), -np.log(9), np.inf, np.nan], np.float32)
    assert expected_errors(llrs).endswith("1.0e-01") and expected_errors(llrs[2:]) == ""
    assert expected_errors(np.full(4, 1e30, np.float32)).endswith("under 1e-12")


SHOW = """
import sys, pmt, numpy as np
from PyQt5 import Qt
from gnuradio import blocks, gr, softmod
from qa_modulation_view import classification
from gr_softmod.blocks.modulation_panel import hue
app = Qt.QApplication(sys.argv)
points = softmod.Constellation.from_name("qpsk").points
view = softmod.modulation_view("qpsk", window=64, rate=50)
top = gr.top_block()
top.connect(blocks.vector_source_c(np.tile(0.8 * points, 64).tolist()), (view, 0))
top.connect(blocks.vector_source_f([-3.0, 5.0, float("nan"), float("inf")] * 64), (view, 1))
widget = view.widget()
widget.resize(800, 600)
widget.show()

def colours():
    app.processEvents()
    image = widget.grab().toImage().convertToFormat(Qt.QImage.Format_RGB32)
    values = np.frombuffer(image.constBits().asstring(image.byteCount()), np.uint32) & 0xFFFFFF
    return dict(zip(*np.unique(values, return_counts=True)))

def of(index, count):
    return hue(index, count).rgb() & 0xFFFFFF

assert of(1, 3) not in colours()  # nothing was classified yet
top.run()
view._inbox.classification(classification())
widget.look()
found = colours()
assert found[of(1, 3)] > 500, "label and bar of QPSK, the class that was named"
assert found[of(0, 1)] > 500, "histogram, zeros"
view._inbox.pdu(pmt.init_f32vector(2, [1.0, 2.0]))
widget.look()
assert colours()[of(0, 1)] < found[of(0, 1)], "no zeros any more"
widget.resize(300, 200)
colours()
app.setPalette(Qt.QPalette(Qt.QColor(40, 40, 40)))
assert colours()
alone = softmod.modulation_view(symbols=False, llrs=False).widget()
alone.look()
assert not alone.grab().isNull()
"""


def test_what_is_shown() -> None:
    pytest.importorskip("PyQt5", reason="the view needs PyQt5")
    search = os.pathsep.join([os.path.dirname(__file__), *map(os.path.abspath, filter(None, sys.path))])
    environment = os.environ | {"QT_QPA_PLATFORM": "offscreen", "PYTHONPATH": search}
    done = subprocess.run([sys.executable, "-c", SHOW], env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
