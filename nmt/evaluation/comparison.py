"""Whether one system is better than another, and where: the first is what others are held against.

The significance tests are sacreBLEU's own, untouched. Knows texts and scores; no models.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from nmt import __version__
from nmt.bleu import References
from nmt.evaluation.buckets import Bucket, group
from nmt.evaluation.contents import FORMAT_VERSION
from nmt.evaluation.measures import Counts, Measure, Numbers
from nmt.evaluation.metrics import build_metric
from nmt.evaluation.properties import Properties

_NUM_CHANGED = 8
# Sentence scores nearer than this are a tie: rounding, not wording.
_TIE = 1e-6


@dataclass(frozen=True, slots=True)
class Tested:
    """One system's score by one metric.

    Args:
        system: Its name.
        value: The score, in per cent.
        mean: Mean of the bootstrap resamples.
        half_width: Half the width of their 95 % interval.
        p_bootstrap: How often chance alone would make it differ from the first as much, by paired
            bootstrap resampling; None for the first.
        p_randomization: Likewise by paired approximate randomization.
    """

    system: str
    value: float
    mean: float
    half_width: float
    p_bootstrap: float | None
    p_randomization: float | None


@dataclass(frozen=True, slots=True)
class MetricTests:
    """All systems by one metric; the signatures are those of the two tests."""

    name: str
    bootstrap_signature: str
    randomization_signature: str
    systems: tuple[Tested, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the test set: of how many sentences a system's chrF2 is higher, equal and lower.

    `scores` has the score of the first system and of this one, by metric.
    """

    label: str
    count: int
    wins: int
    ties: int
    losses: int
    scores: dict[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class PartedBy:
    """The test set by one property."""

    name: str
    title: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Against:
    """One system beside the first.

    Args:
        system: Its name.
        all: The whole test set.
        groupings: Its parts.
        gained: Sentences whose chrF2 rose most, counted from 0.
        lost: Sentences whose chrF2 fell most.
    """

    system: str
    all: Part
    groupings: tuple[PartedBy, ...]
    gained: tuple[int, ...]
    lost: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ComparedSentence:
    """One sentence; `hypotheses` and `chrf2` have an entry for each system."""

    source: str | None
    references: tuple[str, ...]
    hypotheses: tuple[str, ...]
    chrf2: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """All that a comparison says; its form has the version of `scores.json`."""

    systems: tuple[str, ...]
    test_set: str
    source_lang: str
    target_lang: str
    num_sentences: int
    num_references: int
    metrics: tuple[MetricTests, ...]
    against: tuple[Against, ...]
    sentences: tuple[ComparedSentence, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Ground:
    """What all systems have in common.

    Args:
        test_set: Name of the test set.
        sources: What was translated; None where nobody said.
        references: For each translator, what he wrote.
        properties: What may explain the scores; None where nobody said.
        direction: The languages; "" where nobody said.
        bleu_tokenizer: One of sacreBLEU's; None follows the target language.
    """

    test_set: str
    sources: Sequence[str] | None
    references: References
    properties: Sequence[Properties] | None
    direction: tuple[str, str]
    bleu_tokenizer: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Effort:
    """How many resamples and trials the tests make; more are slower and surer."""

    resamples: int = 1000
    trials: int = 10_000


def compare(
    systems: Sequence[tuple[str, Sequence[str]]],
    ground: Ground,
    *,
    metrics: Sequence[str],
    effort: Effort | None = None,
) -> Comparison:
    """Hold systems against the first of them.

    Args:
        systems: Name and hypotheses of each, all on the same references.
        ground: These references and what is known of them.
        metrics: What to count.
        effort: How much the tests do.

    Raises:
        RecipeError: A metric or a tokenizer is unknown or not installed.
    """
    names = [name for name, _ in systems]
    tested = [try_metric(name, systems, ground, effort or Effort()) for name in metrics]
    lang, tokenizer = ground.direction[1], ground.bleu_tokenizer
    measures = [
        Measure(name, ground.references, target_lang=lang, bleu_tokenizer=tokenizer)
        for name in ("BLEU", "chrF2")
    ]
    counted = [[measure.count(lines) for measure in measures] for _, lines in systems]
    each = [measures[1].score_each(counts[1]) for counts in counted]
    everything = Bucket("all", tuple(range(len(each[0]))))
    against = []
    for place in range(1, len(systems)):
        pair = _Pair(measures, (counted[0], counted[place]), each[place] - each[0])
        gained, lost = _most_changed(pair.changes)
        groupings = [
            PartedBy(one.name, one.title, tuple(pair.part(bucket) for bucket in one.buckets))
            for one in (group(ground.properties) if ground.properties else [])
        ]
        against.append(Against(names[place], pair.part(everything), tuple(groupings), gained, lost))
    return Comparison(
        systems=tuple(names),
        test_set=ground.test_set,
        source_lang=ground.direction[0],
        target_lang=ground.direction[1],
        num_sentences=len(each[0]),
        num_references=len(ground.references),
        metrics=tuple(tested),
        against=tuple(against),
        sentences=_sentences(systems, ground, each),
    )


def try_metric(
    name: str, systems: Sequence[tuple[str, Sequence[str]]], ground: Ground, effort: Effort
) -> MetricTests:
    """Score all systems by one metric, and test them against the first with sacreBLEU's tests."""
    from sacrebleu.significance import PairedTest

    metric = build_metric(
        name,
        target_lang=ground.direction[1],
        bleu_tokenizer=ground.bleu_tokenizer,
        references=ground.references,
    )
    found: dict[str, list[Any]] = {}
    signatures: dict[str, str] = {}
    for kind, times in (("bs", effort.resamples), ("ar", effort.trials)):
        test = PairedTest(list(systems), {name: metric}, None, kind, times)
        told, results = test()
        [signatures[kind]] = map(str, told.values())
        [found[kind]] = [rows for key, rows in results.items() if key != "System"]
    rows = [
        Tested(
            system,
            float(bootstrap.score),
            float(bootstrap.mean),
            float(bootstrap.ci),
            bootstrap.p_value,
            randomization.p_value,
        )
        for (system, _), bootstrap, randomization in zip(
            systems, found["bs"], found["ar"], strict=True
        )
    ]
    return MetricTests(name, signatures["bs"], signatures["ar"], tuple(rows))


@dataclass(frozen=True, slots=True)
class _Pair:
    """The first system and another, as counted by each measure, and how chrF2 changed."""

    measures: Sequence[Measure]
    counted: tuple[Sequence[Counts], Sequence[Counts]]
    changes: Numbers

    def part(self, bucket: Bucket) -> Part:
        places = list(bucket.places)
        changes = self.changes[places]
        wins, losses = int((changes > _TIE).sum()), int((changes < -_TIE).sum())
        scores = {
            measure.name: (measure.score(first[places]), measure.score(other[places]))
            for measure, first, other in zip(self.measures, *self.counted, strict=True)
        }
        return Part(bucket.label, len(places), wins, len(places) - wins - losses, losses, scores)


def _most_changed(changes: Numbers) -> tuple[tuple[int, ...], tuple[int, ...]]:
    order = sorted(range(len(changes)), key=lambda place: (changes[place], place))
    lost = [place for place in order[:_NUM_CHANGED] if changes[place] < -_TIE]
    gained = [place for place in order[::-1][:_NUM_CHANGED] if changes[place] > _TIE]
    return tuple(gained), tuple(lost)


def _sentences(
    systems: Sequence[tuple[str, Sequence[str]]], ground: Ground, each: Sequence[Numbers]
) -> tuple[ComparedSentence, ...]:
    return tuple(
        ComparedSentence(
            source=None if ground.sources is None else ground.sources[place],
            references=tuple(lines[place] or "" for lines in ground.references),
            hypotheses=tuple(lines[place] for _, lines in systems),
            chrf2=tuple(float(scores[place]) for scores in each),
        )
        for place in range(len(each[0]))
    )


def dump_comparison(comparison: Comparison) -> str:
    """Return what the `scores.json` of a comparison holds, see docs/scores.md."""
    content = {"format_version": FORMAT_VERSION, "nmt_version": __version__, **asdict(comparison)}
    return json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
