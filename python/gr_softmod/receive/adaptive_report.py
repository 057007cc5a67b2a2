# SPDX-License-Identifier: GPL-3.0-or-later
"""What a job without given modulation found: ``report.json``, SigMF metadata with its segments, and ``report.png``."""

from __future__ import annotations

import platform
from datetime import UTC
from typing import Any

import numpy as np
from gnuradio import gr

from gr_softmod import __version__
from gr_softmod.conventions import CONVENTIONS_VERSION
from gr_softmod.receive.adaptive import Adaptive, line_of
from gr_softmod.receive.demodulate import Part
from gr_softmod.receive.outputs import Outputs
from gr_softmod.receive.report import _rounded as rounded
from gr_softmod.receive.sigmf_meta import NAMESPACE
from gr_softmod.receive.watch import WINDOW

#: Windows that the report lists.
_LISTED = 2000


def write_report(job: Adaptive, outputs: Outputs) -> dict[str, Any]:
    """Write all but the samples; returns what ``report.json`` holds."""
    from gr_softmod.receive.adaptive_figure import draw

    report = make_report(job)
    for name, datatype in (("llr", "rf32_le"), ("symbols", "cf32_le")):
        _write_sigmf(job, report, outputs, name, datatype)
    outputs.write_json("report.json", report)
    draw(report, job, outputs.path("report.png"))
    return report


def make_report(job: Adaptive) -> dict[str, Any]:
    watch, settings = job.watch, job.settings
    samples = (
        len(watch.findings) * WINDOW if watch.live else min(watch.source.produced(), watch.enough or watch.recorded)
    )
    warnings = [*(watch.recording.warnings if watch.recording else ()), *job.warnings]
    if watch.windows.skipped:
        warnings.append(f"{watch.windows.skipped} windows were skipped: the processor could not follow")
    if not job.parts:
        warnings.append("nothing was found that can be demodulated")
    if watch.stuck:
        warnings.append("the device could not be stopped")
    step = max(1, -(-len(watch.findings) // _LISTED))
    windows = [line_of(at, watch.findings[at], watch.sample_rate) for at in range(0, len(watch.findings), step)]
    report: dict[str, Any] = {
        "software": {
            "gr_softmod": __version__,
            "gnuradio": gr.version(),
            "python": platform.python_version(),
            "conventions_version": CONVENTIONS_VERSION,
        },
        "started_utc": job.started.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "ended": job.ended,
        "elapsed_s": rounded(job.elapsed),
        "parameters": {
            "source": settings.source,
            "model": str(settings.model),
            "model_hash": watch.classifier.hash,
            "differential": settings.differential,
            "device_frequency_hz": settings.frequency,
            "device_gain_db": settings.gain,
            "decode": settings.decode,
            "receiver": settings.receiver,
        },
        "input": {
            "kind": watch.recording.kind if watch.recording else settings.source.partition("=")[0],
            "datatype": watch.recording.datatype.name if watch.recording else None,
            "sample_rate_hz": watch.sample_rate,
            "samples": samples,
            "duration_s": rounded(samples / watch.sample_rate),
            "invalid_samples": watch.source.replaced(),
        },
        "output": {
            "symbols": sum(part.kept[1] - part.kept[0] for part in job.parts),
            "llrs": sum((part.kept[1] - part.kept[0]) * part.scheme.bits_per_symbol for part in job.parts),
        },
        "segments": _segments(job.parts),
        "windows": windows,
        "warnings": warnings,
    }
    if settings.decode is not None:
        repaired = sum(bool(entry["repaired_bits"]) for entry in job.frames)
        report["frames"] = {"count": len(job.frames), "repaired": repaired, "first": job.frames[:100]}
    return report


def _segments(parts: list[Part]) -> list[dict[str, Any]]:
    segments, symbol, llr = [], 0, 0
    for part in parts:
        count, bits = part.kept[1] - part.kept[0], part.scheme.bits_per_symbol
        kept = part.llrs[part.kept[0] * bits : part.kept[1] * bits].astype(np.float64)
        expected = np.mean(1 / (1 + np.exp(np.minimum(np.abs(kept), 80.0))))
        segments.append(
            {
                "begin_s": rounded(part.begin / part.sample_rate),
                "end_s": rounded(part.end / part.sample_rate),
                "constellation": part.scheme.name,
                "probability": rounded(part.segment.probability),
                "differential": part.differential,
                "symbol_rate_hz": rounded(part.segment.symbol_rate),
                "carrier_hz": rounded(part.frequency),
                "esn0_db": rounded(-10 * np.log10(part.noise_var)),
                "noise_var": rounded(part.noise_var),
                "locked_share": rounded(part.locked_share),
                "expected_bit_error_rate": rounded(float(expected)),
                "first_sample": round(part.begin),
                "symbols": count,
                "first_symbol": symbol,
                "llrs": count * bits,
                "first_llr": llr,
            }
        )
        symbol, llr = symbol + count, llr + count * bits
    return segments


def _write_sigmf(job: Adaptive, report: dict[str, Any], outputs: Outputs, name: str, datatype: str) -> None:
    from sigmf import SigMFFile

    what = (
        "Log-likelihood ratios ln P(bit = 1) / P(bit = 0), most significant bit of a symbol first; not a signal."
        if name == "llr"
        else "Synchronised symbols of unit mean energy, one sample a symbol."
    )
    meta = SigMFFile(
        global_info={
            "core:datatype": datatype,
            "core:description": f"{what} Each annotation is a segment of one constellation, symbol rate and carrier.",
            "core:recorder": f"gr-softmod {__version__}",
            "core:sha512": job.digests[name],
            "core:extensions": [{"name": NAMESPACE, "version": f"{CONVENTIONS_VERSION}.0.0", "optional": True}],
            f"{NAMESPACE}:content": name,
            f"{NAMESPACE}:conventions_version": CONVENTIONS_VERSION,
            f"{NAMESPACE}:source": job.settings.source,
        }
    )
    rates = {segment["symbol_rate_hz"] for segment in report["segments"]}
    if name == "symbols" and len(rates) == 1:
        meta.set_global_field("core:sample_rate", rates.pop())
    capture: dict[str, Any] = {}
    if job.watch.live:
        capture["core:datetime"] = job.started.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    meta.add_capture(0, capture)
    first, count = ("first_llr", "llrs") if name == "llr" else ("first_symbol", "symbols")
    for segment, part in zip(report["segments"], job.parts, strict=True):
        fields = {f"{NAMESPACE}:{key}": segment[key] for key in (
            "symbol_rate_hz", "carrier_hz", "noise_var", "esn0_db", "differential", "begin_s", "end_s", "probability",
        )}  # fmt: skip
        fields[f"{NAMESPACE}:constellation"] = part.scheme.to_dict()
        meta.add_annotation(segment[first], segment[count], {"core:label": part.scheme.name.upper(), **fields})
    meta.validate()
    with outputs.path(f"{name}.sigmf-meta").open("w") as file:
        meta.dump(file)
        file.write("\n")
