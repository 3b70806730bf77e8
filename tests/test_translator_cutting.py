"""Where long lines are parted, and what stands between the translations."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nmt.translator.cutting import Span, fitting_spans, sentence_spans, target_gap

ODD = "ab. !?\"'()«»„…1:;,-*\t\n\r\0\x0b\x1c\x85\xa0\u2028\u3000\u200b\u200d\u0301。！？।؟😀"
texts = st.text(st.sampled_from(ODD) | st.characters(exclude_categories=["Cs"]), max_size=60)


def sentences(line: str, language: str) -> list[str]:
    return [line[start:end] for start, end in sentence_spans(line, language)]


@pytest.mark.parametrize(
    ("line", "language", "expected"),
    [
        ("One. Two!  Three?\tFour", "en", ["One.", "Two!", "Three?", "Four"]),
        ("Dr. Smith paid 3.50 dollars. Then he left.", "en-GB", 2),
        ("Am 3. Oktober war z. B. Dr. Müller da. Er ging.", "de", 2),
        ("“Stop.” He ran.", "en", ["“Stop.”", "He ran."]),
        ("你好。我是谁？好", "zh_Hans", ["你好。", "我是谁？", "好"]),
        ("यह है। दूसरा।", "hi", ["यह है।", "दूसरा।"]),
        ("No mark", "en", ["No mark"]),
        ("One. Two.", "", ["One.", "Two."]),
        (" \t\u3000 ", "en", []),
        ("", "en", []),
    ],
)
def test_sentences_are_found(line: str, language: str, expected: list[str] | int) -> None:
    found = sentences(line, language)
    assert (len(found) if isinstance(expected, int) else found) == expected


def check_spans(line: str, spans: list[Span]) -> None:
    """What the spans leave out is white space, and so is no end of one."""
    edges = [0, *(edge for span in spans for edge in span), len(line)]
    assert edges == sorted(edges)
    assert not any(line[end:start].strip() for end, start in list(pairwise(edges))[::2])
    for start, end in spans:
        assert line[start:end]
        assert line[start:end] == line[start:end].strip()


@given(line=texts, language=st.sampled_from(["en", "de", "zh", "ar", "hi", "xx"]))
@example(line="A\u3000. b", language="en")  # the segmenter cannot take it as it is
def test_sentences_leave_nothing_out_but_white_space(line: str, language: str) -> None:
    check_spans(line, sentence_spans(line, language))


def test_text_longer_than_a_block_is_parted_alike() -> None:
    text = [
        "The first one.",
        "Then Mr. Smith came in, of 3.5 feet.",
        "Why?",
        "x" * 5000 + ".",
        "Q.",
    ]
    line = "  ".join(text * 40)
    assert sentences(line, "en") == text * 40


def parts(text: str, max_tokens: int) -> list[str]:
    """The parts of a text where each character is a token."""
    spans = fitting_spans(text, (0, len(text)), len, max_tokens)
    return [text[start:end] for start, end in spans]


@pytest.mark.parametrize(
    ("text", "max_tokens", "expected"),
    [
        ("aaa bbb", 7, ["aaa bbb"]),
        # In the middle, ...
        ("aaa bbb", 6, ["aaa", "bbb"]),
        ("aaaaaa", 4, ["aaa", "aaa"]),
        # ... but rather at white space, behind punctuation, at the end of a sentence.
        ("aaaa bbbbbb", 9, ["aaaa", "bbbbbb"]),
        ("aaaaa, bbb cccc", 12, ["aaaaa,", "bbb cccc"]),
        ("aaaaaaa – bbb cccccc", 18, ["aaaaaaa –", "bbb cccccc"]),
        ("aaaaaaa. bbb, cccccc", 19, ["aaaaaaa.", "bbb, cccccc"]),
        ("aaaaaaa.”  bbb cccccccc", 19, ["aaaaaaa.”", "bbb cccccccc"]),
        # A point inside a number, or a comma, ends nothing.
        ("aaaaaa 3.5 bbbbbbb", 17, ["aaaaaa", "3.5 bbbbbbb"]),
        # In Chinese no space follows.
        ("你好你好，我是谁我是", 9, ["你好你好，", "我是谁我是"]),
        # An accent stays with its letter, a family together.
        ("aae\u0301aaa", 5, ["aae\u0301", "aaa"]),
        ("a👩\u200d👧ba", 4, ["a👩\u200d👧", "ba"]),
    ],
)
def test_a_sentence_is_cut_where_it_does_least_harm(
    text: str, max_tokens: int, expected: list[str]
) -> None:
    assert parts(text, max_tokens) == expected


@given(text=texts, max_tokens=st.integers(1, 8))
def test_no_part_of_a_sentence_is_too_long_or_lost(text: str, max_tokens: int) -> None:
    text = text.strip()
    if not text:
        return
    spans = list(fitting_spans(text, (0, len(text)), len, max_tokens))
    check_spans(text, spans)
    assert all(end - start <= max_tokens for start, end in spans)


def test_what_cannot_be_shorter_is_single_characters() -> None:
    spans = fitting_spans("aä😀", (0, 3), lambda text: 3 * len(text), 2)
    assert list(spans) == [(0, 1), (1, 2), (2, 3)]


@pytest.mark.parametrize(
    ("gap", "languages", "expected"),
    [
        (" ", ("en", "de"), " "),
        ("  \t", ("en", "de"), "  \t"),
        ("", ("en", "de"), ""),
        (" \n\u2028 \x85", ("en", "de"), "    "),
        (" \u200b", ("en", "de"), " "),
        ("", ("zh-CN", "en"), " "),
        (" ", ("en", "ja"), ""),
        ("  ", ("en", "ja"), "  "),
        ("", ("zh", "ja"), ""),
        (" ", ("zh", "ja"), " "),
        ("\n", ("zh", "en"), " "),
    ],
)
def test_gaps_are_the_lines_own_where_the_language_has_such(
    gap: str, languages: tuple[str, str], expected: str
) -> None:
    assert target_gap(gap, languages) == expected
