# SPDX-License-Identifier: GPL-3.0-or-later
"""The classifiers that come with the package: small, whole, described, and as good on new frames as their cards say."""

import re

import numpy as np
import pytest
import torch

from gr_softmod.classifier import integer
from gr_softmod.classifier.cost import model_cost
from gr_softmod.classifier.data import SyntheticFrames
from gr_softmod.config import SHIPPED
from gr_softmod.conventions import CLASS_NAMES
from gr_softmod.model_file import read

MODELS = SHIPPED.parent / "models"
#: Name, preset of its frames, least accuracy at 10 dB and more on frames of another seed.
SHIPPED_MODELS = [("radioml2018", "radioml2018", 0.47), ("field", "field", 0.58)]


@pytest.mark.parametrize(("name", "preset", "least"), SHIPPED_MODELS)
def test_shipped_model_works_on_new_frames(name: str, preset: str, least: float) -> None:
    path = MODELS / f"{name}.safetensors"
    assert path.stat().st_size < 100_000
    model = read(path)
    source = SyntheticFrames(preset, model.class_names, snr_db=(10, 30, 4), seed=12_345)
    torch.set_num_threads(1)
    frames, labels, _ = source.batch(0, 600, "test")
    named = integer.run(model, frames.numpy()).argmax(1)
    assert np.mean(named == labels.numpy()) > least


@pytest.mark.parametrize(("name", "preset", "least"), SHIPPED_MODELS)
def test_card_says_how_it_was_made(name: str, preset: str, least: float) -> None:
    card = (MODELS / f"{name}.md").read_text()
    config = re.search(r"softmod pipeline configs/(\S+\.yaml)", card)
    assert config and (SHIPPED / config[1]).is_file()
    for text in (f"`{preset}`", "different", "## Where it fails", "95 % interval", "minutes"):
        assert text in card, text


def test_radioml2018_is_under_the_winners_score() -> None:
    model = read(MODELS / "radioml2018.safetensors")
    assert tuple(model.class_names) == CLASS_NAMES
    assert model_cost(model).score < 0.0117


def test_every_model_has_a_card_that_says_where_for_how_long_and_on_what_it_learnt() -> None:
    models, cards = ({path.stem for path in MODELS.glob(f"*.{kind}")} for kind in ("safetensors", "md"))
    assert models == cards and {name for name, *_ in SHIPPED_MODELS} < models
    for name in cards:
        card = (MODELS / f"{name}.md").read_text()
        assert re.search(r"\bon .*cpu.*, for [0-9.]+ minutes", card, re.IGNORECASE), name
        assert re.search(r"[0-9,]+ different", card), name
        assert re.search(r"`softmod (pipeline|train-link) configs/\S+\.yaml`", card), name
