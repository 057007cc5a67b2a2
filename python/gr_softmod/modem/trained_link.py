# SPDX-License-Identifier: GPL-3.0-or-later
"""A constellation and a neural demapper that were, or are about to be, trained together: what they are made of."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

import torch
from pydantic import Field, field_validator, model_validator
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from gr_softmod.config import Config, Grid, load_config
from gr_softmod.constellation import Constellation
from gr_softmod.conventions import CONVENTIONS_VERSION
from gr_softmod.modem.curves import BerConfig, Contender
from gr_softmod.modem.demapper import Demodulator
from gr_softmod.modem.link import ChannelConfig, LinkConfig, ModemLink, build_channel, build_link, closed_form
from gr_softmod.modem.mapper import Modulator
from gr_softmod.modem.neural import NeuralDemapper
from gr_softmod.modem.points import Points, as_points
from gr_softmod.modem.trainable import ConditionedConstellation, TrainableConstellation
from gr_softmod.run_dir import RunDir, RunError, first_line, replacing


class ConstellationConfig(Config):
    """Where the points begin and how they may move."""

    start: str = "64qam"
    kind: Literal["fixed", "trainable", "conditioned"] = "conditioned"
    hidden: list[int] = Field(default=[32, 32], description="hidden layers that move the points with noise_var")

    @field_validator("start")
    @classmethod
    def _known(cls, name: str) -> str:
        return Constellation.from_name(name).name


class DemapperConfig(Config):
    """The neural demapper."""

    hidden: list[int] = [64, 64]
    activation: Literal["relu", "tanh", "elu", "gelu", "silu"] = "relu"
    scaled: bool = Field(default=True, description="outputs in units of 0.1 / noise_var")


class OptimizerConfig(Config):
    """Adam with a warm-up and a cosine to zero, and what a batch is."""

    steps: int = Field(default=4000, ge=1)
    lr: float = Field(default=2e-3, gt=0, description="of the demapper")
    lr_points: float = Field(default=3e-4, gt=0, description="of the constellation")
    points_after: float = Field(
        default=0.1, ge=0, lt=1, description="share of the steps that the demapper learns alone"
    )
    points_until: float = Field(default=1.0, gt=0, le=1, description="share after which the points stand still")
    warmup: float = Field(default=0.02, ge=0, lt=1, description="share of the steps over which the rates rise")
    clip: float = Field(default=1.0, gt=0, description="largest norm of the gradient of each of the two")
    points_learn_from: Literal["neural", "exact"] = Field(
        default="neural",
        description="whose loss moves the points: the network's, or an exact demapper's of white noise",
    )
    rows: int = Field(default=24, ge=2, description="blocks a batch, each at an Eb/N0 of its own stratum")
    symbols: int = Field(default=256, ge=1, description="symbols a block")
    ebn0_db: tuple[float, float] = (-3.0, 20.0)
    importance: bool = Field(default=True, description="boost the noise where errors are rare")
    log_every: int = Field(default=50, ge=1)
    validate_every: int = Field(default=500, ge=1, description="steps; also of checkpoints")

    @field_validator("ebn0_db")
    @classmethod
    def _ordered(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not value[0] < value[1]:
            raise ValueError(f"{list(value)} is not [lowest, highest]")
        return value

    @model_validator(mode="after")
    def _in_order(self) -> OptimizerConfig:
        if not self.points_after < self.points_until:
            raise ValueError(f"points_after is {self.points_after}; it must be below points_until, {self.points_until}")
        return self


class TrainLinkConfig(Config):
    """Keys of a configuration of ``softmod train-link``."""

    title: str = "Trained link"
    out: str | None = Field(default=None, description="run directory; default: runs/ and the configuration's name")
    seed: int = Field(default=0, ge=0)
    device: str = "cpu"
    threads: int = Field(default=1, ge=1, description="of torch")
    constellation: ConstellationConfig = ConstellationConfig()
    demapper: DemapperConfig = DemapperConfig()
    channel: ChannelConfig = {"awgn": {}}
    train: OptimizerConfig = OptimizerConfig()
    rates_ebn0_db: Grid = [5.0, 8.0, 11.0]
    rates_symbols: int = Field(default=1_000_000, ge=1000)
    ber: BerConfig = BerConfig()

    @field_validator("channel")
    @classmethod
    def _buildable(cls, channel: ChannelConfig) -> ChannelConfig:
        if channel.get("awgn", 0):
            raise ValueError("awgn takes its noise_var from the Eb/N0 that is trained; give awgn: {}")
        if "awgn" not in channel:
            raise ValueError("there must be an awgn in the channel")
        build_channel(channel)
        return channel


class TrainedLink(nn.Module):
    """The two halves that learn: points, fixed or not, and a neural demapper.

    Args:
        constellation, demapper: see the classes of the configuration.
    """

    def __init__(self, constellation: ConstellationConfig, demapper: DemapperConfig) -> None:
        super().__init__()
        self.points = _points(constellation)
        self.modulator = Modulator(self.points)
        self.demapper = NeuralDemapper(self.points.bits_per_symbol, **demapper.to_dict())

    @property
    def bits_per_symbol(self) -> int:
        return self.points.bits_per_symbol

    def constellation(self, noise_var: float) -> Constellation:
        """The points used at ``noise_var``."""
        if isinstance(self.points, ConditionedConstellation):
            return self.points.constellation(noise_var)
        with torch.no_grad():
            return Constellation(self.points(torch.float64).cpu().numpy(), name=self.points.name)

    def weights(self) -> dict[str, Tensor]:
        """What was learnt, by name; the modulator has nothing beside the points."""
        return {k: v for k, v in self.state_dict().items() if not k.startswith("modulator.")}


def _points(config: ConstellationConfig) -> Points:
    if config.kind == "fixed":
        return as_points(config.start)
    if config.kind == "trainable":
        return TrainableConstellation(config.start)
    return ConditionedConstellation(config.start, hidden=config.hidden)


# ---- files


def save_link(run: RunDir, link: TrainedLink) -> None:
    """Write ``model.safetensors``; ``config.yaml`` beside it says what the weights belong to."""
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in link.weights().items()}
    with replacing(run / "model.safetensors", "wb") as file:
        # One key: safetensors writes several in any order, and equal weights are to be equal files.
        file.write(save(weights, metadata={"gr-softmod link": f"conventions {CONVENTIONS_VERSION}"}))


def load_link(run: RunDir) -> tuple[TrainLinkConfig, TrainedLink]:
    """The configuration of a run and its trained link.

    Raises:
        RunError: there is no ``model.safetensors``, or it is damaged or does not fit ``config.yaml``.
        ConfigError: ``config.yaml`` is not that of a trained link.
    """
    config = load_config(TrainLinkConfig, run / "config.yaml")
    link = TrainedLink(config.constellation, config.demapper)
    file = Path(run / "model.safetensors")
    if not file.exists():
        raise RunError(f"{file}: no such file; the training has not ended (softmod train-link goes on with it)")
    try:
        weights = load_file(file)
    except (SafetensorError, OSError, ValueError) as error:
        raise RunError(f"{file}: damaged ({first_line(error)}); train again") from None
    expected = {name: tensor.shape for name, tensor in link.weights().items()}
    if expected != {name: tensor.shape for name, tensor in weights.items()}:
        raise RunError(f"{file}: does not fit config.yaml beside it; train again")
    link.load_state_dict(weights, strict=False)  # the modulator shares the points
    return config, link.eval()


# ---- what it is compared with


def trained_contenders(path: str, overrides: list[str]) -> tuple[RunDir, BerConfig, list[Contender], str]:
    """For ``softmod ber run=path``: the run, how to count, and the trained link beside the plain modem.

    The plain modem sends the points that training began with and demaps them as if the channel were white noise alone.
    A trained constellation is demapped by the network that was trained with it and, as nearest points, by the formula.
    """
    run = RunDir(path)
    config, link = load_link(run)
    ber = load_config(BerConfig, config.ber.to_dict(), overrides)
    block = config.train.symbols * link.bits_per_symbol
    plain = LinkConfig(
        constellation=config.constellation.start, demapper="maxlog", channel=config.channel, bits_per_block=block
    )
    contenders = [Contender(f"plain {plain.constellation}", build_link(plain), plain.to_dict(), closed_form(plain))]
    identity = {"run": config.to_dict(), "weights": _fingerprint(link)}
    names = {"neural": "trained, neural demapper"}
    demappers: dict[str, nn.Module] = {"neural": link.demapper}
    if config.constellation.kind != "fixed":
        names["maxlog"] = "trained points, nearest point"
        demappers["maxlog"] = Demodulator(link.points, "maxlog")
    for kind, demapper in demappers.items():
        channel = build_channel(config.channel)
        modem = ModemLink(link.modulator, demapper, channel, bits_per_symbol=link.bits_per_symbol, bits_per_block=block)
        contenders.append(Contender(names[kind], modem.eval(), identity | {"demapper": kind}))
    return run, ber, contenders, config.title


def _fingerprint(link: TrainedLink) -> str:
    """Tells one set of weights from another in a checkpoint's identity."""
    digest = hashlib.sha256()
    for name, tensor in sorted(link.weights().items()):
        digest.update(name.encode() + tensor.detach().cpu().numpy().tobytes())
    return digest.hexdigest()
