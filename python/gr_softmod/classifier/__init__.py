# SPDX-License-Identifier: GPL-3.0-or-later
"""Modulation classifiers: data, training, pruning, quantisation, cost, export. Needs no GNU Radio."""
