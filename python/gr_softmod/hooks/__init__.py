# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes between a running flowgraph and a trainer: labelled samples out, models back in. numpy and pyzmq alone."""
