# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames out of soft bits: what the project's evaluation on real recordings needs. Numpy alone."""
