# SPDX-License-Identifier: GPL-3.0-or-later
"""finite_cc: what is replaced, counted and tagged."""

import numpy as np
import pmt
import pytest
from gnuradio import blocks, gr, softmod
from hypothesis import given, settings
from hypothesis import strategies as st

NAN, INF = complex("nan"), complex("inf")


def run(samples: np.ndarray, hold: int, buffer: int = 0) -> tuple[np.ndarray, list[tuple[int, bool]], int]:
    """Output samples, (offset, erased) of every tag, and the count."""
    tb = gr.top_block()
    guard = softmod.finite_cc(hold)
    if buffer:
        guard.set_max_noutput_items(buffer)
    source, sink = blocks.vector_source_c(samples.tolist()), blocks.vector_sink_c()
    tb.connect(source, guard, sink)
    tb.run()
    tags = [(tag.offset, pmt.to_bool(tag.value)) for tag in sink.tags() if pmt.symbol_to_string(tag.key) == "erasure"]
    return np.array(sink.data(), np.complex64), sorted(tags), guard.replaced()


def expected_tags(bad: np.ndarray, hold: int) -> list[tuple[int, bool]]:
    """From the definition: a sample is erased when it or one of the `hold` before it is bad."""
    erased = np.array([bad[max(0, i - hold) : i + 1].any() for i in range(len(bad))])
    edges = np.flatnonzero(np.diff(np.concatenate(([False], erased)).astype(int)))
    return [(int(i), bool(erased[i])) for i in edges]


@pytest.mark.parametrize(
    "bad",
    [NAN, INF, -INF, complex(0, float("nan")), complex(0, float("-inf")), complex(1, float("nan"))],
    ids=str,
)
def test_a_bad_sample_becomes_zero(bad):
    output, tags, count = run(np.array([1 + 1j, bad, 2 - 1j, 3, 4, 5]), hold=2)
    assert output.tolist() == [1 + 1j, 0, 2 - 1j, 3, 4, 5]
    assert tags == [(1, True), (4, False)] and count == 1


@given(st.lists(st.booleans(), min_size=1, max_size=300), st.integers(1, 20), st.sampled_from([0, 1, 7]))
@settings(max_examples=40, deadline=None)
def test_tags_are_those_of_the_definition(bad, hold, buffer):
    bad = np.array(bad)
    samples = np.where(bad, NAN, np.arange(len(bad)) + 1)
    output, tags, count = run(samples, hold, buffer)
    np.testing.assert_array_equal(output, np.where(bad, 0, np.arange(len(bad)) + 1))
    assert tags == expected_tags(bad, hold) and count == bad.sum()


def test_finite_samples_pass_unchanged():
    extremes = np.array([0, -0.0, 1e-45, np.finfo(np.float32).max, -np.finfo(np.float32).max * 1j])
    output, tags, count = run(extremes, hold=1)
    np.testing.assert_array_equal(output, extremes.astype(np.complex64))
    assert tags == [] and count == 0


def test_hold_of_zero_is_refused():
    with pytest.raises(ValueError, match="hold is 0"):
        softmod.finite_cc(0)
