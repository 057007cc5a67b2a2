# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m gr_softmod`` is ``softmod``."""

from gr_softmod.cli import main

if __name__ == "__main__":
    main()
