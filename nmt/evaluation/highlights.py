"""Which sentences of a test set are worth a look: the best, the worst, the most typical."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nmt.evaluation.measures import Numbers

_NUM_SENTENCES = 5
# A word translated well or badly is no news.
_MIN_WORDS = 4


@dataclass(frozen=True, slots=True)
class Highlights:
    """Places of sentences, counted from 0; none stands in two lists.

    Args:
        worst: From the lowest score on.
        typical: Nearest to the median score.
        best: From the highest score on; of equals the longer first.
    """

    worst: tuple[int, ...]
    typical: tuple[int, ...]
    best: tuple[int, ...]


def highlights(scores: Numbers, num_words: Sequence[int]) -> Highlights:
    """Pick sentences by their scores.

    Args:
        scores: The score of each sentence.
        num_words: Words of each source; where any has enough, those with too few are left out.
    """
    enough = [place for place, count in enumerate(num_words) if count >= _MIN_WORDS]
    places = enough or list(range(len(num_words)))
    share = min(_NUM_SENTENCES, -(-len(places) // 3))
    by_score = sorted(places, key=lambda place: (scores[place], num_words[place], -place))
    best = by_score[::-1][:share]
    worst = [place for place in by_score if place not in best][:share]
    rest = [place for place in places if place not in {*best, *worst}]
    median = float(np.median(scores[places]))
    typical = sorted(rest, key=lambda place: (abs(scores[place] - median), place))[:share]
    return Highlights(tuple(worst), tuple(typical), tuple(best))
