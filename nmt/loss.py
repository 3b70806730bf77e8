"""What training makes small: label-smoothed cross-entropy, and losses on the attention."""

from __future__ import annotations

import torch
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


def coverage_loss(attention: Tensor, target_mask: Tensor) -> Tensor:
    """Return how much is looked at again, summed over all target tokens, a scalar.

    With a_t the attention of step t and c_t the sum of those before it, a token's loss is the sum
    over the source of min(a_t, c_t) (See et al. 2017, eq. 12; there for summaries).

    Args:
        attention: Of every target step, (B, T, S).
        target_mask: True at real target tokens, (B, T), bool.
    """
    attention = attention.float()
    coverage = attention.cumsum(dim=1) - attention  # (B, T, S)
    return (torch.minimum(attention, coverage).sum(dim=2) * target_mask).sum()


def alignment_loss(attention: Tensor, alignment: Tensor) -> Tensor:
    """Return how far the attention is from given alignments, summed over target tokens, a scalar.

    The loss of a target token is the cross-entropy of its attention against its links, which share
    a probability of one (Chen et al. 2016); a token without a link takes no part. Where the
    attention is zero, as outside a window, a link costs a constant and teaches nothing.

    Args:
        attention: Of every target step, (B, T, S).
        alignment: True where a target token is linked to a source token, (B, T, S), bool.
    """
    num_links = alignment.sum(dim=2, keepdim=True).clamp(min=1)  # (B, T, 1)
    log_attention = attention.float().clamp(min=1e-9).log()  # an attention of 0 has no logarithm
    return -(log_attention * alignment / num_links).sum()
