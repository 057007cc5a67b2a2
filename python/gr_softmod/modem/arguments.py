# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks and shapes of what modulators and demodulators are given.

Values of tensors are looked at in eager mode on a CPU only: in a compiled graph it would break the graph, on an
accelerator it would stall it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.autograd import forward_ad

NoiseVar = float | Tensor


def values_can_be_checked(tensor: Tensor) -> bool:
    return not torch.compiler.is_compiling() and tensor.device.type == "cpu" and not in_transform()


def in_transform() -> bool:
    """Whether vmap, forward-mode differentiation or another transform of torch.func has its own tensors in hand."""
    if torch.compiler.is_compiling():
        return False
    return torch._C._functorch.peek_interpreter_stack() is not None or forward_ad._current_level >= 0


def check_symbols(symbols: Tensor) -> Tensor:
    """Complex symbols of at least one dimension; complex32 becomes complex64."""
    if not isinstance(symbols, Tensor) or not symbols.is_complex():
        kind = symbols.dtype if isinstance(symbols, Tensor) else type(symbols).__name__
        raise ValueError(f"symbols are {kind}; they must be a complex tensor [..., N]")
    if symbols.dim() == 0:
        raise ValueError("symbols have no dimension; they must be a complex tensor [..., N]")
    return symbols.to(torch.complex64 if symbols.dtype == torch.complex32 else symbols.dtype).resolve_conj()


def check_noise_var(noise_var: NoiseVar, symbols: Tensor) -> Tensor:
    """``noise_var`` as a real tensor [1] or flat [n] in the precision of the symbols."""
    dtype = symbols.real.dtype
    if not isinstance(noise_var, Tensor):
        if not (isinstance(noise_var, (int, float)) and math.isfinite(noise_var) and noise_var > 0):
            raise ValueError(f"noise_var is {noise_var}; it must be positive and finite (E|n|^2 of the complex noise)")
        return torch.full((1,), float(noise_var), dtype=dtype, device=symbols.device)
    if noise_var.is_complex():
        raise ValueError(f"noise_var is {noise_var.dtype}; it must be real (E|n|^2 of the complex noise)")
    if noise_var.numel() and values_can_be_checked(noise_var):
        low, high = (bound.item() for bound in torch.aminmax(noise_var.detach()))
        if not (low > 0 and math.isfinite(high)):
            bad = low if not low > 0 else high
            raise ValueError(f"noise_var has {bad} in it; it must be positive and finite (E|n|^2 of the complex noise)")
    noise_var = noise_var.to(device=symbols.device, dtype=dtype)
    if noise_var.numel() == 1 and noise_var.dim() <= symbols.dim():
        return noise_var.reshape(1)
    return _expanded(noise_var, symbols.shape, "noise_var", "symbols").reshape(-1)


def check_priors(priors: Tensor | None, symbols: Tensor, m: int) -> Tensor | None:
    """Priors, LLRs broadcastable to [..., N * m] or [m] for every symbol alike, as [n, m]."""
    if priors is None:
        return None
    if priors.is_complex():
        raise ValueError(f"priors are {priors.dtype}; they must be real LLRs")
    priors = priors.to(symbols.real.dtype)
    if priors.shape == (m,):
        return priors.expand(symbols.numel(), m)
    shape = torch.Size((*symbols.shape[:-1], symbols.shape[-1] * m))
    return _expanded(priors, shape, "priors", "the LLRs").reshape(-1, m)


def check_bits(bits: Tensor, m: int, *, soft: bool) -> Tensor:
    """Bits [..., N * m] as [..., N, m]."""
    name = "soft bits" if soft else "bits"
    if bits.is_complex() or bits.dim() == 0:
        raise ValueError(f"{name} are {bits.dtype} {list(bits.shape)}; they must be a real tensor [..., N * {m}]")
    if bits.shape[-1] % m:
        raise ValueError(f"{bits.shape[-1]} {name} do not fill whole symbols of {m} bits")
    if bits.numel() and bits.dtype != torch.bool and values_can_be_checked(bits) and not _are_hard(bits, soft):
        low, high = torch.aminmax(bits.detach())
        if not (low >= 0 and high <= 1):
            bad = (low if not low >= 0 else high).item()
            raise ValueError(f"{name} have {bad} in them; they must be " + ("in [0, 1]" if soft else "0 or 1"))
        if not soft and bits.is_floating_point():
            raise ValueError("bits are neither 0 nor 1 everywhere; forward_soft takes soft bits")
    return bits.reshape(*bits.shape[:-1], bits.shape[-1] // m, m)


def _are_hard(bits: Tensor, soft: bool) -> bool:
    """Whether floating bits that must be 0 or 1 are: two passes over them, x - x^2 is 0 for no other x."""
    if soft or not bits.is_floating_point():
        return False
    low, high = torch.aminmax(torch.addcmul(bits.detach(), bits.detach(), bits.detach(), value=-1))
    return bool(low == 0) and bool(high == 0)


def _expanded(values: Tensor, shape: torch.Size, name: str, other: str) -> Tensor:
    try:
        return values.expand(shape)
    except RuntimeError:
        raise ValueError(
            f"{name} of shape {list(values.shape)} does not broadcast to {list(shape)} of {other}"
        ) from None
