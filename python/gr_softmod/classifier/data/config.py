# SPDX-License-Identifier: GPL-3.0-or-later
"""The ``data:`` part of a configuration: which frames, made or read."""

from __future__ import annotations

from typing import Annotated, Literal

import pydantic
import torch

from gr_softmod.classifier.data.batch import FrameSource
from gr_softmod.config import Config

_Share = Annotated[float, pydantic.Field(gt=0, lt=0.9)]

#: Keys that one kind of source alone understands.
_OF_SYNTHETIC = ("preset", "snr_db", "delay_spread", "shares")
_OF_SIGMF = ("labels",)


class DataConfig(Config):
    """Where frames come from; :meth:`open` gives the source.

    Attributes:
        source: "synthetic", or what kind of file ``path`` is: "radioml2018" (HDF5), "radioml2016" (pickle), "sigmf".
        path: of the file; for SigMF also a collection or a folder of recordings.
        preset: of synthetic frames: "radioml2018" (default) or "field".
        class_names: what to keep, in the order of the labels; default: all that the source has.
        frame_length: samples; files of frames (RadioML) have their own.
        snr_db: start, stop and step of the grid of synthetic frames; default: the preset's.
        delay_spread: in symbols, of preset "radioml2018", each equally likely; default: 0, 0.5, 1, 2, 4.
        shares: how often a class of synthetic frames comes, by its name; 1 where it is not named.
        labels: SigMF labels to class names; null leaves the annotation out.
        seed: of what is made; of the split and of the order of what is read.
        test_share: share of each (class, SNR) of a file that is test.
        validation_share: share of the rest that is validation.
    """

    source: Literal["synthetic", "radioml2018", "radioml2016", "sigmf"] = "synthetic"
    path: str | None = None
    preset: Literal["radioml2018", "field"] | None = None
    class_names: list[str] | None = None
    frame_length: Annotated[int, pydantic.Field(ge=64)] | None = None
    snr_db: tuple[float, float, float] | None = None
    delay_spread: list[Annotated[float, pydantic.Field(ge=0, le=4)]] | None = None
    shares: dict[str, Annotated[float, pydantic.Field(gt=0)]] | None = None
    labels: dict[str, str | None] | None = None
    seed: Annotated[int, pydantic.Field(ge=0)] = 1
    test_share: _Share = 0.1
    validation_share: _Share = 0.1

    @pydantic.model_validator(mode="after")
    def _keys_fit_the_source(self) -> DataConfig:
        made = self.source == "synthetic"
        if made == (self.path is not None):
            raise ValueError(f"source {self.source} {'takes no' if made else 'needs a'} path")
        foreign = [*(() if made else _OF_SYNTHETIC), *(() if self.source == "sigmf" else _OF_SIGMF)]
        for key in foreign:
            if getattr(self, key) is not None:
                raise ValueError(f"{key} means nothing to source {self.source}")
        return self

    def open(self, device: torch.device | str = "cpu") -> FrameSource:
        """The source.

        Args:
            device: where its batches are.
        Raises:
            OSError: a file cannot be read.
            ValueError: a file is damaged, or an argument is out of range; the message names it.
        """
        if self.source == "synthetic":
            from gr_softmod.classifier.data.synthetic import SyntheticFrames

            return SyntheticFrames(
                self.preset or "radioml2018",
                self.class_names,
                self.frame_length or 1024,
                self.snr_db,
                self.seed,
                device,
                delay_spread=self.delay_spread,
                shares=self.shares,
            )
        from gr_softmod.classifier.data.files import FileFrames, FrameStore

        assert self.path is not None  # checked above
        store: FrameStore
        if self.source == "radioml2018":
            from gr_softmod.classifier.data.radioml2018 import RadioML2018

            store = RadioML2018(self.path)
        elif self.source == "radioml2016":
            from gr_softmod.classifier.data.radioml2016 import RadioML2016

            store = RadioML2016(self.path)
        else:
            from gr_softmod.classifier.data.sigmf_frames import SigMFFrames

            store = SigMFFrames(self.path, self.frame_length or 1024, self.labels or {})
        if self.frame_length not in (None, store.frame_length):
            raise ValueError(f"{self.path} has frames of {store.frame_length} samples, not of {self.frame_length}")
        return FileFrames(
            store,
            self.class_names,
            seed=self.seed,
            test_share=self.test_share,
            validation_share=self.validation_share,
            device=device,
        )
