import dataclasses

import numpy as np
import pytest
from html_check import read_page

from nmt.corpus import SentencePair
from nmt.evaluation import Known, Report, Segments, evaluate, read_training_text
from nmt.evaluation.details import Alternative, Detail, WordAttention
from nmt.evaluation.page import render_overview, render_page
from nmt.recipe import parse_recipe

RECIPE = """
data:
  source_lang: en
  target_lang: he
  train: {tsv: train.tsv}
  validation: {tsv: validation.tsv}
training: {max_sentences: 1}
"""
NASTY = '<script>alert(1)</script> & "quoted" <b>bold</b>'
SOURCES = [
    NASTY,
    "a cat sat on the mat",
    "no",
    "the\x00 dog\x1b runs\x85 on",
    "six cats and 7 dogs",
]
REFERENCES = [NASTY, "חתול ישב על המחצלת", "לא", "הכלב רץ", "שישה חתולים ו-7 כלבים"]
HYPOTHESES = [NASTY, "חתול ישב על שולחן", "", "הכלב ישן", "שישה כלבים"]
ENTRIES = [
    {"epoch": epoch, "train_loss": 3.0, "loss": 4.0 - epoch, "BLEU": 2.0, "chrF2": 9.0 + epoch}
    for epoch in (1, 2, 3)
]


def detail(hypothesis: str) -> Detail:
    attention = WordAttention(
        ("<i>a</i>", "cat"),
        ("חתול", "<u>"),
        np.array([[0.9, 0.01], [0.25, 0.75]], dtype=np.float32),
        np.array([1.15, 0.1], dtype=np.float32),
    )
    best = Alternative(hypothesis, -1.5, -3.25)
    return Detail(0.5, 4, (best, Alternative("<second>", -2.0, -4.0)), attention)


def make_report(num: int = 5) -> Report:
    segments = Segments("<test> set", SOURCES[:num], [REFERENCES[:num]])
    pairs = [SentencePair(SOURCES[1], REFERENCES[1]), SentencePair("<b>seen</b>", "כלב")]
    known = Known(
        details=[detail(text) for text in HYPOTHESES[:num]],
        training=read_training_text(pairs, segments.sources, direction=("en", "he")),
        metrics=ENTRIES,
    )
    recipe = parse_recipe(RECIPE, name="recipe")
    return evaluate(HYPOTHESES[:num], segments, recipe, model="runs/<a>", known=known)


REPORT = make_report()
PAGE = render_page(REPORT)


def test_the_page_is_sound_and_reaches_for_nothing() -> None:
    reader = read_page(PAGE)
    assert reader.faults == []
    sections = [found["id"] for tag, found in reader.tags if tag == "section"]
    assert sections == [
        "scores",
        "parts",
        "words",
        "coverage",
        "confidence",
        "training",
        "sentences",
        "how",
    ]


@pytest.mark.parametrize("num", [1, 2, 3])
def test_small_test_sets_make_a_sound_page_too(num: int) -> None:
    assert read_page(render_page(make_report(num))).faults == []


def test_a_page_of_what_is_barely_known_is_sound() -> None:
    segments = Segments("t", ["", "x"], [["", None or ""]])
    recipe = parse_recipe(RECIPE, name="recipe")
    report = evaluate(["", ""], segments, recipe, model="m")
    reader = read_page(render_page(report))
    assert reader.faults == []
    assert "What this report cannot tell" in reader.text


def test_a_page_of_nothing_but_right_translations_is_sound() -> None:
    segments = Segments("t", ["a b c d e", "a b"], [["f g h i j", "f g h i"]])
    recipe = parse_recipe(RECIPE, name="recipe")
    report = evaluate(["f g h i j", "f g h i"], segments, recipe, model="m")
    assert report.groupings
    page = render_page(report)
    assert read_page(page).faults == []
    assert "90 to 100" in page


def test_whatever_stands_in_the_sentences_is_text() -> None:
    assert "<script" not in PAGE
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in PAGE
    for tag in ("<b>bold", "<i>a", "<u>", "<second>", "runs/<a>", "<test>"):
        assert tag not in PAGE
    assert NASTY in "".join(read_page(PAGE).text)


def test_controls_do_not_reach_the_page() -> None:
    assert "the\ufffd dog\ufffd runs\ufffd on" in PAGE
    assert not {"\x00", "\x1b", "\x85"} & set(PAGE)


def test_text_runs_in_its_own_direction() -> None:
    tags = [found for _, found in read_page(PAGE).tags if found.get("lang") in ("he", "en")][1:]
    bare = [found for found in tags if found.get("dir") != "auto" and found.get("scope") != "col"]
    assert {found["lang"] for found in tags} == {"he", "en"}
    assert bare == []


def test_every_picture_is_named_and_its_numbers_stand_in_a_table() -> None:
    reader = read_page(PAGE)
    pictures = [found for tag, found in reader.tags if tag == "svg"]
    assert len(pictures) == 3
    assert all(
        one["role"] == "img" and "see the table" in str(one["aria-label"]) for one in pictures
    )
    hidden = [found for _, found in reader.tags if found.get("class") == "track"]
    assert hidden
    assert all(one.get("aria-hidden") == "true" for one in hidden)


def test_the_page_says_the_scores_and_the_warnings() -> None:
    text = " ".join("".join(read_page(PAGE).text).split())
    for score in REPORT.scores:
        assert f"{score.name}{score.value:.2f}" in text.replace(" ", "")
        assert score.signature in text
    assert "1 of 5 hypotheses are empty" in text
    assert "1 of 5 sources stand in the training data too" in text
    assert "those of epoch 3, the best one by chrF2 on the validation set" in text
    assert "(chosen)" in text


def test_differences_and_attention_are_shown() -> None:
    assert '<mark class="missing" title="only in the reference">המחצלת</mark>' in PAGE
    assert '<mark class="extra" title="only in the translation">שולחן</mark>' in PAGE
    assert '<td style="--w:90">90</td>' in PAGE
    assert '<td style="--w:1"></td>' in PAGE


def test_a_large_test_set_makes_no_large_page() -> None:
    sentence = dataclasses.replace(REPORT.sentences[1], source="long " * 2000)
    many = dataclasses.replace(REPORT, sentences=[sentence] * 9000, num_sentences=9000)
    page = render_page(many)
    assert len(page.encode()) < 5_000_000
    assert read_page(page).faults == []
    assert "of 9,000 sentences (scores.json has all)" in page
    assert "... (10,000 characters)" in page


def test_the_overview_leads_to_the_reports() -> None:
    page = render_overview([("a b", REPORT), ("c", REPORT)])
    reader = read_page(page)
    assert reader.faults == []
    assert 'href="a%20b/index.html"' in page
    assert "&lt;test&gt; set" in page
