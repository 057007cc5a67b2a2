# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiled modules: ``_kernels`` (needs no GNU Radio) and ``softmod_python`` (the blocks)."""
