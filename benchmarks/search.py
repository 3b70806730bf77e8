"""BLEU and speed of every way to decode: beams, penalties, minimum Bayes risk, an ensemble.

    python benchmarks/search.py --model RUN [--ensemble RUN ...] --source FILE --reference FILE \
        [--plot FILE.png] [--lines N] [--threads N]

The ensemble is that of all the runs named. Each way translates the whole file once, in batches of
the recipe's size, after a few lines that are not timed; sentences a second are of the wall clock.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch

from nmt import Translator
from nmt.evaluation import Score, compute_scores
from nmt.recipe import DecodingRecipe
from nmt.run_folder import RunFolder
from nmt.search import SamplingOptions
from nmt.translator import Request

BEAM_SIZES = (1, 2, 5, 10, 20)
PENALTIES: dict[str, dict[str, object]] = {
    "none": {"length_penalty": 0.0},
    "length 1.0": {"length_penalty": 1.0},
    "length 1.0, plain": {"length_penalty": 1.0, "normalization": "plain"},
    "coverage 0.2": {"length_penalty": 0.0, "coverage_penalty": 0.2},
    "length 1.0, coverage 0.2": {"length_penalty": 1.0, "coverage_penalty": 0.2},
}
# What an ensemble is tried with, and minimum Bayes risk over an n-best list.
USUAL = "length 1.0"
NUM_SAMPLES = 32
NUM_WARM_UP = 64


@dataclass(frozen=True)
class Way:
    """One way to decode."""

    name: str
    penalty: str
    beam_size: int | None
    runs: Sequence[str]
    decoding: DecodingRecipe
    request: Request


@dataclass(frozen=True)
class Result:
    """What came of it."""

    way: Way
    bleu: Score
    speed: float


def ways(runs: Sequence[str]) -> Iterator[Way]:
    """Yield every way to decode with the first run, and with all as an ensemble."""
    base = RunFolder(runs[0]).recipe.decoding

    def beam(name: str, penalty: str, size: int, members: Sequence[str], request: Request) -> Way:
        changes = {"coverage_penalty": 0.0, "normalization": "wu", **PENALTIES[penalty]}
        decoding = base.model_copy(update={**changes, "beam_size": size})
        return Way(name, penalty, size, members, decoding, request)

    for penalty in PENALTIES:
        for size in BEAM_SIZES:
            yield beam("beam", penalty, size, runs[:1], Request())
    for utility in ("chrF2", "BLEU"):
        sampling = SamplingOptions(num_samples=NUM_SAMPLES)
        name = f"risk of {utility}, {NUM_SAMPLES} samples"
        yield Way(name, "", None, runs[:1], base, Request(sampling=sampling, utility=utility))
        for size in BEAM_SIZES[2:]:
            request = Request(utility=utility)
            yield beam(f"risk of {utility}, whole beam", USUAL, size, runs[:1], request)
    if len(runs) > 1:
        for size in BEAM_SIZES:
            yield beam(f"ensemble of {len(runs)}", USUAL, size, runs, Request())


def measure(way: Way, sources: Sequence[str], references: Sequence[str], lang: str) -> Result:
    """Translate and score."""
    translator = Translator.load(list(way.runs), decoding=way.decoding, request=way.request)
    translator.translate(sources[:NUM_WARM_UP])
    started = time.perf_counter()
    hypotheses = translator.translate(sources)
    seconds = time.perf_counter() - started
    [bleu] = compute_scores(hypotheses, references, metrics=["BLEU"], target_lang=lang)
    return Result(way, bleu, len(sources) / seconds)


def draw(results: Sequence[Result], path: str) -> None:
    """Draw BLEU over sentences a second, a line for each way over its beam sizes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

    figure = Figure(figsize=(10, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    lines: dict[str, list[Result]] = {}
    for result in results:
        label = ", ".join(filter(None, (result.way.name, result.way.penalty)))
        lines.setdefault(label, []).append(result)
    for label, points in lines.items():
        values = [point.speed for point in points], [point.bleu.value for point in points]
        axes.plot(*values, marker="o", markersize=4, linewidth=1, label=label)
        for point in points:
            if point.way.beam_size is not None:
                place = (point.speed, point.bleu.value)
                axes.annotate(
                    str(point.way.beam_size), place, (3, 3), textcoords="offset points", fontsize=6
                )
    axes.set(xscale="log", xlabel="sentences a second", ylabel="BLEU")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(alpha=0.3)
    figure.legend(fontsize=7, loc="outside right upper")
    figure.savefig(path, dpi=120)


def read(path: str, count: int | None) -> list[str]:
    """Return the first lines of a file, or all."""
    with Path(path).open(encoding="utf-8", newline="\n") as file:
        return [line.removesuffix("\n") for line in islice(file, count)]


def main() -> None:
    """Print the table, row by row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="a run folder")
    parser.add_argument("--ensemble", nargs="*", default=[], help="further run folders")
    parser.add_argument("--source", required=True)
    parser.add_argument("--reference", required=True)
    parser.add_argument("--lines", type=int, help="take so many of the first lines")
    parser.add_argument("--threads", type=int, help="CPU threads to compute with")
    parser.add_argument("--plot", help="a picture to write")
    options = parser.parse_args()
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    sources, references = (
        read(path, options.lines) for path in (options.source, options.reference)
    )
    lang = RunFolder(options.model).recipe.data.direction[1]
    results = []
    print("| way | penalty | beam | BLEU | sentences/s |\n|---|---|---:|---:|---:|", flush=True)
    for way in ways([options.model, *options.ensemble]):
        result = measure(way, sources, references, lang)
        results.append(result)
        print(
            f"| {way.name} | {way.penalty} | {way.beam_size or ''} | {result.bleu.value:.2f} "
            f"| {result.speed:.1f} |",
            flush=True,
        )
    print(
        f"\n{len(sources)} sentences, {torch.get_num_threads()} threads; "
        f"{results[0].bleu.signature}"
    )
    if options.plot:
        draw(results, options.plot)


if __name__ == "__main__":
    main()
