"""Writes a report and a comparison for `make look`: hard text, nothing trained, no network."""

import sys
from pathlib import Path

import numpy as np

from nmt.corpus import SentencePair
from nmt.evaluation import (
    Detail,
    Effort,
    Ground,
    Known,
    Report,
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
  target_lang: he
  train: {tsv: train.tsv}
  validation: {tsv: validation.tsv}
training: {max_sentences: 1}
"""
# One of each kind: right to left, markup, numbers, a long word, nothing.
PAIRS = [
    ("A cat sat on the mat.", "חתול ישב על המחצלת."),
    ("Six cats and 7 dogs run home.", "שישה חתולים ו-7 כלבים רצים הביתה."),
    ("<script>alert(1)</script> is text & no more", "<script>alert(1)</script> הוא טקסט"),
    (f"A word of {'very' * 40} long make", f"מילה {'ארוכה' * 30} מאוד"),
    ("The dog sleeps in the sun today.", "הכלב ישן היום בשמש."),
    ("No.", "לא."),
]
COPIES = 12
ENTRIES = [
    {
        "epoch": epoch,
        "train_loss": 5 / epoch + 1.5,
        "loss": 4 / epoch + 1,
        "BLEU": 40 - 35 / epoch,
        "chrF2": 62 - 40 / epoch,
    }
    for epoch in range(1, 13)
]


def spoilt(text: str, place: int) -> str:
    """Leave out a word, or all of them."""
    words = text.split()
    return " ".join(words[:place] + words[place + 1 :]) if place % 11 else ""


def detail_for(source: str, hypothesis: str, place: int) -> Detail:
    """Make up what a translator would tell."""
    sources, targets = tuple(source.split()), tuple(hypothesis.split())
    generator = np.random.default_rng(place)
    weights = generator.dirichlet(np.full(len(sources), 0.3), len(targets)).astype(np.float32)
    attention = WordAttention(sources, targets, weights, weights.sum(axis=0))
    best = [Alternative(hypothesis, -0.5, -2.0), Alternative(source, -0.75, -3.0)]
    confidence = float(generator.uniform(0.2, 0.95))
    return Detail(confidence, len(source) // 3 + 1, tuple(best), attention)


def make_report(segments: Segments, hypotheses: list[str]) -> Report:
    """Report on made-up translations, with all that a report can show."""
    pairs = [SentencePair(*pair) for pair in PAIRS[:2]]
    known = Known(
        details=[
            detail_for(source, hypothesis, place)
            for place, (source, hypothesis) in enumerate(
                zip(segments.sources, hypotheses, strict=True)
            )
        ],
        training=read_training_text(pairs, segments.sources, direction=("en", "he")),
        metrics=ENTRIES,
    )
    recipe = parse_recipe(RECIPE, name="recipe")
    return evaluate(hypotheses, segments, recipe, model="runs/look", known=known)


def main() -> None:
    """Write both into the folder that is named."""
    folder = Path(sys.argv[1])
    pairs = PAIRS * COPIES
    sources, references = ([pair[side] for pair in pairs] for side in (0, 1))
    segments = Segments("look.en + look.he", sources, [references])
    systems = [
        (f"system-{number}", [spoilt(text, place % step) for place, text in enumerate(references)])
        for number, step in ((1, 5), (2, 13))
    ]
    report = make_report(segments, systems[0][1])
    write_report(folder / "report", report)
    ground = Ground(
        test_set=segments.name,
        sources=sources,
        references=[references],
        properties=[one.properties for one in report.sentences],
        direction=("en", "he"),
        bleu_tokenizer=None,
    )
    effort = Effort(resamples=100, trials=100)
    comparison = compare(systems, ground, metrics=["BLEU", "chrF2", "TER"], effort=effort)
    write_comparison(folder / "comparison", comparison)


if __name__ == "__main__":
    main()
