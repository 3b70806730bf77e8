"""How fast this project and other toolkits train the same model on the same pieces, side by side.

    python benchmarks/training.py --data FOLDER --work FOLDER [--rounds 3]
        [--batch sentences|tokens] [--only NAME ...] [--threads 2] [--device cpu|cuda]

FOLDER of --data holds train and val as .en and .de. Below --work every program gets a virtual
environment of its own, and all of them the same pieces; what is there already is used again. Then
the programs take turns, each trained by its own command for some steps (training/watch.py says what
is counted), and a table of the medians is printed. After them comes how near this project's step is
to the time that its matrix products alone take (training/roofline.py). It wants the machine alone.
The model is what comparison.py says.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from comparison import (
    Setting,
    our_settings,
    prepare,
    train_eole,
    train_joeynmt,
    train_opennmt,
    train_ours,
    train_ours_on_top,
)
from toolkits import ROOT, TITLES, environment_of, fresh_folder, in_turn, python_of, run_watched

PARTS = ROOT / "benchmarks" / "training"
# Steps before the clock starts, and steps that are timed.
WINDOWS = {"sentences": (10, 40), "tokens": (4, 16)}


@dataclass(frozen=True)
class Program:
    """One row of the table."""

    title: str
    environment: str
    arguments: Callable[..., list[str]]
    feeding: bool = False


def _program(
    environment: str,
    arguments: Callable[..., list[str]],
    variant: str = "",
    *,
    feeding: bool = False,
) -> Program:
    title = ", ".join(filter(None, (TITLES[environment], variant)))
    return Program(title, environment, arguments, feeding)


FEEDING = "input feeding"
ON_TOP = "attention on top"
PROGRAMS = {
    "ours": _program("ours", train_ours),
    "ours-top": _program("ours", train_ours_on_top, ON_TOP),
    "eole": _program("eole", train_eole),
    "opennmt": _program("opennmt", train_opennmt),
    "joeynmt": _program("joeynmt", train_joeynmt),
    "ours-feeding": _program("ours", train_ours, FEEDING, feeding=True),
    "ours-top-feeding": _program("ours", train_ours_on_top, f"{ON_TOP}, {FEEDING}", feeding=True),
    "eole-feeding": _program("eole", train_eole, FEEDING, feeding=True),
    "opennmt-feeding": _program("opennmt", train_opennmt, FEEDING, feeding=True),
    "joeynmt-feeding": _program("joeynmt", train_joeynmt, FEEDING, feeding=True),
}


def measure(name: str, setting: Setting) -> dict[str, Any]:
    """Train with one program for the window's steps; return what its watch has seen."""
    program = PROGRAMS[name]
    python = python_of(program.environment, setting.work)
    folder = fresh_folder(setting.work / "runs" / name)
    run_folder = folder / "run" if program.environment == "ours" else folder
    arguments = program.arguments(setting, run_folder, feeding=program.feeding)
    warmup, steps = WINDOWS[setting.batch]
    command = [str(python), str(PARTS / "watch.py"), "--result", str(folder / "result.json")]
    command += ["--warmup", str(warmup), "--steps", str(steps), "--threads", str(setting.threads)]
    command += [program.environment, "--", *arguments]
    return run_watched(command, folder, threads=setting.threads)


def median_of(outcomes: list[dict[str, Any]]) -> dict[str, float]:
    """Return the medians of what a program's rounds have seen."""
    totals = {
        "speed": [one["tokens"] / one["seconds"] for one in outcomes],
        "tokens": [one["tokens"] / one["steps"] for one in outcomes],
        "length": [one["tokens"] / one["sentences"] for one in outcomes],
        "padding": [1 - one["tokens"] / one["places"] for one in outcomes],
        "memory": [one["peak_bytes"] / 2**30 for one in outcomes],
    }
    if "peak_gpu_bytes" in outcomes[0]:
        totals["gpu_memory"] = [one["peak_gpu_bytes"] / 2**30 for one in outcomes]
    return {name: statistics.median(values) for name, values in totals.items()}


def table(outcomes: dict[str, list[dict[str, Any]]]) -> str:
    """Return the medians as a table in Markdown."""
    medians = {name: median_of(seen) for name, seen in outcomes.items()}
    has_gpu = any("gpu_memory" in one for one in medians.values())
    ours = [name for name in medians if PROGRAMS[name].environment == "ours"]
    heads = ["program", "target tokens/s", *(f"{PROGRAMS[name].title} / it" for name in ours)]
    heads += ["peak memory", *(["GPU memory"] if has_gpu else [])]
    heads += ["target tokens/step", "tokens/sentence", "target padding"]
    lines = [f"| {' | '.join(heads)} |", "|---|" + "---:|" * (len(heads) - 1)]
    for name, one in medians.items():
        speeds = [row["tokens"] / row["seconds"] for row in outcomes[name]]
        cells = [PROGRAMS[name].title]
        cells.append(f"{one['speed']:,.0f} ({min(speeds):,.0f} to {max(speeds):,.0f})")
        cells += [f"{medians[our]['speed'] / one['speed']:.2f}" for our in ours]
        cells.append(f"{one['memory']:.2f} GiB")
        if has_gpu:
            cells.append(f"{one['gpu_memory']:.2f} GiB")
        cells += [f"{one['tokens']:,.0f}", f"{one['length']:.1f}", f"{one['padding']:.1%}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def show_roofline(setting: Setting) -> None:
    """Print how near each of this project's steps is to its matrix products."""
    python = python_of("ours", setting.work)
    for title, feeding in (("nmt", False), ("nmt, input feeding", True)):
        print(f"{title}: ", end="", flush=True)
        settings = our_settings(setting, feeding=feeding)
        command = [str(python), str(PARTS / "roofline.py"), *settings]
        subprocess.run(command, check=True, env=environment_of(setting.threads))


def main() -> None:
    """Make what is missing, let the programs take turns, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", choices=list(WINDOWS), default="sentences")
    parser.add_argument("--only", nargs="*", choices=list(PROGRAMS), default=list(PROGRAMS))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options = parser.parse_args()
    data, work = options.data.resolve(), options.work.resolve()

    def setting_of(seed: int) -> Setting:
        return Setting(data, work, options.batch, options.threads, options.device, seed)

    prepare(setting_of(1))
    outcomes: dict[str, list[dict[str, Any]]] = {name: [] for name in options.only}
    for seed, name in in_turn(options.only, options.rounds):
        outcomes[name].append(measure(name, setting_of(seed)))
        print(f"round {seed}, {name}: {json.dumps(outcomes[name][-1])}", file=sys.stderr)
    print(table(outcomes))
    if options.device == "cpu" and "ours" in options.only:
        show_roofline(setting_of(1))


if __name__ == "__main__":
    main()
