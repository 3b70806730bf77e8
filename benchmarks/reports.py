"""How long a report and a comparison take, translating aside, on made-up text.

The report: 1,000 sentences with attention, five alternatives and confidence, all four metrics, and
29,000 training pairs. The comparison: three systems, 3,000 sentences, both paired tests at 1,000
resamples and trials, BLEU and chrF2.
"""

import random
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from nmt.corpus import SentencePair
from nmt.evaluation import (
    Detail,
    Effort,
    Ground,
    Known,
    Segments,
    compare,
    evaluate,
    read_training_text,
    write_comparison,
    write_report,
)
from nmt.evaluation.details import Alternative, WordAttention
from nmt.recipe import parse_recipe

RECIPE = """
data:
  source_lang: en
  target_lang: de
  train: {tsv: train.tsv}
  validation: {tsv: validation.tsv}
training: {max_sentences: 1}
"""
GENERATOR = random.Random(1)
# As many words as Multi30k has, as unequally frequent.
WORDS = [
    "".join(GENERATOR.choices("abcdefghijklmnop", k=GENERATOR.randint(2, 11))) for _ in range(9000)
]
WEIGHTS = [1 / rank for rank in range(1, len(WORDS) + 1)]


def draw_lines(count: int) -> list[str]:
    """Draw sentences about as long as Multi30k's."""
    return [
        " ".join(GENERATOR.choices(WORDS, WEIGHTS, k=GENERATOR.randint(6, 20))) + "."
        for _ in range(count)
    ]


def noisy(lines: list[str], share: float) -> list[str]:
    """Put other words in the place of some."""
    return [
        " ".join(
            GENERATOR.choices(WORDS, WEIGHTS)[0] if GENERATOR.random() < share else word
            for word in line.split()
        )
        for line in lines
    ]


def detail_for(source: str, hypothesis: str) -> Detail:
    """Make up what a translator would tell."""
    sources, targets = tuple(source.split()), tuple(hypothesis.split())
    weights = np.random.default_rng(1).dirichlet(np.ones(len(sources)), len(targets))
    attention = WordAttention(
        sources, targets, weights.astype(np.float32), weights.sum(0).astype(np.float32)
    )
    alternatives = tuple(Alternative(hypothesis, -place, -2 * place) for place in range(1, 6))
    return Detail(GENERATOR.random(), len(source) // 3, alternatives, attention)


def measure(name: str, work: Callable[[], None]) -> None:
    """Do something once and say how long it took."""
    start, start_cpu = time.monotonic(), time.process_time()
    work()
    seconds, cpu = time.monotonic() - start, time.process_time() - start_cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(f"{name:<64} {seconds:6.1f} s ({cpu:.1f} s of CPU), peak {peak:,.0f} MB")


def main() -> None:
    """Measure both."""
    references, sources = draw_lines(3000), draw_lines(3000)
    systems = [(f"system {share}", noisy(references, share)) for share in (0.3, 0.31, 0.4)]
    pairs = [
        SentencePair(*pair) for pair in zip(draw_lines(29_000), draw_lines(29_000), strict=True)
    ]
    recipe = parse_recipe(RECIPE, name="recipe")
    hypotheses = systems[0][1][:1000]
    details = [detail_for(*pair) for pair in zip(sources[:1000], hypotheses, strict=True)]
    ground = Ground(
        test_set="made up",
        sources=sources,
        references=[references],
        properties=None,
        direction=recipe.data.direction,
        bleu_tokenizer=None,
    )
    with tempfile.TemporaryDirectory() as folder:

        def report() -> None:
            segments = Segments("made up", sources[:1000], [references[:1000]])
            training = read_training_text(pairs, segments.sources, direction=recipe.data.direction)
            known = Known(details=details, training=training)
            found = evaluate(hypotheses, segments, recipe, model="made up", known=known)
            write_report(Path(folder), found)

        def comparison() -> None:
            effort = Effort(resamples=1000, trials=1000)
            found = compare(systems, ground, metrics=["BLEU", "chrF2"], effort=effort)
            write_comparison(Path(folder), found)

        measure("report, 1,000 sentences", report)
        size = (Path(folder) / "index.html").stat().st_size
        print(f"  index.html: {size / 1e6:.2f} MB")
        measure("comparison, 3 systems, 3,000 sentences, 1,000 resamples", comparison)


if __name__ == "__main__":
    main()
