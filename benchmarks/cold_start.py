"""How long a person waits: `translate.py --help`, and one sentence from a cold start.

    python benchmarks/cold_start.py --model RUN

Every measurement is a process of its own, the commands taking turns; medians count.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

SENTENCE = "Two young, White males are outside near many bushes.\n"


def seconds_of(command: list[str], text: str = "") -> float:
    """Return the wall-clock time of one process, which must succeed."""
    started = time.perf_counter()
    subprocess.run(command, input=text, capture_output=True, check=True, encoding="utf-8")
    return time.perf_counter() - started


def main() -> None:
    """Print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="a run folder; without one only --help is timed")
    parser.add_argument("--runs", type=int, default=7)
    options = parser.parse_args()
    script = str(Path(__file__).resolve().parent.parent / "translate.py")
    commands = {"translate.py --help": ([sys.executable, script, "--help"], "")}
    if options.model:
        translate = [sys.executable, script, "--model", options.model]
        commands["one sentence, cold"] = (translate, SENTENCE)
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(options.runs):
        for name, (command, text) in commands.items():
            times[name].append(seconds_of(command, text))
    for name, seconds in times.items():
        low, high = min(seconds), max(seconds)
        median = statistics.median(seconds)
        print(
            f"{name:22} median {median:.2f} s  (from {low:.2f} to {high:.2f}, {len(seconds)} runs)"
        )


if __name__ == "__main__":
    main()
