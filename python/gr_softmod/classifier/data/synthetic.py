# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames of every class, made as fast as a training eats them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from gr_softmod.classifier.data.batch import Batch, Split, check_request, random_stream
from gr_softmod.classifier.data.draw import Draw
from gr_softmod.classifier.data.presets import LEAD_IN, LEAD_OUT, PRESETS, snr_grid
from gr_softmod.classifier.data.waveforms import KNOWN_CLASSES, NOISE, make_signals

#: What a frame's length is a multiple of: the transforms of the channel are then quick.
FRAME_STEP = 64
#: Frames that a CPU makes at once: more of them, and what is worked on no longer fits its caches.
CPU_PIECE = 256


class SyntheticFrames:
    """Frames of a preset without end.

    ``radioml2018`` follows Table I of O'Shea, Roy, Clancy, "Over-the-air deep learning based radio signal
    classification", IEEE JSTSP 2018; SNR is the signal's mean power over the frame by the noise power in the whole
    sampled band, and frames have unit power. ``field`` is made for receivers as they are; SNR is Es/N0 for digital
    classes (for analogue ones the noise is counted in the occupied bandwidth), and the level is left to chance as a
    gain control does. ``docs/classifier_data.md`` has every range.

    Args:
        preset: "radioml2018" or "field".
        class_names: what labels mean; any of the preset's classes and "noise". Default: all of the preset's.
        frame_length: N, a multiple of 64.
        snr_db: start, stop and step of the grid of SNRs; default: the preset's.
        seed: not negative.
        device: where the frames are made. Streams of CPU and GPU differ.
        delay_spread: of the echoes of ``radioml2018``, in symbols from 0 to 4, each equally likely; default: 0,
            0.5, 1, 2 and 4 as in the paper.
        shares: how often a class comes, by its name, relative to 1, how often those come that are not named; default:
            all come alike.
    Raises:
        ValueError: an argument is out of its range; the message names what is allowed.
    """

    def __init__(
        self,
        preset: str = "radioml2018",
        class_names: Sequence[str] | None = None,
        frame_length: int = 1024,
        snr_db: tuple[float, float, float] | None = None,
        seed: int = 1,
        device: torch.device | str = "cpu",
        *,
        delay_spread: Sequence[float] | None = None,
        shares: Mapping[str, float] | None = None,
    ) -> None:
        if preset not in PRESETS:
            raise ValueError(f"there is no preset {preset!r}; there are {', '.join(PRESETS)}")
        if frame_length < FRAME_STEP or frame_length % FRAME_STEP:
            raise ValueError(f"frame_length is {frame_length}; it must be a positive multiple of {FRAME_STEP}")
        if seed < 0:
            raise ValueError(f"seed is {seed}; it must not be negative")
        self.preset, self.frame_length, self.seed, self.device = preset, frame_length, seed, torch.device(device)
        self._preset = PRESETS[preset]
        self.class_names = tuple(class_names) if class_names is not None else self._preset.class_names
        unknown = [name for name in self.class_names if name not in KNOWN_CLASSES]
        if unknown or not self.class_names or len(set(self.class_names)) < len(self.class_names):
            problem = f"there is no class {unknown[0]!r}" if unknown else f"class_names are {self.class_names}"
            raise ValueError(f"{problem}; each must be one of {', '.join(KNOWN_CLASSES)}, once")
        self.delay_spread = self._preset.delay_spread if delay_spread is None else tuple(delay_spread)
        if delay_spread is not None and not (self._preset.delay_spread and delay_spread):
            raise ValueError(
                f"delay_spread is {delay_spread}; preset radioml2018 alone takes it, with at least one value"
            )
        if not all(0 <= spread <= 4 for spread in self.delay_spread):
            raise ValueError(f"delay_spread is {delay_spread}; each must lie in 0 .. 4 symbols")
        self.shares = tuple(float((shares or {}).get(name, 1.0)) for name in self.class_names)
        stranger = [name for name in shares or {} if name not in self.class_names]
        if stranger or not all(0 < share < float("inf") for share in self.shares):
            problem = f"name {stranger[0]!r}, which is no class here" if stranger else f"are {self.shares}"
            raise ValueError(f"shares {problem}; they must be positive, by class names")
        self.snr_grid = snr_grid(*(self._preset.snr_db if snr_db is None else snr_db))

    def count(self, split: Split) -> int | None:
        """None: there is no last frame."""
        return None

    def batch(self, index: int, size: int, split: Split = "train") -> Batch:
        """Batch ``index`` of ``size`` frames; every class is there as often as its share says (to one frame).

        Depends on (seed, split, index, size, preset), and on the classes, length and grid of this object, alone; no two
        splits share a random stream.

        Raises:
            ValueError: split is none of train, validation, test; index is negative; size is not positive.
        """
        check_request(index, size, split)
        generator = random_stream(self.seed, split, self._preset.code, size, index=index, device=self.device)
        draw = Draw(generator, size)
        labels = self._labels(size, generator)
        piece = CPU_PIECE if self.device.type == "cpu" else size
        frames, snr_db = zip(*(self._frames(part, draw.of(len(part))) for part in labels.split(piece)), strict=True)
        return Batch(torch.cat(frames), labels, torch.cat(snr_db))

    def _labels(self, size: int, generator: torch.Generator) -> Tensor:
        classes = len(self.class_names)
        first = torch.randint(classes, (1,), generator=generator, device=self.device)
        order = torch.randperm(size, generator=generator, device=self.device)
        if len(set(self.shares)) == 1:
            return (first + order) % classes
        # A comb of ``size`` even steps from a random start over the classes' shares laid end to end.
        ends = torch.tensor(self.shares, dtype=torch.float64, device=self.device).cumsum(0)
        start = torch.rand(1, generator=generator, device=self.device, dtype=torch.float64)
        return torch.searchsorted(ends / ends[-1], (order + start) / size, right=True).clamp(max=classes - 1)

    def _frames(self, labels: Tensor, draw: Draw) -> tuple[Tensor, Tensor]:
        """Frames [B, N] of classes ``labels``, and their SNRs [B]."""
        snr_db = draw.choice(self.snr_grid)
        total = self.frame_length + LEAD_IN + LEAD_OUT
        signals = make_signals(self.class_names, labels, total, self._preset.transmitters, draw)
        is_noise = torch.tensor([name == NOISE for name in self.class_names], device=self.device)[labels][:, None]
        frames = self._preset.receive(signals, is_noise, snr_db, self.delay_spread, self.frame_length, draw)
        return frames, torch.where(is_noise, torch.nan, snr_db)[:, 0]
