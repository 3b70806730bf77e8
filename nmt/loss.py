"""What training makes small: label-smoothed cross-entropy, and losses on the attention."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import linear

# Logits that are held at once, in numbers: more tokens are scored in parts.
_MOST_LOGITS = 2**24


def smoothed_cross_entropy(
    readouts: Tensor, labels: Tensor, *, weight: Tensor, bias: Tensor, label_smoothing: float
) -> Tensor:
    """Return the summed loss over all tokens, a scalar; divide by their number for the mean.

    With z = W a + b the logits of a readout a and p = softmax(z), the loss of a token is the
    cross-entropy of p against the label with probability 1 - label_smoothing and the uniform
    distribution over all V tokens, the label among them, with the rest (Szegedy et al. 2016,
    section 7). Padding takes no part: it has no readout.

    The gradient is made along with the loss, in the place of the logits: in full precision no
    second matrix of their size is held, and of very many tokens only a part at a time. It is given
    once: a second backward pass is refused.

    Args:
        readouts: One row for each real target token, (N, R).
        labels: The tokens, (N,), int64.
        weight: W of the output layer, (V, R).
        bias: b of the output layer, (V,).
        label_smoothing: In [0, 1).
    """
    device = readouts.device.type
    if torch.is_autocast_enabled(device):
        readouts = readouts.to(torch.get_autocast_dtype(device))
    inputs = readouts, weight, bias, labels
    loss: Tensor = _OutputLoss.apply(*inputs, label_smoothing, torch.is_grad_enabled())  # type: ignore[no-untyped-call]
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
        label_smoothing: float,
        has_gradient: bool,
    ) -> Tensor:
        low = readouts.dtype  # the products may be of half precision, the rest never is
        weight_there, bias_there = weight.to(low), bias.to(low)
        num_tokens = max(1, _MOST_LOGITS // len(weight))
        losses, of_readouts, of_weight, of_bias = [], [], [], []
        with torch.autocast(readouts.device.type, enabled=False):
            for rows, tokens in zip(
                torch.split(readouts, num_tokens), torch.split(labels, num_tokens), strict=True
            ):
                logits = linear(rows, weight_there, bias_there)
                logits = logits.to(torch.promote_types(low, torch.float32))
                losses.append(_loss_and_gradient_in_place(logits, tokens, label_smoothing))
                if not has_gradient:
                    continue
                gradient = logits.to(low)
                of_readouts.append(gradient @ weight_there)
                of_weight.append((gradient.T @ rows).to(weight.dtype))
                of_bias.append(logits.sum(dim=0))
                if len(of_weight) > 1:  # never more than two matrices of the weight's size
                    of_weight = [of_weight[0].add_(of_weight[1])]
        if has_gradient:
            ctx.gradients = torch.cat(of_readouts), of_weight[0], sum(of_bias)
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


def _loss_and_gradient_in_place(logits: Tensor, labels: Tensor, label_smoothing: float) -> Tensor:
    """Return the summed loss and turn the logits, (N, V), into its gradient by them.

    With e the label smoothing, z the logits, k the label and log_sum = log(sum(exp(z))), the loss
    of a token is log_sum - (1 - e) z_k - e mean(z) and its gradient p - (1 - e) [k] - e / V.
    """
    label = labels[:, None]
    wanted = (1 - label_smoothing) * logits.gather(1, label)  # (N, 1)
    if label_smoothing > 0:  # or a token that is ruled out, of logit -inf, would make it 0 * inf
        wanted += label_smoothing * logits.mean(dim=1, keepdim=True)
    top = logits.amax(dim=1, keepdim=True)
    torch.softmax(logits, dim=1, out=logits)
    # of the likeliest token p = exp(top - log_sum), and this p is never too small for a logarithm
    log_sum = top - logits.amax(dim=1, keepdim=True).log()
    logits -= label_smoothing / logits.size(1)
    logits.scatter_add_(1, label, torch.full_like(wanted, label_smoothing - 1))
    return (log_sum - wanted).sum()


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
