# SPDX-License-Identifier: GPL-3.0-or-later
"""Layers for complex tensors that torch lacks, on torch's own complex dtypes.

``docs/complexnn.md`` says what gradients of complex numbers mean here. Layers take [B, C, ...] complex tensors as
their real namesakes in torch.nn do, and mix with any other module: there is no wrapper type.
"""

from gr_softmod.modem.complexnn.activation import AdaptiveModReLU, Cardioid, CReLU, ModReLU
from gr_softmod.modem.complexnn.init import glorot_, he_, unitary_
from gr_softmod.modem.complexnn.linear import Conv1d, Linear, conv1d
from gr_softmod.modem.complexnn.norm import BatchNorm, LayerNorm, whiten
from gr_softmod.modem.complexnn.pooling import Dropout, ModulusMaxPool1d

__all__ = [
    "AdaptiveModReLU",
    "BatchNorm",
    "CReLU",
    "Cardioid",
    "Conv1d",
    "Dropout",
    "LayerNorm",
    "Linear",
    "ModReLU",
    "ModulusMaxPool1d",
    "conv1d",
    "glorot_",
    "he_",
    "unitary_",
    "whiten",
]
