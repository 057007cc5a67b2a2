# SPDX-License-Identifier: GPL-3.0-or-later
"""What a classifier's training minimises: cross-entropy, the word of a teacher, the helpers on the branches."""

from __future__ import annotations

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor

__all__ = ["distillation_loss", "training_loss"]


def distillation_loss(logits: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """``T^2 KL(teacher / T || student / T)``, the mean over the batch.

    The square keeps the gradient's size when T changes.

    Shape:
        logits, teacher [B, C] -> scalar; no gradient goes to the teacher.
    Source: Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network", 2015, section 2.
    """
    wanted = F.log_softmax(teacher.detach() / temperature, 1)
    given = F.log_softmax(logits / temperature, 1)
    return temperature**2 * F.kl_div(given, wanted, reduction="batchmean", log_target=True)


def training_loss(
    logits: Tensor,
    auxiliary: Mapping[str, Tensor],
    labels: Tensor,
    *,
    teacher: Tensor | None = None,
    distillation: float = 0.0,
    temperature: float = 2.0,
    auxiliary_weight: float = 0.3,
    label_smoothing: float = 0.0,
) -> Tensor:
    """``(1 - d) CE(logits) + d KD(logits, teacher) + a sum of CE(helper)``; d is 0 where there is no teacher.

    Shape:
        logits and each of ``auxiliary`` [B, C], labels [B] int64, teacher [B, C] -> scalar.
    """
    loss = F.cross_entropy(logits, labels, label_smoothing=label_smoothing)
    if teacher is not None and distillation:
        loss = (1 - distillation) * loss + distillation * distillation_loss(logits, teacher, temperature)
    for helper in auxiliary.values():
        loss = loss + auxiliary_weight * F.cross_entropy(helper, labels, label_smoothing=label_smoothing)
    return loss
