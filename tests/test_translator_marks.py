"""What looks wrong with a translation."""

from collections.abc import Sequence

import pytest
from scripted_engine import Ids, ScriptedEngine
from test_translator import TOKENIZER, CopyEngine, make_translator

from nmt.recipe import DecodingRecipe
from nmt.search import SamplingOptions, SearchOptions
from nmt.translator import Mark, Request, Translator
from nmt.translator.marks import has_repeats, length_mark

OPTIONS = SearchOptions(
    beam_size=1,
    num_hypotheses=1,
    length_penalty=0.0,
    max_length_ratio=2.0,
    max_target_length=50,
    bos_id=0,
    eos_id=1,
    banned_ids=(),
)


@pytest.mark.parametrize(
    ("token_ids", "source_ids", "expected"),
    [
        ([7] * 8, [1, 2, 3], True),
        ([7] * 7, [1, 2, 3], False),
        ([7, 8] * 4, [1, 2, 3], True),
        ([5, 7, 8, 9] + [7, 8, 9] * 3, [1, 2, 3], True),
        ([7, 8, 9] * 3, [1, 2, 3], False),
        ([4, *([7, 8] * 4), 7, 6], [1, 2, 3], True),
        ([7, 8, 7, 8, 3, 7, 8, 7, 8], [1, 2, 3], False),
        # As the source does, or not much more.
        ([7, 8] * 4, [1, 1, 2], False),
        ([7, 8] * 5, [1, 2, 3] * 3, False),
        ([7, 8] * 7, [1, 2, 3] * 3, True),
        ([], [], False),
        ([7], [1], False),
    ],
)
def test_circles_are_seen(
    token_ids: Sequence[int], source_ids: Sequence[int], expected: bool
) -> None:
    assert has_repeats(token_ids, source_ids) == expected


@pytest.mark.parametrize(
    ("num_tokens", "source_length", "expected"),
    [
        (19, 5, None),
        (20, 5, "too_long"),
        (49, 30, None),
        (50, 30, "too_long"),
        (5, 20, None),
        (5, 21, "too_short"),
        (1, 12, None),
        (1, 13, "too_short"),
    ],
)
def test_lengths_that_do_not_go_together_are_seen(
    num_tokens: int, source_length: int, expected: Mark | None
) -> None:
    assert length_mark(num_tokens, source_length, OPTIONS) == expected


A, B, C = (TOKENIZER.encode(f"x{letter}")[-1] for letter in "abc")


def circles(source: Ids, prefix: Ids) -> list[float]:
    """Likes to say a and b in turn for ever, c somewhat less, and seldom to end."""
    likes = {A: -0.5, B: -0.1} if prefix and prefix[-1] == A else {A: -0.1, B: -0.5}
    likes |= {C: -1.0, TOKENIZER.eos_id: -3.0 if C in prefix else -9.0}
    return [likes.get(token, -30.0) for token in range(TOKENIZER.vocab_size)]


def circling_translator(*, keep_repeats: bool, request: Request | None = None) -> Translator:
    return Translator(
        TOKENIZER,
        TOKENIZER,
        ScriptedEngine(circles),
        DecodingRecipe(beam_size=1, max_target_length=20, keep_repeats=keep_repeats),
        request=request,
    )


def test_circles_are_searched_again_and_marked() -> None:
    [kept] = circling_translator(keep_repeats=True).translate_detailed(["x"])
    assert kept.text == "ab" * 7 + "a"
    assert kept.marks == ("repeats", "too_long")
    [guarded] = circling_translator(keep_repeats=False).translate_detailed(["x"])
    ids = guarded.hypotheses[0].parts[0].hypothesis.token_ids
    triples = list(zip(ids, ids[1:], ids[2:], strict=False))
    assert len(set(triples)) == len(triples)
    assert guarded.text.startswith("aba")
    assert "repeats" in guarded.marks


def test_what_is_drawn_is_marked_and_not_drawn_again() -> None:
    request = Request(sampling=SamplingOptions(top_k=1))
    [drawn] = circling_translator(keep_repeats=False, request=request).translate_detailed(["x"])
    assert drawn.text == "ab" * 7 + "a"
    assert drawn.marks == ("repeats", "too_long")


def test_other_lines_are_found_as_before_and_in_their_place() -> None:
    line = "The cat sat, and then it sat on the mat."
    lines = ["A man.", "haha" * 6, line, "", "Two dogs run!"]
    translator = make_translator(CopyEngine(), max_source_length=len(TOKENIZER.encode(line)) - 1)
    found = list(translator.translate_detailed(lines))
    assert [one.text for one in found] == lines
    assert [one.marks for one in found] == [(), (), ("cut",), (), ()]


def test_a_translation_that_is_too_short_is_marked() -> None:
    def brief(source: Ids, prefix: Ids) -> list[float]:
        return [0.0 if one == TOKENIZER.eos_id else -9.0 for one in range(TOKENIZER.vocab_size)]

    short, long = make_translator(ScriptedEngine(brief)).translate_detailed(["x", "x" * 20])
    assert (short.text, short.marks, long.marks) == ("", (), ("too_short",))
