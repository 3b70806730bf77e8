"""What looks wrong with a translation, for those who read it. Knows tokens; no text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from nmt.search import SearchOptions
from nmt.search.options import EXTRA_LENGTH

# `cut`: a sentence was longer than the model takes, and was translated in parts. `lost`: the model
# left a placeholder out, which was put where it looked at it. `repeats`: the search went round in
# circles. `too_long`, `too_short`: for its source. `unprotected`: there are placeholders that the
# model has no symbols for.
Mark = Literal["cut", "lost", "repeats", "too_long", "too_short", "unprotected"]

# What comes so often, with nothing between, and is so long in all, is no figure of speech.
_FEWEST_COPIES = 4
_FEWEST_TOKENS = 8
# Of four copies that are eight tokens or more, three stand there already: that is six tokens.
_FEWEST_DOUBLES = _FEWEST_TOKENS * (_FEWEST_COPIES - 1) // _FEWEST_COPIES


def has_repeats(token_ids: Sequence[int], source_ids: Sequence[int]) -> bool:
    """Tell whether a translation goes round in circles.

    It does where some tokens come four times or more in a row, eight tokens or more in all, and
    more than twice as often as any come in a row in the source.

    Args:
        token_ids: The translation.
        source_ids: What it is of.
    """
    if len(token_ids) - len(set(token_ids)) < _FEWEST_DOUBLES:
        return False  # of nearly every translation that is all there is to do
    most = _most_copies(token_ids, fewest=_FEWEST_COPIES, fewest_tokens=_FEWEST_TOKENS)
    return most > 0 and most > 2 * max(_most_copies(source_ids), 1)


def length_mark(num_tokens: int, source_length: int, options: SearchOptions) -> Mark | None:
    """Tell whether a translation is far longer or shorter than its source lets expect.

    It is too long where the search had to end it, at `max_length_ratio` or `max_target_length`. It
    is too short where the source would be too long a translation of it.

    Args:
        num_tokens: Of the translation, EOS included.
        source_length: Of the source, EOS included.
        options: How it was searched.
    """
    [longest] = options.max_lengths(torch.tensor([source_length])).tolist()
    if num_tokens >= longest:
        return "too_long"
    ratio = max(options.max_length_ratio, 1.0)
    return "too_short" if source_length > ratio * num_tokens + EXTRA_LENGTH else None


def _most_copies(token_ids: Sequence[int], *, fewest: int = 2, fewest_tokens: int = 0) -> int:
    """Return how often at most any tokens come in a row; 0 where that is too seldom or too short.

    Args:
        token_ids: Where to look.
        fewest: How often they must come at least.
        fewest_tokens: How many tokens those must be in all.
    """
    ids = np.array(token_ids)
    most = 0
    for size in range(1, len(ids) // fewest + 1):
        copies = _longest_run(ids[size:] == ids[:-size]) // size + 1
        if copies >= fewest and copies * size >= fewest_tokens:
            most = max(most, copies)
    return most


def _longest_run(alike: NDArray[np.bool_]) -> int:
    """Return how many are true in a row at most."""
    ends = np.flatnonzero(~alike)
    return int(np.diff(ends, prepend=-1, append=len(alike)).max()) - 1
