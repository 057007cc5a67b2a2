# SPDX-License-Identifier: GPL-3.0-or-later
"""Trained modulators and demodulators from where they are: a run directory, a ModelFile, or a module."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn

from gr_softmod.model_file import DemapperFile, read_demapper
from gr_softmod.modem.mapper import Modulator
from gr_softmod.modem.neural import NeuralDemapper
from gr_softmod.modem.points import Points
from gr_softmod.modem.trained_link import load_link
from gr_softmod.run_dir import RunDir

#: Bytes are those of a ModelFile.
Source = str | Path | bytes | nn.Module


def load_modulator(source: Source) -> nn.Module:
    """What turns bits [..., N * m] into symbols [..., N], without gradients.

    Args:
        source: run directory of ``softmod train-link``, ModelFile of kind "demapper" (its points; a path or its bytes),
            or a module with ``bits_per_symbol``.
    Raises:
        ValueError, OSError: it is none of these, or damaged; one sentence.
    """
    if isinstance(source, nn.Module):
        return _checked(source)
    if _is_run(source):
        return _checked(load_link(RunDir(Path(source)))[1].modulator)
    return _checked(Modulator(_StoredPoints(read_demapper(source))))


def load_demodulator(source: Source) -> nn.Module:
    """What turns symbols [..., N] and noise_var into LLRs [..., N * m]; arguments as :func:`load_modulator`.

    Hidden layers that a ModelFile holds in int8 run in float32 with the weights they stand for.
    """
    if isinstance(source, nn.Module):
        return _checked(source)
    if _is_run(source):
        return _checked(load_link(RunDir(Path(source)))[1].demapper)
    return _checked(_demapper_of(read_demapper(source)))


def _is_run(source: str | Path | bytes) -> TypeGuard[str | Path]:
    return not isinstance(source, bytes) and Path(source).is_dir()


def _checked(module: nn.Module) -> nn.Module:
    m = getattr(module, "bits_per_symbol", None)
    if not isinstance(m, int) or m < 1:
        raise ValueError(f"a {type(module).__name__} has no bits_per_symbol, so it is no modulator or demodulator")
    return module.eval().requires_grad_(False)


class _StoredPoints(Points):
    """Points for each of some noise variances; the nearest in logarithm counts."""

    def __init__(self, model: DemapperFile) -> None:
        super().__init__(model.name, model.bits_per_symbol)
        self.register_buffer("logarithm", torch.from_numpy(model.points_noise_var.copy()).log())
        self.register_buffer("stored", torch.from_numpy(model.points.copy()))

    def forward(self, dtype: torch.dtype = torch.float32, noise_var: Tensor | None = None) -> Tensor:
        logarithm, stored = self.get_buffer("logarithm"), self.get_buffer("stored")
        if noise_var is None:
            if len(logarithm) > 1:
                raise ValueError(f"{self.name} has other points at every noise_var: the modulator needs noise_var too")
            noise_var = logarithm.new_ones(())
        nearest = (noise_var.log()[..., None] - logarithm).abs().argmin(-1)
        return torch.view_as_complex(stored[nearest].to(dtype))


def _demapper_of(model: DemapperFile) -> NeuralDemapper:
    hidden = [len(layer.bias) for layer in model.layers[:-1]]
    demapper = NeuralDemapper(model.bits_per_symbol, hidden=hidden, scaled=model.llr_unit > 0)
    linear = [layer for layer in demapper.layers if isinstance(layer, nn.Linear)]
    for i, (into, stored) in enumerate(zip(linear, model.layers, strict=True)):
        weight: Any = stored.weight
        if stored.scale is not None and stored.input_scale is not None:
            weight = weight * (stored.scale * stored.input_scale)[:, None]
        # NeuralDemapper counts in units of 0.1 / noise_var.
        last = i + 1 == len(linear) and model.llr_unit > 0 and not math.isclose(model.llr_unit, 0.1)
        factor = model.llr_unit / 0.1 if last else 1.0
        with torch.no_grad():
            into.weight.copy_(torch.from_numpy(weight * factor))
            into.bias.copy_(torch.from_numpy(stored.bias * factor))
    return demapper
