# SPDX-License-Identifier: GPL-3.0-or-later
"""The widget of ``modulation_view``: paints what its snapshots say. PyQt5 and numpy alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PyQt5 import QtCore, QtGui, QtWidgets
from PyQt5.QtCore import QPointF, QRectF, Qt

GAP = 10.0
BINS = 61
#: Classes that the strip has room for.
ROWS = 12


class ModulationPanel(QtWidgets.QWidget):
    """Label and confidence, class probabilities over time, symbols coloured by decision, histogram of LLRs.

    Args:
        look: gives a Snapshot; called ``rate`` times a second while the widget is shown.
        seconds: that the strip of probabilities spans.
        shown: which of "symbols" and "llrs" have a picture from the start; those that come by message get one then.
    """

    def __init__(
        self,
        look: Callable[[], Any],
        rate: float,
        seconds: float,
        title: str = "",
        shown: Sequence[str] = (),
        parent: Any = None,
    ) -> None:
        super().__init__(parent)
        self._look, self._title, self._shown = look, title, set(shown)
        self._strip = Strip(max(2, round(rate * seconds)))
        self._seconds = seconds
        self._snapshot: Any = None
        self.setMinimumSize(420, 320)
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Expanding, QtWidgets.QSizePolicy.Policy.Expanding)
        self._timer = QtCore.QTimer(self)
        self._timer.timeout.connect(self.look)
        self._timer.start(round(1000 / rate))

    def sizeHint(self) -> QtCore.QSize:
        return QtCore.QSize(900, 640)

    def look(self) -> None:
        """Take a snapshot and paint it."""
        self._snapshot = self._look()
        self._strip.add(self._snapshot.reports)
        self._shown |= {name for name in ("symbols", "llrs") if len(getattr(self._snapshot, name))}
        self.update()

    def paintEvent(self, event: Any) -> None:
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.RenderHint.Antialiasing)
        ink = Ink(painter, self.palette(), self.font())
        whole = QRectF(self.rect()).adjusted(GAP, GAP, -GAP, -GAP)
        head = QRectF(whole.left(), whole.top(), whole.width(), 3.2 * ink.line)
        paint_head(ink, head, self._strip, self._title)
        rest = QRectF(whole.left(), head.bottom() + GAP, whole.width(), whole.bottom() - head.bottom() - GAP)
        lower = [name for name in ("symbols", "llrs") if name in self._shown]
        strip = QRectF(rest)
        if lower:
            strip.setHeight((rest.height() - GAP) * 0.5)
        hidden = max(0, len(self._strip.names) - ROWS)
        note = f"latest {self._seconds:g} s" + (f", {hidden} less probable classes left out" if hidden else "")
        paint_strip(ink, ink.card(strip, "class probabilities", note), self._strip)
        left = rest.left()
        for name in lower:
            box = QRectF(left, strip.bottom() + GAP, 0, rest.bottom() - strip.bottom() - GAP)
            square = min(box.height(), 0.5 * (rest.width() - GAP))
            box.setRight(left + square if name == "symbols" and "llrs" in lower else rest.right())
            left = box.right() + GAP
            values = () if self._snapshot is None else getattr(self._snapshot, name)
            if name == "symbols":
                points = () if self._snapshot is None else self._snapshot.points
                inside = ink.card(box, "symbols", f"{len(points)} points" if len(points) else "")
                paint_symbols(ink, inside, np.asarray(values), np.asarray(points))
            else:
                paint_llrs(ink, ink.card(box, "soft bits", expected_errors(np.asarray(values))), np.asarray(values))
        painter.end()


class Strip:
    """Columns of class probabilities, oldest first; a look without a report leaves an empty column."""

    def __init__(self, columns: int) -> None:
        self._count = columns
        self.names: tuple[str, ...] = ()
        self.columns: NDArray[np.float64] = np.zeros((columns, 0))
        self.latest: Any = None

    def add(self, reports: Sequence[Any]) -> None:
        """The mean over ``reports`` becomes the newest column; other classes than before begin anew."""
        if reports:
            self.latest = reports[-1]
            if self.latest.names != self.names:
                self.names = self.latest.names
                self.columns = np.full((self._count, len(self.names)), np.nan)
        mine = [report.probabilities for report in reports if report.names == self.names]
        newest = np.mean(mine, axis=0) if mine else np.full(len(self.names), np.nan)
        self.columns = np.vstack([self.columns[1:], newest])

    def rows(self) -> list[int]:
        """The classes that were the most probable at any time, at most ROWS, in the model's order."""
        peaks = np.max(np.nan_to_num(self.columns), axis=0, initial=0)
        return sorted(np.argsort(-peaks, kind="stable")[:ROWS].tolist())


class Ink:
    """A painter with the colours and sizes of the view, which follow the application's palette and font."""

    def __init__(self, painter: QtGui.QPainter, palette: QtGui.QPalette, font: QtGui.QFont) -> None:
        self.painter, self._font = painter, font
        self.base, self.text = (
            palette.color(QtGui.QPalette.ColorRole.Base),
            palette.color(QtGui.QPalette.ColorRole.Text),
        )
        self.muted, self.faint = self.mix(0.55), self.mix(0.12)
        self.line = QtGui.QFontMetricsF(font).height()

    def mix(self, share: float) -> QtGui.QColor:
        """Of the text's colour, the rest of the background's."""
        pairs = zip(self.text.getRgb()[:3], self.base.getRgb()[:3], strict=True)
        return QtGui.QColor(*(round(share * a + (1 - share) * b) for a, b in pairs))

    def write(
        self, box: QRectF, text: str, colour: Any = None, *, size: float = 1.0, bold: bool = False, align: Any = None
    ) -> None:
        font = QtGui.QFont(self._font)
        font.setPointSizeF(max(1.0, self._font.pointSizeF() * size))
        font.setBold(bold)
        self.painter.setFont(font)
        self.painter.setPen(self.text if colour is None else colour)
        self.painter.drawText(box, int(align or Qt.AlignmentFlag.AlignLeft) | int(Qt.AlignmentFlag.AlignVCenter), text)

    def fill(self, box: QRectF, colour: QtGui.QColor, radius: float = 0.0) -> None:
        self.painter.setPen(Qt.PenStyle.NoPen)
        self.painter.setBrush(colour)
        self.painter.drawRoundedRect(box, radius, radius)

    def card(self, box: QRectF, title: str, note: str = "") -> QRectF:
        """A panel with a title; gives the room inside."""
        self.fill(box, self.base, 6)
        inside = box.adjusted(GAP, 0.6 * GAP, -GAP, -GAP)
        head = QRectF(inside.left(), inside.top(), inside.width(), 1.3 * self.line)
        self.write(head, title, bold=True, size=0.9)
        self.write(head, note, self.muted, size=0.9, align=Qt.AlignmentFlag.AlignRight)
        return inside.adjusted(0, head.height() + 0.4 * GAP, 0, 0)


def hue(index: int, count: int) -> QtGui.QColor:
    """Colour of class or label ``index``: evenly spaced hues of one lightness."""
    return QtGui.QColor.fromHslF((0.58 + index / max(1, count)) % 1.0, 0.68, 0.5)


def paint_head(ink: Ink, box: QRectF, strip: Strip, title: str) -> None:
    ink.fill(box, ink.base, 6)
    inside = box.adjusted(1.4 * GAP, 0, -1.4 * GAP, 0)
    if strip.latest is None:
        ink.write(inside, "no classification yet", ink.muted, size=1.4)
    else:
        label, probability = strip.latest.label, strip.latest.probability
        colour = hue(strip.names.index(label), len(strip.names)) if label in strip.names else ink.text
        ink.write(inside, label, colour, size=2.2, bold=True)
        bar = QRectF(inside.center().x() - 0.12 * inside.width(), inside.center().y() - 5, 0.24 * inside.width(), 10)
        ink.fill(bar, ink.faint, 5)
        ink.fill(QRectF(bar.left(), bar.top(), max(10.0, bar.width() * probability), bar.height()), colour, 5)
        beside = QRectF(bar.right() + GAP, inside.top(), 6 * ink.line, inside.height())
        ink.write(beside, f"{100 * probability:.0f} %", size=1.4)
    ink.write(inside, title, ink.muted, align=Qt.AlignmentFlag.AlignRight)


def paint_strip(ink: Ink, box: QRectF, strip: Strip) -> None:
    count, rows = len(strip.names), strip.rows()
    if not rows:
        return
    row = box.height() / len(rows)
    size = min(0.9, 0.9 * row / ink.line)
    names, bars = 6.5 * ink.line * size + GAP, 0.14 * box.width()
    field = QRectF(box.left() + names, box.top(), box.width() - names - bars - GAP, box.height())
    ink.painter.drawImage(field, image_of(ink, strip.columns[:, rows].T, [hue(i, count) for i in rows]))
    for place, i in enumerate(rows):
        top = box.top() + place * row
        mine = strip.names[i] == strip.latest.label
        colour = hue(i, count) if mine else ink.muted
        where = QRectF(box.left(), top, names - GAP, row)
        ink.write(where, strip.names[i], colour, size=size, bold=mine, align=Qt.AlignmentFlag.AlignRight)
        bar = QRectF(field.right() + GAP, top + 0.25 * row, bars, 0.5 * row)
        ink.fill(bar, ink.mix(0.06), min(3.0, bar.height() / 2))
        bar.setWidth(bars * float(strip.latest.probabilities[i]))
        ink.fill(bar, hue(i, count), min(3.0, bar.height() / 2))


def image_of(ink: Ink, probabilities: NDArray[np.float64], colours: list[QtGui.QColor]) -> QtGui.QImage:
    """A pixel for each probability [rows, columns]: the row's colour, the deeper the more probable."""
    full = np.array([colour.getRgb()[:3] for colour in colours], np.float64)[:, None, :]
    none, empty = (np.array(colour.getRgb()[:3], np.float64) for colour in (ink.mix(0.06), ink.base))
    depth = np.nan_to_num(probabilities)[..., None] ** 0.7  # so that 10 % can be seen
    pixels = np.where(np.isnan(probabilities)[..., None], empty, none + depth * (full - none))
    rows, columns = probabilities.shape
    data = np.dstack([pixels, np.full((rows, columns), 255)]).astype(np.uint8).tobytes()
    return QtGui.QImage(data, columns, rows, 4 * columns, QtGui.QImage.Format.Format_RGBA8888).copy()


def paint_symbols(ink: Ink, box: QRectF, symbols: NDArray[np.complex64], points: NDArray[np.complex128]) -> None:
    symbols = symbols[np.isfinite(symbols)]
    reach = 1.35 * max(1.0, float(np.max(np.abs([points.real, points.imag]), initial=0)))
    scale = 0.5 * min(box.width(), box.height()) / reach
    middle = box.center()
    ink.painter.setPen(QtGui.QPen(ink.faint, 1))
    ink.painter.drawLine(QPointF(box.left(), middle.y()), QPointF(box.right(), middle.y()))
    ink.painter.drawLine(QPointF(middle.x(), box.top()), QPointF(middle.x(), box.bottom()))

    def place(values: NDArray[Any]) -> list[QPointF]:
        return [QPointF(middle.x() + scale * v.real, middle.y() - scale * v.imag) for v in values.tolist()]

    ink.painter.save()
    ink.painter.setClipRect(box)
    if len(points):
        decided = np.argmin(np.abs(symbols[:, None] - points), axis=1)
        place_of = np.argsort(np.argsort(np.angle(points) + 0.1 * np.abs(points)))
        step = 7 if len(points) > 8 else 1  # so that neighbours have different hues
        for label in range(len(points)):
            colour = hue(int(place_of[label]) * step % len(points), len(points))
            colour.setAlphaF(0.75)
            ink.painter.setPen(QtGui.QPen(colour, 3.2, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
            ink.painter.drawPoints(QtGui.QPolygonF(place(symbols[decided == label])))
        ink.painter.setPen(QtGui.QPen(ink.mix(0.8), 1.4))
        for at in place(points):
            ink.painter.drawLine(at - QPointF(3, 0), at + QPointF(3, 0))
            ink.painter.drawLine(at - QPointF(0, 3), at + QPointF(0, 3))
    ink.painter.restore()


def paint_llrs(ink: Ink, box: QRectF, llrs: NDArray[np.float32]) -> None:
    llrs = llrs[np.isfinite(llrs)]
    room = box.adjusted(0, 0, 0, -1.4 * ink.line)
    ink.painter.setPen(QtGui.QPen(ink.faint, 1))
    ink.painter.drawLine(room.bottomLeft(), room.bottomRight())
    if not len(llrs):
        return
    limit = nice(float(np.quantile(np.abs(llrs), 0.98)))
    heights, edges = np.histogram(np.clip(llrs, -limit, limit), BINS, (-limit, limit))
    tallest, width = max(1, int(heights.max())), room.width() / BINS
    zero, one = QtGui.QColor.fromHslF(0.58, 0.68, 0.5), QtGui.QColor.fromHslF(0.06, 0.82, 0.53)
    for i, height in enumerate(heights):
        middle = 0.5 * (edges[i] + edges[i + 1])
        tall = room.height() * height / tallest
        bar = QRectF(room.left() + i * width, room.bottom() - tall, max(1.0, width - 1), tall)
        ink.fill(bar, ink.muted if abs(middle) < 1e-9 * limit else one if middle > 0 else zero)
    below = QRectF(room.left(), room.bottom(), room.width(), 1.4 * ink.line)
    for text, colour, align in (
        (f"{-limit:g}   bit 0", zero, Qt.AlignmentFlag.AlignLeft),
        ("0", ink.muted, Qt.AlignmentFlag.AlignHCenter),
        (f"bit 1   {limit:g}", one, Qt.AlignmentFlag.AlignRight),
    ):
        ink.write(below, text, colour, size=0.9, align=align)


def nice(value: float) -> float:
    """The next of 1, 2, 5, 10, 20, .. that is no smaller."""
    power = 10.0 ** math.floor(math.log10(max(value, 1.0)))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= min(value, 10 * power))


def expected_errors(llrs: NDArray[np.float32]) -> str:
    """What true LLRs say of their own signs: the mean of 1 / (1 + exp |llr|)."""
    llrs = llrs[np.isfinite(llrs)]
    if not len(llrs):
        return ""
    rate = float(np.mean(1 / (1 + np.exp(np.minimum(np.abs(llrs.astype(float)), 700)))))
    return f"expected bit error rate {rate:.1e}" if rate > 1e-12 else "expected bit error rate under 1e-12"
