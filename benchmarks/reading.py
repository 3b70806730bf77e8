"""How fast a corpus is read, checked and cleaned, and how much memory that takes.

    python benchmarks/reading.py [--pairs N] [--folder DIR]

Makes its own files of random words, a few of them unfit for training. Every form of corpus is read
in a process of its own, so that each has its own peak of memory. Everything runs on one core, and
only its own time counts: what else the machine does takes none of it.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from nmt.corpus import SeenPairs, SentencePair, clean, find_swapped, load_numbered_pairs
from nmt.recipe import CleaningRecipe, CorpusSet, CsvSet, FileSet, JsonlSet, TsvSet

NUM_HELD_OUT = 2_000
BYTES_OF_KILOBYTE = 1024


def make_pairs(count: int) -> Iterator[tuple[str, str]]:
    """Yield pairs of 4 to 20 random words; one in fifty is blank on a side, or came before."""
    generator = random.Random(1)
    letters = "abcdefghijklmnopqrstuvwxyzäöüß"
    source_words, target_words = (
        ["".join(generator.choices(letters, k=generator.randint(2, 9))) for _ in range(20_000)]
        for _ in range(2)
    )
    pair = ("", "")
    for number in range(count):
        if number % 100 != 1:
            length = generator.randint(4, 20)
            pair = (
                " ".join(generator.choices(source_words, k=length)) + ".",
                " ".join(generator.choices(target_words, k=length)) + "." if number % 100 else "",
            )
        yield pair


def write_files(folder: Path, count: int) -> dict[str, CorpusSet]:
    """Write the same pairs in every form."""
    names = {form: str(folder / f"train.{form}") for form in ("a", "b", "tsv", "csv", "jsonl")}
    with (
        Path(names["a"]).open("w", encoding="utf-8", newline="\n") as sources,
        Path(names["b"]).open("w", encoding="utf-8", newline="\n") as targets,
        Path(names["tsv"]).open("w", encoding="utf-8", newline="\n") as tsv,
        Path(names["csv"]).open("w", encoding="utf-8", newline="") as table,
        Path(names["jsonl"]).open("w", encoding="utf-8", newline="\n") as records,
    ):
        writer = csv.writer(table)
        for source, target in make_pairs(count):
            sources.write(f"{source}\n")
            targets.write(f"{target}\n")
            tsv.write(f"{source}\t{target}\n")
            writer.writerow((source, target))
            records.write(json.dumps({"source": source, "target": target}) + "\n")
    for side in ("a", "b"):
        packed = gzip.compress(Path(names[side]).read_bytes(), compresslevel=6)
        Path(f"{names[side]}.gz").write_bytes(packed)
    return {
        "two files": FileSet(source=names["a"], target=names["b"]),
        "two files .gz": FileSet(source=f"{names['a']}.gz", target=f"{names['b']}.gz"),
        "TSV": TsvSet(tsv=names["tsv"]),
        "CSV": CsvSet(csv=names["csv"]),
        "JSONL": JsonlSet(jsonl=names["jsonl"]),
    }


def read_and_clean(corpus_set: CorpusSet, *, only_read: bool) -> tuple[int, float]:
    """Do what training does before the tokenizer; return the pairs read and the CPU seconds."""
    started = time.process_time()
    pairs, line_numbers = load_numbered_pairs(corpus_set)
    if not only_read:
        held_out = [SentencePair(pair.target, pair.source) for pair in pairs[:NUM_HELD_OUT]]
        find_swapped(pairs, pairs[:NUM_HELD_OUT])
        SeenPairs(held_out).look_at(pairs)
        clean(pairs, CleaningRecipe(), held_out=held_out, line_numbers=line_numbers)
    return len(pairs), time.process_time() - started


def measure_here(text: str, *, only_read: bool) -> None:
    """Measure one set, given as JSON, and print the result as JSON."""
    kinds = {"csv": CsvSet, "tsv": TsvSet, "jsonl": JsonlSet}
    values = json.loads(text)
    kind = next((kinds[key] for key in kinds if key in values), FileSet)
    num_pairs, seconds = read_and_clean(kind(**values), only_read=only_read)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * BYTES_OF_KILOBYTE
    print(json.dumps({"num_pairs": num_pairs, "seconds": seconds, "peak": peak}))


def measure(corpus_set: CorpusSet, *, only_read: bool) -> str:
    """Measure one set in a process of its own and return a cell of the table."""
    command = [sys.executable, __file__, "--set", corpus_set.model_dump_json()]
    process = subprocess.run(
        [*command, *(["--only-read"] if only_read else [])],
        capture_output=True,
        check=True,
        encoding="utf-8",
    )
    found = json.loads(process.stdout)
    speed = found["num_pairs"] / found["seconds"]
    return f"{speed:>11,.0f} pairs/s {found['peak'] / 1e6:>7,.0f} MB"


def main() -> None:
    """Print a line for each form of corpus."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, help="where to put the files for a while")
    parser.add_argument("--set", help=argparse.SUPPRESS)
    parser.add_argument("--only-read", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.set:
        measure_here(options.set, only_read=options.only_read)
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        sets = write_files(Path(folder), options.pairs)
        print(f"{options.pairs:,} pairs    {'read':^31}   {'read, checked and cleaned':^31}")
        for name, corpus_set in sets.items():
            cells = [measure(corpus_set, only_read=only_read) for only_read in (True, False)]
            print(f"{name:15} {'   '.join(cells)}", flush=True)


if __name__ == "__main__":
    main()
