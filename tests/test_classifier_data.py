# SPDX-License-Identifier: GPL-3.0-or-later
"""Synthetic frames: what every source promises, and that a batch depends on its own numbers alone."""

import pytest
import torch

from gr_softmod.classifier.data import SPLITS, Batch, SyntheticFrames
from gr_softmod.conventions import CLASS_NAMES

PRESETS = ("radioml2018", "field")


def equal(first: Batch, second: Batch) -> bool:
    return all(
        torch.equal(torch.nan_to_num(a, nan=99.0), torch.nan_to_num(b, nan=99.0))
        for a, b in zip(first, second, strict=True)
    )


@pytest.mark.parametrize("preset", PRESETS)
def test_shapes_and_types(preset: str) -> None:
    source = SyntheticFrames(preset)
    batch = source.batch(0, 50)
    assert batch.frames.shape == (50, 1024) and batch.frames.dtype == torch.complex64
    assert batch.labels.shape == (50,) and batch.labels.dtype == torch.int64
    assert batch.snr_db.shape == (50,) and batch.snr_db.dtype == torch.float32
    assert torch.isfinite(torch.view_as_real(batch.frames)).all()
    assert source.class_names == CLASS_NAMES + (("noise",) if preset == "field" else ())


def test_classes_come_as_often_as_their_shares_say() -> None:
    shares = {"BPSK": 3.0, "noise": 0.5}
    source = SyntheticFrames("field", seed=2, shares=shares)
    expected = torch.tensor([shares.get(name, 1.0) for name in source.class_names])
    expected = 530 * expected / expected.sum()
    for index in range(3):
        counted = torch.bincount(source.batch(index, 530).labels, minlength=25)
        assert (counted - expected).abs().max() <= 1
    assert equal(SyntheticFrames("field", shares=dict.fromkeys(source.class_names, 2.0)).batch(0, 60),
                 SyntheticFrames("field").batch(0, 60))  # fmt: skip


@pytest.mark.parametrize(
    ("shares", "says"), [({"LoRa": 1.0}, "'LoRa', which is no class"), ({"BPSK": 0.0}, "must be positive")]
)
def test_refuses_shares(shares: dict[str, float], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        SyntheticFrames("radioml2018", shares=shares)


@pytest.mark.parametrize("preset", PRESETS)
def test_batch_depends_on_its_numbers_alone(preset: str) -> None:
    source = SyntheticFrames(preset, seed=5)
    wanted = source.batch(7, 30)
    source.batch(8, 11, "test")
    torch.manual_seed(1)
    assert equal(source.batch(7, 30), wanted)
    assert equal(SyntheticFrames(preset, seed=5).batch(7, 30), wanted)
    others = [source.batch(8, 30), source.batch(7, 30, "test"), source.batch(7, 30, "validation")]
    others.append(SyntheticFrames(preset, seed=6).batch(7, 30))
    for other in others:
        assert not (other.frames == wanted.frames).all(1).any()


@pytest.mark.parametrize("preset", PRESETS)
def test_every_class_equally_often(preset: str) -> None:
    source = SyntheticFrames(preset)
    for size in (len(source.class_names), 3 * len(source.class_names) + 1):
        counts = torch.bincount(source.batch(1, size).labels, minlength=len(source.class_names))
        assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize("preset", PRESETS)
def test_threads_change_the_last_digit_at_most(preset: str) -> None:
    threads = torch.get_num_threads()
    try:
        made = []
        for count in (1, 3):
            torch.set_num_threads(count)
            made.append(SyntheticFrames(preset).batch(3, 100))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(made[0].labels, made[1].labels)
    # Where a thread's share ends, torch rounds some functions otherwise; a converter may then take the next step.
    differs = (made[0].frames - made[1].frames).abs() > 1e-5
    assert differs.float().mean() < 1e-4


@pytest.mark.parametrize("preset", PRESETS)
def test_every_tensor_is_made_on_the_device_asked_for(preset: str) -> None:
    source = SyntheticFrames(preset, device="cpu")
    wanted = source.batch(0, 60)  # and the tables are there now
    with torch.device("meta"):  # what names no device lands where nothing can be computed
        made = source.batch(0, 60)
    assert equal(made, wanted)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"preset": "radioml2019"}, "radioml2018, field"),
        ({"frame_length": 1000}, "multiple of 64"),
        ({"class_names": ("BPSK", "Bpsk")}, "'Bpsk'"),
        ({"class_names": ("BPSK", "BPSK")}, "once"),
        ({"snr_db": (10, 0, 2)}, "snr_db"),
        ({"seed": -1}, "seed"),
    ],
)
def test_wrong_arguments(arguments: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        SyntheticFrames(**arguments)


@pytest.mark.parametrize(
    ("index", "size", "split", "said"),
    [(-1, 4, "train", "index"), (0, 0, "train", "at least 1"), (0, 4, "all", "split")],
)
def test_wrong_requests(index: int, size: int, split: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        SyntheticFrames().batch(index, size, split)


def test_splits_never_share_a_stream() -> None:
    from gr_softmod.classifier.data.batch import random_stream

    # The upper bits of what the generator keeps tell the split: no index and no seed can lead from one to another.
    seen = {
        s: {random_stream(seed, s, 1, 256, index=i).initial_seed() >> 30 for seed in (1, 99) for i in (0, 2**30 - 1)}
        for s in SPLITS
    }
    assert [seen[s] for s in SPLITS] == [{0}, {1}, {2}]
