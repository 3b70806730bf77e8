"""How long minimum Bayes risk takes to choose among candidates, beside sacreBLEU alone.

    python benchmarks/risk.py [--sentences N] [--candidates N] [--input FILE]

A sentence's candidates are a line of the built-in grammar, or of a file, with up to five words
replaced, doubled or dropped at random. sacreBLEU scores every pair of different candidates one by
one, for the first sentences only. Everything runs on one core, and only its own time counts.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from itertools import islice
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from nmt.corpus.grammar import draw_pairs
from nmt.risk import Utility, rank_candidates

MAX_EDITS = 5
METRICS: dict[Utility, BLEU | CHRF] = {
    "chrF2": CHRF(),
    "BLEU": BLEU(effective_order=True, force=True),
}


def read_lines(path: str | None, count: int) -> list[str]:
    """Return the first lines with words of a file, or sentences of the grammar."""
    if path is None:
        return [pair.target for pair in draw_pairs(split="train", count=count)]
    with Path(path).open(encoding="utf-8", newline="\n") as file:
        return list(islice((line for line in file if line.split()), count))


def make_candidates(lines: list[str], count: int) -> list[list[str]]:
    """Return candidates for each line; some of a line's may be equal, as samples may."""
    generator = random.Random(1)
    words = [word for line in lines for word in line.split()]

    def edit(line: str) -> str:
        edited = line.split()
        for _ in range(generator.randint(0, MAX_EDITS)):
            place = generator.randrange(len(edited))
            word = edited[place]
            changes = [[generator.choice(words)], [word, word], [] if len(edited) > 1 else [word]]
            edited[place : place + 1] = generator.choice(changes)
        return " ".join(edited)

    return [[edit(line) for _ in range(count)] for line in lines]


def time_ours(candidates: list[list[str]], utility: Utility) -> float:
    """Return seconds of the core to rank them all."""
    started = time.process_time()
    rank_candidates(candidates, utility=utility)
    return time.process_time() - started


def time_sacrebleu(candidates: list[list[str]], utility: Utility) -> float:
    """Return seconds of the core to score every pair of different candidates, one by one."""
    metric = METRICS[utility]
    started = time.process_time()
    for texts in candidates:
        distinct = list(dict.fromkeys(texts))
        for hypothesis in distinct:
            for reference in distinct:
                metric.sentence_score(hypothesis, [reference])
    return time.process_time() - started


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sentences", type=int, default=1_000)
    parser.add_argument("--candidates", type=int, default=32)
    parser.add_argument("--by-sacrebleu", type=int, default=20, help="sentences that it scores")
    parser.add_argument("--input", help="a file of lines, instead of the built-in grammar")
    options = parser.parse_args()
    lines = read_lines(options.input, options.sentences)
    candidates = make_candidates(lines, options.candidates)
    distinct = sum(len(set(texts)) for texts in candidates) / len(candidates)
    characters = sum(map(len, lines)) / len(lines)
    print(
        f"{len(lines):,} sentences of {characters:.0f} characters, {options.candidates} candidates "
        f"each, {distinct:.1f} of them different"
    )
    for utility in METRICS:
        rank_candidates(candidates[:1], utility=utility)  # what is loaded once is not timed
        ours = time_ours(candidates, utility)
        some = candidates[: options.by_sacrebleu]
        alone = time_sacrebleu(some, utility) / len(some) * len(candidates)
        print(
            f"{utility:6} {ours:6.2f} s; sacreBLEU alone {alone:7.1f} s "
            f"(from {len(some)} sentences), {alone / ours:.0f} times as long"
        )


if __name__ == "__main__":
    main()
