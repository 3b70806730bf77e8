"""How much memory a long text takes to translate: that of a short one, and no more.

    python benchmarks/many_lines.py --model RUN --work FOLDER [--lines 10000 1000000]
        [--threads 2] [--options --int8]

RUN is the demo's. Each text is so many English sentences of the demo's grammar, none of them twice,
and is translated greedily by `translate.py` in a process of its own, whose peak of resident memory
the system tells when it has ended.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from nmt.corpus.grammar import draw_pairs

SCRIPT = Path(__file__).resolve().parent.parent / "translate.py"


def write_lines(file: Path, count: int) -> None:
    """Write so many sentences that no split of the demo holds but the one it trains on."""
    with file.open("w", encoding="utf-8", newline="\n") as stream:
        for pair in draw_pairs(split="train", count=count):
            stream.write(f"{pair.source}\n")


def count_lines(file: Path) -> int:
    """Return how many line ends a file has."""
    with file.open("rb") as stream:
        return sum(block.count(b"\n") for block in iter(lambda: stream.read(2**20), b""))


def translate(command: list[str]) -> tuple[float, int]:
    """Return the wall-clock seconds and the peak memory in bytes of a process."""
    started = time.perf_counter()
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}")
    kilobytes = 1 if sys.platform == "darwin" else 1024
    return time.perf_counter() - started, usage.ru_maxrss * kilobytes


def main() -> None:
    """Print a line for each text."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--lines", type=int, nargs="+", default=[10_000, 1_000_000])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--options", nargs=argparse.REMAINDER, default=[])
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    for count in options.lines:
        source = options.work / f"{count}.en"
        output = options.work / f"{count}.de"
        write_lines(source, count)
        files = ["--model", options.model, "--input", str(source), "--output", str(output)]
        search = ["--beam-size", "1", "--threads", str(options.threads)]
        command = [sys.executable, str(SCRIPT), *files, *search, *options.options]
        seconds, peak = translate(command)
        if count_lines(output) != count:
            raise SystemExit(f"{output}: must have {count} lines, got {count_lines(output)}")
        print(
            f"{count:>9,} lines {seconds:8.1f} s {count / seconds:8.1f} lines/s "
            f"peak memory {peak / 2**20:7.1f} MiB",
            flush=True,
        )


if __name__ == "__main__":
    main()
