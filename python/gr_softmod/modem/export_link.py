# SPDX-License-Identifier: GPL-3.0-or-later
"""The verb ``softmod export-link``: the demapper of a trained link as a ModelFile, in float32 or int8."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import nn

from gr_softmod.model_file import DemapperFile, DemapperLayer
from gr_softmod.modem.link import build_channel
from gr_softmod.modem.neural import NeuralDemapper
from gr_softmod.modem.seeding import seeded_generator
from gr_softmod.modem.trained_link import TrainedLink, TrainLinkConfig, load_link
from gr_softmod.run_dir import RunDir

Precision = Literal["float32", "int8"]
#: What the network's output counts in where it is ``scaled``.
LLR_UNIT = 0.1
#: Noise variances for which the points are written: every quarter of a dB of the range trained on.
_STEP_DB = 0.25
_CALIBRATION = 2  # an index of seeds beside those of training


def export_link(run: RunDir, precision: Precision = "float32") -> DemapperFile:
    """The demapper and the points of a trained link.

    In int8, the layers between the first and the last have integer weights and take activations in 8 bits, whose
    scale is set by the largest that 16 batches like those of training show.

    Raises:
        RunError, ConfigError: as :func:`~gr_softmod.modem.trained_link.load_link`.
        ValueError: the activation is not ReLU; int8 is asked for and there is no layer between the first and the last.
    """
    config, link = load_link(run)
    layers = float_layers(link.demapper)
    if precision == "int8":
        layers = quantised(layers, calibration_rows(config, link))
    low, high = config.train.ebn0_db
    noise_var = np.array([1.0])
    if config.constellation.kind == "conditioned":
        esn0_db = np.arange(high, low - _STEP_DB / 2, -_STEP_DB) + 10 * np.log10(link.bits_per_symbol)
        noise_var = 10 ** (-esn0_db / 10)
    points = np.stack([link.constellation(float(value)).points for value in noise_var])
    model = DemapperFile(
        name=config.title,
        layers=layers,
        llr_unit=LLR_UNIT if link.demapper.scaled else 0.0,
        points=np.stack([points.real, points.imag], axis=-1).astype(np.float32),
        points_noise_var=noise_var.astype(np.float32),
        trained_on={
            "channel": {name: dict(arguments or {}) for name, arguments in config.channel.items()},
            "ebn0_db": [low, high],
            "steps": config.train.steps,
        },
    )
    return model.with_parity(10 ** (-np.linspace(low, high, 8) / 10) / link.bits_per_symbol)


def export_link_file(run: str, out: str | None, precision: Precision) -> Path:
    """What ``softmod export-link RUNDIR`` does; returns where the file is."""
    model = export_link(RunDir(run), precision)
    path = Path(out) if out else Path(run) / f"demapper_{precision}.safetensors"
    model.write(path)
    return path


def float_layers(demapper: NeuralDemapper) -> tuple[DemapperLayer, ...]:
    """The layers as they were trained. Raises ValueError: another activation than ReLU stands between them."""
    activation = demapper.config["activation"]
    if len(demapper.layers) > 1 and activation != "relu":
        raise ValueError(f"the demapper's activation is {activation}; only relu can be exported")
    linear = [layer for layer in demapper.layers if isinstance(layer, nn.Linear)]
    return tuple(
        DemapperLayer(layer.weight.detach().float().cpu().numpy(), layer.bias.detach().float().cpu().numpy())
        for layer in linear
    )


@torch.no_grad()
def calibration_rows(config: TrainLinkConfig, link: TrainedLink) -> np.ndarray:
    """What the first layer takes, [n, 3], over the range of Eb/N0 that was trained."""
    rows = []
    channel = build_channel(config.channel)
    for i in range(16):
        generator = seeded_generator(config.seed, _CALIBRATION, i)
        low, high = config.train.ebn0_db
        ebn0_db = torch.linspace(low, high, 32)
        noise_var = (10 ** (-ebn0_db / 10) / link.bits_per_symbol)[:, None]
        bits = torch.randint(0, 2, (32, config.train.symbols * link.bits_per_symbol), generator=generator)
        received = channel(link.modulator(bits, noise_var), noise_var=noise_var, generator=generator)
        feature = -noise_var.log10().expand(received.shape)
        rows.append(torch.stack([received.real, received.imag, feature], -1).reshape(-1, 3))
    return torch.cat(rows).double().numpy()


def quantised(layers: tuple[DemapperLayer, ...], rows: np.ndarray) -> tuple[DemapperLayer, ...]:
    """Layers between the first and the last in int8, one weight scale an output, one input scale a layer."""
    if len(layers) < 3:
        raise ValueError(f"a demapper of {len(layers)} layers has none between the first and the last to put in int8")
    result = [layers[0]]
    for layer in layers[1:-1]:
        rows = np.maximum(result[-1](rows), 0.0)
        input_scale = np.float32(255.0 / max(float(rows.max()), 1e-30))
        step = np.maximum(np.abs(layer.weight).max(axis=1), 1e-30) / 127.0
        weight = np.rint(layer.weight / step[:, None]).astype(np.int8)
        scale = (step / input_scale).astype(np.float32)
        result.append(DemapperLayer(weight, layer.bias, scale, np.array([input_scale], np.float32)))
    return (*result, layers[-1])
