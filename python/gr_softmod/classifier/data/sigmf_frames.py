# SPDX-License-Identifier: GPL-3.0-or-later
"""SigMF recordings whose annotations say what is on the air, cut into frames.

An annotation's ``core:label`` names the class. Its frames follow each other without overlap; what is left over at its
end is not used. Captures of a running flowgraph are collections of such recordings.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gr_softmod.classifier.data.files import Indices
from gr_softmod.conventions import CLASS_NAMES
from gr_softmod.recording import Recording, open_recording

#: Annotation field of the project's own: the SNR in dB.
SNR_FIELD = "softmod:snr_db"
#: Frames of a class that one recording must have to be split by itself.
_SPLIT_NEEDS = 30
_KNOWN = {name.lower(): name for name in (*CLASS_NAMES, "noise")}


class SigMFFrames:
    """Annotated recordings as a :class:`gr_softmod.classifier.data.files.FrameStore`.

    Args:
        path: a ``.sigmf-meta``, a ``.sigmf-collection``, or a folder, of which all recordings are read.
        frame_length: samples of a frame.
        labels: what labels mean; None leaves the annotation out. A label that is not there is a class name itself, in
            upper or lower case.
    Raises:
        OSError: a file cannot be read.
        ValueError: a file is damaged, a label is no class, or no annotation holds a frame; the message names the file
            and the annotation.
    """

    region: Indices | None

    def __init__(
        self, path: str | Path, frame_length: int = 1024, labels: Mapping[str, str | None] | None = None
    ) -> None:
        self.path, self.frame_length = Path(path), frame_length
        self._recordings = [open_recording(file) for file in _recordings(self.path)]
        self._labels = {label.lower(): name for label, name in (labels or {}).items()}
        classes: list[str] = []
        snr_db: list[float] = []
        starts: list[NDArray[np.int64]] = []
        numbers: list[int] = []
        short = 0
        for number, recording in enumerate(self._recordings):
            for annotation, first, count in _annotations(recording):
                name = self._class_of(recording, annotation, first)
                if name is None:
                    continue
                frames = count // frame_length
                short += frames == 0
                if frames:
                    classes.append(name)
                    snr_db.append(_snr_db(recording, annotation, first))
                    starts.append(first + frame_length * np.arange(frames))
                    numbers.append(number)
        if not classes:
            raise ValueError(f"{self.path.name} has no annotation with a label and {frame_length} samples")
        if short:
            warnings.warn(f"{self.path.name}: {short} annotations are shorter than a frame and not used", stacklevel=2)
        frames_of = [len(start) for start in starts]
        self.class_names = tuple(name for name in _KNOWN.values() if name in classes)
        self.class_names += tuple(sorted(set(classes) - set(self.class_names)))
        self.labels = np.repeat([self.class_names.index(name) for name in classes], frames_of).astype(np.int16)
        self.snr_db = np.repeat(snr_db, frames_of).astype(np.float32)
        self._start, self._recording = np.concatenate(starts), np.repeat(numbers, frames_of)
        self.region = self._regions()

    def read(self, records: Indices) -> NDArray[np.complex64]:
        """See :class:`gr_softmod.classifier.data.files.FrameStore`."""
        frames = np.empty((len(records), self.frame_length), np.complex64)
        for row, record in enumerate(records):
            recording = self._recordings[self._recording[record]]
            frames[row] = recording.read(int(self._start[record]), self.frame_length)
        return frames

    def name(self, record: int) -> str:
        recording = self._recordings[self._recording[record]]
        return f"{recording.path.name}, record {record} (sample {self._start[record]})"

    def _regions(self) -> Indices:
        """Frames of one class in one recording; recordings with less of it than a split needs are taken together."""
        cell = self._recording * len(self.class_names) + self.labels
        count = np.bincount(cell)
        return np.where(count[cell] < _SPLIT_NEEDS, -1 - self.labels.astype(np.int64), cell)

    def _class_of(self, recording: Recording, annotation: Mapping[str, Any], first: int) -> str | None:
        label = annotation.get("core:label")
        if label is None:
            return None
        key = str(label).lower()
        if key in self._labels:
            return self._labels[key]
        if key not in _KNOWN:
            raise ValueError(
                f"{recording.path.name}, annotation at sample {first}: the label {label!r} is no class; say in `labels`"
                f" what it means, or null to leave it out (classes: {', '.join(_KNOWN.values())})"
            )
        return _KNOWN[key]


def _recordings(path: Path) -> list[Path]:
    """The recordings that a path stands for."""
    if path.is_dir():
        found = sorted(path.glob("*.sigmf-meta"))
        if not found:
            raise ValueError(f"{path} holds no .sigmf-meta")
        return found
    if path.suffix != ".sigmf-collection":
        return [path]
    try:
        streams = json.loads(path.read_text(encoding="utf-8"))["collection"]["core:streams"]
        names = [Path(stream["name"]).name for stream in streams]
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{path.name} is not a SigMF collection with core:streams") from None
    # Streams lie beside their collection, whatever folder a program wrote before their names.
    return [path.with_name(f"{name}.sigmf-meta") for name in names]


def _annotations(recording: Recording) -> list[tuple[Mapping[str, Any], int, int]]:
    """Annotations with their first sample and how many samples they have: without a count, up to the end."""
    result = []
    for tag in recording.tags:
        if tag.key == "annotation":
            count = tag.value.get("core:sample_count", recording.samples - tag.sample)
            result.append((tag.value, tag.sample, min(count, recording.samples - tag.sample)))
    return result


def _snr_db(recording: Recording, annotation: Mapping[str, Any], first: int) -> float:
    value = annotation.get(SNR_FIELD, np.nan)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{recording.path.name}, annotation at sample {first}: {SNR_FIELD} is {value!r}, not a number")
    return float(value)
