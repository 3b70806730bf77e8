"""How fast a model translates on one core: a file greedily, and one sentence at a time.

    python benchmarks/one_core.py --model RUN --input FILE [--reference FILE] [--rounds 3]
        [--batch-size 128] [--sentences 200]

In float32, with --int8, and with --int8 --shortlist, by turns in one process. Greedily the whole
FILE is translated at once; words are those of the translations, parted at spaces. One sentence at a
time, with a beam of 5, are the first lines. With a reference, BLEU and chrF2 of either are beside.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from toolkits import in_turn

from nmt.corpus.files import read_lines
from nmt.evaluation import compute_scores
from nmt.translator import Translator

WAYS: dict[str, dict[str, Any]] = {
    "float32": {},
    "--int8": {"int8": True},
    "--int8 --shortlist": {"int8": True, "shortlist": True},
}
WARM_UP = 64


def seconds_of(translator: Translator, lines: list[str]) -> float:
    """Return how long it takes to translate some lines at once."""
    started = time.perf_counter()
    translator.translate(lines)
    return time.perf_counter() - started


def scores_of(translator: Translator, lines: list[str], references: list[str]) -> str:
    """Return BLEU and chrF2 as cells of a table."""
    found = compute_scores(
        translator.translate(lines),
        references,
        metrics=("BLEU", "chrF2"),
        target_lang="de",
        bleu_tokenizer="13a",
    )
    return " | ".join(f"{score.value:.2f}" for score in found)


def main() -> None:
    """Print a row for each way."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True)
    parser.add_argument("--input", type=Path, required=True)
    parser.add_argument("--reference", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--sentences", type=int, default=200)
    options = parser.parse_args()
    torch.set_num_threads(1)
    lines = list(read_lines(options.input))
    greedy, single = (
        {
            way: Translator.load(
                options.model, beam_size=beam_size, batch_size=options.batch_size, **wishes
            )
            for way, wishes in WAYS.items()
        }
        for beam_size in (1, 5)
    )
    words = {
        way: sum(map(len, map(str.split, one.translate(lines)))) for way, one in greedy.items()
    }
    for one in single.values():
        one.translate(lines[:WARM_UP])
    at_once: dict[str, list[float]] = {way: [] for way in WAYS}
    alone: dict[str, list[float]] = {way: [] for way in WAYS}
    for _, way in in_turn(list(WAYS), options.rounds):
        at_once[way].append(seconds_of(greedy[way], lines))
        alone[way] += [seconds_of(single[way], [line]) for line in lines[: options.sentences]]
    scored = ["BLEU", "chrF2"] if options.reference else []
    heads = ["", "greedy, words/s", *scored, "one sentence, beam 5, median", *scored]
    print(f"| {' | '.join(heads)} |\n|---|{'---:|' * (len(heads) - 1)}")
    references = list(read_lines(options.reference)) if options.reference else []
    for way in WAYS:
        speeds = [words[way] / seconds for seconds in at_once[way]]
        cells = [
            way,
            f"{statistics.median(speeds):,.0f} ({min(speeds):,.0f} to {max(speeds):,.0f})",
        ]
        cells += [scores_of(greedy[way], lines, references)] if references else []
        cells.append(f"{statistics.median(alone[way]) * 1000:.1f} ms")
        cells += [scores_of(single[way], lines, references)] if references else []
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
