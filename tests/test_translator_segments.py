"""Lines in the segments that a model takes."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from test_translator_cutting import texts

from nmt.recipe import DecodingRecipe, TokenizerRecipe
from nmt.tokenizer import Tokenizer
from nmt.translator.segments import Segment, Segmenter

SENTENCES = ["A man rides a horse.", "Two dogs run fast, said he.", "The cat sat on the mat!"]
TOKENIZER = Tokenizer.train(SENTENCES, TokenizerRecipe(vocab_size=285))


def segments(line: str, *, max_tokens: int, split_sentences: bool = False) -> list[Segment]:
    decoding = DecodingRecipe(max_source_length=max_tokens, split_sentences=split_sentences)
    segmenter = Segmenter(TOKENIZER, "en", decoding)
    return segmenter.segments(line, TOKENIZER.encode(line))


def texts_of(found: list[Segment]) -> list[str]:
    return [TOKENIZER.decode(segment.token_ids) for segment in found]


def test_a_short_line_is_one_segment_unless_its_sentences_are_wanted() -> None:
    line = "\t".join(SENTENCES[:2])
    assert segments(line, max_tokens=200) == [Segment(TOKENIZER.encode(line))]
    first, second = SENTENCES[:2]
    assert segments(line, max_tokens=200, split_sentences=True) == [
        Segment(TOKENIZER.encode(first)),
        Segment(TOKENIZER.encode(second), "\t"),
    ]
    assert segments(first, max_tokens=200, split_sentences=True) == [
        Segment(TOKENIZER.encode(first))
    ]


def test_a_long_line_is_its_sentences_and_a_long_sentence_its_parts() -> None:
    short, long = "Two dogs run.", "The cat sat on the mat, and a man rides a horse on the mat."
    max_tokens = len(TOKENIZER.encode(long)) - 1
    found = segments(f"  {short}  {long} ", max_tokens=max_tokens)
    assert texts_of(found) == [
        short,
        "The cat sat on the mat,",
        "and a man rides a horse on the mat.",
    ]
    assert [segment.gap for segment in found] == ["  ", "  ", " "]
    assert [segment.is_cut for segment in found] == [False, True, True]


def test_what_the_tokenizer_leaves_out_is_in_the_gap() -> None:
    found = segments("Two dogs run. \u200b\u200b. A cat", max_tokens=6)
    assert "".join(texts_of(found)).replace(" ", "") == "Twodogsrun..Acat"


@pytest.mark.parametrize("line", ["a" * 100_000, "a b. " * 20_000, "A. " * 30_000, "1. " * 30_000])
def test_a_line_may_be_very_long(line: str) -> None:
    found = segments(line, max_tokens=200)
    assert max(len(segment.token_ids) for segment in found) <= 200
    assert "".join(texts_of(found)).replace(" ", "") == line.replace(" ", "")


def test_blank_lines_have_no_segments() -> None:
    for line in ("", " \t", "\u200b"):
        assert segments(line, max_tokens=1, split_sentences=True) == []


@given(line=texts, max_tokens=st.integers(1, 12), split_sentences=st.booleans())
@example(line="\ufdfa", max_tokens=1, split_sentences=False)
@example(line="😀" * 5, max_tokens=2, split_sentences=False)
def test_segments_hold_all_of_a_line_and_are_short_enough(
    line: str, max_tokens: int, split_sentences: bool
) -> None:
    found = segments(line, max_tokens=max_tokens, split_sentences=split_sentences)
    assert all(1 <= len(segment.token_ids) <= max_tokens for segment in found)
    whole = TOKENIZER.decode([one for segment in found for one in segment.token_ids])
    letters = TOKENIZER.decode(TOKENIZER.encode(line))
    assert "".join(whole.split()) == "".join(letters.split())
