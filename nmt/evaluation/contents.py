"""What a report says, as plain values: `scores.json` holds them all, the page shows most of them.

The form is described in docs/scores.md and has a version; what changes a name or a meaning here
raises `FORMAT_VERSION`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from nmt import __version__
from nmt.confidence import CalibrationBin
from nmt.evaluation.buckets import PartScore, ScoredGrouping
from nmt.evaluation.coverage import Coverage
from nmt.evaluation.details import Alternative
from nmt.evaluation.highlights import Highlights
from nmt.evaluation.properties import Properties
from nmt.evaluation.scores import Score
from nmt.evaluation.suspicions import Suspicion
from nmt.evaluation.word_accuracy import WordAccuracy

FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """How the intervals of the scores were made; `seed` is None where it was left to chance."""

    resamples: int
    seed: int | None


@dataclass(frozen=True, slots=True)
class Lengths:
    """How long hypotheses are beside references; with several references, their mean.

    Args:
        hypothesis_words: Words of all hypotheses.
        reference_words: Words of all references, a mean over the translators.
        ratio: The first over the second; None where there are no words.
        character_ratio: The same in characters.
    """

    hypothesis_words: int
    reference_words: float
    ratio: float | None
    character_ratio: float | None


@dataclass(frozen=True, slots=True)
class Seen:
    """Test sentences whose source is a source of the training data too.

    Args:
        count: How many.
        scores_with: Scores of these alone.
        scores_without: Scores of all others.
    """

    count: int
    scores_with: Mapping[str, PartScore]
    scores_without: Mapping[str, PartScore]


@dataclass(frozen=True, slots=True)
class AttentionTable:
    """Where the model looked for each word that it wrote; `weights` has a row for each of these."""

    source_words: tuple[str, ...]
    target_words: tuple[str, ...]
    weights: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of the test set.

    Args:
        source: What was translated.
        references: What people wrote for it.
        hypothesis: What the model wrote for it.
        chrf2: Its chrF2 by itself, in per cent.
        confidence: The expected chrF2 / 100; None where the run has none.
        properties: What may explain its score.
        uncovered_words: Words of the source that got little attention.
        alternatives: The best translations, the best first; only of highlighted sentences.
        attention: Where the model looked; only of highlighted sentences.
    """

    source: str
    references: tuple[str, ...]
    hypothesis: str
    chrf2: float
    confidence: float | None
    properties: Properties
    uncovered_words: tuple[str, ...]
    alternatives: tuple[Alternative, ...]
    attention: AttentionTable | None


@dataclass(frozen=True, slots=True)
class Epoch:
    """One validation during training; None is what was not measured."""

    epoch: int
    train_loss: float | None
    loss: float | None
    bleu: float | None
    chrf2: float | None


@dataclass(frozen=True, slots=True)
class Curves:
    """How training went, and which of its weights were kept.

    Args:
        epochs: Every validation.
        chosen: The epochs whose weights, or their mean, translate.
        metric: What they were chosen by.
    """

    epochs: tuple[Epoch, ...]
    chosen: tuple[int, ...]
    metric: str


@dataclass(frozen=True, slots=True)
class Calibration:
    """Whether confidence came true; `error` is the expected calibration error, in [0, 1]."""

    error: float
    count: int
    bins: tuple[CalibrationBin, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """All that a report says.

    Args:
        model: Name of the model as the reader knows it.
        test_set: Name of the test set.
        source_lang: The language translated from.
        target_lang: The language translated into.
        num_sentences: Sentences of the test set.
        num_references: References of each.
        scores: What all hypotheses scored.
        bootstrap: How their intervals were made; None where there are none.
        lengths: How long they are.
        exact_matches: Hypotheses that are equal to a reference.
        suspicions: What makes the scores doubtful.
        seen: Test sentences that stand in the training data; None where nobody knows.
        groupings: Scores of parts of the test set.
        word_accuracy: Words found, by how often training saw them; None where nobody knows.
        coverage: How attention was spread; None without attention.
        calibration: Whether confidence came true; None without confidence.
        curves: How training went; None where that is not recorded.
        highlights: Which sentences are worth a look.
        sentences: Every sentence.
        left_out: What could not be told, and why.
    """

    model: str
    test_set: str
    source_lang: str
    target_lang: str
    num_sentences: int
    num_references: int
    scores: tuple[Score, ...]
    bootstrap: Bootstrap | None
    lengths: Lengths
    exact_matches: int
    suspicions: tuple[Suspicion, ...]
    seen: Seen | None
    groupings: tuple[ScoredGrouping, ...]
    word_accuracy: tuple[WordAccuracy, ...] | None
    coverage: Coverage | None
    calibration: Calibration | None
    curves: Curves | None
    highlights: Highlights
    sentences: Sequence[Sentence]
    left_out: tuple[str, ...]


def dump_report(report: Report) -> str:
    """Return what `scores.json` holds, see docs/scores.md."""
    content = {"format_version": FORMAT_VERSION, "nmt_version": __version__, **asdict(report)}
    return json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
