"""What is told of a translation by a few numbers, whatever it says."""

from __future__ import annotations

import math

import numpy as np

from nmt.search import Hypothesis

FEATURES = (
    "mean_log_prob",
    "lowest_log_prob",
    "length_ratio",
    "length_ratio_squared",
    "source_length",
    "unattended",
    "attention_entropy",
)


def features(hypothesis: Hypothesis, source_length: int) -> tuple[float, ...]:
    """Return what tells a good translation from a bad one, in the order of `FEATURES`.

    With T target and S source tokens, each with EOS, and a the attention: mean and minimum of the
    tokens' log-probabilities; log(T / S) and its square, as too short and too long are both bad;
    log S; the mean over the source of max(0, 1 - sum_t a_ts), what was left out; the mean over the
    target of the entropy of a_t, in nats. Without attention the last two are always 1 and 0.

    Args:
        hypothesis: The translation.
        source_length: Real tokens of its source, EOS included.

    Raises:
        ValueError: The hypothesis does not say how likely each of its tokens is.
    """
    log_probs = hypothesis.token_log_probs
    if len(log_probs) != len(hypothesis.token_ids) + 1:
        raise ValueError(
            f"token_log_probs must be {len(hypothesis.token_ids) + 1}, one for each token and EOS, "
            f"got {len(log_probs)}"
        )
    ratio = math.log(len(log_probs) / source_length)
    attention = hypothesis.attention.double().cpu().numpy()  # (T, S)
    coverage = attention.sum(axis=0)  # (S,)
    # where the attention is zero, its part of the entropy is too
    entropies = -(attention * np.log(np.where(attention > 0, attention, 1))).sum(axis=1)  # (T,)
    return (
        math.fsum(log_probs) / len(log_probs),
        min(log_probs),
        ratio,
        ratio**2,
        math.log(source_length),
        float((1 - coverage).clip(min=0).mean()),
        float(entropies.mean()),
    )
