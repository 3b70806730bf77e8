import dataclasses
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import sacrebleu

from nmt.corpus import SentencePair
from nmt.errors import DataError, RecipeError
from nmt.evaluation import Known, Report, Segments, evaluate, read_training_text
from nmt.evaluation.details import Alternative, Detail, WordAttention
from nmt.evaluation.evaluation import curves_of
from nmt.evaluation.scores import compute_scores
from nmt.recipe import Recipe, parse_recipe

RECIPE = """
data:
  source_lang: zh
  target_lang: en
  reverse: {reverse}
  train: {{tsv: train.tsv}}
  validation: {{tsv: validation.tsv}}
training: {{max_sentences: 1}}
evaluation: {{metrics: [TER, BLEU], bleu_tokenizer: {tokenizer}}}
"""
PAIRS = [SentencePair("eine Katze", "a cat"), SentencePair("nein", "no")]
SEGMENTS = Segments.of_pairs("b.tsv", PAIRS)
ATTENTION = WordAttention(
    ("eine", "Katze"),
    ("one", "cat"),
    np.array([[0.9, 0.05], [0.8, 0.1]], dtype=np.float32),
    np.array([1.7, 0.15], dtype=np.float32),
)
DETAILS = [
    Detail(0.75, 3, (Alternative("one cat", -1.0, -2.0),), ATTENTION),
    Detail(None, 1, (Alternative("no", -1.0, -2.0),), None),
]


def recipe(*overrides: str, reverse: str = "false", tokenizer: str = "null") -> Recipe:
    text = RECIPE.format(reverse=reverse, tokenizer=tokenizer)
    return parse_recipe(text, name="recipe", overrides=overrides)


def report_of(segments: Segments, hypotheses: list[str], **known: Any) -> Report:
    return evaluate(hypotheses, segments, recipe(), model="runs/a", known=Known(**known))


def test_a_report_holds_the_texts_and_their_scores() -> None:
    report = report_of(SEGMENTS, ["one cat", "no"])
    assert (report.model, report.test_set) == ("runs/a", "b.tsv")
    assert (report.source_lang, report.target_lang) == ("zh", "en")
    assert [one.source for one in report.sentences] == ["eine Katze", "nein"]
    assert [one.references for one in report.sentences] == [("a cat",), ("no",)]
    assert [one.hypothesis for one in report.sentences] == ["one cat", "no"]
    assert [score.name for score in report.scores] == ["TER", "BLEU"]
    assert report.scores[0].value == pytest.approx(100 / 3)  # one edit for three words
    assert report.exact_matches == 1
    assert report.lengths.ratio == 1
    assert report.lengths.character_ratio == pytest.approx(9 / 7)


def test_several_references_are_all_heard() -> None:
    segments = Segments("t", ["eine Katze", "nein"], [["a cat", "no"], ["one cat", "not"]])
    report = report_of(segments, ["one cat", "no"])
    assert report.exact_matches == 2
    assert report.num_references == 2
    assert report.scores[0].value == 0
    assert all("nrefs:2|" in score.signature for score in report.scores)
    assert report.sentences[0].references == ("a cat", "one cat")
    assert report.sentences[0].chrf2 == pytest.approx(100)


def test_intervals_come_with_how_they_were_made() -> None:
    report = report_of(SEGMENTS, ["one cat", "no"])
    assert report.bootstrap is not None
    assert (report.bootstrap.resamples, report.bootstrap.seed) == (1000, 12345)
    metric = sacrebleu.TER()
    expected: Any = metric.corpus_score(["one cat", "no"], [["a cat", "no"]], n_bootstrap=1000)
    assert report.scores[0].interval is not None
    lower, upper = report.scores[0].interval
    assert (lower + upper) / 2 == pytest.approx(expected._mean, abs=1e-4)
    assert (upper - lower) / 2 == pytest.approx(expected._ci, abs=1e-4)


def test_one_sentence_has_no_interval_and_a_warning() -> None:
    report = report_of(Segments("t", ["nein"], [["no"]]), ["no"])
    assert [score.interval for score in report.scores] == [None, None]
    assert report.bootstrap is None
    assert [one.kind for one in report.suspicions] == ["one_sentence"]


def test_sentences_that_training_saw_are_scored_apart() -> None:
    pairs = [SentencePair(" nein", "nope"), SentencePair("ein Hund", "a dog")]
    training = read_training_text(pairs, SEGMENTS.sources, direction=("de", "en"))
    report = report_of(SEGMENTS, ["one cat", "no"], training=training)
    assert report.seen is not None
    assert report.seen.count == 1
    [chrf] = compute_scores(["one cat"], ["a cat"], metrics=["chrF2"], target_lang="en")
    assert report.seen.scores_with["chrF2"].value == pytest.approx(100)
    assert report.seen.scores_without["chrF2"].value == chrf.value
    assert report.suspicions[-1].message == "1 of 2 sources stand in the training data too"


def test_training_words_explain_the_scores() -> None:
    pairs = [SentencePair("Eine Maus", "a mouse, a cat"), SentencePair("nein", "no")]
    training = read_training_text(pairs, [], direction=("de", "en"))
    report = report_of(SEGMENTS, ["a cat", "no"], training=training)
    properties = [one.properties for one in report.sentences]
    assert [one.rarest_word for one in properties] == [1, 1]
    assert report.word_accuracy is not None
    assert [entry.num_matched for entry in report.word_accuracy] == [0, 3, 0, 0, 0]
    assert report.left_out == ("learning curves: no validation is recorded",)


def test_what_the_translator_tells_stands_with_the_sentences() -> None:
    report = report_of(SEGMENTS, ["one cat", "no"], details=DETAILS)
    first, second = report.sentences
    assert (first.confidence, second.confidence) == (0.75, None)
    assert first.uncovered_words == ("Katze",)
    assert first.properties.source_pieces == 3
    assert first.alternatives == DETAILS[0].alternatives
    assert first.attention is not None
    assert first.attention.weights == ((0.9, 0.05), (0.8, 0.1))
    assert second.attention is None
    assert report.coverage is not None
    assert report.coverage.num_little == 1
    assert report.calibration is not None
    assert report.calibration.count == 1
    quality = first.chrf2 / 100
    assert report.calibration.error == pytest.approx(abs(0.75 - quality))


def test_what_cannot_be_told_is_said() -> None:
    bare = [dataclasses.replace(one, confidence=None, attention=None) for one in DETAILS]
    report = report_of(SEGMENTS, ["one cat", "no"], details=bare, training="it is gone")
    assert report.left_out == (
        "what the training data explains: it is gone",
        "attention and coverage: the model has no attention",
        "calibration of the confidence: the run folder has none; "
        "`nmt evaluate --fit-confidence` learns it",
        "learning curves: no validation is recorded",
    )
    assert (report.seen, report.word_accuracy, report.coverage) == (None, None, None)


ENTRIES = [
    {"epoch": epoch, "train_loss": 9.0, "loss": loss, "BLEU": bleu, "chrF2": None}
    for epoch, loss, bleu in ((1, 3.0, 1.0), (2, 1.0, 5.0), (3, 2.0, 7.0), (4, 1.0, 7.0))
]


@pytest.mark.parametrize(
    ("overrides", "chosen"),
    [
        (["training.checkpoint_metric=loss"], (2,)),
        (["training.checkpoint_metric=BLEU"], (3,)),
        (["training.checkpoint_metric=loss", "training.average_checkpoints=3"], (2, 3, 4)),
    ],
)
def test_the_chosen_epochs_are_marked(overrides: list[str], chosen: tuple[int, ...]) -> None:
    curves = curves_of(ENTRIES, recipe(*overrides))
    assert curves is not None
    assert curves.chosen == chosen
    assert [one.bleu for one in curves.epochs] == [1.0, 5.0, 7.0, 7.0]
    assert curves_of([], recipe()) is None


def test_comet_is_used_where_it_is_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    checkpoint = tmp_path / "wmt22-comet-da.ckpt"
    checkpoint.write_bytes(b"")
    asked = []

    def predict(samples: list[dict[str, str]], **options: object) -> SimpleNamespace:
        asked.append(samples)
        return SimpleNamespace(system_score=0.5 if samples[0]["ref"] == "a cat" else 0.75)

    fake = SimpleNamespace(
        load_from_checkpoint=lambda path, local_files_only: SimpleNamespace(
            predict=predict if local_files_only else None  # it would ask the hub
        ),
        __spec__=object(),
    )
    segments = dataclasses.replace(SEGMENTS, references=[["a cat", "no"], ["cat", "no"]])
    assert [score.name for score in report_of(segments, ["cat", "no"]).scores] == ["TER", "BLEU"]
    monkeypatch.setitem(sys.modules, "comet", fake)
    monkeypatch.setenv("NMT_COMET_MODEL", str(checkpoint))
    monkeypatch.setattr("importlib.metadata.version", lambda name: f"{name}-9")
    score = report_of(segments, ["cat", "no"]).scores[-1]
    assert (score.name, score.value) == ("COMET", 62.5)
    assert score.signature == "nrefs:2|model:wmt22-comet-da.ckpt|version:unbabel-comet-9"
    assert asked[0][0] == {"src": "eine Katze", "mt": "cat", "ref": "a cat"}
    checkpoint.unlink()
    assert [score.name for score in report_of(segments, ["cat", "no"]).scores] == ["TER", "BLEU"]


def test_comet_without_its_encoder_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def load(path: str, *, local_files_only: bool) -> None:
        raise OSError(f"xlm-roberta-large is not in\nthe cache: {local_files_only}")

    checkpoint = tmp_path / "model.ckpt"
    checkpoint.write_bytes(b"")
    fake = SimpleNamespace(load_from_checkpoint=load, __spec__=object())
    monkeypatch.setitem(sys.modules, "comet", fake)
    monkeypatch.setenv("NMT_COMET_MODEL", str(checkpoint))
    complaint = "lacks a file on this machine: xlm-roberta-large is not in the cache: True$"
    with pytest.raises(RecipeError, match=complaint):
        report_of(SEGMENTS, ["cat", "no"])


@pytest.mark.parametrize(
    ("changes", "tokenizer"),
    [({}, "13a"), ({"reverse": "true"}, "zh"), ({"tokenizer": "intl"}, "intl")],
)
def test_the_recipe_says_how_bleu_cuts_words(changes: dict[str, str], tokenizer: str) -> None:
    report = evaluate(["one cat", "no"], SEGMENTS, recipe(**changes), model="runs/a")
    assert f"|tok:{tokenizer}|" in report.scores[1].signature


def test_a_missing_translation_is_an_error() -> None:
    message = "every hypothesis must have a reference, got 1 hypotheses and 2 references"
    with pytest.raises(DataError, match=f"^{message}$"):
        evaluate(["a cat"], SEGMENTS, recipe(), model="runs/a")
