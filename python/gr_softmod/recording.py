# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of samples: SigMF, WAV and raw. Finds out what a file holds, and reads it as complex64.

Opening checks everything that can be known before the first sample is used, so that a file that is truncated, empty or
not what it says is refused with one sentence. Needs numpy, and ``sigmf`` for SigMF; no GNU Radio.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

#: Raw formats by file name extension, as SigMF writes them. Little endian, as every SDR program does.
RAW_EXTENSIONS = {
    ".cf32": "cf32_le", ".cfile": "cf32_le", ".fc32": "cf32_le", ".complex": "cf32_le", ".cf64": "cf64_le",
    ".ci16": "ci16_le", ".cs16": "ci16_le", ".sc16": "ci16_le",
    ".ci8": "ci8", ".cs8": "ci8", ".sc8": "ci8", ".cu8": "cu8", ".u8": "cu8",
}  # fmt: skip

Buffer: TypeAlias = bytes | bytearray | memoryview

_DATATYPE = re.compile(r"([cr])(f32|f64|[iu](?:8|16|24|32))(_le|_be)?")

#: Samples looked at, in evenly spaced windows, to find out whether a file can be what it says it is.
_PROBE_WINDOWS, _PROBE_SAMPLES = 32, 2048


@dataclass(frozen=True)
class Datatype:
    """A SigMF datatype (plus the 24 bit integers of WAV): what lies in the file for one sample."""

    name: str

    def __post_init__(self) -> None:
        match = _DATATYPE.fullmatch(self.name)
        if not match or (match[2][1:] not in ("8",) and not match[3]) or (match[2][1:] == "8" and match[3]):
            raise ValueError(
                f"the sample type {self.name!r} is unknown; it is written as in SigMF: c (complex) or r (real), then"
                " f32, f64, i8, i16, i32, u8, u16 or u32, then _le or _be (none after i8 and u8)"
            )

    @classmethod
    def parse(cls, name: str) -> Datatype:
        """From a name in which ``_le`` may be left out, with ``cs16`` and ``fc32`` as other programs write them."""
        name = RAW_EXTENSIONS.get("." + name.lower(), name.lower())
        return cls(name if name.endswith(("_le", "_be", "8")) else name + "_le")

    @property
    def is_complex(self) -> bool:
        return self.name[0] == "c"

    @property
    def kind(self) -> str:
        """ "f", "i" or "u"."""
        return self.name[1]

    @property
    def bits(self) -> int:
        """Of one component."""
        return int(self.name.split("_")[0][2:])

    @property
    def sample_bytes(self) -> int:
        return self.bits // 8 * (2 if self.is_complex else 1)

    def decode(self, data: Buffer, out: NDArray[np.complex64] | None = None) -> NDArray[np.complex64]:
        """Whole samples as complex64: integers scaled to [-1, 1), unsigned ones centred on their middle.

        Given ``out`` (complex64, at least as long), they are written there and its used part is returned.
        """
        order = ">" if self.name.endswith("_be") else "<"
        if self.bits == 24:
            raw = np.frombuffer(data, np.uint8).reshape(-1, 3)
            words = np.zeros((len(raw), 4), np.uint8)
            words[:, 1:] = raw if order == "<" else raw[:, ::-1]
            values, full = words.view("<i4")[:, 0], 2.0**31
        else:
            values, full = np.frombuffer(data, f"{order}{self.kind}{self.bits // 8}"), 2.0 ** (self.bits - 1)
        count = len(values) // 2 if self.is_complex else len(values)
        out = np.empty(count, np.complex64) if out is None else out[:count]
        parts = out.view(np.float32) if self.is_complex else out.real
        # Computed in float64 where float32 would round the integers before they are centred and scaled.
        dtype = np.float64 if values.dtype.itemsize > 2 else np.float32
        if self.kind == "f":
            with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite, and is counted as invalid
                np.copyto(parts, values, casting="same_kind")
        elif self.kind == "i":
            np.multiply(values, 1 / full, out=parts, dtype=dtype, casting="same_kind")
        else:
            np.subtract(values, full - 0.5, out=parts, dtype=dtype, casting="same_kind")
            np.multiply(parts, np.float32(1 / full), out=parts)
        if not self.is_complex:
            out.imag = 0
        return out


@dataclass(frozen=True)
class Tag:
    """Something known about the recording from one sample on."""

    sample: int
    key: str
    value: Any


@dataclass(frozen=True)
class Recording:
    """A file of samples that has passed all checks.

    Attributes:
        path: the file that holds the samples.
        kind: "SigMF", "WAV" or "raw".
        datatype: of one sample. Real samples are read as complex ones with imaginary part 0.
        first_byte: where the samples begin.
        samples: how many there are.
        sample_rate: in hertz.
        tags: by sample; ``rx_freq`` (hertz), ``rx_time`` (ISO 8601 text) and ``annotation`` (dictionary), from SigMF.
        warnings: sentences about what is odd but usable.
        metadata: what the file says about itself (SigMF's global object), empty when it says nothing.
    """

    path: Path
    kind: str
    datatype: Datatype
    first_byte: int
    samples: int
    sample_rate: float
    tags: tuple[Tag, ...] = ()
    warnings: tuple[str, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def duration(self) -> float:
        """In seconds."""
        return self.samples / self.sample_rate

    def read(self, start: int, count: int) -> NDArray[np.complex64]:
        """Samples ``start`` to ``start + count``, fewer at the end."""
        with self.path.open("rb") as file:
            file.seek(self.first_byte + start * self.datatype.sample_bytes)
            count = max(0, min(count, self.samples - start))
            return self.datatype.decode(file.read(count * self.datatype.sample_bytes))


def open_recording(
    path: str | Path, *, sample_rate: float | None = None, datatype: str | None = None, truncated: bool = False
) -> Recording:
    """Find out what a file holds, and check it.

    Args:
        path: ``.sigmf-meta``, ``.sigmf-data``, ``.sigmf`` (archive), ``.wav``, or raw samples.
        sample_rate: in hertz; a must for raw files, overrides what other files say.
        datatype: read the file as raw samples of this type, whatever its name.
        truncated: accept a file that ends before it should, up to its last whole sample.
    Raises:
        OSError: the file cannot be read.
        ValueError: the file is empty, truncated, or not what it says it is; or a parameter is out of its range.
    """
    from gr_softmod.recording_formats import open_raw, open_sigmf, open_wav

    path = Path(path)
    if sample_rate is not None and not (np.isfinite(sample_rate) and sample_rate > 0):
        raise ValueError(f"the sample rate is {sample_rate:g} Hz; it must be positive and finite")
    suffix = path.suffix.lower()
    if not path.exists() and path.with_name(path.name + ".sigmf-meta").exists():
        path, suffix = path.with_name(path.name + ".sigmf-meta"), ".sigmf-meta"
    if not path.exists():
        raise FileNotFoundError(f"there is no file {str(path)!r}")
    if not path.is_file():
        raise ValueError(f"{str(path)!r} is not a file")
    if path.stat().st_size == 0:
        raise ValueError(f"{path.name} is empty")
    if datatype is not None:
        recording = open_raw(path, Datatype.parse(datatype), sample_rate, truncated)
    elif suffix in (".sigmf-meta", ".sigmf-data", ".sigmf"):
        recording = open_sigmf(path, sample_rate, truncated)
    elif suffix in (".wav", ".wave"):
        recording = open_wav(path, sample_rate, truncated)
    elif suffix in RAW_EXTENSIONS:
        recording = open_raw(path, Datatype.parse(RAW_EXTENSIONS[suffix]), sample_rate, truncated)
    else:
        raise ValueError(
            f"{path.name}: the name does not tell the sample type; pass --format (cf32, ci16, cu8, ...), or use one of"
            f" the extensions .sigmf-meta, .wav, {', '.join(RAW_EXTENSIONS)}"
        )
    if recording.samples == 0:
        raise ValueError(f"{path.name} holds no sample")
    _check_plausible(recording)
    return recording


def _check_plausible(recording: Recording) -> None:
    """Refuse a file whose samples cannot be what it says they are.

    Every mistaken type shows in the exponents: integers read as floats give absurd magnitudes and NaNs, floats read as
    16 bit integers give words that are all sensible floats.
    """
    name, datatype = recording.path.name, recording.datatype
    starts = np.linspace(0, max(0, recording.samples - _PROBE_SAMPLES), _PROBE_WINDOWS).astype(np.int64)
    probe = np.concatenate([recording.read(int(start), _PROBE_SAMPLES) for start in np.unique(starts)])
    probe = probe[np.isfinite(probe)]
    if probe.size == 0:
        probe = _first(recording, np.isfinite)
    if probe.size == 0:
        raise ValueError(f"{name} holds no finite sample: every one is NaN or infinite")
    level = probe[0]
    if np.all(probe == level) and _first(recording, lambda block: np.isfinite(block) & (block != level)).size == 0:
        raise ValueError(f"{name} holds no signal: every sample is {level:g}")
    if datatype.kind == "f":
        magnitude = np.abs(probe.view(np.float32))
        magnitude = magnitude[magnitude > 0]
        if np.mean((magnitude > 1e12) | (magnitude < 1e-15)) > 0.1:
            raise ValueError(
                f"{name} does not hold {datatype.name} samples: magnitudes from {magnitude.min():.0e} to"
                f" {magnitude.max():.0e}; is its type or byte order another one?"
            )
        return
    raw = b"".join(_bytes_at(recording, int(start)) for start in np.unique(starts))
    for order in "<>":
        words = np.abs(np.frombuffer(raw[: len(raw) // 4 * 4], order + "f4"))
        with np.errstate(invalid="ignore"):
            plausible = (words == 0) | ((words > 1e-9) & (words < 1e6))
        if words.size >= 256 and np.mean(plausible) > 0.999 and np.mean(words != 0) > 0.5:
            raise ValueError(f"{name} does not hold {datatype.name} samples: its content is 32 bit floats")


def _bytes_at(recording: Recording, start: int) -> bytes:
    # Floats begin at multiples of 4 bytes from the first sample.
    with recording.path.open("rb") as file:
        file.seek(recording.first_byte + start * recording.datatype.sample_bytes // 4 * 4)
        return file.read(_PROBE_SAMPLES * 4)


def _first(recording: Recording, condition: Any, block: int = 1 << 20) -> NDArray[np.complex64]:
    """The samples that meet the condition, of the first block of the file where any does; else none."""
    for start in range(0, recording.samples, block):
        samples = recording.read(start, block)
        found = samples[condition(samples)]
        if found.size:
            return found
    return np.zeros(0, np.complex64)
