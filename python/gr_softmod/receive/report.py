# SPDX-License-Identifier: GPL-3.0-or-later
"""What a job found, as ``report.json``, SigMF metadata and ``report.png``. Every number says its unit in its name."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from gnuradio import gr
from numpy.typing import NDArray

from gr_softmod import __version__
from gr_softmod.conventions import CONVENTIONS_VERSION
from gr_softmod.receive.outputs import Outputs
from gr_softmod.receive.sigmf_meta import write_metadata

if TYPE_CHECKING:
    from gr_softmod.receive.job import Flowgraph

#: Lock changes and noise estimates that the report lists.
_LISTED = 500


@dataclass(frozen=True)
class Curves:
    """What the figure shows and the report does not repeat."""

    before: NDArray[np.complex64]
    symbols: NDArray[np.complex64]
    unlocked_symbols: NDArray[np.complex64]
    llrs: NDArray[np.float32]
    frequency_hz: NDArray[np.float64]
    power_db: NDArray[np.float64]
    time_s: NDArray[np.float64]
    noise_var: NDArray[np.float64]
    locked: NDArray[np.bool_]
    points: NDArray[np.complex128]


def write_report(flowgraph: Flowgraph, ended: str, outputs: Outputs) -> dict[str, Any]:
    """Write all but the samples; returns what ``report.json`` holds."""
    from gr_softmod.receive.figure import draw

    report = make_report(flowgraph, ended)
    _write_sigmf(flowgraph, report)
    outputs.write_json("report.json", report)
    draw(report, make_curves(flowgraph), outputs.path("report.png"))
    return report


def make_report(flowgraph: Flowgraph, ended: str) -> dict[str, Any]:
    settings, source, symbols, llrs = flowgraph.settings, flowgraph.source, flowgraph.symbols, flowgraph.llrs
    recording = flowgraph.recording
    samples = source.produced() if flowgraph.total is None else min(source.produced(), flowgraph.total)
    report: dict[str, Any] = {
        "software": {
            "gr_softmod": __version__,
            "gnuradio": gr.version(),
            "python": platform.python_version(),
            "conventions_version": CONVENTIONS_VERSION,
        },
        "started_utc": flowgraph.started.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "ended": ended,
        "elapsed_s": _rounded(flowgraph.elapsed),
        "parameters": {
            "source": settings.source,
            "constellation": settings.scheme.name,
            "bits_per_symbol": settings.bits_per_symbol,
            "symbol_rate_hz": settings.symbol_rate,
            "center_hz": settings.center,
            "differential": settings.differential,
            "device_frequency_hz": settings.frequency,
            "device_gain_db": settings.gain,
            "decode": settings.decode,
            "reference": settings.reference,
            "receiver": settings.receiver,
        },
        "input": {
            "kind": recording.kind if recording else settings.source.partition("=")[0],
            "datatype": recording.datatype.name if recording else None,
            "sample_rate_hz": flowgraph.sample_rate,
            "samples": samples,
            "duration_s": _rounded(samples / flowgraph.sample_rate),
            "invalid_samples": source.replaced(),
        },
        "output": {
            "symbols": symbols.count,
            "llrs": llrs.count,
            "erased_symbols": symbols.erased,
            "erased_llrs": llrs.erased,
        },
        "signal": _signal(flowgraph),
        "over_time": _over_time(flowgraph),
        "warnings": _warnings(flowgraph),
    }
    if flowgraph.meter is not None:
        report["bit_errors"] = _bit_errors(flowgraph.meter.counts())
    if flowgraph.frames is not None:
        frames = flowgraph.frames
        report["frames"] = {"count": frames.count, "repaired": frames.repaired, "first": frames.first}
    return report


def _bit_errors(counts: dict[str, Any]) -> dict[str, Any]:
    return {
        "bits": counts["bits"],
        "errors": counts["errors"],
        "bit_error_rate": _rounded(counts["ber"]),
        "interval_95": [_rounded(counts["ber_low"]), _rounded(counts["ber_high"])],
        "slips": counts["slips"],
        "inverted": counts["inverted"],
    }


def _signal(flowgraph: Flowgraph) -> dict[str, Any]:
    symbols, llrs = flowgraph.symbols, flowgraph.llrs
    noise = symbols.noise.items
    noise = noise[noise[:, 2] > 0] if symbols.locked else noise
    sums = llrs.locked_sums if llrs.knows_lock else llrs.sums
    middle = float(np.median(noise[:, 1])) if len(noise) else None
    return {
        # Of the symbols, by the middle one of the estimates while the carrier was locked.
        "noise_var": _rounded(middle),
        "esn0_db": _rounded(-10 * np.log10(middle) if middle else None),
        "frequency_offset_hz": _rounded(flowgraph.status.latest.get("frequency")),
        "locked_share": _rounded(symbols.locked / symbols.count) if symbols.knows_lock and symbols.count else None,
        "mean_abs_llr": _rounded(llrs.sums.magnitude / llrs.sums.count if llrs.sums.count else None),
        # What the soft bits themselves say about decisions by their signs while the carrier was locked.
        "expected_bit_error_rate": _rounded(sums.errors / sums.count if sums.count else None),
    }


def _over_time(flowgraph: Flowgraph) -> dict[str, Any]:
    noise = flowgraph.symbols.noise.items
    noise = noise[:: max(1, -(-len(noise) // _LISTED))]
    return {
        "time_s": [_rounded(number / flowgraph.settings.symbol_rate) for number in noise[:, 0]],
        "noise_var": [_rounded(value) for value in noise[:, 1]],
        "locked": [bool(value) for value in noise[:, 2]] if flowgraph.symbols.knows_lock else None,
        "lock_changes": [
            {"symbol": symbol, "locked": locked} for symbol, locked in flowgraph.symbols.lock_changes[:_LISTED]
        ],
    }


def _warnings(flowgraph: Flowgraph) -> list[str]:
    warnings = [*flowgraph.warnings, *flowgraph.status.complaints]
    replaced = flowgraph.source.replaced()
    if replaced:
        warnings.append(f"{replaced} samples were NaN or infinite; the LLRs they belong to are 0")
    if flowgraph.symbols.count == 0:
        warnings.append("no symbol came out: the signal is too short or absent")
    elif flowgraph.symbols.knows_lock and flowgraph.symbols.locked == 0:
        warnings.append("the carrier was never found: is it the right constellation, symbol rate and centre?")
    if flowgraph.meter is not None and flowgraph.meter.counts()["bits"] == 0:
        warnings.append(f"the bits of {flowgraph.settings.reference} were not found in what was received")
    if flowgraph.stuck:
        warnings.append("the device could not be stopped")
    return warnings


def _write_sigmf(flowgraph: Flowgraph, report: dict[str, Any]) -> None:
    settings = flowgraph.settings
    fields = {
        "conventions_version": CONVENTIONS_VERSION,
        "constellation": settings.scheme.to_dict(),
        "bits_per_symbol": settings.bits_per_symbol,
        "symbol_rate": settings.symbol_rate,
        "differential": settings.differential,
        "noise_var": report["signal"]["noise_var"],
        "source": settings.source,
    }
    capture = _capture(flowgraph)
    for name, sink, digest, datatype, per_symbol, description in (
        ("llr", flowgraph.llrs, flowgraph.llr_hash, "rf32_le", settings.bits_per_symbol,
         "Log-likelihood ratios ln P(bit = 1) / P(bit = 0), most significant bit of a symbol first; not a signal."),
        ("symbols", flowgraph.symbols, flowgraph.symbol_hash, "cf32_le", 1,
         "Synchronised symbols of unit mean energy, one sample a symbol."),
    ):  # fmt: skip
        write_metadata(
            flowgraph.outputs.path(f"{name}.sigmf-meta"),
            datatype,
            settings.symbol_rate * per_symbol,
            description,
            {"content": name, **fields},
            capture,
            sink.erasures,
            digest,
        )


def _capture(flowgraph: Flowgraph) -> dict[str, Any]:
    """Frequency and time of the first symbol, as far as they are known."""
    recording = flowgraph.recording
    first = {tag.key: tag.value for tag in recording.tags if tag.sample == 0} if recording else {}
    if recording is None:
        begin = flowgraph.started + timedelta(0)
        first["rx_time"] = begin.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        if flowgraph.settings.frequency is not None:
            first["rx_freq"] = flowgraph.settings.frequency
    capture: dict[str, Any] = {}
    if "rx_freq" in first:
        capture["core:frequency"] = first["rx_freq"] + flowgraph.settings.center
    if "rx_time" in first:
        capture["core:datetime"] = first["rx_time"]
    return capture


def make_curves(flowgraph: Flowgraph) -> Curves:
    frequency, power = spectrum(flowgraph.spectrum.blocks.items, flowgraph.sample_rate)
    symbols, llrs = flowgraph.symbols, flowgraph.llrs
    noise = symbols.noise.items
    return Curves(
        before=flowgraph.before.blocks.items.ravel(),
        symbols=symbols.sample.items,
        unlocked_symbols=symbols.unlocked.items,
        # Without lock they say little; where there never was one, they are all there is.
        llrs=llrs.sample.items if llrs.locked else llrs.unlocked.items,
        frequency_hz=frequency,
        power_db=power,
        time_s=noise[:, 0] / flowgraph.settings.symbol_rate,
        noise_var=noise[:, 1],
        locked=(noise[:, 2] > 0) | (flowgraph.symbols.locked == 0),
        points=flowgraph.settings.scheme.points,
    )


def spectrum(blocks: NDArray[np.complex64], sample_rate: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Frequencies in hertz and power density in dB relative to the strongest, by Welch's method.

    Source: P. D. Welch, "The use of fast Fourier transform for the estimation of power spectra", 1967.
    """
    if not len(blocks):
        return np.zeros(0), np.zeros(0)
    length = blocks.shape[1]
    power = np.zeros(length)
    for block in blocks:
        power += np.abs(np.fft.fft(block * np.hanning(length))) ** 2
    power = np.fft.fftshift(power)
    level = 10 * np.log10(np.maximum(power, power.max() * 1e-12 + 1e-300))
    return np.fft.fftshift(np.fft.fftfreq(length, 1 / sample_rate)), level - level.max()


def _rounded(value: float | None) -> float | None:
    """Six significant digits; None for what is not a finite number."""
    return float(f"{value:.6g}") if value is not None and np.isfinite(value) else None
