# SPDX-License-Identifier: GPL-3.0-or-later
"""Both readers of ModelFiles, numpy's and the kernels', refuse the same files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gr_softmod.bindings import _kernels
from gr_softmod.model_file import ModelFileError, read
from test_model_file import CONTAINERS, DOCUMENTS, TENSORS, VALUES, model, with_document, with_tensor

#: What is for people alone: the kernels do not look at it.
FOR_PEOPLE = {
    "a name that", "'trained_on' has no key 'frames'", "low and high", "are no count", "device that is not", "no hash",
}  # fmt: skip


def accepted(data: bytes, folder: Path) -> bool:
    path = folder / "model.safetensors"
    path.write_bytes(data)
    try:
        _kernels.Classifier(str(path))
    except (ValueError, RuntimeError) as error:
        assert str(path) in str(error) and "\n" not in str(error)
        return False
    return True


@pytest.mark.parametrize("bits", range(2, 9))
def test_good_files_are_accepted(bits: int, tmp_path: Path) -> None:
    assert accepted(model(bits).to_bytes(), tmp_path)


@pytest.mark.parametrize("words", sorted(DOCUMENTS.keys() - FOR_PEOPLE))
def test_documents(words: str, tmp_path: Path) -> None:
    assert not accepted(with_document(DOCUMENTS[words]), tmp_path)


@pytest.mark.parametrize("words", TENSORS)
def test_tensors(words: str, tmp_path: Path) -> None:
    assert not accepted(with_tensor(*TENSORS[words]), tmp_path)


@pytest.mark.parametrize("words", CONTAINERS)
def test_containers(words: str, tmp_path: Path) -> None:
    assert not accepted(CONTAINERS[words], tmp_path)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_nodes_with_any_value_anywhere(tmp_path: Path, data: st.DataObject) -> None:
    """A value of a node becomes any other; the readers agree on whether the file still holds together."""

    def change(document: dict[str, Any]) -> None:
        node = data.draw(st.sampled_from(document["nodes"]))
        node[data.draw(st.sampled_from([*sorted(node), "more"]))] = data.draw(VALUES)

    try:
        damaged = with_document(change)
    except ValueError:
        return  # no JSON
    try:
        read(damaged)
        good = True
    except ModelFileError:
        good = False
    assert accepted(damaged, tmp_path) == good
