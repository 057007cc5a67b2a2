# SPDX-License-Identifier: GPL-3.0-or-later
"""Models for the soak: good ones without end, and corrupt ones of every kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np

from gr_softmod.classifier.architectures import build
from gr_softmod.classifier.random_model import random_model
from gr_softmod.constellation import Constellation
from gr_softmod.conventions import CLASS_NAMES
from gr_softmod.hooks.message import Message
from gr_softmod.hooks.seal import model_message
from gr_softmod.model_file import DemapperFile, DemapperLayer, read, read_demapper

WIDTH, NOISE_VAR = 64, 0.1
#: Exact LLRs of QPSK are this times Re(y) and Im(y).
SLOPE = -2 * np.sqrt(2) / NOISE_VAR


@cache
def demapper(seed: int) -> bytes:
    """Exact LLRs of QPSK by three layers of full size: four units carry them, the others random numbers to nowhere."""
    rng = np.random.default_rng(seed)
    layers = [rng.normal(size=shape).astype(np.float32) for shape in ((WIDTH, 3), (WIDTH, WIDTH), (2, WIDTH))]
    layers[0][:4] = [[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]]
    layers[1][:4] = np.eye(4, WIDTH)
    layers[2][:] = 0
    layers[2][:, :4] = SLOPE * np.array([[1, -1, 0, 0], [0, 0, 1, -1]])
    points = Constellation.qpsk().points
    model = DemapperFile(
        f"QPSK, seed {seed}",
        tuple(DemapperLayer(weight, np.zeros(len(weight), np.float32)) for weight in layers),
        0.0,
        np.stack([points.real, points.imag], -1)[None].astype(np.float32),
        np.ones(1, np.float32),
    )
    return model.with_parity().to_bytes()


@cache
def classifier(seed: int) -> bytes:
    """A full-size network with random weights."""
    return random_model(build("softmod", CLASS_NAMES, 1024), 8, seed).to_bytes()


MAKERS = {"classifier": classifier, "demapper": demapper}


# -- what must be refused ----------------------------------------------------------------------------------------------


def truncated(target: str, serial: int) -> Message:
    return model_message(MAKERS[target](serial % 7)[: -1 - serial % 1000], target, serial)


def flipped_bit(target: str, serial: int) -> Message:
    blob = bytearray(MAKERS[target](serial % 7))
    place = serial * 2654435761 % (8 * len(blob))
    blob[place // 8] ^= 1 << place % 8
    return model_message(bytes(blob), target, serial)


def wrong_hash(target: str, serial: int) -> Message:
    return replace(model_message(MAKERS[target](serial % 7), target, serial), model_hash="00" * 32)


def played_again(target: str, serial: int) -> Message:
    return model_message(MAKERS[target](serial % 7), target, 1)


def for_another_receiver(target: str, serial: int) -> Message:
    """A file that is whole in itself: other class names, other bits a symbol."""
    if target == "classifier":
        model = read(classifier(serial % 7))
        blob = replace(model, class_names=model.class_names[::-1]).to_bytes()
    else:
        one = read_demapper(demapper(serial % 7))
        last = one.layers[-1]
        half = replace(last, weight=last.weight[:1], bias=last.bias[:1])
        points = np.array([[[1, 0], [-1, 0]]], np.float32)
        blob = replace(one, layers=(*one.layers[:-1], half), points=points, parity=None).with_parity().to_bytes()
    return model_message(blob, target, serial)


def other_parity(target: str, serial: int) -> Message:
    """A file that is whole, but whose network does not give what the file says it gives."""
    if target == "classifier":
        model, other = read(classifier(serial % 7)), read(classifier((serial + 1) % 7))
        blob = replace(model, parity_logits=other.parity_logits).to_bytes()
    else:
        one = read_demapper(demapper(serial % 7))
        last = one.layers[-1]
        blob = replace(one, layers=(*one.layers[:-1], replace(last, weight=-last.weight))).to_bytes()
    return model_message(blob, target, serial)


CORRUPT: list[Callable[[str, int], Message]] = [
    truncated, flipped_bit, wrong_hash, played_again, for_another_receiver, other_parity,
]  # fmt: skip
