# SPDX-License-Identifier: GPL-3.0-or-later
"""Soft detection of several streams that arrive mixed: linear, by interference cancellation, and maximum likelihood.

All detectors take ``(received, gains, noise_var, priors=None)`` and give LLRs of each stream::

    bits [..., T, N m] -> Modulator -> [..., T, N] -> MIMOChannel, AWGN -> received [..., R, N]
    detector(received, gains, noise_var) -> llr [..., T, N m]
"""

from gr_softmod.modem.mimo.linear import LMMSEDetector, MMSEPICDetector, equalize
from gr_softmod.modem.mimo.maximum_likelihood import MLDetector

__all__ = ["LMMSEDetector", "MLDetector", "MMSEPICDetector", "equalize"]
