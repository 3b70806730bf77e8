"""Which tokens may come next, and the best of them: the rules that every search shares."""

import torch
from torch import Tensor

from nmt.search.options import SearchOptions

IMPOSSIBLE = float("-inf")


def best_next_tokens(
    next_log_probs: Tensor, at_limit: Tensor, count: int, options: SearchOptions
) -> tuple[Tensor, Tensor]:
    """Find the best tokens to go on with.

    Args:
        next_log_probs: Log-probability of each token in each row, (R, V).
        at_limit: True in rows that have room for nothing but EOS, (R,), bool.
        count: How many tokens are wanted for each row, at least 1.
        options: Names EOS and the banned tokens.

    Returns:
        Log-probabilities and token ids, int64, both (R, C): among them the `count` best that are
        allowed, in their order, and others at minus infinity.
    """
    # So many more are looked at that even where all banned ones are among the best, enough remain.
    log_probs, token_ids = highest(next_log_probs, count + len(options.banned_ids))
    banned_ids = torch.tensor(options.banned_ids, dtype=torch.long, device=token_ids.device)
    log_probs = log_probs.masked_fill(torch.isin(token_ids, banned_ids), IMPOSSIBLE)
    if at_limit.any():
        log_probs[at_limit] = IMPOSSIBLE
        log_probs[at_limit, 0] = next_log_probs[at_limit, options.eos_id]
        token_ids[at_limit, 0] = options.eos_id
    return log_probs, token_ids


def highest(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Find the highest values of each row; of equal ones, those in lower columns.

    Args:
        values: Any number in each row, (N, C).
        count: How many to find, at least 1; a row that is shorter gives all it has.

    Returns:
        The values, highest first, and their columns, int64, both (N, min(count, C)).
    """
    # `topk` may choose any of equals. One value more than asked shows whether it had to choose.
    best, columns = values.topk(min(count + 1, values.size(1)))
    tied = (best[:, 1:] == best[:, :-1]).any(dim=1)
    best, columns = best[:, :count], columns[:, :count]
    if tied.any():
        ordered = torch.sort(values[tied], dim=1, descending=True, stable=True)
        best[tied] = ordered.values[:, :count]
        columns[tied] = ordered.indices[:, :count]
    return best, columns
