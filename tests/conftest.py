# SPDX-License-Identifier: GPL-3.0-or-later
"""Shared fixtures."""

import os
from pathlib import Path

import pytest

RECORDINGS = Path(os.environ.get("SOFTMOD_RECORDINGS", Path(__file__).resolve().parents[2] / "shared" / "iq"))


@pytest.fixture(scope="session")
def recordings() -> Path:
    """Folder of real off-air recordings; tests that need it skip where it is absent."""
    if not RECORDINGS.is_dir():
        pytest.skip(f"real recordings are absent: {RECORDINGS} (set SOFTMOD_RECORDINGS)")
    return RECORDINGS
