"""One evaluation: a model's translations of a test set, what they score, and why.

Brings together what the other modules count. Knows texts and what was told of them; no models.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nmt.confidence import calibration_bins, expected_calibration_error
from nmt.evaluation.buckets import group, score_groupings, score_part
from nmt.evaluation.comet import comet_score, find_comet_model
from nmt.evaluation.contents import (
    AttentionTable,
    Bootstrap,
    Calibration,
    Curves,
    Epoch,
    Lengths,
    Report,
    Seen,
    Sentence,
)
from nmt.evaluation.coverage import coverage_of, uncovered_words
from nmt.evaluation.details import Detail, WordAttention
from nmt.evaluation.highlights import Highlights, highlights
from nmt.evaluation.measures import RESAMPLES, Counts, Measure, bootstrap_seed
from nmt.evaluation.properties import properties_of
from nmt.evaluation.scores import Score, check_lines
from nmt.evaluation.segments import Segments
from nmt.evaluation.suspicions import Suspicion, find_suspicions
from nmt.evaluation.training_text import TrainingText
from nmt.evaluation.word_accuracy import WordAccuracy, word_accuracy
from nmt.evaluation.words import words_of
from nmt.recipe import Recipe

# Parts of the test set are scored by these, whatever is asked for of the whole.
_PART_METRICS = ("BLEU", "chrF2")
_ATTENTION_DIGITS = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """What is known beside the texts; all of it may be missing.

    Args:
        details: What the translator tells of each translation.
        training: The words of the training data, or why they are not known.
        metrics: The lines of `metrics.jsonl`.
    """

    details: Sequence[Detail] | None = None
    training: TrainingText | str = "it was not asked for"
    metrics: Sequence[Mapping[str, Any]] = ()


def evaluate(
    hypotheses: Sequence[str],
    segments: Segments,
    recipe: Recipe,
    *,
    model: str,
    known: Known | None = None,
    target_lang: str | None = None,
) -> Report:
    """Score translations of a test set by the metrics that a recipe asks for, and say why.

    Args:
        hypotheses: One translation for each source, in order.
        segments: The test set.
        recipe: Says the metrics and the languages.
        model: Name of the model as the reader knows it.
        known: What is known beside the texts.
        target_lang: The language of the references; None is the recipe's.

    Raises:
        DataError: The numbers of hypotheses and references differ, or are zero.
        RecipeError: A metric or a tokenizer is unknown or not installed.
    """
    check_lines(hypotheses, segments.references)
    direction = recipe.data.direction[0], target_lang or recipe.data.direction[1]
    return _Evaluation(hypotheses, segments, recipe, known or Known(), direction).report(model)


class _Evaluation:
    """What the parts of one report are counted from."""

    def __init__(
        self,
        hypotheses: Sequence[str],
        segments: Segments,
        recipe: Recipe,
        known: Known,
        direction: tuple[str, str],
    ) -> None:
        self._hypotheses = hypotheses
        self._segments = segments
        self._recipe = recipe
        self._known = known
        self._direction = direction
        self._training = known.training if isinstance(known.training, TrainingText) else None
        self._properties = properties_of(
            segments, direction=self._direction, details=known.details, training=self._training
        )
        self._counted = self._count()
        self._parts = [self._counted[name] for name in _PART_METRICS]
        measure, counts = self._counted["chrF2"]
        self._qualities = measure.score_each(counts)

    def report(self, model: str) -> Report:
        picked = highlights(self._qualities, [one.source_words for one in self._properties])
        seen = self._seen()
        scores = self._scores()
        return Report(
            model=model,
            test_set=self._segments.name,
            source_lang=self._direction[0],
            target_lang=self._direction[1],
            num_sentences=len(self._hypotheses),
            num_references=len(self._segments.references),
            scores=scores,
            bootstrap=self._bootstrap(scores),
            lengths=self._lengths(),
            exact_matches=self._exact_matches(),
            suspicions=tuple(self._suspicions(seen)),
            seen=seen,
            groupings=tuple(score_groupings(group(self._properties), self._parts)),
            word_accuracy=self._word_accuracy(),
            coverage=coverage_of(self._known.details) if self._known.details else None,
            calibration=self._calibration(),
            curves=curves_of(self._known.metrics, self._recipe),
            highlights=picked,
            sentences=self._sentences(picked),
            left_out=tuple(self._left_out()),
        )

    def _count(self) -> dict[str, tuple[Measure, Counts]]:
        evaluation = self._recipe.evaluation
        counted = {}
        for name in dict.fromkeys([*evaluation.metrics, *_PART_METRICS]):
            measure = Measure(
                name,
                self._segments.references,
                target_lang=self._direction[1],
                bleu_tokenizer=evaluation.bleu_tokenizer,
            )
            counted[name] = measure, measure.count(self._hypotheses)
        return counted

    def _scores(self) -> tuple[Score, ...]:
        scores = []
        for name in self._recipe.evaluation.metrics:
            measure, counts = self._counted[name]
            interval = measure.interval(counts) if len(counts) > 1 else None
            scores.append(Score(name, measure.score(counts), measure.signature, interval))
        checkpoint = find_comet_model()
        if checkpoint is not None:
            texts = self._segments.sources, self._hypotheses, self._segments.references
            scores.append(comet_score(checkpoint, *texts))
        return tuple(scores)

    @staticmethod
    def _bootstrap(scores: Sequence[Score]) -> Bootstrap | None:
        if all(score.interval is None for score in scores):
            return None
        return Bootstrap(RESAMPLES, bootstrap_seed())

    def _lengths(self) -> Lengths:
        lang, references = self._direction[1], self._segments.references
        num_words = sum(len(words_of(text, lang)) for text in self._hypotheses)
        written = [line or "" for lines in references for line in lines]
        num_wanted = sum(len(words_of(line, lang)) for line in written) / len(references)
        num_characters = sum(map(len, self._hypotheses))
        num_wanted_characters = sum(map(len, written)) / len(references)
        return Lengths(
            hypothesis_words=num_words,
            reference_words=num_wanted,
            ratio=num_words / num_wanted if num_wanted else None,
            character_ratio=(
                num_characters / num_wanted_characters if num_wanted_characters else None
            ),
        )

    def _exact_matches(self) -> int:
        lines = zip(self._hypotheses, *self._segments.references, strict=True)
        return sum(hypothesis in references for hypothesis, *references in lines)

    def _suspicions(self, seen: Seen | None) -> list[Suspicion]:
        found = find_suspicions(self._segments, self._hypotheses, target_lang=self._direction[1])
        if seen is not None and seen.count:
            total = len(self._hypotheses)
            message = f"{seen.count} of {total} sources stand in the training data too"
            found.append(Suspicion("seen", seen.count, total, message))
        return found

    def _seen(self) -> Seen | None:
        if self._training is None:
            return None
        flags = np.array(
            [source.strip() in self._training.seen for source in self._segments.sources]
        )
        with_, without = (
            {
                measure.name: score_part(measure, counts[chosen])
                for measure, counts in self._parts
                if chosen.any()
            }
            for chosen in (flags, ~flags)
        )
        return Seen(int(flags.sum()), with_, without)

    def _word_accuracy(self) -> tuple[WordAccuracy, ...] | None:
        if self._training is None:
            return None
        return tuple(
            word_accuracy(
                self._hypotheses,
                self._segments.references,
                self._training,
                target_lang=self._direction[1],
            )
        )

    def _calibration(self) -> Calibration | None:
        told = [
            (one.confidence, quality)
            for one, quality in zip(self._known.details or (), self._qualities, strict=False)
            if one.confidence is not None
        ]
        if not told:
            return None
        confidences = np.array([confidence for confidence, _ in told])
        qualities = np.array([quality for _, quality in told]) / 100
        qualities = qualities.clip(0, 1)  # rounding may go beyond
        return Calibration(
            expected_calibration_error(confidences, qualities),
            len(told),
            tuple(calibration_bins(confidences, qualities)),
        )

    def _sentences(self, picked: Highlights) -> list[Sentence]:
        shown = {*picked.worst, *picked.typical, *picked.best}
        return [self._sentence(place, place in shown) for place in range(len(self._hypotheses))]

    def _sentence(self, place: int, is_shown: bool) -> Sentence:
        detail = self._known.details[place] if self._known.details else None
        attention = detail.attention if detail else None
        return Sentence(
            source=self._segments.sources[place],
            references=tuple(lines[place] or "" for lines in self._segments.references),
            hypothesis=self._hypotheses[place],
            chrf2=float(self._qualities[place]),
            confidence=detail.confidence if detail else None,
            properties=self._properties[place],
            uncovered_words=tuple(uncovered_words(attention)) if attention else (),
            alternatives=detail.alternatives if detail and is_shown else (),
            attention=_table(attention) if attention and is_shown else None,
        )

    def _left_out(self) -> list[str]:
        reasons = []
        if isinstance(self._known.training, str):
            reasons.append(f"what the training data explains: {self._known.training}")
        details = self._known.details
        if details and all(one.attention is None for one in details):
            reasons.append("attention and coverage: the model has no attention")
        if details and all(one.confidence is None for one in details):
            reasons.append(
                "calibration of the confidence: the run folder has none; "
                "`nmt evaluate --fit-confidence` learns it"
            )
        if not self._known.metrics:
            reasons.append("learning curves: no validation is recorded")
        return reasons


def curves_of(entries: Sequence[Mapping[str, Any]], recipe: Recipe) -> Curves | None:
    """Return how training went by the lines of `metrics.jsonl`; None where there are none.

    The chosen epochs are the best by `training.checkpoint_metric`, as many as are averaged; of
    equals the first.
    """
    if not entries:
        return None
    metric = recipe.training.checkpoint_metric
    is_loss = metric == "loss"
    measured = [entry for entry in entries if entry.get(metric) is not None]
    ranked = sorted(measured, key=lambda entry: entry[metric] if is_loss else -entry[metric])
    count = recipe.training.average_checkpoints or 1
    return Curves(
        epochs=tuple(
            Epoch(
                entry["epoch"],
                entry.get("train_loss"),
                entry.get("loss"),
                entry.get("BLEU"),
                entry.get("chrF2"),
            )
            for entry in entries
        ),
        chosen=tuple(sorted(entry["epoch"] for entry in ranked[:count])),
        metric=metric,
    )


def _table(attention: WordAttention) -> AttentionTable:
    rows = [
        tuple(round(weight, _ATTENTION_DIGITS) for weight in row)
        for row in attention.weights.tolist()
    ]
    return AttentionTable(attention.source_words, attention.target_words, tuple(rows))
