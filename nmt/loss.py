"""Label-smoothed cross-entropy, per target token."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def smoothed_cross_entropy(logits: Tensor, labels: Tensor, *, label_smoothing: float) -> Tensor:
    """Return the summed loss over all tokens, a scalar; divide by their number for the mean.

    With p the model's distribution, the loss of a token is the cross-entropy against the label with
    probability 1 - label_smoothing and the uniform distribution over all V tokens, the label among
    them, with the rest (Szegedy et al. 2016, section 7). Padding takes no part: it has no logits.

    Args:
        logits: One row for each real target token, (N, V).
        labels: The tokens, (N,), int64.
        label_smoothing: In [0, 1).
    """
    return functional.cross_entropy(
        logits.float(), labels, label_smoothing=label_smoothing, reduction="sum"
    )
