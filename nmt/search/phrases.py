"""Phrases of token ids, and how far each of them has come at the end of a growing hypothesis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

Ids = tuple[int, ...]
# Stands where there is no token; it is no token's id.
NO_TOKEN = -1


@dataclass(frozen=True, slots=True)
class Phrases:
    """The phrases of N rows, P for each, fewer being filled up with phrases of no tokens.

    The *progress* of a phrase is how many of its first tokens the hypothesis ends with (the most
    that it does), or its length, for good, once it has occurred. It is followed as Knuth, Morris
    and Pratt (1977) search: at a wrong token the phrase falls back to its longest beginning that
    the hypothesis still ends with.

    Attributes:
        token_ids: Their tokens, then `NO_TOKEN`, once at least, (N, P, L + 1), int64.
        fallbacks: The progress that is left when the next token is wrong, (N, P, L + 1), int64.
        lengths: (N, P), int64.
    """

    token_ids: Tensor
    fallbacks: Tensor
    lengths: Tensor

    @classmethod
    def of(cls, phrases: Sequence[Sequence[Ids]], device: torch.device) -> Phrases:
        """Put phrases together, those of each row."""
        return cls(
            token_ids=_pad(phrases, NO_TOKEN, device),
            fallbacks=_pad([[_fallbacks(ids) for ids in row] for row in phrases], 0, device),
            lengths=_pad([[(len(ids),) for ids in row] for row in phrases], 0, device)[:, :, 0],
        )

    def select(self, rows: Tensor) -> Phrases:
        """Return the given rows in the given order; `rows`: (any,), int64."""
        return Phrases(*(getattr(self, field.name)[rows] for field in fields(self)))

    def start(self, sentences: Tensor) -> Tensor:
        """Return the progress before any token of the given rows, (any, P), int64."""
        return torch.zeros_like(self.lengths[sentences])

    def follow(self, sentences: Tensor, progress: Tensor, token_ids: Tensor) -> Tensor:
        """Return the progress of some rows, (any, P), behind one more token of each, (any,)."""
        return self.select(sentences).advance(progress, token_ids.unsqueeze(1)).squeeze(2)

    def next_ids(self, progress: Tensor) -> Tensor:
        """Tell which token carries each phrase on.

        Args:
            progress: (N, P), int64.

        Returns:
            The tokens, `NO_TOKEN` where the phrase has occurred, (N, P), int64.
        """
        return self.token_ids.gather(2, progress.unsqueeze(2)).squeeze(2)

    def without_match(self, progress: Tensor) -> Tensor:
        """Tell the progress behind a token that is in no phrase, (N, P), int64."""
        return torch.where(progress == self.lengths, progress, 0)

    def advance(self, progress: Tensor, token_ids: Tensor) -> Tensor:
        """Tell the progress behind one more token.

        Args:
            progress: (N, P), int64.
            token_ids: The tokens that may follow each row, (N, I), int64.

        Returns:
            The progress of every phrase behind every token, (N, P, I), int64.
        """
        tokens = token_ids.unsqueeze(1)  # (N, 1, I)
        lengths = self.lengths.unsqueeze(2)  # (N, P, 1)
        before = progress.unsqueeze(2).expand(-1, -1, token_ids.size(1))  # (N, P, I)
        occurred = before == lengths
        after = before
        for _ in range(self.token_ids.size(2)):
            wrong = self.token_ids.gather(2, after) != tokens
            if not (wrong & (after > 0) & ~occurred).any():
                break
            after = torch.where(wrong, self.fallbacks.gather(2, after), after)
        right = self.token_ids.gather(2, after) == tokens
        return torch.where(occurred, before, after + right.long())


def contains(ids: Ids, phrase: Ids) -> bool:
    """Tell whether a phrase stands somewhere in other tokens, without a gap."""
    size = len(phrase)
    return any(ids[start : start + size] == phrase for start in range(len(ids) - size + 1))


def alphabets(phrases: Sequence[Sequence[Ids]], device: torch.device) -> Tensor:
    """List the tokens of each row's phrases, each once, ascending, then `NO_TOKEN`, (N, I)."""
    rows = [[tuple(sorted({token for ids in row for token in ids}))] for row in phrases]
    return _pad(rows, NO_TOKEN, device)[:, 0, :-1]


def _fallbacks(ids: Ids) -> Ids:
    """For every progress the length of the longest beginning of `ids` that remains, then 0.

    At progress g that is the longest proper beginning of `ids[:g]` which is also its end.
    """
    fallbacks = [0, 0]
    for token in ids[1:]:
        size = fallbacks[-1]
        while size and ids[size] != token:
            size = fallbacks[size]
        fallbacks.append(size + (ids[size] == token))
    return tuple(fallbacks)


def _pad(rows: Sequence[Sequence[Ids]], filler: int, device: torch.device) -> Tensor:
    """Return all in one tensor, one filler behind the longest, (N, P, L + 1)."""
    num_phrases = max(1, *map(len, rows))
    size = 1 + max((len(ids) for row in rows for ids in row), default=0)
    padded = torch.full((len(rows), num_phrases, size), filler, dtype=torch.long)
    for place, row in enumerate(rows):
        for column, ids in enumerate(row):
            padded[place, column, : len(ids)] = torch.tensor(ids, dtype=torch.long)
    return padded.to(device)
