# SPDX-License-Identifier: GPL-3.0-or-later
"""Pulse taps against GNU Radio's firdes, both at unit energy."""

import numpy as np
import pytest
from gnuradio.filter import firdes

from gr_softmod.modem.pulse import gaussian, root_raised_cosine


def assert_same_shape(taps, firdes_taps):
    expected = np.array(firdes_taps)
    np.testing.assert_allclose(taps / np.linalg.norm(taps), expected / np.linalg.norm(expected), atol=2e-7)


@pytest.mark.parametrize("rolloff", [0.05, 0.2, 0.25, 0.35, 0.5, 1.0])
@pytest.mark.parametrize("sps,span", [(2, 11), (4, 8), (8, 11), (10, 5)])
def test_root_raised_cosine_is_firdes(sps, span, rolloff):
    """span * sps is even here: firdes makes an odd number of taps of it."""
    assert_same_shape(
        root_raised_cosine(sps, rolloff, span).numpy(), firdes.root_raised_cosine(1, sps, 1, rolloff, span * sps + 1)
    )


@pytest.mark.parametrize("bt", [0.2, 0.3, 0.5])
@pytest.mark.parametrize("sps,span", [(4, 4), (8, 3)])
def test_gaussian_is_firdes_at_the_times_firdes_samples(sps, span, bt):
    """firdes samples the curve from -(n/2 - 1) on: off centre by half a sample (n odd) or a whole one (n even)."""
    count = sps * span
    assert_same_shape(gaussian(sps, bt, span).numpy()[1:], firdes.gaussian(1, sps, bt, count))
    assert_same_shape(gaussian(2 * sps, bt, span).numpy()[1::2], firdes.gaussian(1, sps, bt, count + 1)[:-1])
