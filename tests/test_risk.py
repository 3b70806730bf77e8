"""Minimum Bayes risk: the utilities are sacreBLEU's, and the best is the best of a plain sum."""

import math
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from nmt import risk
from nmt.errors import RecipeError
from nmt.risk import Ranking, bleu_table, chrf_table, rank_candidates, weights_of

ROOT = Path(__file__).parent.parent

# Empty, one character, blank, and what is no blank to all; dots and dashes that tokenizers split
# or join; a word many times; scripts without blanks; characters of more than 16 bits; accents
# of their own.
NASTY = [
    "",
    " ",
    "a",
    ".",
    " a ",
    "a  b\t c",
    "a\u3000b\u2028c\u0085d\u00a0e",
    "x" * 40,
    "a-\n",
    "the the the the the the the cat",
    "the cat is on the mat .",
    "There is a cat on the mat, isn't it?  ",
    "1,000.50 - 2-3 &amp; &lt;skipped&gt; <skipped>",
    "猫がマットの上にいる。",
    "猫坐在垫子上,是吗? yes",
    "고양이가 매트 위에 있다.",
    "🐈‍⬛ on the 𝔪𝔞𝔱 \N{REGIONAL INDICATOR SYMBOL LETTER D}\N{REGIONAL INDICATOR SYMBOL LETTER E}",
    "e\u0301te\u0301 \u00e9t\u00e9 \u200b\ufeff",
]

TOKENIZERS = ["13a", "zh", "char", "intl", "none"]

# Few letters make n-grams meet and repeat; all of Unicode brings what nobody thought of.
few_letters = st.text(alphabet="aab .,-1\t\u3000猫", max_size=20)
texts = st.lists(few_letters | st.text(max_size=12) | st.sampled_from(NASTY), max_size=5)


def sacrebleu_table(lines: Sequence[str], tokenizer: str | None = None) -> list[list[float]]:
    """The slow way: sacreBLEU's own score of every pair, chrF2 where no tokenizer is given."""
    metric = (
        CHRF() if tokenizer is None else BLEU(tokenize=tokenizer, effective_order=True, force=True)
    )
    return [
        [metric.sentence_score(hypothesis, [reference]).score for reference in lines]
        for hypothesis in lines
    ]


def assert_tables_agree(lines: Sequence[str], tokenizer: str) -> None:
    expected = np.array(sacrebleu_table(lines, tokenizer)).reshape(len(lines), len(lines))
    np.testing.assert_allclose(bleu_table(lines, tokenizer=tokenizer), expected, 0, 1e-9)


def test_chrf_of_nasty_lines_is_sacrebleus_to_the_last_bit() -> None:
    assert chrf_table(NASTY).tolist() == sacrebleu_table(NASTY)


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_bleu_of_nasty_lines_is_sacrebleus(tokenizer: str) -> None:
    assert_tables_agree(NASTY, tokenizer)


@given(texts)
@settings(max_examples=150, deadline=None)
def test_chrf_of_any_lines_is_sacrebleus_to_the_last_bit(lines: list[str]) -> None:
    assert chrf_table(lines).tolist() == sacrebleu_table(lines)


@given(texts, st.sampled_from(TOKENIZERS))
@settings(max_examples=150, deadline=None)
def test_bleu_of_any_lines_is_sacrebleus(lines: list[str], tokenizer: str) -> None:
    assert_tables_agree(lines, tokenizer)


def test_bleu_worked_out_by_hand() -> None:
    # 4 of 5 words, 2 of 4 pairs, 0 of 3 triples (half a match), 0 of 2 quadruples (a quarter).
    precisions = 4 / 5 * 2 / 4 * 0.5 / 3 * 0.25 / 2
    table = bleu_table(["a b x c d", "a b c d"], tokenizer="none")
    assert table[0, 1] == pytest.approx(100 * precisions**0.25)
    # The other way round 2 of 3 pairs, 0 of 2 triples, 0 of 1; and a word too few.
    precisions = 4 / 4 * 2 / 3 * 0.5 / 2 * 0.25 / 1
    assert table[1, 0] == pytest.approx(100 * math.exp(1 - 5 / 4) * precisions**0.25)


def test_the_tokenizer_changes_what_a_word_is() -> None:
    lines = ["猫坐在垫子上", "猫坐在桌子上"]
    assert bleu_table(lines, tokenizer="13a")[0, 1] == 0
    assert bleu_table(lines, tokenizer="zh")[0, 1] > 30
    by_words = rank_candidates([[*lines, "x"]], utility="BLEU")
    by_characters = rank_candidates([[*lines, "x"]], utility="BLEU", bleu_tokenizer="zh")
    assert by_words != by_characters


@pytest.mark.parametrize("max_size", [1, 40])
def test_tables_counted_piece_by_piece_are_the_same(
    max_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = chrf_table(NASTY)
    monkeypatch.setattr(risk, "_MAX_TABLE_SIZE", max_size)
    assert chrf_table(NASTY[:5]).tolist() == whole[:5, :5].tolist()
    assert chrf_table(NASTY).tolist() == whole.tolist()


def plain_expectation(lines: Sequence[str], weights: Sequence[float], utility: str) -> list[float]:
    """The expected utility of every line, duplicates and all, as the formula has it."""
    table = sacrebleu_table(lines, None if utility == "chrF2" else "13a")
    return [
        sum(weight * score for weight, score in zip(weights, scores, strict=True)) / sum(weights)
        for scores in table
    ]


@given(
    st.lists(st.tuples(few_letters, st.floats(0.01, 10)), min_size=1, max_size=6),
    st.sampled_from(["chrF2", "BLEU"]),
)
@settings(max_examples=80, deadline=None)
def test_the_expectation_is_that_of_the_formula(
    weighted: list[tuple[str, float]], utility: Literal["chrF2", "BLEU"]
) -> None:
    lines, weights = zip(*weighted, strict=True)
    [ranking] = rank_candidates([lines], weights=[weights], utility=utility)
    expected = plain_expectation(lines, weights, utility)
    assert ranking.expected_utilities == pytest.approx(expected, abs=1e-9)
    [unweighted] = rank_candidates([lines], utility=utility)
    expected = plain_expectation(lines, [1.0] * len(lines), utility)
    assert unweighted.expected_utilities == pytest.approx(expected, abs=1e-9)


@given(st.lists(st.sampled_from(["", "a b", "a  b", "ab c", "b a", "c"]), min_size=1, max_size=8))
@settings(deadline=None)
def test_the_order_has_each_text_once_best_first_and_of_equals_the_earlier(
    lines: list[str],
) -> None:
    [ranking] = rank_candidates([lines])
    ranked = [(-ranking.expected_utilities[index], index) for index in ranking.order]
    assert ranked == sorted(ranked)
    assert sorted(ranking.order) == sorted({lines.index(line) for line in lines})


def test_the_candidate_most_like_the_others_wins() -> None:
    lines = ["a dog barks", "the cat sat on a mat", "the cat sat on the mat", "the cat sat on it"]
    [ranking] = rank_candidates([lines])
    assert ranking.order[0] == 2
    assert ranking.order[-1] == 0
    [ranking] = rank_candidates([lines], weights=[[5, 1, 1, 1]])
    assert ranking.order[0] == 0


def test_equal_candidates_are_one_with_the_sum_of_their_weights() -> None:
    [ranking] = rank_candidates([["x", "y", "x", "y", "y"]])
    assert ranking == Ranking(order=(1, 0), expected_utilities=(40, 60, 40, 60, 60))
    [merged] = rank_candidates([["x", "y"]], weights=[[2, 3]])
    assert merged == Ranking(order=(1, 0), expected_utilities=(40, 60))


def test_of_equal_utilities_the_earlier_candidate_comes_first() -> None:
    [ranking] = rank_candidates([["b", "a", "c", "a", "b"]])
    assert ranking.order == (0, 1, 2)
    # Alike up to the names of the letters: every sum is of the same numbers in another order.
    [ranking] = rank_candidates([["acd", "bde", "cea", "dab", "ebc"]])
    assert ranking.order == (0, 1, 2, 3, 4)
    assert len(set(ranking.expected_utilities)) == 1


def test_sentences_are_ranked_apart_from_each_other() -> None:
    sentences = [["a b", "a c", "a b c"], ["x"], ["", "y"]]
    weights = [[1.0, 2.0, 3.0], [0.5], [0.0, 1.0]]
    together = rank_candidates(sentences, weights=weights)
    apart = [
        rank_candidates([lines], weights=[shares])[0]
        for lines, shares in zip(sentences, weights, strict=True)
    ]
    assert together == apart
    assert together[1:] == [Ranking((0,), (100,)), Ranking((1, 0), (0, 100))]
    assert rank_candidates([]) == []


def test_weights_of_log_probabilities_too_low_for_a_probability() -> None:
    assert weights_of([-2000 + math.log(3), -2000, -math.inf]) == pytest.approx([0.75, 0.25, 0])
    assert weights_of([0.0]) == [1.0]


@pytest.mark.parametrize(
    "log_probs", [[], [-math.inf], [0.0, math.nan], [math.nan, 0.0], [math.inf]], ids=str
)
def test_log_probabilities_that_are_none_are_errors(log_probs: list[float]) -> None:
    with pytest.raises(ValueError, match=r"log_probs must be .*, got \[.*\]$"):
        weights_of(log_probs)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([[1.0]], "weights must be given for 2 sentences, got 1"),
        ([[1.0], [1.0]], "sentence 1 must have a weight for each of its 2 candidates, got 1"),
        ([[0.0], [1.0, 1.0]], r"weights of sentence 0 must be >= 0 .*, got \[0.0\]"),
        ([[1.0], [2.0, -1.0]], r"weights of sentence 1 must be >= 0 .*, got \[2.0, -1.0\]"),
        ([[math.nan], [1.0, 1.0]], r"weights of sentence 0 must be .*, got \[nan\]"),
        ([[1.0], [1.0, math.inf]], r"weights of sentence 1 must be .*, got \[1.0, inf\]"),
    ],
)
def test_weights_that_do_not_fit_are_errors(weights: list[list[float]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rank_candidates([["a"], ["b", "c"]], weights=weights)


def test_a_sentence_without_candidates_is_an_error() -> None:
    with pytest.raises(ValueError, match="sentence 1 must have at least one candidate, got none"):
        rank_candidates([["a"], []])


def test_an_unknown_utility_is_an_error() -> None:
    with pytest.raises(ValueError, match="utility must be one of 'chrF2', 'BLEU', got 'chrF'"):
        rank_candidates([["a"]], utility="chrF")  # type: ignore[arg-type]


def test_an_unknown_tokenizer_is_the_users_error() -> None:
    with pytest.raises(RecipeError, match=r"bleu_tokenizer must be one of '.*'13a'.*, got '13b'"):
        rank_candidates([["a"]], utility="BLEU", bleu_tokenizer="13b")


def test_a_tokenizer_that_is_not_installed_is_the_users_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from sacrebleu.tokenizers import tokenizer_ja_mecab

    monkeypatch.setattr(tokenizer_ja_mecab, "MeCab", None)
    message = r"bleu_tokenizer 'ja-mecab' cannot be used here: .*install sacrebleu\[ja\]"
    with pytest.raises(RecipeError, match=message):
        bleu_table(["a"], tokenizer="ja-mecab")


def test_importing_the_room_imports_nothing_heavy() -> None:
    code = "import sys, nmt.risk; assert not {'numpy', 'sacrebleu', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
