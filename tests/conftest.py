# SPDX-License-Identifier: GPL-3.0-or-later
"""Shared fixtures."""

import os
from pathlib import Path

import hypothesis
import pytest

# Small tensors on several threads of a busy machine wait for each other more than they compute; set before torch loads.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# No test asserts a time: a busy machine must not fail one.
hypothesis.settings.register_profile("softmod", deadline=None)
hypothesis.settings.load_profile("softmod")

RECORDINGS = Path(os.environ.get("SOFTMOD_RECORDINGS", Path(__file__).resolve().parents[2] / "shared" / "iq"))


@pytest.fixture(scope="session")
def recordings() -> Path:
    """Folder of real off-air recordings; tests that need it skip where it is absent."""
    if not RECORDINGS.is_dir():
        pytest.skip(f"real recordings are absent: {RECORDINGS} (set SOFTMOD_RECORDINGS)")
    return RECORDINGS
