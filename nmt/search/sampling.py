"""Drawing tokens at random: the random numbers of a sentence, and what they choose."""

import numpy as np
import torch
from torch import Tensor

from nmt.search.candidates import IMPOSSIBLE, highest
from nmt.search.options import SamplingOptions

# Numbers with so few bits are below 1 by more than a sum of probabilities is rounded.
_NUM_LEVELS = 2**32


def uniform_numbers(
    source_ids: Tensor, source_lengths: Tensor, sampling: SamplingOptions, max_length: int
) -> Tensor:
    """Draw one number for each token of each sample.

    They hang on the seed, on the sentence's own tokens and on the places of sample and token.

    Args:
        source_ids: Source tokens, padded, (B, S), int64.
        source_lengths: Real tokens of each source, (B,), int64.
        sampling: Names the seed and the number of samples, n.
        max_length: How many tokens the longest sample may have, T.

    Returns:
        Numbers from 0 on and below 1, the samples of a sentence side by side, (B*n, T), double.
    """
    numbers = np.empty((len(source_ids), sampling.num_samples, max_length))
    for row, ids, length in zip(numbers, source_ids.tolist(), source_lengths.tolist(), strict=True):
        # the length too: to a seed sequence trailing zeros are nothing
        key = (sampling.seed, length, *ids[:length])
        for place, generator in enumerate(np.random.SeedSequence(key).spawn(len(row))):
            row[place] = np.random.default_rng(generator).integers(_NUM_LEVELS, size=max_length)
    return torch.from_numpy(numbers / _NUM_LEVELS).flatten(0, 1)


def keep_likely(log_probs: Tensor, sampling: SamplingOptions) -> Tensor:
    """Apply the temperature and leave out unlikely tokens.

    Args:
        log_probs: Of each token but for a constant of its row, (R, V).
        sampling: Names temperature, `top_k` and `top_p`.

    Returns:
        The same, divided by the temperature, minus infinity where a token is left out, (R, V),
        double. Of equally likely tokens those with higher ids are left out first.
    """
    log_probs = log_probs.double() / sampling.temperature
    if sampling.top_k is not None:
        best, columns = highest(log_probs, sampling.top_k)
        log_probs = torch.full_like(log_probs, IMPOSSIBLE).scatter(1, columns, best)
    if sampling.top_p is not None:
        ordered = log_probs.sort(dim=1, descending=True, stable=True)
        probs = ordered.values.softmax(dim=1)
        needless = probs.cumsum(dim=1) - probs >= sampling.top_p
        # the most likely one stays, whatever rounding makes of it
        needless[:, 0] = False
        best = ordered.values.masked_fill(needless, IMPOSSIBLE)
        log_probs = log_probs.scatter(1, ordered.indices, best)
    return log_probs


def draw(log_probs: Tensor, numbers: Tensor) -> Tensor:
    """Choose a token by its probability: the first whose cumulative probability is above a number.

    Args:
        log_probs: Of each token but for a constant of its row, (R, V), double.
        numbers: Uniform in [0, 1), (R,), double.

    Returns:
        The tokens, (R,), int64.
    """
    cumulative = log_probs.softmax(dim=1).cumsum(dim=1)
    wanted = numbers.unsqueeze(1) * cumulative[:, -1:]
    token_ids = torch.searchsorted(cumulative, wanted, right=True).squeeze(1)
    # only where the model gave NaN is none above
    return token_ids.clamp(max=log_probs.size(1) - 1)
