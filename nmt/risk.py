"""Minimum Bayes risk: of several translations of a sentence, the one most like all the others.

Kumar & Byrne (2004) choose the translation of least expected loss; Eikema & Aziz (2020, 2022)
estimate what is to be expected from samples of a neural model, the same samples being candidates
and references. Here, turned round, the expected utility is to be greatest, utility being the chrF2
or the BLEU of one sentence.

Knows lines of text and how likely each is; which search found them is no matter here.
"""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from nmt.bleu import build_bleu

# NumPy and sacreBLEU are imported where they are used: `--help` needs neither.
if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Utility = Literal["chrF2", "BLEU"]

_CHRF_ORDER = 6
_BLEU_ORDER = 4
# How many numbers a table of n-grams may hold at once, 4 bytes each.
_MAX_TABLE_SIZE = 2**24


@dataclass(frozen=True, slots=True)
class Ranking:
    """The candidates of one sentence in order of their expected utility.

    Attributes:
        order: Which candidate is best, second best, and so on, counted from 0. Candidates of equal
            text stand here once, as the first of them; of equal utilities the earlier comes first.
        expected_utilities: For every candidate, in the order given, the utility to be expected of
            it, in per cent as sacreBLEU gives it. Equal texts have equal ones.
    """

    order: tuple[int, ...]
    expected_utilities: tuple[float, ...]


def rank_candidates(
    candidates: Sequence[Sequence[str]],
    *,
    weights: Sequence[Sequence[float]] | None = None,
    utility: Utility = "chrF2",
    bleu_tokenizer: str = "13a",
) -> list[Ranking]:
    """Rank the candidates of each sentence by their expected utility.

    Every candidate is held against every candidate as if that one were the reference, itself
    included: what is likely speaks for itself. Candidates of equal text are one candidate with the
    sum of their weights.

    Args:
        candidates: The translations of each sentence, at least one.
        weights: For each candidate how likely it is, at least 0; those of a sentence need not sum
            to one. None makes all candidates of a sentence equally likely, as samples are.
        utility: Which score of one sentence is the utility.
        bleu_tokenizer: One of sacreBLEU's, to count BLEU's words by.

    Returns:
        One ranking for each sentence.

    Raises:
        ValueError: A sentence has no candidate, its weights do not fit, or the utility is unknown.
        RecipeError: The tokenizer is unknown or not installed.
    """
    score_all = _choose_table(utility, bleu_tokenizer)
    if weights is None:
        weights = [[1.0] * len(texts) for texts in candidates]
    if len(weights) != len(candidates):
        raise ValueError(
            f"weights must be given for {len(candidates)} sentences, got {len(weights)}"
        )
    rankings = []
    for sentence, (texts, shares) in enumerate(zip(candidates, weights, strict=True)):
        _check_sentence(sentence, texts, shares)
        rankings.append(_rank(texts, shares, score_all(list(dict.fromkeys(texts)))))
    return rankings


def weights_of(log_probs: Sequence[float]) -> list[float]:
    """Turn the log-probabilities of one sentence's candidates into weights that sum to one.

    Args:
        log_probs: Natural log-probabilities, not all -inf; the smallest may be far below what a
            probability can express.

    Returns:
        The share of each in their common probability.

    Raises:
        ValueError: There is none above -inf, or one is NaN or +inf.
    """
    highest = max(log_probs, default=-math.inf)
    if not math.isfinite(highest) or any(math.isnan(log_prob) for log_prob in log_probs):
        raise ValueError(
            f"log_probs must be numbers below +inf, one of them above -inf, got {list(log_probs)!r}"
        )
    shares = [math.exp(log_prob - highest) for log_prob in log_probs]
    total = math.fsum(shares)
    return [share / total for share in shares]


def chrf_table(texts: Sequence[str]) -> "NDArray[np.float64]":
    """Score every text against every text with chrF2, as sacreBLEU's `sentence_chrf` does.

    Args:
        texts: Lines of text, N of them.

    Returns:
        The scores in per cent, hypotheses in rows and references in columns, (N, N).
    """
    return _chrf(["".join(text.split()) for text in texts])


def bleu_table(texts: Sequence[str], *, tokenizer: str = "13a") -> "NDArray[np.float64]":
    """Score every text against every text with BLEU, as sacreBLEU's `sentence_bleu` does.

    Args:
        texts: Lines of text, N of them.
        tokenizer: One of sacreBLEU's.

    Returns:
        The scores in per cent, hypotheses in rows and references in columns, (N, N).

    Raises:
        RecipeError: The tokenizer is unknown or not installed.
    """
    split_words = _load_tokenizer(tokenizer)
    # sacreBLEU too takes the blanks off a line's end before it tokenizes.
    return _bleu([split_words(text.rstrip()).split() for text in texts])


def _check_sentence(sentence: int, texts: Sequence[str], weights: Sequence[float]) -> None:
    if not texts:
        raise ValueError(f"sentence {sentence} must have at least one candidate, got none")
    if len(weights) != len(texts):
        raise ValueError(
            f"sentence {sentence} must have a weight for each of its {len(texts)} candidates, "
            f"got {len(weights)}"
        )
    if not all(0 <= weight < math.inf for weight in weights) or not 0 < sum(weights) < math.inf:
        raise ValueError(
            f"weights of sentence {sentence} must be >= 0 and have a sum > 0, got {list(weights)!r}"
        )


def _choose_table(
    utility: str, bleu_tokenizer: str
) -> Callable[[Sequence[str]], "NDArray[np.float64]"]:
    match utility:
        case "chrF2":
            return chrf_table
        case "BLEU":
            return functools.partial(bleu_table, tokenizer=bleu_tokenizer)
        case _:
            raise ValueError(f"utility must be one of 'chrF2', 'BLEU', got {utility!r}")


def _rank(texts: Sequence[str], weights: Sequence[float], table: "NDArray[np.float64]") -> Ranking:
    """Rank the candidates of one sentence.

    Args:
        texts: All candidates, U of them different.
        weights: How likely each is.
        table: The utilities of the different ones in the order they first come, (U, U).
    """
    weight_of = dict.fromkeys(texts, 0.0)
    for text, weight in zip(texts, weights, strict=True):
        weight_of[text] += weight
    total = math.fsum(weight_of.values())
    shares = [weight / total for weight in weight_of.values()]
    # `fsum` rounds once, whatever the order: equal utilities stay equal, and ties are seen as such.
    expected = {
        text: math.fsum(share * score for share, score in zip(shares, scores, strict=True))
        for text, scores in zip(weight_of, table.tolist(), strict=True)
    }
    best_first = sorted(expected, key=expected.__getitem__, reverse=True)  # keeps ties in order
    return Ranking(
        order=tuple(texts.index(text) for text in best_first),
        expected_utilities=tuple(expected[text] for text in texts),
    )


@functools.cache
def _load_tokenizer(name: str) -> Callable[[str], str]:
    """Return sacreBLEU's tokenizer of this name: from a line to words with blanks between them."""
    tokenizer: Callable[[str], str] = build_bleu(name).tokenizer
    return tokenizer


def _chrf(lines: Sequence[str]) -> "NDArray[np.float64]":
    """Score lines without blanks against each other: every hypothesis and reference, (N, N)."""
    import numpy as np

    matches = _count_matches(lines, _CHRF_ORDER)
    precision, recall, num_orders = np.zeros((3, len(lines), len(lines)))
    for length, common in enumerate(matches, start=1):
        counts = np.array([max(len(line) - length + 1, 0) for line in lines])
        # An order counts where both sides are long enough to have n-grams of it.
        num_orders += np.minimum.outer(counts, counts) > 0
        precision += common / np.maximum(counts, 1)[:, None]
        recall += common / np.maximum(counts, 1)
    precision /= np.maximum(num_orders, 1)
    recall /= np.maximum(num_orders, 1)
    # Where nothing matches both are zero, and so is the score: the 1 only spares a division by 0.
    weighted = np.where(precision > 0, 4 * precision + recall, 1)
    return 100 * (5 * precision * recall / weighted)


def _bleu(lines: Sequence[Sequence[str]]) -> "NDArray[np.float64]":
    """Score lines of words against each other: every hypothesis and reference, (N, N).

    Orders that the hypothesis is too short for do not count, and of those that do, the first
    without a match is taken to have half a match, the next a quarter, and so on.
    """
    import numpy as np

    matches = _count_matches(lines, _BLEU_ORDER)
    lengths = np.array([len(line) for line in lines])[:, None]
    log_precisions, halved = np.zeros_like(matches[0]), np.ones_like(matches[0])
    for length, common in enumerate(matches, start=1):
        counts = lengths - length + 1
        halved[common == 0] *= 2
        precision = 100 * np.where(common > 0, common, 1 / halved) / np.maximum(counts, 1)
        log_precisions += np.where(counts > 0, np.log(precision), 0)
    orders = np.clip(lengths, 1, _BLEU_ORDER)
    brevity_penalty = np.exp(np.minimum(1 - lengths.T / np.maximum(lengths, 1), 0))
    scores = brevity_penalty * np.exp(log_precisions / orders)
    return np.where(matches[0] > 0, scores, 0)  # no word in common: no score


def _count_matches(lines: Sequence[Sequence[str]], max_length: int) -> "NDArray[np.float64]":
    """Count the n-grams that lines have in common, each as often as both lines have it.

    Args:
        lines: Characters or words, N lines of them.
        max_length: The longest n-grams to count.

    Returns:
        The counts for n-grams of 1, 2, ... symbols, (max_length, N, N).
    """
    import numpy as np

    number_of: dict[str, int] = {}
    symbols = np.array(
        [number_of.setdefault(symbol, len(number_of)) for line in lines for symbol in line],
        dtype=np.int64,
    )
    lengths = [len(line) for line in lines]
    rows = np.repeat(np.arange(len(lines)), lengths)
    ends = np.repeat(np.cumsum(lengths), lengths)
    matches = np.zeros((max_length, len(lines), len(lines)))
    # An n-gram is known by a number that stands for the symbols from its start on.
    starts, numbers = np.arange(len(symbols)), symbols
    for length in range(1, max_length + 1):
        if length > 1:
            fits = starts + length <= ends[starts]
            starts, numbers = starts[fits], numbers[fits]
            longer = numbers * len(number_of) + symbols[starts + length - 1]
            numbers = np.unique(longer, return_inverse=True)[1]
        if not len(starts):
            break  # no line is as long
        matches[length - 1] = _count_common(numbers, rows[starts], len(lines))
    return matches


def _count_common(
    numbers: "NDArray[np.int64]", rows: "NDArray[np.int64]", num_rows: int
) -> "NDArray[np.float32]":
    """Count what each two rows have in common of one kind of n-grams.

    Args:
        numbers: Which n-gram it is, every number from 0 to the highest being there, (G,), int64;
            at least one.
        rows: Which row has it, (G,), int64.
        num_rows: How many rows there are, N.

    Returns:
        The counts, (N, N).
    """
    import numpy as np

    rows, columns = _spread(numbers, rows, num_rows)
    num_columns = int(columns.max()) + 1
    # float32 is exact up to 2**24, more than the symbols of any line.
    common = np.zeros((num_rows, num_rows), dtype=np.float32)
    width = max(_MAX_TABLE_SIZE // num_rows, 1)
    for begin in range(0, num_columns, width):
        here = (columns >= begin) & (columns < begin + width)
        table = np.zeros((num_rows, min(width, num_columns - begin)), dtype=np.float32)
        table[rows[here], columns[here] - begin] = 1
        common += table @ table.T
    return common


def _spread(
    numbers: "NDArray[np.int64]", rows: "NDArray[np.int64]", num_rows: int
) -> tuple["NDArray[np.int64]", "NDArray[np.int64]"]:
    """Give an n-gram a column for the first time that a row has it, one for the second, and so on.

    With ones at these places, the columns that two rows share are as many as the n-grams they
    share: a product of matrices counts them.

    Args:
        numbers: As for `_count_common`.
        rows: As for `_count_common`.
        num_rows: As for `_count_common`.

    Returns:
        The row and the column of every n-gram, in another order, each (G,), int64.
    """
    import numpy as np

    keys, counts = np.unique(numbers * num_rows + rows, return_counts=True)
    numbers, rows = np.divmod(keys, num_rows)
    first_places = np.flatnonzero(np.diff(numbers, prepend=-1))
    highest_counts = np.maximum.reduceat(counts, first_places)
    first_columns = np.cumsum(highest_counts) - highest_counts
    times = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    columns = np.repeat(first_columns[numbers], counts) + times
    return np.repeat(rows, counts), columns
