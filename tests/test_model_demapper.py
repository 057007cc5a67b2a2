# SPDX-License-Identifier: GPL-3.0-or-later
"""ModelFiles of kind "demapper": written and read in Python and C++ alike, refused with a sentence, run the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from demapper_models import demapper_model, symbols
from gr_softmod.constellation import Constellation
from gr_softmod.hooks.model_check import demapper_check
from gr_softmod.model_file import DemapperFile, ModelFileError, read, read_demapper
from gr_softmod.model_file.container import serialise
from gr_softmod.model_file.model import canonical, digest

_kernels = pytest.importorskip("gr_softmod.bindings._kernels")


def assert_same_llr(llr: Any, expected: Any, unit: float = 1.0, tolerance: float = 1e-4) -> None:
    """To ``tolerance`` of the LLR, or of the network's unit where the LLR is small."""
    np.testing.assert_array_less(np.abs(llr - expected), tolerance * (unit + np.abs(expected)))


@pytest.mark.parametrize("int8", [False, True])
@pytest.mark.parametrize("m", [1, 4, 6])
def test_what_was_written_is_read_again(int8: bool, m: int, tmp_path: Path) -> None:
    model = demapper_model(m, int8=int8)
    model.write(tmp_path / "m.safetensors")
    again = read_demapper(tmp_path / "m.safetensors")
    assert again.hash == model.hash == _kernels.NeuralDemapper(tmp_path / "m.safetensors").hash
    assert [layer.bits for layer in again.layers] == [32, 8 if int8 else 32, 32]
    y = symbols(300)
    np.testing.assert_array_equal(again.demap(y, 0.1), model.demap(y, 0.1))
    assert again.constellation(0.1).order == 1 << m


@pytest.mark.parametrize("int8", [False, True])
@pytest.mark.parametrize("m", [1, 6])
def test_parity_is_what_the_kernel_gives(int8: bool, m: int) -> None:
    model = read_demapper(demapper_model(m, int8=int8).with_parity(count=40).to_bytes())
    assert model.parity is not None and model.parity.llr.shape == (40, m)
    y = model.parity.symbols @ np.array([1, 1j])
    np.testing.assert_allclose(model.demap(y, model.parity.noise_var), model.parity.llr.ravel(), rtol=1e-5, atol=1e-5)
    demapper_check(m)(model.to_bytes())
    with pytest.raises(ValueError, match="no symbols to check it with"):
        demapper_check()(demapper_model(m, int8=int8).to_bytes())


@pytest.mark.parametrize("place", range(6))
def test_a_model_that_gives_something_else_is_not_run(place: int) -> None:
    """The file is whole; one LLR is off by a hundredth of its symbol's largest."""
    model = demapper_model(6).with_parity()
    llr = model.parity.llr.copy()
    llr[7 * place, place] += 0.01 * np.abs(llr[7 * place]).max()
    lies = replace(model, parity=replace(model.parity, llr=llr)).to_bytes()
    with pytest.raises(ValueError, match="on this machine"):
        demapper_check()(lies)


@pytest.mark.parametrize("noise_var", [1.0, 0.1, 0.003])
@pytest.mark.parametrize("m", [1, 4, 6])
def test_the_kernel_gives_the_llrs_of_the_definition(noise_var: float, m: int) -> None:
    model, y = demapper_model(m), symbols(3000)
    kernel = _kernels.NeuralDemapper(model.to_bytes())
    assert kernel.bits_per_symbol == m
    assert_same_llr(kernel.demap(y, noise_var), model.demap(y, noise_var), 0.1 / noise_var)


def test_the_integer_kernel_gives_the_llrs_of_the_definition() -> None:
    """But where an activation lies half-way between two integers."""
    model, y = demapper_model(6, int8=True), symbols(3000)
    llr, expected = _kernels.NeuralDemapper(model.to_bytes()).demap(y, 0.05), model.demap(y, 0.05)
    assert np.mean(np.abs(llr - expected) > 1e-4 * (2.0 + np.abs(expected))) < 1e-2
    assert_same_llr(llr, expected, 2.0, 0.02)


def test_points_by_noise_variance() -> None:
    model = demapper_model(2)
    points = np.stack([model.points[0], -model.points[0]])
    model = replace(model, points=points, points_noise_var=np.array([0.01, 1.0], np.float32))
    kernel = _kernels.NeuralDemapper(model.to_bytes())
    for noise_var, sign in ((0.001, 1), (0.09, 1), (0.11, -1), (5.0, -1)):
        expected = sign * Constellation.psk(4).points
        np.testing.assert_allclose(kernel.points(noise_var), expected, atol=1e-6)
        np.testing.assert_allclose(model.constellation(noise_var).points, expected, atol=1e-6)


# -- refusals ----------------------------------------------------------------------------------------------------------


def refuse(data: bytes, match: str) -> None:
    with pytest.raises(ModelFileError, match=match):
        read_demapper(data)
    with pytest.raises(ValueError, match="^model: .{8,}"):
        _kernels.NeuralDemapper(data)


def edited(change: Callable[[dict, dict], Any], int8: bool = True) -> bytes:
    """A file whose hash is right and whose content is not."""
    model = demapper_model(4, int8=int8)
    document, tensors = model._document(), model._tensors()
    change(document, tensors)
    document["hash"] = digest(canonical(document), tensors)
    return serialise(canonical(document), tensors)


def array(shape: tuple[int, ...], value: float, dtype: Any = np.float32) -> Any:
    return np.full(shape, value, dtype)


def _parity(tensors: dict, count: int, **changes: Any) -> None:
    made = {"symbols": array((count, 2), 0.5), "noise_var": array((count,), 0.1), "llr": array((count, 4), 1)} | changes
    tensors.update({f"parity.{name}": value for name, value in made.items()})


FAULTS: dict[str, tuple[Callable[[dict, dict], Any], str]] = {
    "kind": (lambda d, t: d.update(kind="tree"), "kind"),
    "classifier": (lambda d, t: d.update(kind="classifier"), "holds a classifier, not a demapper"),
    "conventions": (lambda d, t: d.update(conventions=99), "conventions"),
    "format": (lambda d, t: d.update(format=2), "format"),
    "a missing key": (lambda d, t: d.pop("llr_unit"), "llr_unit"),
    "an unknown key": (lambda d, t: d.update(colour=1), "colour"),
    "no layers": (lambda d, t: d.update(layers=[]), "layers"),
    "layers of another type": (lambda d, t: d.update(layers={"a": 1}), "layers"),
    "a layer's bits": (lambda d, t: d["layers"][1].update(bits=4), "4 bits"),
    "a layer's width": (lambda d, t: d["layers"][1].update(outputs=9), r"tensor 'layer1.weight'"),
    "a layer too many": (lambda d, t: d["layers"].append({"bits": 32, "outputs": 4}), "layer3.weight"),
    "bits a symbol": (lambda d, t: d.update(bits_per_symbol=5), "4 outputs of the last layer for 5"),
    "no bits a symbol": (lambda d, t: d.update(bits_per_symbol=0), "bits_per_symbol 0"),
    "a real number of bits": (lambda d, t: d.update(bits_per_symbol=4.0), "bits_per_symbol"),
    "a negative unit": (lambda d, t: d.update(llr_unit=-1), "llr_unit -1"),
    "a unit that is text": (lambda d, t: d.update(llr_unit="1"), "llr_unit"),
    "int8 at the samples": (lambda d, t: d["layers"][0].update(bits=8), "layer0.weight"),
    "a tensor left over": (lambda d, t: t.update(more=array((1,), 0)), "'more'"),
    "a tensor missing": (lambda d, t: t.pop("layer2.bias"), "layer2.bias"),
    "NaN": (lambda d, t: t.update({"layer2.bias": array((4,), np.nan)}), "layer2.bias"),
    "a weight of -128": (lambda d, t: t["layer1.weight"].fill(-128), "-128"),
    "an input scale of 0": (lambda d, t: t.update({"layer1.input_scale": array((1,), 0)}), "not positive"),
    "noise not ascending": (lambda d, t: t.update({"points.noise_var": array((1,), -1)}), "ascend"),
    "no symbols of parity": (lambda d, t: _parity(t, 0), "shape|0 symbols of parity"),
    "parity of another width": (lambda d, t: _parity(t, 4, llr=array((4, 3), 0)), "parity.llr"),
    "parity without noise": (lambda d, t: _parity(t, 4, noise_var=array((4,), 0)), "not positive"),
    "parity without symbols": (lambda d, t: t.update({"parity.llr": array((4, 4), 0)}), "parity.llr"),
    "parity that is NaN": (lambda d, t: _parity(t, 4, llr=array((4, 4), np.nan)), "parity.llr"),
    "too few points": (lambda d, t: t.update({"points.value": array((1, 8, 2), 1)}), "points.value"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_file_that_does_not_hold_together_is_refused(fault: str) -> None:
    change, match = FAULTS[fault]
    refuse(edited(change), match)


def test_a_file_that_was_changed_or_cut_is_refused() -> None:
    data = demapper_model(4).to_bytes()
    refuse(data[:-3], "outside|bytes")
    refuse(data[:-1] + bytes([data[-1] ^ 1]), "damaged")
    refuse(b"\0" * 64, "header")
    refuse(b"\0", "8 bytes")


@pytest.mark.parametrize("cut", range(0, 400, 13))
def test_bytes_with_one_flipped_never_do_more_than_be_refused(cut: int) -> None:
    data = bytearray(demapper_model(1).to_bytes())
    data[cut] ^= 0x15
    refuse(bytes(data), ".")


def test_a_demapper_is_no_classifier() -> None:
    with pytest.raises(ModelFileError, match="holds a demapper, not a classifier"):
        read(demapper_model(2).to_bytes())


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"name": ""}, "name"),
        ({"llr_unit": float("nan")}, "llr_unit"),
        ({"layers": ()}, "0 layers"),
        ({"trained_on": {"hash": "0" * 64, "z": 1}}, "hash of its own"),
        ({"points": np.zeros((1, 4, 2), np.float32)}, "no constellation"),
    ],
    ids=str,
)
def test_what_cannot_be_written(change: dict[str, Any], match: str) -> None:
    with pytest.raises((ModelFileError, IndexError), match=match):
        replace(demapper_model(2), **change).to_bytes()


def test_arguments_of_the_kernel(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="absent: cannot be read"):
        _kernels.NeuralDemapper(tmp_path / "absent")
    kernel = _kernels.NeuralDemapper(demapper_model(2).to_bytes())
    for noise_var in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="noise_var is"):
            kernel.demap(symbols(2), noise_var)
    with pytest.raises(ValueError, match="2 dimensions"):
        kernel.demap(symbols(4).reshape(2, 2), 1.0)
    bad = symbols(5)
    bad[2] = np.nan
    assert not kernel.demap(bad, 1.0).reshape(5, 2)[2].any() and kernel.invalid_count == 1


def test_the_document_says_what_the_page_says() -> None:
    """docs/model_file.md lists the keys."""
    page = (Path(__file__).resolve().parents[1] / "docs" / "model_file.md").read_text().partition('"demapper"`')[2]
    document = json.loads(canonical(demapper_model(2)._document()))
    assert all(f"`{key}`" in page for key in document)
    assert isinstance(demapper_model(2), DemapperFile)
