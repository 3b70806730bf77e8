"""How fast the built-in grammar draws, and that it needs no more memory for more sentences.

    python benchmarks/drawing.py

Every measurement is a process of its own, and its time is the time of one core. The first pair
waits for the grammar to be read.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path


def measure(split: str, count: int) -> None:
    """Draw in this process and print a line of the table."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from nmt.corpus.grammar import draw_pairs

    started = time.process_time()
    pairs = draw_pairs(split=split, count=count)
    next(pairs)
    waited = time.process_time() - started
    started = time.process_time()
    for _ in pairs:
        pass
    per_second = (count - 1) / (time.process_time() - started)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{split:10} {count:>9,} {waited:>9.2f} s {per_second:>9,.0f} {peak:>8,.0f} MiB")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", type=int, nargs="+", default=[10_000, 100_000, 500_000])
    parser.add_argument("--splits", nargs="+", default=["train", "test"])
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        split, count = options.measure
        measure(split, int(count))
        return
    print(f"{'split':10} {'pairs':>9} {'first pair':>11} {'pairs/s':>9} {'peak':>12}")
    for split in options.splits:
        for count in options.counts:
            command = [sys.executable, __file__, "--measure", split, str(count)]
            sys.stdout.flush()
            subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
