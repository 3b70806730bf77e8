"""Which pairs an epoch has, and how often, where corpora have weights."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nmt.batching.batches import Ids
from nmt.batching.ordering import LengthOrder


class WeightedDraw:
    """Draws each pair of a corpus as many times an epoch as the corpus's weight says.

    A weight of 3 has each pair three times; one of 0.5 has one of each two pairs of like length,
    and in every epoch others may be drawn. What is drawn is told by its place in the draw. Each
    place has its length: that of the longest pair that may be drawn there. So every epoch is of
    the same size and shape, whichever pairs it has.
    """

    def __init__(
        self,
        source_lengths: Ids,
        target_lengths: Ids,
        *,
        sizes: Sequence[int],
        weights: Sequence[float],
    ) -> None:
        """Prepare all epochs.

        Args:
            source_lengths: Tokens of each source, (N,).
            target_lengths: Tokens of each target, (N,).
            sizes: How many pairs each corpus has; they stand one behind the other.
            weights: The weight of each corpus, above 0.
        """
        order = LengthOrder(source_lengths, target_lengths)
        type_of_place = np.min_scalar_type(len(source_lengths))
        ends = np.cumsum(sizes).tolist()
        # pairs, and where those begin that are drawn from for each place; None draws every pair
        self._stretches: list[tuple[Ids, NDArray[np.int64] | None]] = []
        for size, end, weight in zip(sizes, ends, weights, strict=True):
            if not weight > 0:
                raise ValueError(f"weight must be > 0, got {weight}")
            places = np.arange(end - size, end, dtype=type_of_place)
            self._stretches += [(places, None)] * math.floor(weight)
            # at least one in all: no corpus of the list is left out
            count = max(round(size * (weight % 1)), weight < 1)
            if count:
                self._stretches.append((order.sort(places), np.arange(count + 1) * size // count))
        self.source_lengths = self._longest(source_lengths)
        self.target_lengths = self._longest(target_lengths)

    def places(self, generator: np.random.Generator) -> Ids:
        """Return the pair that is drawn at each place of the draw, (its length,)."""
        return np.concatenate(
            [
                pairs if bounds is None else pairs[generator.integers(bounds[:-1], bounds[1:])]
                for pairs, bounds in self._stretches
            ]
        )

    def _longest(self, lengths: Ids) -> Ids:
        """Return the greatest length that may be drawn at each place of the draw."""
        return np.concatenate(
            [
                lengths[pairs]
                if bounds is None
                else np.maximum.reduceat(lengths[pairs], bounds[:-1])
                for pairs, bounds in self._stretches
            ]
        )
