# SPDX-License-Identifier: GPL-3.0-or-later
"""Labelled frames for training and judging classifiers: made (``synthetic``) or read from files.

Every source has ``class_names``, ``frame_length``, ``batch(index, size, split)`` and ``count(split)``.
"""

from gr_softmod.classifier.data.batch import SPLITS, Batch, FrameSource, Split
from gr_softmod.classifier.data.config import DataConfig
from gr_softmod.classifier.data.synthetic import SyntheticFrames

__all__ = ["SPLITS", "Batch", "DataConfig", "FrameSource", "Split", "SyntheticFrames"]
