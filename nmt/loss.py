"""What training makes small: label-smoothed cross-entropy, R-Drop, and losses on the attention."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import linear

# Logits that are held at once, in numbers: more tokens are scored in parts.
_MOST_LOGITS = 2**24


def smoothed_cross_entropy(
    readouts: Tensor,
    labels: Tensor,
    *,
    weight: Tensor,
    bias: Tensor,
    label_smoothing: float,
    own_share: float = 0.0,
) -> Tensor:
    """Return the summed loss over all tokens, a scalar; divide by their number for the mean.

    With z = W a + b the logits of a readout a and p = softmax(z), the loss of a token is the
    cross-entropy of p against the label with probability 1 - label_smoothing and the uniform
    distribution over all V tokens, the label among them, with the rest (Szegedy et al. 2016,
    section 7). Padding takes no part: it has no readout.

    Mixed cross-entropy (Li & Lu 2021, in the form that their published code has for teacher
    forcing) gives a share of the label's probability to the token that p itself holds likeliest,
    be it the label or not. Which one that is has no gradient.

    The gradient is made along with the loss, in the place of the logits: in full precision no
    second matrix of their size is held, and of very many tokens only a part at a time. It is given
    once: a second backward pass is refused.

    Args:
        readouts: One row for each real target token, (N, R).
        labels: The tokens, (N,), int64.
        weight: W of the output layer, (V, R).
        bias: b of the output layer, (V,).
        label_smoothing: In [0, 1).
        own_share: Of the likeliest token, in [0, 1).
    """
    wanted = _Wanted(label_smoothing, own_share)
    score = partial(_loss_and_gradient_in_place, wanted=wanted)
    return _output_loss(readouts[None], labels, weight, bias, score)


def r_drop_loss(
    readouts: Tensor,
    labels: Tensor,
    *,
    weight: Tensor,
    bias: Tensor,
    label_smoothing: float,
    own_share: float = 0.0,
    alpha: float,
) -> Tensor:
    """Return the loss of two passes over the same tokens, summed over these, a scalar.

    With p and q what the two passes, thinned by dropout unlike each other, give for a token, its
    loss is the mean of the passes' smoothed cross-entropies and

        alpha / 4 (KL(p || q) + KL(q || p))

    (Liang et al. 2021, eq. 4, halved as a whole: they add up the passes' cross-entropies and take
    alpha / 2). So alpha means what it does there, and the loss counts every token once. Both
    divergences send a gradient into both passes. It is made as `smoothed_cross_entropy` makes its
    own, with one more matrix of half the logits' size for their difference and one for p.

    Args:
        readouts: Those of either pass, a row for each real target token, (2, N, R).
        labels: The tokens, (N,), int64.
        weight: W of the output layer, (V, R).
        bias: b of the output layer, (V,).
        label_smoothing: In [0, 1).
        own_share: Of the token that a pass itself holds likeliest, in [0, 1).
        alpha: How much the passes are to agree, > 0.
    """
    wanted = _Wanted(label_smoothing, own_share)
    score = partial(_two_losses_and_gradient_in_place, wanted=wanted, alpha=alpha)
    return _output_loss(readouts, labels, weight, bias, score)


# From logits, (P N, V), and labels, (N,), to their summed loss; it leaves the gradient by the
# logits in their place.
_Score = Callable[[Tensor, Tensor], Tensor]


def _output_loss(
    readouts: Tensor, labels: Tensor, weight: Tensor, bias: Tensor, score: _Score
) -> Tensor:
    """Return the loss of P passes over N tokens; `readouts`: (P, N, R)."""
    device = readouts.device.type
    if torch.is_autocast_enabled(device):
        readouts = readouts.to(torch.get_autocast_dtype(device))
    inputs = readouts, weight, bias, labels
    loss: Tensor = _OutputLoss.apply(*inputs, score, torch.is_grad_enabled())  # type: ignore[no-untyped-call]
    return loss


class _OutputLoss(torch.autograd.Function):
    """The output layer and its loss; the backward pass has only to scale what forward has made."""

    @staticmethod
    def forward(
        ctx: Any,
        readouts: Tensor,
        weight: Tensor,
        bias: Tensor,
        labels: Tensor,
        score: _Score,
        has_gradient: bool,
    ) -> Tensor:
        low = readouts.dtype  # the products may be of half precision, the rest never is
        weight_there, bias_there = weight.to(low), bias.to(low)
        num_tokens = max(1, _MOST_LOGITS // (len(readouts) * len(weight)))
        losses, of_readouts, of_weight, of_bias = [], [], [], []
        with torch.autocast(readouts.device.type, enabled=False):
            for part, tokens in zip(
                torch.split(readouts, num_tokens, dim=1),
                torch.split(labels, num_tokens),
                strict=True,
            ):
                rows = part.flatten(0, 1)  # (P n, R)
                logits = linear(rows, weight_there, bias_there)
                logits = logits.to(torch.promote_types(low, torch.float32))
                losses.append(score(logits, tokens))
                if not has_gradient:
                    continue
                gradient = logits.to(low)
                of_readouts.append((gradient @ weight_there).view_as(part))
                of_weight.append((gradient.T @ rows).to(weight.dtype))
                of_bias.append(logits.sum(dim=0))
                if len(of_weight) > 1:  # never more than two matrices of the weight's size
                    of_weight = [of_weight[0].add_(of_weight[1])]
        if has_gradient:
            ctx.gradients = torch.cat(of_readouts, dim=1), of_weight[0], sum(of_bias)
        return torch.stack(losses).sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        if ctx.gradients is None:
            raise RuntimeError("the loss gives its gradient once, got a second backward pass")
        of_readouts, of_weight, of_bias = ctx.gradients
        ctx.gradients = None  # they are scaled in place
        scaled = of_readouts.mul_(gradient), of_weight.mul_(gradient), of_bias.mul_(gradient)
        return *scaled, None, None, None


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The probabilities that a loss compares with, see `smoothed_cross_entropy`."""

    label_smoothing: float
    own_share: float

    def tokens(self, logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return tokens beside which all are alike, (N, 1 or 2), and how much they are above."""
        above = 1 - self.label_smoothing
        if self.own_share == 0:
            return labels[:, None], logits.new_tensor([above])
        shares = [above * (1 - self.own_share), above * self.own_share]
        return torch.stack((labels, logits.argmax(dim=1)), dim=1), logits.new_tensor(shares)

    def mean(self, logits: Tensor, tokens: Tensor, shares: Tensor) -> Tensor:
        """Return the mean of the logits, (N, V), as these probabilities weigh them, (N, 1)."""
        mean = (shares * logits.gather(1, tokens)).sum(dim=1, keepdim=True)
        if self.label_smoothing > 0:  # or a logit of -inf, that of a token ruled out, would be nan
            mean += self.label_smoothing * logits.mean(dim=1, keepdim=True)
        return mean

    def subtract(self, gradient: Tensor, tokens: Tensor, shares: Tensor) -> None:
        """Take these probabilities off in place; `gradient`: (N, V)."""
        gradient -= self.label_smoothing / gradient.size(1)
        for token, share in zip(torch.split(tokens, 1, dim=1), shares, strict=True):
            # one by one: the two may be the same, and a GPU adds at one place in any order
            gradient.scatter_add_(1, token, -share.expand_as(token))


def _loss_and_gradient_in_place(logits: Tensor, labels: Tensor, *, wanted: _Wanted) -> Tensor:
    """Return the summed loss and turn the logits, (N, V), into its gradient by them.

    With z the logits, w what is wanted and log_sum = log(sum(exp(z))), the loss of a token is
    log_sum - E_w[z] and its gradient p - w; without a share of its own w is (1 - e) [k] + e / V, e
    being the label smoothing and k the label.
    """
    tokens, shares = wanted.tokens(logits, labels)
    mean = wanted.mean(logits, tokens, shares)
    log_sum = _softmax_in_place(logits)
    wanted.subtract(logits, tokens, shares)
    return (log_sum - mean).sum()


def _two_losses_and_gradient_in_place(
    logits: Tensor, labels: Tensor, *, wanted: _Wanted, alpha: float
) -> Tensor:
    """Return the summed loss of two passes and turn their logits, (2 N, V), into its gradient.

    The passes stand one behind the other; `labels`: (N,), those of either. With d = y - z the
    difference of their logits and E_p its mean under p, the divergences are E_p[d] - E_q[d]
    together. Their gradient by y is p (d - E_p[d]) + p - q, that by z is -q (d - E_q[d]) + q - p.
    """
    tokens, shares = wanted.tokens(logits, labels.repeat(2))
    mean = wanted.mean(logits, tokens, shares)
    p, q = logits.chunk(2)  # once the softmax is taken
    difference = p - q
    log_sum = _softmax_in_place(logits)
    mean_p: Tensor = torch.linalg.vecdot(p, difference)[:, None]  # (N, 1)
    mean_q: Tensor = torch.linalg.vecdot(q, difference)[:, None]  # (N, 1)
    divergences = (mean_p - mean_q).sum()
    share = alpha / 2  # of a gradient that is halved in the end
    # the gradient by y is p factor_p - share q - what is wanted, and by z alike
    least_p, least_q = 1 + share - share * mean_p, 1 + share + share * mean_q
    p_before = p.clone()
    factor_p = difference.mul_(share).add_(least_p)
    p.mul_(factor_p).sub_(q, alpha=share)
    factor_q = factor_p.neg_().add_(least_p + least_q)
    q.mul_(factor_q).sub_(p_before, alpha=share)
    wanted.subtract(logits, tokens, shares)
    logits *= 0.5
    return 0.5 * ((log_sum - mean).sum() + share * divergences)


def _softmax_in_place(logits: Tensor) -> Tensor:
    """Turn logits, (N, V), into probabilities and return log(sum(exp(logits))), (N, 1)."""
    top = logits.amax(dim=1, keepdim=True)
    torch.softmax(logits, dim=1, out=logits)
    # of the likeliest token p = exp(top - log_sum), and this p is never too small for a logarithm
    return top - logits.amax(dim=1, keepdim=True).log()


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
