# SPDX-License-Identifier: GPL-3.0-or-later
"""The Channel noun: impairments in a row, and what they share."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


class Channel(nn.Sequential):
    """Impairments applied one after the other; settings of a call reach those that take them.

    ::

        channel = Channel(Rapp(1.0), RayleighFading(), AWGN())
        received = channel(symbols, noise_var=0.1, generator=seeded_generator(seed, batch))

    Args:
        impairments: modules of complex samples to complex samples, this package's or any other.
    Shape:
        signal [..., N] complex -> [..., N'] complex; keyword settings (``noise_var``, ``generator``, ``gains``, ...) go
        to every part whose ``forward`` names them.
    Raises:
        ValueError: the input is not complex, or a setting that no part takes.
    """

    def __init__(self, *impairments: nn.Module) -> None:
        super().__init__(*impairments)

    def forward(self, signal: Tensor, **settings: Any) -> Tensor:  # type: ignore[override]
        check_complex(signal)
        taken = [_settings_of(part) for part in self]
        unknown = set(settings) - set().union(*taken)
        if unknown:
            raise ValueError(f"no part of this channel takes {', '.join(sorted(unknown))}")
        for part, names in zip(self, taken, strict=True):
            signal = part(signal, **{name: value for name, value in settings.items() if name in names})
        return signal


def _settings_of(part: nn.Module) -> set[str]:
    if isinstance(part, Channel):
        return set().union(*(_settings_of(inner) for inner in part))
    return set(list(inspect.signature(part.forward).parameters)[1:])


def check_complex(signal: Tensor) -> None:
    if not signal.is_complex():
        raise ValueError(f"the signal is {signal.dtype}; it must be complex")


def hold(
    module: nn.Module,
    name: str,
    value: Any,
    allowed: Callable[[Tensor], Tensor] | None = None,
    rule: str = "it must be finite",
) -> None:
    """Keep ``value`` as ``module.name``: a Parameter as it is, a tensor or a number (float64) as a buffer.

    Raises:
        ValueError: a value is not finite or not ``allowed``; ``rule`` says what is.
    """
    tensor = value if isinstance(value, Tensor) else torch.tensor(value, dtype=_dtype_of(value))
    check(name, tensor, allowed, rule)
    if isinstance(tensor, nn.Parameter):
        module.register_parameter(name, tensor)
    else:
        module.register_buffer(name, tensor)


def check(name: str, value: Tensor, allowed: Callable[[Tensor], Tensor] | None = None, rule: str = "") -> None:
    """ValueError naming ``name`` and the first value that breaks the rule; nothing while torch.compile traces."""
    if torch.compiler.is_compiling():
        return
    good = torch.isfinite(value)
    if allowed is not None:
        good = good & allowed(value)
    if not bool(good.all()):
        bad = value.detach()[~good].flatten()[0].item()
        raise ValueError(f"{name} is {bad}; {rule}")


def _dtype_of(value: Any) -> torch.dtype:
    return torch.complex128 if isinstance(value, complex) else torch.float64
