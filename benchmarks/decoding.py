"""How fast this project and other toolkits translate with a model of the same sizes, side by side.

    python benchmarks/decoding.py --data FOLDER --work FOLDER [--run RUN] [--rounds 3] [--beam 5]
        [--texts test_2016 train_10k] [--lines N] [--only NAME ...] [--batch-size NAME=N ...]
        [--threads 2]

FOLDER of --data holds train and val as .en and .de, and test_2016_flickr.en. Below --work every
program gets a virtual environment and a model of its own (comparison.py says of what sizes); what
is there already is used again. Every translation is forced to be 20 tokens long, so that a model
needs no training: the toolkits' own commands train theirs for a few steps, this project's has fresh
weights. Then the programs take turns, each translating a whole file by its own command in a process
of its own, at the batch size that suits it best (decoding/watch.py says what is timed, and counts
the tokens), and a table of the medians is printed for each text. It wants the machine alone.

The toolkits are given pieces and write pieces; this project reads and writes text. With --run a
trained model of this project, of whatever sizes, is put beside them, forced to as many tokens.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from comparison import (
    Setting,
    our_settings,
    prepare,
    train_eole,
    train_joeynmt,
    train_opennmt,
    write_config,
)
from toolkits import (
    DECODING,
    TITLES,
    environment_of,
    fresh_folder,
    in_turn,
    prepare_decoding,
    python_of,
    time_translation,
)

# Files of --data, and how many of their first lines are translated; None is all.
TEXTS = {"test_2016": ("test_2016_flickr.en", None), "train_10k": ("train.en", 10_000)}
FIRST_LINE = "first_line"  # what a cold start is for
SOURCES = {FIRST_LINE: ("test_2016_flickr.en", 1), **TEXTS}
NUM_TOKENS = 20
TRAINING_STEPS = 4


@dataclass(frozen=True)
class Task:
    """What a program is to translate, and with what."""

    source: Path
    folder: Path
    model: Path
    beam_size: int
    batch_size: int
    threads: int
    num_steps: int

    @property
    def output(self) -> Path:
        """Where the translations go."""
        return self.folder / "output.txt"


def translate_ours(task: Task) -> list[str]:
    """Return this project's arguments: EOS counts, and a short line may become a long one.

    What a model without training writes goes in circles; nothing is to be searched again for that.
    """
    limits = ["--min-length", str(task.num_steps), "--max-length", str(task.num_steps)]
    files = ["--model", str(task.model), "--input", str(task.source)]
    sizes = ["--beam-size", str(task.beam_size), "--batch-size", str(task.batch_size)]
    return [
        *("translate", *files, "--output", str(task.output), *sizes, *limits),
        *("--max-length-ratio", str(NUM_TOKENS), "--threads", str(task.threads)),
        *("--device", "cpu", "--keep-repeats"),
    ]


def translate_eole(task: Task) -> list[str]:
    """Return Eole's arguments."""
    return ["predict", "-model_path", str(task.model / "model"), *_opennmt_options(task)]


def translate_opennmt(task: Task) -> list[str]:
    """Return OpenNMT-py's arguments."""
    model = task.model / f"model_step_{TRAINING_STEPS}.pt"
    return ["-model", str(model), *_opennmt_options(task)]


def _opennmt_options(task: Task) -> list[str]:
    """Return what Eole and OpenNMT-py call alike; a ratio of 0 leaves only the plain limits."""
    options = {
        "src": task.source,
        "output": task.output,
        "beam_size": task.beam_size,
        "batch_size": task.batch_size,
        "batch_type": "sents",
        "n_best": 1,
        "min_length": NUM_TOKENS,
        "max_length": NUM_TOKENS,
        "max_length_ratio": 0,
    }
    return [text for name, value in options.items() for text in (f"-{name}", str(value))]


def translate_joeynmt(task: Task) -> list[str]:
    """Write JoeyNMT's configuration: that of its training, and how to translate standard input."""
    config = json.loads((task.model / "config.yaml").read_text(encoding="utf-8"))
    config["testing"] = {
        "beam_size": task.beam_size,
        "batch_size": task.batch_size,
        "batch_type": "sentence",
        "n_best": 1,
        "min_output_length": NUM_TOKENS,
        "max_output_length": NUM_TOKENS,
    }
    return ["translate", write_config(task.folder, config)]


def train_joeynmt_only(setting: Setting, folder: Path, *, feeding: bool) -> list[str]:
    """Return JoeyNMT's arguments for training without a test after it."""
    return [*train_joeynmt(setting, folder, feeding=feeding), "--skip-test"]


@dataclass(frozen=True)
class Toolkit:
    """How one of the toolkits is made to train, and what it needs beside."""

    module: str
    train: Callable[..., list[str]]
    variables: tuple[tuple[str, str], ...] = ()
    reads_standard_input: bool = False


TOOLKITS = {
    "eole": Toolkit("eole.bin.main", train_eole),
    # its checkpoints hold its options, an object that PyTorch no longer reads unasked
    "opennmt": Toolkit(
        "onmt.bin.train", train_opennmt, (("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1"),)
    ),
    "joeynmt": Toolkit("joeynmt", train_joeynmt_only, reads_standard_input=True),
}


@dataclass(frozen=True)
class Program:
    """One row of the table.

    Attributes:
        title: What it is called.
        environment: Whose virtual environment and model it has.
        arguments: Of its command.
        batch_size: Sentences a batch.
        options: Arguments beside.
        is_trained: Whether the model is that of --run.
        num_steps: How often the decoder is asked for a next token: the others' loops end without
            EOS, this project scores it.
    """

    title: str
    environment: str
    arguments: Callable[[Task], list[str]]
    batch_size: int
    options: tuple[str, ...] = ()
    is_trained: bool = False
    num_steps: int = NUM_TOKENS

    @property
    def num_tokens(self) -> int:
        """The tokens of each translation, EOS not counted."""
        return self.num_steps - (self.environment == "ours")


def _ours(
    variant: str, *options: str, is_trained: bool = False, num_steps: int = NUM_TOKENS + 1
) -> Program:
    title = f"{TITLES['ours']}, {variant}"
    return Program(title, "ours", translate_ours, 64, options, is_trained, num_steps)


PROGRAMS = {
    "ours": Program(TITLES["ours"], "ours", translate_ours, 128, num_steps=NUM_TOKENS + 1),
    "ours-workers": _ours("2 workers", "--workers", "2"),
    "ours-steps": _ours(
        f"2 workers, {NUM_TOKENS} steps with EOS", "--workers", "2", num_steps=NUM_TOKENS
    ),
    "ours-int8": _ours("2 workers, int8", "--workers", "2", "--int8"),
    "ours-shortlist": _ours(
        "2 workers, int8, shortlist", "--workers", "2", "--int8", "--shortlist"
    ),
    "run-workers": _ours("--run, 2 workers", "--workers", "2", is_trained=True),
    "run-shortlist": _ours(
        "--run, 2 workers, int8, shortlist",
        *("--workers", "2", "--int8", "--shortlist"),
        is_trained=True,
    ),
    "eole": Program(TITLES["eole"], "eole", translate_eole, 128),
    "opennmt": Program(TITLES["opennmt"], "opennmt", translate_opennmt, 128),
    "joeynmt": Program(TITLES["joeynmt"], "joeynmt", translate_joeynmt, 64),
}


@dataclass(frozen=True)
class Place:
    """Where everything lies, and how all programs are run."""

    data: Path
    work: Path
    run: Path | None
    beam_size: int
    threads: int

    @property
    def setting(self) -> Setting:
        """What the models are made with."""
        return Setting(
            self.data, self.work, "sentences", self.threads, "cpu", seed=1, steps=TRAINING_STEPS
        )

    def model(self, environment: str) -> Path:
        """Return where the model of an environment's programs lies."""
        return self.work / "models" / environment

    def model_of(self, program: Program) -> Path:
        """Return what a program translates with."""
        if program.is_trained and self.run:
            return self.run
        model = self.model(program.environment)
        return model / "run" if program.environment == "ours" else model

    def text(self, name: str, environment: str) -> Path:
        """Return a text as a program reads it."""
        return self.work / "texts" / f"{name}.{'txt' if environment == 'ours' else 'pieces'}"


def make_models(place: Place, environments: set[str]) -> None:
    """Make the models that are missing; this project's always, for its tokenizer."""
    for environment in sorted({"ours", *environments}):
        folder = place.model(environment)
        ready = folder / "ready"
        if ready.exists():
            continue
        print(f"making the model of {environment}", file=sys.stderr)
        command = [str(python_of(environment, place.work)), *_making(place, environment)]
        subprocess.run(command, check=True, env=environment_of(place.threads), cwd=folder)
        ready.touch()


def _making(place: Place, environment: str) -> list[str]:
    """Return what makes a model in a fresh folder, for the interpreter of its environment."""
    folder = fresh_folder(place.model(environment))
    if environment == "ours":
        return [
            str(DECODING / "prepare.py"),
            "run",
            str(folder / "run"),
            *our_settings(place.setting),
        ]
    toolkit = TOOLKITS[environment]
    return ["-m", toolkit.module, *toolkit.train(place.setting, folder, feeding=False)]


def write_texts(place: Place, names: list[str], num_lines: int | None) -> dict[str, int]:
    """Write what is translated, as text and as pieces; return how many lines each text has."""
    (place.work / "texts").mkdir(exist_ok=True)
    counts = {}
    for name in names:
        file, most = SOURCES[name]
        limit = min(filter(None, (most, num_lines)), default=None)
        with (place.data / file).open(encoding="utf-8", newline="\n") as stream:
            lines = list(islice(stream, limit))
        text = place.text(name, "ours")
        text.write_text("".join(lines), encoding="utf-8", newline="\n")
        counts[name] = len(lines)
        files = place.model("ours") / "run", text, place.text(name, "pieces")
        prepare_decoding(place.work, place.threads, "pieces", *map(str, files))
    return counts


def measure(name: str, text: str, place: Place, batch_size: int) -> dict[str, Any]:
    """Translate a text with one program; return what its watch has seen."""
    program = PROGRAMS[name]
    toolkit = TOOLKITS.get(program.environment)
    folder = fresh_folder(place.work / "translations" / text / name)
    source = place.text(text, program.environment)
    task = Task(
        source,
        folder,
        place.model_of(program),
        place.beam_size,
        batch_size,
        place.threads,
        program.num_steps,
    )
    arguments = [*program.arguments(task), *program.options]
    return time_translation(
        program.environment,
        arguments,
        folder,
        work=place.work,
        threads=place.threads,
        variables=dict(toolkit.variables) if toolkit else None,
        source=source if toolkit and toolkit.reads_standard_input else None,
    )


def check(name: str, found: dict[str, Any], place: Place, num_lines: int) -> None:
    """See that a program has done what all are asked for."""
    length = str(PROGRAMS[name].num_tokens)
    done = {"lines_of_length": {length: num_lines}, "beam_sizes": [place.beam_size]}
    for what, wanted in done.items():
        if found[what] != wanted:
            raise SystemExit(f"{name}: {what} must be {wanted}, got {found[what]}")


def table(
    outcomes: dict[str, list[dict[str, Any]]],
    colds: dict[str, list[float]],
    batch_sizes: dict[str, int],
    place: Place,
    num_lines: int,
) -> str:
    """Return the medians as a table in Markdown."""
    speeds = {name: [num_lines / one["seconds"] for one in seen] for name, seen in outcomes.items()}
    ours = [name for name in outcomes if PROGRAMS[name].environment == "ours"]
    heads = ["program", "sentences a batch", "sentences/s"]
    heads += [f"{PROGRAMS[name].title} / it" for name in ours]
    heads += ["tokens/s a thread", "peak memory", "cold start"]
    lines = [f"| {' | '.join(heads)} |", "|---|" + "---:|" * (len(heads) - 1)]
    for name, seen in outcomes.items():
        speed = statistics.median(speeds[name])
        memory = statistics.median(one["peak_bytes"] for one in seen) / 2**30
        cells = [PROGRAMS[name].title, str(batch_sizes[name])]
        cells.append(f"{speed:.1f} ({min(speeds[name]):.1f} to {max(speeds[name]):.1f})")
        cells += [f"{statistics.median(speeds[our]) / speed:.2f}" for our in ours]
        cells.append(f"{speed * NUM_TOKENS / place.threads:,.0f}")
        cells += [f"{memory:.2f} GiB", f"{statistics.median(colds[name]):.1f} s"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def batch_sizes_of(choices: list[str]) -> dict[str, int]:
    """Return each program's sentences a batch, as chosen or else its own."""
    sizes = {name: program.batch_size for name, program in PROGRAMS.items()}
    for choice in choices:
        name, _, size = choice.partition("=")
        if name not in sizes or not size.isdecimal() or int(size) < 1:
            raise SystemExit(f"--batch-size must be NAME=N with N >= 1, got {choice!r}")
        sizes[name] = int(size)
    return sizes


def options_of() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--run", type=Path, help="a trained run folder of this project")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--beam", type=int, default=5)
    parser.add_argument("--texts", nargs="*", choices=list(TEXTS), default=list(TEXTS))
    parser.add_argument("--lines", type=int, help="take so many of the first lines of a text")
    parser.add_argument("--only", nargs="*", choices=list(PROGRAMS), default=list(PROGRAMS))
    parser.add_argument("--batch-size", nargs="*", default=[], metavar="NAME=N")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    if options.run is None:
        options.only = [name for name in options.only if not PROGRAMS[name].is_trained]
    return options


def main() -> None:
    """Make what is missing, let the programs take turns, print the tables."""
    options = options_of()
    folders = (
        options.data.resolve(),
        options.work.resolve(),
        options.run and options.run.resolve(),
    )
    place = Place(*folders, options.beam, options.threads)
    batch_sizes = batch_sizes_of(options.batch_size)
    prepare(place.setting)
    make_models(place, {PROGRAMS[name].environment for name in options.only})
    counts = write_texts(place, [FIRST_LINE, *options.texts], options.lines)
    turns = [(text, name) for text in counts for name in options.only]
    seen: dict[str, dict[str, list[dict[str, Any]]]] = {
        text: {name: [] for name in options.only} for text in counts
    }
    for number, (text, name) in in_turn(turns, options.rounds):
        found = measure(name, text, place, batch_sizes[name])
        check(name, found, place, counts[text])
        seen[text][name].append(found)
        print(f"round {number}, {text}, {name}: {json.dumps(found)}", file=sys.stderr)
    first = seen.pop(FIRST_LINE)
    colds = {name: [one["seconds_of_process"] for one in first[name]] for name in first}
    for text, outcomes in seen.items():
        print(f"\n{text}, {counts[text]:,} lines, beam {place.beam_size}\n")
        print(table(outcomes, colds, batch_sizes, place, counts[text]))


if __name__ == "__main__":
    main()
