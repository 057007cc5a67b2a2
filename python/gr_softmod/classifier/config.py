# SPDX-License-Identifier: GPL-3.0-or-later
"""Configurations of the classifier's verbs. What belongs to one verb alone is beside that verb."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from gr_softmod.classifier.architectures import ARCHITECTURES
from gr_softmod.classifier.data.config import DataConfig as SourceConfig
from gr_softmod.config import Config

__all__ = ["DataConfig", "DeviceConfig", "FitConfig", "ModelConfig"]


class DataConfig(SourceConfig):
    """Which frames a network learns from and is judged on: a source, and how many frames of it are used."""

    train: int | None = Field(
        default=262_144,
        ge=1,
        description="frames to learn from, kept on disk and gone through again; null: endless",
    )
    validation: int = Field(default=16_384, ge=1, description="frames that decide when a network was best")
    test: int = Field(default=65_536, ge=1, description="frames that only judge")
    store: str = Field(default="runs/frames", description="folder of frames made once for every run that asks alike")


class ModelConfig(Config):
    """Which network."""

    architecture: str = "softmod"
    arguments: dict[str, Any] = Field(default={}, description="of the architecture's function")

    @field_validator("architecture")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in ARCHITECTURES:
            raise ValueError(f"there is no architecture {name!r}; known: {', '.join(ARCHITECTURES)}")
        return name


class FitConfig(Config):
    """One round of learning: AdamW with a warm-up and a cosine to zero, and what the loss is made of."""

    steps: int = Field(default=2000, ge=1)
    batch: int = Field(default=256, ge=2, description="frames a step, over all processes together")
    lr: float = Field(default=4e-3, gt=0)
    warmup: float = Field(default=0.05, ge=0, lt=1, description="share of the steps over which the rate rises")
    weight_decay: float = Field(default=1e-4, ge=0)
    clip: float = Field(default=2.0, gt=0, description="largest norm of the gradient")
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    auxiliary: float = Field(default=0.3, ge=0, description="weight of the loss of each auxiliary classifier")
    distillation: float = Field(default=0.0, ge=0, le=1, description="share of the teacher's word in the loss")
    temperature: float = Field(default=2.0, gt=0, description="at which student and teacher are compared")
    ema: float = Field(default=0.0, ge=0, lt=1, description="decay of the running mean of weights; 0: none")
    rotate: bool = Field(default=True, description="turn each frame's phase by chance, each time it is seen")
    log_every: int = Field(default=20, ge=1)
    validate_every: int = Field(default=250, ge=1, description="steps; also of checkpoints")


class DeviceConfig(Config):
    """Where it runs; ``torchrun`` says how many processes."""

    accelerator: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    threads: int = Field(default=1, ge=1, description="torch threads of each process on a CPU")


class TrainConfig(Config):
    """``softmod train``: one network from nothing."""

    out: str | None = Field(default=None, description="run directory; runs/ and the configuration's name")
    title: str = "Modulation classifier"
    seed: int = Field(default=1, ge=0, description="of weights, order and rotations")
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    train: FitConfig = FitConfig()
    device: DeviceConfig = DeviceConfig()

    @model_validator(mode="after")
    def _enough(self) -> TrainConfig:
        if self.data.train is not None and self.data.train < self.train.batch:
            raise ValueError(f"data.train is {self.data.train}; it must be at least one batch of {self.train.batch}")
        return self
