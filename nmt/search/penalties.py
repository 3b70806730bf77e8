"""What turns a log-probability into a score: length penalty and coverage penalty."""

import torch
from torch import Tensor

from nmt.search.options import SearchOptions

# What a source token counts as that was never looked at: the logarithm of nothing is no number.
COVERAGE_FLOOR = 1e-4


def length_penalties(options: SearchOptions, max_length: int) -> Tensor:
    """Tell what the log-probability of a hypothesis is divided by.

    Args:
        options: Names α and the formula, see `SearchOptions.normalization`.
        max_length: The greatest length asked for; lengths count EOS.

    Returns:
        The penalty of each length from 0 on, (max_length + 1,); it never falls from length 1 on.
    """
    # In double precision, so that a length has one penalty however many others are asked for.
    lengths = torch.arange(max_length + 1, dtype=torch.double)
    bases = (5 + lengths) / 6 if options.normalization == "wu" else lengths
    return (bases**options.length_penalty).float()


def first_coverage(source_lengths: Tensor) -> Tensor:
    """Start the sums of attention.

    Padding counts as looked at in full, so that it never costs anything.

    Args:
        source_lengths: Real tokens of each source, (B,), int64.

    Returns:
        0 at the real tokens, EOS among them, 1 at padding, (B, S).
    """
    places = torch.arange(int(source_lengths.max()), device=source_lengths.device)
    return (places >= source_lengths.unsqueeze(1)).float()


def coverage_penalties(coverage: Tensor, weight: float) -> Tensor:
    """Tell what is added to a score because source tokens were looked at too little.

    It is β Σ_i log(min(Σ_j p_ij, 1)) of Wu et al. 2016, eq. 14. We never take the logarithm of less
    than `COVERAGE_FLOOR`.

    Args:
        coverage: Sums of attention over the steps so far, (N, S).
        weight: β, at least 0.

    Returns:
        The penalties, at most 0, (N,). More attention never lowers them.
    """
    return weight * coverage.clamp(COVERAGE_FLOOR, 1).log().sum(dim=1)
