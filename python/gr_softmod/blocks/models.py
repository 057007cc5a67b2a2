# SPDX-License-Identifier: GPL-3.0-or-later
"""Models that come with the package."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).resolve().parents[1] / "models"


def shipped_model(name: str) -> str:
    """Path of a model file that comes with the package.

    Args:
        name: "link_impaired": 64 points and a demapper, trained through what ``channels.impairments`` does with
            ``phase_noise_mag=-8.7, beta=-0.08`` (``configs/link_impaired.yaml``).
            "radioml2018": a classifier of that data set's 24 classes; its card is beside it.
            "field": a classifier for receivers, 2 to 32 samples a symbol, with a class for noise alone; likewise.
    Raises:
        ValueError: there is no such model.
    """
    path = _FOLDER / f"{name}.safetensors"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in _FOLDER.glob("*.safetensors")))
        raise ValueError(f"there is no shipped model {name!r}; there are: {known or 'none'}")
    return str(path)
