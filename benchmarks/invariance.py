"""Whether batch size, order, padding and number of threads leave translations as they are.

    python benchmarks/invariance.py --model RUN --input FILE [--lines N] [--threads 1 2]

Greedy and beam search, batches of 1, 7 and 64, in order and shuffled, one thread and two: each must
give the tokens that batches of 64 give on one thread. Under 10,000 lines none may differ, from
there on 1 in 1,000, and only where two choices are as good as equal: their scores lie within 1e-4,
in greedy search the log-probabilities of the first tokens that differ. Exits with 1 where this does
not hold.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch

from nmt import Translator
from nmt.search import Hypothesis
from nmt.translator import TranslatedHypothesis

BEAM_SIZES = (1, 5)
BATCH_SIZES = (64, 7, 1)
TOLERANCE = 1e-4
# Fewer lines than this must all be the same; of more, 1 in so many may differ.
MANY_LINES = 10_000
ONE_IN = 1_000


@dataclass(frozen=True)
class Way:
    """One way to translate the same lines."""

    batch_size: int
    num_threads: int
    is_shuffled: bool

    def __str__(self) -> str:
        """Name it."""
        order = ", shuffled" if self.is_shuffled else ""
        return f"batches of {self.batch_size}, threads {self.num_threads}{order}"


def ways(threads: Sequence[int]) -> list[Way]:
    """Return all ways, the first being what the others are held against."""
    return [
        Way(batch_size, num_threads, is_shuffled)
        for num_threads in threads
        for batch_size in BATCH_SIZES
        for is_shuffled in (False, True)
        if not (is_shuffled and batch_size == 1)  # alone, a line has no neighbours
    ]


def translate(
    run: str, beam_size: int, way: Way, lines: Sequence[str]
) -> list[TranslatedHypothesis]:
    """Return the best translation of each line, in the order of the lines."""
    torch.set_num_threads(way.num_threads)
    order = list(range(len(lines)))
    if way.is_shuffled:
        random.Random(1).shuffle(order)
    translator = Translator.load(run, beam_size=beam_size, batch_size=way.batch_size)
    found = translator.translate_detailed([lines[place] for place in order])
    in_order = sorted(zip(order, found, strict=True), key=lambda pair: pair[0])
    return [translation.hypotheses[0] for _, translation in in_order]


def tokens_of(hypothesis: TranslatedHypothesis) -> list[tuple[int, ...]]:
    """Return the tokens of each part of a line."""
    return [part.hypothesis.token_ids for part in hypothesis.parts]


def two_scores(
    one: TranslatedHypothesis, other: TranslatedHypothesis, beam_size: int
) -> tuple[float, float]:
    """Return how good the two choices are that differ first."""
    pairs = zip(one.parts, other.parts, strict=True)
    first, second = next(
        (part.hypothesis, another.hypothesis)
        for part, another in pairs
        if part.hypothesis.token_ids != another.hypothesis.token_ids
    )
    if beam_size > 1:
        return first.score, second.score
    place = first_difference(first, second)
    return first.token_log_probs[place], second.token_log_probs[place]


def first_difference(one: Hypothesis, other: Hypothesis) -> int:
    """Return the place of the first token that differs; where one ends, EOS does."""
    pairs = zip(one.token_ids, other.token_ids, strict=False)
    shorter = min(len(one.token_ids), len(other.token_ids))
    return next((place for place, (a, b) in enumerate(pairs) if a != b), shorter)


def compare(
    name: str,
    expected: Sequence[TranslatedHypothesis],
    found: Sequence[TranslatedHypothesis],
    beam_size: int,
) -> bool:
    """Print what differs; return whether it may."""
    num_differ, is_well = 0, True
    for number, (one, other) in enumerate(zip(expected, found, strict=True), start=1):
        if tokens_of(one) == tokens_of(other):
            continue
        num_differ += 1
        scores = two_scores(one, other, beam_size)
        is_close = abs(scores[0] - scores[1]) <= TOLERANCE
        is_well = is_well and is_close
        what = "within" if is_close else "NOT within"
        print(f"  line {number}: {scores[0]:.6f} and {scores[1]:.6f}, {what} {TOLERANCE:g}")
        print(f"    {one.text}\n    {other.text}")
    allowed = len(expected) // ONE_IN if len(expected) >= MANY_LINES else 0
    is_well = is_well and num_differ <= allowed
    largest = max(abs(one.score - two.score) for one, two in zip(expected, found, strict=True))
    print(
        f"{name}: {num_differ} of {len(expected)} lines differ, {allowed} may; "
        f"scores differ by {largest:.1e} at most{'' if is_well else ': BROKEN'}",
        flush=True,
    )
    return is_well


def main() -> int:
    """Compare all ways with the first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="a run folder")
    parser.add_argument("--input", required=True, help="one sentence a line")
    parser.add_argument("--lines", type=int, help="take so many of the first lines")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    with Path(options.input).open(encoding="utf-8", newline="\n") as file:
        lines = [line.removesuffix("\n") for line in islice(file, options.lines)]
    is_well = True
    for beam_size in BEAM_SIZES:
        first, *others = ways(options.threads)
        expected = translate(options.model, beam_size, first, lines)
        print(f"beam {beam_size}: {len(lines)} lines, against {first}")
        for way in others:
            started = time.perf_counter()
            found = translate(options.model, beam_size, way, lines)
            name = f"  {way} ({time.perf_counter() - started:.0f} s)"
            is_well = compare(name, expected, found, beam_size) and is_well
    print("the promise holds" if is_well else "the promise is BROKEN")
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())
