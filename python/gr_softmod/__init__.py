# SPDX-License-Identifier: GPL-3.0-or-later
"""gr-softmod: IQ streams to soft bits and modulation labels. Imports neither torch nor GNU Radio."""

__version__ = "0.1.0"
