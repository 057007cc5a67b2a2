# SPDX-License-Identifier: GPL-3.0-or-later
"""A picture of a synthetic preset: one frame of each class, its first samples, its plane and its spectrum.

python examples/classifier_frames.py field frames_field.png
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from gr_softmod.classifier.data import SyntheticFrames

COLUMNS, SHOWN, SNR_DB = 5, 256, 30.0


def draw_frame(axes: tuple[Axes, Axes, Axes], frame: NDArray[np.complex64], name: str) -> None:
    """The first samples, all samples in the complex plane, and the power spectrum over 70 dB."""
    wave, plane, spectrum = axes
    wave.plot(frame[:SHOWN].real, lw=0.7)
    wave.plot(frame[:SHOWN].imag, lw=0.7)
    wave.set_title(name, fontsize=8, loc="left", pad=2)
    plane.plot(frame.real, frame.imag, ".", ms=0.8, alpha=0.6)
    limit = 1.05 * float(np.abs(frame).max())
    plane.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal")
    power = np.abs(np.fft.fftshift(np.fft.fft(frame * np.hanning(len(frame))))) ** 2
    smooth = np.convolve(power, np.ones(5) / 5, "same")
    spectrum.plot(np.linspace(-0.5, 0.5, len(frame)), 10 * np.log10(smooth / smooth.max() + 1e-12), lw=0.7)
    spectrum.set(ylim=(-70, 5), xlim=(-0.5, 0.5))
    for panel in axes:
        panel.set(xticks=[], yticks=[])


def mosaic(preset: str, path: Path, index: int = 3) -> None:
    """One frame of each class of ``preset`` at 30 dB, to ``path``."""
    source = SyntheticFrames(preset, snr_db=(SNR_DB, SNR_DB, 1))
    batch = source.batch(index, len(source.class_names))
    rows = -(-len(source.class_names) // COLUMNS)
    figure = Figure(figsize=(3.0 * COLUMNS, 1.05 * rows), layout="constrained")
    panels = figure.subplots(rows, 3 * COLUMNS, width_ratios=[1.5, 1, 1.2] * COLUMNS)
    for unused in panels.flat[3 * len(source.class_names) :]:
        unused.set_axis_off()
    for label, frame in zip(batch.labels.tolist(), batch.frames.numpy(), strict=True):
        row, column = divmod(label, COLUMNS)
        draw_frame(tuple(panels[row, 3 * column : 3 * column + 3]), frame, source.class_names[label])
    figure.savefig(path, dpi=90)


if __name__ == "__main__":
    mosaic(sys.argv[1], Path(sys.argv[2]))
