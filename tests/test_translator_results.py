"""What can be told of a translation: pieces, links, confidence, and all of it as plain values."""

import json
from dataclasses import replace
from itertools import pairwise, product

import pytest
import torch

from nmt.confidence import FEATURES, ConfidenceModel
from nmt.errors import NMTError
from nmt.recipe import TokenizerRecipe
from nmt.search import Hypothesis
from nmt.tokenizer import Tokenizer
from nmt.translator import (
    TranslatedHypothesis,
    Translation,
    score_record,
    translation_record,
)
from nmt.translator.results import NOTHING, Background, TranslatedPart, best_choices, join

TOKENIZER = Tokenizer.train(
    ["ab ba abba"], TokenizerRecipe(vocab_size=7, model_type="bpe", byte_fallback=False)
)
BLANK = Background(TOKENIZER, TOKENIZER, has_attention=True)
# sure of nothing but the mean log-probability
SURE = ConfidenceModel(
    means=(0.0,) * len(FEATURES),
    scales=(1.0,) * len(FEATURES),
    weights=(1.0,) + (0.0,) * (len(FEATURES) - 1),
    intercept=0.0,
)


def part_of(
    source: str,
    target: str,
    attention: list[list[float]],
    background: Background = BLANK,
    *,
    gap: str = " ",
) -> TranslatedHypothesis:
    """A translation of one part, each of its tokens having the log-probability -0.5."""
    target_ids = tuple(TOKENIZER.encode(target))
    log_probs = (-0.5,) * (len(target_ids) + 1)
    log_prob = sum(log_probs)
    found = Hypothesis(target_ids, log_prob, -7.0, torch.tensor(attention), log_probs)
    part = TranslatedPart(TOKENIZER.encode(source), found, background, source_gap=gap, gap=gap)
    return TranslatedHypothesis(target, log_prob, -7.0, log_probs, (part,))


def one_hot(places: list[int], size: int) -> list[list[float]]:
    return [[float(place == column) for column in range(size)] for place in places]


# two words each of two pieces, ▁ b a and ▁ a; the first looks at all its places in turn
FIRST = part_of("ba a", "ab b", one_hot([4, 3, 0, 1, 1, 5], 6))


def test_pieces_are_those_of_the_tokenizer_with_ends() -> None:
    assert FIRST.pieces.source == ("▁", "b", "a", "▁", "a", "</s>")
    assert FIRST.pieces.target == ("▁", "a", "b", "▁", "b", "</s>")
    assert len(FIRST.pieces.target) == len(FIRST.token_log_probs)


def test_links_are_where_the_attention_was() -> None:
    alignment = FIRST.alignment
    assert alignment.pieces == ((0, 2), (1, 3), (1, 4), (3, 1), (4, 0))
    assert alignment.words == ((0, 0), (0, 1), (1, 0))
    assert alignment.matrix is not None
    assert list(alignment.matrix[0]) == [0, 0, 0, 0, 1, 0]
    assert list(alignment.matrix[5]) == [0, 0, 0, 0, 0, 1]


def test_parts_are_joined_with_the_places_of_the_later_ones_moved() -> None:
    second = part_of("b", "a ab", one_hot([1, 1, 0, 2, 2, 2], 3))
    whole = join([FIRST, second])
    assert whole.text == "ab b a ab"
    assert whole.log_prob == -6.0
    assert whole.score == -14.0
    assert whole.token_log_probs == (-0.5,) * 12
    assert whole.pieces.source == (*FIRST.pieces.source, "▁", "b", "</s>")
    alignment = whole.alignment
    assert alignment.pieces == (*FIRST.alignment.pieces, (6, 8), (7, 6), (7, 7))
    # the second part's word is the line's third; its two words are the translation's third, fourth
    assert alignment.words == (*FIRST.alignment.words, (2, 2), (2, 3))
    assert alignment.matrix is not None
    assert [len(row) for row in alignment.matrix] == [9] * 12
    assert list(alignment.matrix[0]) == [0, 0, 0, 0, 1, 0, 0, 0, 0]
    assert list(alignment.matrix[6]) == [0, 0, 0, 0, 0, 0, 0, 1, 0]


def test_a_word_that_was_cut_in_two_is_one_word_of_the_line() -> None:
    attention = one_hot([1, 1, 2], 3)
    first, last = part_of("b", "a", attention), part_of("a", "b", attention)
    whole = join([first, part_of("a", "b", attention, gap=""), last])
    assert whole.text == "ab b"
    assert whole.alignment.words == ((0, 0), (1, 1))


def test_parts_have_their_own_white_space_between_them_and_none_for_an_empty_one() -> None:
    attention = one_hot([1, 1, 2], 3)
    empty = replace(part_of("b", "a", attention, gap="\t"), text="")
    parts = [part_of("b", "a", attention, gap=gap) for gap in ("", "  ", "\t")]
    assert join(parts).text == "a  a\ta"
    assert join([empty, *parts]).text == "a  a\ta"
    assert join([parts[0], empty, parts[1]]).text == "a  a"


def test_the_matrix_of_a_line_in_very_many_parts_is_left_out() -> None:
    part = part_of("b", "a", one_hot([1, 1, 2], 3))
    small, large = join([part] * 333).alignment, join([part] * 334).alignment
    assert small.matrix is not None
    assert len(small.matrix) == len(small.matrix[0]) == 999
    assert large.matrix is None
    assert large.words[-1] == (333, 333)
    assert score_record(join([part] * 334))["alignment"]["matrix"] is None


@pytest.mark.parametrize("count", [1, 2, 3, 5, 100])
def test_the_best_choices_are_those_of_all_choices(count: int) -> None:
    scores = [[-1.0, -1.5, -4.0], [0.0, -0.25], [-2.0], [-1.0, -1.125, -1.75]]
    every = sorted(
        (list(places) for places in product(*(range(len(of_part)) for of_part in scores))),
        key=lambda places: -sum(map(list.__getitem__, scores, places)),
    )
    assert best_choices(scores, count) == every[:count]


def test_nothing_has_no_pieces_and_no_links() -> None:
    assert (NOTHING.pieces.source, NOTHING.pieces.target) == ((), ())
    alignment = NOTHING.alignment
    assert (alignment.pieces, alignment.words, alignment.matrix) == ((), (), ())
    assert NOTHING.confidence is None


def test_without_attention_there_is_no_alignment() -> None:
    blind = replace(BLANK, has_attention=False)
    found = part_of("a", "a", [[0.0] * 3] * 3, blind)
    with pytest.raises(NMTError, match="model must have attention to align words"):
        _ = found.alignment
    assert score_record(found)["alignment"] is None


def test_confidence_is_what_the_model_of_it_says() -> None:
    assert FIRST.confidence is None
    sure = replace(BLANK, confidence_model=SURE)
    attention = one_hot([0, 0, 0], 3)
    found = part_of("a", "a", attention, sure)
    [part] = found.parts
    assert found.confidence == pytest.approx(SURE.confidence(part.hypothesis, 3), rel=1e-12)
    assert found.confidence == pytest.approx(1 / (1 + 2.718281828**0.5))


def test_the_confidence_of_parts_is_their_mean_by_tokens() -> None:
    sure = replace(BLANK, confidence_model=SURE)
    short = part_of("a", "a", one_hot([0, 0, 0], 3), sure)
    [part] = short.parts
    unsure = replace(part.hypothesis, token_log_probs=(-4.0,) * 6, token_ids=(5,) * 5)
    long = replace(short, parts=(replace(part, hypothesis=unsure),))
    assert short.confidence is not None
    assert long.confidence is not None
    assert join([short, long]).confidence == pytest.approx(
        (3 * short.confidence + 6 * long.confidence) / 9
    )


def test_a_record_holds_what_the_translation_says_and_can_be_written() -> None:
    worse = replace(FIRST, text="b", score=-8.0)
    translation = Translation("ab b", -7.0, (FIRST, worse), 1, ("too_short",))
    record = translation_record(translation)
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert (record["text"], record["score"], record["log_prob"]) == ("ab b", -7.0, -3.0)
    assert [one["text"] for one in record["hypotheses"]] == ["ab b", "b"]
    assert [one["score"] for one in record["hypotheses"]] == [-7.0, -8.0]
    assert record["hypotheses"][0]["token_log_probs"] == [-0.5] * 6
    assert record["pieces"]["target"] == list(FIRST.pieces.target)
    assert record["alignment"]["words"] == [[0, 0], [0, 1], [1, 0]]
    assert record["alignment"]["pieces"][0] == [0, 2]
    assert record["alignment"]["matrix"][1] == [0, 0, 0, 1, 0, 0]
    assert record["confidence"] is None
    assert (record["num_parts"], record["marks"]) == (1, ["too_short"])


def test_attention_is_written_to_six_digits() -> None:
    found = part_of("a", "a", [[1 / 3] * 3] * 3)
    assert score_record(found)["alignment"]["matrix"][0] == [0.333333] * 3


def test_the_record_of_a_score_counts_the_tokens() -> None:
    record = score_record(FIRST)
    assert (record["num_tokens"], record["log_prob"], record["score"]) == (6, -3.0, -7.0)
    assert list(record) == [
        "log_prob",
        "score",
        "confidence",
        "num_tokens",
        "token_log_probs",
        "pieces",
        "alignment",
    ]
    assert all(before == after for before, after in pairwise(record["token_log_probs"]))
