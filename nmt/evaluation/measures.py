"""One metric on one test set: scores of all of it, of any part of it and of single sentences.

sacreBLEU counts what each sentence has in common with its references. From these counts come all
scores here, and so no sentence is counted twice; sums and intervals are sacreBLEU's to the last
digit. Its functions for that are not public: they are called in this module and nowhere else.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nmt.bleu import References
from nmt.evaluation.metrics import build_metric

if TYPE_CHECKING:
    from sacrebleu.metrics.base import Metric

Numbers = NDArray[np.float64]
# What a metric counts of each sentence, (N, C): integers, but for TER's mean reference length.
Counts = NDArray[np.float64]
Places = NDArray[np.int64]

RESAMPLES = 1000


class Measure:
    """Scores translations of one test set by one metric."""

    def __init__(
        self,
        name: str,
        references: References,
        *,
        target_lang: str,
        bleu_tokenizer: str | None = None,
    ) -> None:
        """Count the references.

        Args:
            name: One of `nmt.evaluation.metrics.METRICS`.
            references: For each translator, what he wrote for every segment.
            target_lang: As for `build_metric`.
            bleu_tokenizer: As for `build_metric`.

        Raises:
            RecipeError: The metric or the tokenizer is unknown or not installed.
        """
        self.name = name
        self._metric: Metric = build_metric(
            name,
            target_lang=target_lang,
            bleu_tokenizer=bleu_tokenizer,
            references=references,
        )
        self.signature = str(self._metric.get_signature())

    def count(self, hypotheses: Sequence[str]) -> Counts:
        """Return what `hypotheses`, one for each segment, have in common with the references."""
        found = self._metric._extract_corpus_statistics(hypotheses, None)
        return np.array(found, dtype=np.float64)

    def score(self, counts: Counts) -> float:
        """Return the score of all sentences counted, in per cent; none at all score 0."""
        # plain numbers: sacreBLEU's formulas give Python's floats, and so the same last digit
        return float(self._metric._compute_score_from_stats(counts.sum(axis=0).tolist()).score)

    def score_each(self, counts: Counts) -> Numbers:
        """Return the score of each sentence by itself, in per cent, (N,)."""
        rows = counts.tolist()
        scores = [self._metric._compute_score_from_stats(row).score for row in rows]
        return np.array(scores, dtype=np.float64)

    def interval(self, counts: Counts, *, resamples: int = RESAMPLES) -> tuple[float, float]:
        """Return a 95 % confidence interval of `score`, as `sacrebleu --confidence` says it.

        Sentences are drawn anew with replacement, as many as there are (Koehn 2004). sacreBLEU
        gives the mean and half the width between the 25th and the 975th of 1,000 scores; the bounds
        are the mean less and plus this. `SACREBLEU_SEED` changes the draw as it does there.
        """
        from sacrebleu.significance import estimate_ci

        # not sacreBLEU's own loop: that holds all resamples at once, gigabytes for large sets
        counts = counts.astype(np.float32)
        scores = [
            self._metric._compute_score_from_stats(counts[places].sum(0)).score
            for places in _draw(len(counts), resamples)
        ]
        mean, half_width = estimate_ci(np.array(scores))
        return float(mean - half_width), float(mean + half_width)


def bootstrap_seed() -> int | None:
    """Return what resamples are drawn with: `SACREBLEU_SEED`, where `None` is chance."""
    seed = os.environ.get("SACREBLEU_SEED", "12345")
    return None if seed.lower() == "none" else int(seed)


def _draw(num_sentences: int, resamples: int) -> Places:
    """Return the sentences of each resample, (R, N), as sacreBLEU draws them."""
    generator = np.random.default_rng(bootstrap_seed())
    return generator.choice(num_sentences, size=(resamples, num_sentences), replace=True)
