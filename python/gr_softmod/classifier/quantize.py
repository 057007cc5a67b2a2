# SPDX-License-Identifier: GPL-3.0-or-later
"""Quantised networks by the name under which trained runs look for them."""

from gr_softmod.classifier.quant_network import QuantNetwork as QuantNetwork
