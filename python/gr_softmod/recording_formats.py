# SPDX-License-Identifier: GPL-3.0-or-later
"""How each kind of file says what it holds: raw, WAV (RIFF, RF64) and SigMF (pair or archive)."""

from __future__ import annotations

import hashlib
import json
import math
import struct
import tarfile
from pathlib import Path
from typing import Any

from gr_softmod.recording import Datatype, Recording, Tag

#: Larger data files are not read twice to compare their SHA-512; a warning says so.
HASH_LIMIT_BYTES = 256 << 20

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE


def open_raw(path: Path, datatype: Datatype, sample_rate: float | None, truncated: bool) -> Recording:
    if sample_rate is None:
        raise ValueError(f"{path.name} does not say its sample rate; pass --sample-rate")
    samples = _whole_samples(path.name, path.stat().st_size, datatype, truncated)
    return Recording(path, "raw", datatype, 0, samples, sample_rate)


def _whole_samples(name: str, size: int, datatype: Datatype, truncated: bool) -> int:
    samples, rest = divmod(size, datatype.sample_bytes)
    if rest and not truncated:
        raise ValueError(
            f"{name} is truncated or not {datatype.name}: {size} bytes are not a multiple of"
            f" {datatype.sample_bytes}; --truncated reads the whole samples"
        )
    return samples


def _chosen_rate(name: str, said: float, asked: float | None) -> tuple[float, tuple[str, ...]]:
    if asked is None or asked == said:
        return said, ()
    return asked, (f"{name} says {said:g} Hz; --sample-rate {asked:g} is used instead",)


# --- WAV: Microsoft "Multimedia Programming Interface and Data Specifications 1.0"; RF64: EBU Tech 3306 ---------------


def open_wav(path: Path, sample_rate: float | None, truncated: bool) -> Recording:
    """Mono is real, stereo is I and Q."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if len(head) < 12 or head[:4] not in (b"RIFF", b"RF64") or head[8:] != b"WAVE":
            raise ValueError(f"{path.name} is not a WAV file: it does not begin with RIFF or RF64 and WAVE")
        form: bytes | None = None
        long_data = None
        while True:
            chunk = file.read(8)
            if len(chunk) < 8:
                raise ValueError(f"{path.name} is truncated: it ends before its {'data' if form else 'fmt'} chunk")
            tag, length = struct.unpack("<4sI", chunk)
            if tag == b"data":
                break
            body = file.read(min(length, 4096))
            if tag == b"fmt ":
                form = body
            elif tag == b"ds64" and len(body) >= 16:
                long_data = struct.unpack("<Q", body[8:16])[0]
            file.seek(length - len(body) + length % 2, 1)
        first = file.tell()
    datatype, said_rate = _wav_format(path.name, form)
    rate, warnings = _chosen_rate(path.name, said_rate, sample_rate)
    available = size - first
    if length == 0xFFFFFFFF and long_data is not None:
        length = long_data
    if length in (0, 0xFFFFFFFF) and available > 0:
        # A program that writes to a pipe, or was stopped, has not filled in the length.
        warnings += (f"{path.name} does not say how long it is; everything up to its end is read",)
        length = available - available % datatype.sample_bytes
    elif length > available:
        if not truncated:
            raise ValueError(
                f"{path.name} is truncated: it promises {length} bytes of samples and holds {available};"
                " --truncated reads what is there"
            )
        length = available
    samples = _whole_samples(path.name, length, datatype, truncated)
    return Recording(path, "WAV", datatype, first, samples, rate, (), warnings)


def _wav_format(name: str, form: bytes | None) -> tuple[Datatype, float]:
    if form is None or len(form) < 16:
        raise ValueError(f"{name} is not a usable WAV file: it has no fmt chunk before its data")
    code, channels, rate, _, _, bits = struct.unpack("<HHIIHH", form[:16])
    if code == _EXTENSIBLE and len(form) >= 26:
        code = struct.unpack("<H", form[24:26])[0]
    if code not in (_PCM, _FLOAT):
        raise ValueError(f"{name} holds compressed samples (WAV format {code}); PCM and float are read")
    component = {(_PCM, 8): "u8", (_PCM, 16): "i16_le", (_PCM, 24): "i24_le", (_PCM, 32): "i32_le",
                 (_FLOAT, 32): "f32_le", (_FLOAT, 64): "f64_le"}.get((code, bits))  # fmt: skip
    if component is None:
        raise ValueError(f"{name} holds {bits} bit samples; PCM of 8, 16, 24 or 32 bits and floats are read")
    if channels not in (1, 2):
        raise ValueError(f"{name} has {channels} channels; one (real) or two (I and Q) are read")
    if rate == 0:
        raise ValueError(f"{name} says its sample rate is 0")
    return Datatype("rc"[channels - 1] + component), float(rate)


# --- SigMF 1.2: https://sigmf.org ------------------------------------------------------------------------------------


def open_sigmf(path: Path, sample_rate: float | None, truncated: bool) -> Recording:
    if path.suffix.lower() == ".sigmf":
        meta, data, first, size = _sigmf_archive(path)
        name = path.name
    else:
        meta_path = path.with_suffix(".sigmf-meta")
        if not meta_path.is_file():
            raise ValueError(f"{path.name} has no metadata: there is no {meta_path.name} beside it")
        meta, name = _sigmf_json(meta_path.name, meta_path.read_bytes()), meta_path.name
        data = meta_path.with_name(meta["global"].get("core:dataset", meta_path.with_suffix(".sigmf-data").name))
        if not data.is_file():
            raise ValueError(f"{name} has no samples: there is no {data.name} beside it")
        first, size = 0, data.stat().st_size
    info, captures = meta["global"], meta["captures"]
    if info.get("core:num_channels", 1) != 1:
        raise ValueError(f"{name} has {info['core:num_channels']} channels; recordings of one channel are read")
    if any(capture.get("core:header_bytes", 0) for capture in captures[1:]):
        raise ValueError(f"{name} has headers between its captures (core:header_bytes), which are not read")
    datatype = Datatype(info["core:datatype"])
    said_rate = info.get("core:sample_rate", sample_rate)
    if said_rate is None:
        raise ValueError(f"{name} does not say its sample rate; pass --sample-rate")
    if not (math.isfinite(said_rate) and said_rate > 0):
        raise ValueError(f"{name} says its sample rate is {said_rate:g}; it must be positive and finite")
    rate, warnings = _chosen_rate(name, said_rate, sample_rate)
    if size == 0:
        raise ValueError(f"{data.name} is empty")
    warnings += _check_hash(name, data, first, size, info.get("core:sha512"), truncated)
    header = captures[0].get("core:header_bytes", 0) if captures else 0
    samples = _whole_samples(data.name, max(0, size - header - info.get("core:trailing_bytes", 0)), datatype, truncated)
    offset = info.get("core:offset", 0)
    _check_extent(name, meta, samples + offset, truncated)
    tags = tuple(_sigmf_tags(meta, offset, samples))
    return Recording(data, "SigMF", datatype, first + header, samples, rate, tags, warnings, info)


def _sigmf_json(name: str, text: bytes) -> dict[str, Any]:
    from jsonschema import ValidationError
    from sigmf import validate

    try:
        meta = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{name} is not SigMF metadata: {error}") from None
    try:
        validate.validate(meta)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.absolute_path) or "the top level"
        raise ValueError(f"{name} is not valid SigMF: at {where}, {error.message.splitlines()[0][:200]}") from None
    if meta["global"].get("core:metadata_only"):
        raise ValueError(f"{name} says that it has no samples (core:metadata_only)")
    return meta


def _sigmf_archive(path: Path) -> tuple[dict[str, Any], Path, int, int]:
    """An archive is an uncompressed tar, so its samples can be read where they lie."""
    try:
        with tarfile.open(path, "r:") as archive:
            members = [member for member in archive.getmembers() if member.isfile()]
            metas = [member for member in members if member.name.endswith(".sigmf-meta")]
            datas = [member for member in members if member.name.endswith(".sigmf-data")]
            if len(metas) != 1 or len(datas) != 1:
                raise ValueError(f"{path.name} holds {len(metas)} recordings; archives of one are read")
            file = archive.extractfile(metas[0])
            assert file is not None  # it is a regular file
            meta = _sigmf_json(metas[0].name, file.read())
    except tarfile.TarError as error:
        raise ValueError(f"{path.name} is not a SigMF archive: {error}") from None
    first, size = datas[0].offset_data, datas[0].size
    if first + size > path.stat().st_size:
        raise ValueError(f"{path.name} is truncated: it ends inside its samples")
    return meta, path, first, size


def _check_hash(name: str, data: Path, first: int, size: int, expected: str | None, truncated: bool) -> tuple[str, ...]:
    if expected is None or truncated:
        return ()
    if size > HASH_LIMIT_BYTES:
        return (f"{data.name} is large: its SHA-512 was not compared with the metadata's",)
    digest = hashlib.sha512()
    with data.open("rb") as file:
        file.seek(first)
        while size > 0 and (block := file.read(min(size, 1 << 20))):
            digest.update(block)
            size -= len(block)
    if digest.hexdigest() != expected.lower():
        raise ValueError(
            f"{data.name} is not what {name} describes: its SHA-512 differs; --truncated reads it all the same"
        )
    return ()


def _check_extent(name: str, meta: dict[str, Any], end: int, truncated: bool) -> None:
    """Metadata that speaks of samples beyond the end tells that the data file is truncated."""
    last = max((int(item["core:sample_start"]) for item in meta["captures"]), default=0)
    for item in meta.get("annotations", []):
        last = max(last, item["core:sample_start"] + max(1, item.get("core:sample_count", 1)) - 1)
    if last >= end and not truncated:
        raise ValueError(
            f"{name} speaks of sample {last}, but there are only {end}: the data file is truncated;"
            " --truncated reads what is there"
        )


def _sigmf_tags(meta: dict[str, Any], offset: int, samples: int) -> list[Tag]:
    tags = []
    for capture in meta["captures"]:
        at = capture["core:sample_start"] - offset
        for key, name in (("core:frequency", "rx_freq"), ("core:datetime", "rx_time")):
            if key in capture:
                tags.append(Tag(at, name, capture[key]))
    for annotation in meta.get("annotations", []):
        tags.append(Tag(annotation["core:sample_start"] - offset, "annotation", annotation))
    return sorted((tag for tag in tags if 0 <= tag.sample < samples), key=lambda tag: tag.sample)
