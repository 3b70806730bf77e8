"""Which tokens may come next. Every rule gives rulings; they are carried out in one place."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nmt.search.candidates import IMPOSSIBLE
from nmt.search.options import SearchOptions
from nmt.search.phrases import NO_TOKEN, Ids, Phrases


@dataclass(frozen=True, slots=True)
class Ruling:
    """Some tokens of some rows that are forbidden, or that are allowed.

    Attributes:
        rows: The row of each token, (M,), int64.
        token_ids: (M,), int64.
        allowed: Whether they are allowed, whatever was ruled before; else they are forbidden.
        closed: Rows in which every other token is forbidden, (any,), int64; None is no row.
    """

    rows: Tensor
    token_ids: Tensor
    allowed: bool = False
    closed: Tensor | None = None


def only(rows: Tensor, token_ids: Tensor) -> Ruling:
    """Rule that each of the rows, (M,), goes on with its one token, (M,)."""
    return Ruling(rows, token_ids, allowed=True, closed=rows)


def allowed_log_probs(
    log_probs: Tensor, next_log_probs: Tensor, banned_ids: Tensor, rulings: Iterable[Ruling]
) -> Tensor:
    """Add the next token to every row.

    Args:
        log_probs: Log-probability of each row so far, (R,).
        next_log_probs: Log-probability of each token in each row, (R, V), changed in place.
        banned_ids: Tokens that are forbidden everywhere, (any,), int64.
        rulings: A later one overrules an earlier one.

    Returns:
        The log-probability of each row with each token, minus infinity where the token is
        forbidden, (R, V).
    """
    rulings = list(rulings)
    totals = next_log_probs.add_(log_probs.unsqueeze(1))
    allowed = [
        totals[ruling.rows, ruling.token_ids] if ruling.allowed else None for ruling in rulings
    ]  # as they are before anything is forbidden
    totals.index_fill_(1, banned_ids, IMPOSSIBLE)
    for ruling, values in zip(rulings, allowed, strict=True):
        if ruling.closed is not None:
            totals[ruling.closed] = IMPOSSIBLE
        totals[ruling.rows, ruling.token_ids] = IMPOSSIBLE if values is None else values
    return totals


class LengthRules:
    """EOS not before the least length, and nothing else at the greatest."""

    def __init__(
        self, options: SearchOptions, source_lengths: Tensor, device: torch.device
    ) -> None:
        """Reckon the bounds of each sentence; `source_lengths`: (B,), int64, on the CPU."""
        min_lengths = options.min_lengths(source_lengths)
        max_lengths = options.max_lengths(source_lengths)
        self.max_length = int(max_lengths.max())
        self.max_lengths = max_lengths.to(device)
        self._min_lengths = min_lengths.to(device)
        self._longest_minimum = int(min_lengths.max())
        self._limits = frozenset(max_lengths.tolist())
        self._eos_id = options.eos_id

    def rulings(self, sentences: Tensor, length: int) -> Iterable[Ruling]:
        """Rule on the token that brings the rows, of these sentences, (R,), to a length."""
        if length < self._longest_minimum:
            rows = (self._min_lengths[sentences] > length).nonzero().squeeze(1)
            yield Ruling(rows, torch.full_like(rows, self._eos_id))
        if length in self._limits:
            rows = (self.max_lengths[sentences] == length).nonzero().squeeze(1)
            yield only(rows, torch.full_like(rows, self._eos_id))


class PrefixRule:
    """The first tokens are those of the prefix."""

    def __init__(self, prefixes: Sequence[Ids], device: torch.device) -> None:
        """Take the prefix of each sentence, of no tokens where there is none."""
        self._length = max(map(len, prefixes))
        padded = [(*prefix, *[NO_TOKEN] * (self._length - len(prefix))) for prefix in prefixes]
        self._token_ids = torch.tensor(padded, dtype=torch.long, device=device)

    def rulings(self, sentences: Tensor, length: int) -> Iterable[Ruling]:
        """Rule on the token that brings the rows, of these sentences, (R,), to a length."""
        if length <= self._length:
            token_ids = self._token_ids[sentences, length - 1]
            rows = (token_ids != NO_TOKEN).nonzero().squeeze(1)
            yield only(rows, token_ids[rows])


def repetitions(history: Tensor, size: int) -> Ruling:
    """Forbid the tokens that would end an n-gram which the row has had already.

    Args:
        history: The tokens of each row so far, (R, T), int64.
        size: The n of the n-grams, at least 1.
    """
    tail = history[:, history.size(1) - size + 1 :]
    if history.size(1) < size:
        nothing = history.new_empty(0)
        return Ruling(nothing, nothing)
    ngrams = history.unfold(1, size, 1)  # (R, T-n+1, n)
    same = (ngrams[:, :, :-1] == tail.unsqueeze(1)).all(dim=2)
    rows, places = same.nonzero(as_tuple=True)
    return Ruling(rows, ngrams[rows, places, -1])


def avoidance(phrases: Phrases, progress: Tensor) -> Ruling:
    """Forbid the tokens that would complete an avoided phrase.

    Args:
        phrases: The avoided phrases of each of the R rows.
        progress: How far they have come, (R, P), int64.
    """
    rows, columns = (progress == phrases.lengths - 1).nonzero(as_tuple=True)
    return Ruling(rows, phrases.next_ids(progress)[rows, columns])
