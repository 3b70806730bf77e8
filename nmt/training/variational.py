"""What a model with variational attention learns from: the bound of Deng et al. 2018, section 3."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.utils.checkpoint import checkpoint

from nmt.batching import Batch
from nmt.model import VariationalSeq2Seq
from nmt.model.variational import Unaligned, in_full


def variational_loss(
    model: VariationalSeq2Seq, batch: Batch, *, label_smoothing: float
) -> tuple[Tensor, Tensor]:
    """Return the loss summed over all target tokens, a scalar, and the attention, (B, T, S).

    With l(z) the label-smoothed cross-entropy of a token made from position z, q the posterior and
    p the attention, the loss of a token is

        enumerated  sum_z q(z) l(z) + KL(q || p)
        sampled     l(z) + KL(q || p) for one z drawn from q

    The first takes as many output layers as a source has positions. The second has the same
    gradient in the mean over z: (l(z) - b) times the gradient of log q(z) is added, where b is the
    loss with the context itself, as soft attention would have it. It does not depend on z, so it
    moves no mean; it makes the gradients less unlike.

    Label smoothing is ours: with it l(z) is no logarithm of a probability, and the loss no bound.
    """
    mask = batch.target_mask
    labels = batch.target_output_ids[mask]  # (N,)
    encoder_output, state = model.encode(batch.source_ids, batch.source_lengths)
    unaligned = model.unaligned(batch.target_input_ids, state, encoder_output)
    log_q = model.log_posterior(
        batch.source_ids, batch.source_lengths, batch.target_output_ids, mask
    )

    def losses_of(readouts: Tensor) -> Tensor:
        """Return the loss of every token, (N,)."""
        logits = in_full(model.output_layer(readouts[mask]))  # (N, V)
        return cross_entropy(logits, labels, reduction="none", label_smoothing=label_smoothing)

    estimate = _sampled if model.estimate == "sampled" else _enumerated
    mean = estimate(unaligned, log_q, mask, losses_of)
    apart = _divergence(log_q[mask], unaligned.log_prior()[mask])
    return mean + apart.sum(), unaligned.attention


_LossesOf = Callable[[Tensor], Tensor]


def _enumerated(unaligned: Unaligned, log_q: Tensor, mask: Tensor, losses_of: _LossesOf) -> Tensor:
    """Return sum_z q(z) l(z) over all tokens, a scalar."""
    q = log_q.exp()[mask]  # (N, S)

    def losses_at(place: int) -> Tensor:
        return losses_of(unaligned.at(place))

    # the logits of one position after the other are made anew for the gradient: all would not fit
    parts = [
        q[:, place] * checkpoint(losses_at, place, use_reentrant=False)
        for place in range(q.size(1))
    ]
    return torch.stack(parts).sum()


def _sampled(unaligned: Unaligned, log_q: Tensor, mask: Tensor, losses_of: _LossesOf) -> Tensor:
    """Return l(z) over all tokens, a scalar, with a gradient by q as well."""
    places = _drawn(log_q.detach())  # (B, T)
    losses = losses_of(unaligned.at_each(places))  # (N,)
    with torch.no_grad():
        gain = losses - losses_of(unaligned.at_mean())
    log_of_drawn = log_q.gather(2, places[..., None]).squeeze(2)[mask]  # (N,)
    by_q = (gain * log_of_drawn).sum()
    return losses.sum() + by_q - by_q.detach()  # its value is no loss


def _drawn(log_q: Tensor) -> Tensor:
    """Draw a position for every step from q, (B, T); `log_q`: (B, T, S).

    By the largest of log q plus Gumbel noise, which never waits for the device, and lets a q that
    is no number through to the loss, whose step is then skipped.
    """
    gumbel = -torch.empty_like(log_q).exponential_().log()
    return (log_q + gumbel).argmax(dim=2)


def _divergence(log_q: Tensor, log_p: Tensor) -> Tensor:
    """Return KL(q || p) of every token, (N,); both (N, S), log q -inf at padding."""
    ratio = (log_q - log_p).masked_fill(log_q == float("-inf"), 0.0)
    return (log_q.exp() * ratio).sum(dim=1)
