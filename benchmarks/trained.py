"""Speed beside BLEU: trained models of this project and one of Eole's, side by side.

    python benchmarks/trained.py --data FOLDER --work FOLDER --run RUN [RUN ...]
        [--epochs 16] [--rounds 3] [--beam 5] [--threads 2] [--training-threads 2]

FOLDER of --data holds train and test_2016_flickr as .en and .de. Eole trains a model of two layers,
as wide as the decoder of the first RUN, on the pieces of its joint tokenizer, with input feeding,
as its users do, and its last weights are translated with; what lies below --work already is used
again. Then the programs take turns translating the test set as decoding.py has them do, each ending
its translations where it will, and a table is printed: BLEU, detokenized and cased, beside
sentences a second. Every run is measured in float32 and with 8-bit weights and its shortlist, with
as many worker processes as threads. It wants the machine alone.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from comparison import MAX_SENTENCES, Setting, eole_config, write_config
from toolkits import (
    ROOT,
    TITLES,
    environment_of,
    fresh_folder,
    in_turn,
    prepare_decoding,
    python_of,
    time_translation,
)

sys.path.insert(0, str(ROOT))

from nmt.bleu import build_bleu
from nmt.corpus.files import read_lines
from nmt.run_folder import RunFolder

TEST = "test_2016_flickr"
EOLE = ("-batch_type", "sents", "-batch_size", "128")
OURS = ("--batch-size", "64")
FAST = (*OURS, "--int8", "--shortlist")


@dataclass(frozen=True)
class Program:
    """One row of the table: a run of this project and how it is used, or None for Eole's model."""

    run: Path | None
    options: tuple[str, ...] = EOLE

    @property
    def title(self) -> str:
        """What it is called."""
        if self.run is None:
            return TITLES["eole"]
        return " ".join((TITLES["ours"], "translate", f"--model {self.run.name}", *self.options))


@dataclass(frozen=True)
class Place:
    """Where everything lies, and how all programs are run."""

    data: Path
    work: Path
    run: Path
    beam_size: int
    threads: int

    @property
    def folder(self) -> Path:
        """Where the pieces and Eole's model lie."""
        return self.work / "trained" / self.run.name

    def setting(self, *, steps: int) -> Setting:
        """Return what Eole's model is trained with."""
        seed = RunFolder(self.run).recipe.training.seed
        return Setting(self.data, self.folder, "sentences", self.threads, "cpu", seed, steps)

    def prepare(self, *arguments: str) -> None:
        """Have decoding/prepare.py write something."""
        prepare_decoding(self.work, self.threads, *arguments)

    def pieces(self, name: str) -> Path:
        """Return where a text lies as pieces."""
        return self.folder / "pieces" / name


def write_pieces(place: Place) -> None:
    """Write what Eole reads; the vocabulary last, as a sign that all is there."""
    vocabulary = place.pieces("vocab.txt")
    if vocabulary.exists():
        return
    vocabulary.parent.mkdir(parents=True, exist_ok=True)
    for name in ("train.en", "train.de", f"{TEST}.en"):
        place.prepare("pieces", str(place.run), str(place.data / name), str(place.pieces(name)))
    place.prepare("vocabulary", str(place.run), str(vocabulary))


def config_of(place: Place, *, epochs: int) -> dict[str, Any]:
    """Return Eole's configuration.

    Its rate falls by half every second epoch over the last six, which is its own kind of schedule.
    """
    steps = place.pieces("train.de").read_bytes().count(b"\n") // MAX_SENTENCES
    setting = place.setting(steps=steps * epochs)
    size = RunFolder(place.run).recipe.model.decoder.hidden_size
    config = eole_config(setting, place.folder, size=size, feeding=True)
    config["training"] |= {
        "learning_rate_decay": 0.5,
        "start_decay_steps": steps * max(1, epochs - 6),
        "decay_steps": steps * 2,
        "save_checkpoint_steps": steps,
        "keep_checkpoint": 1,
    }
    return config


def train_eole(place: Place, *, epochs: int, threads: int) -> None:
    """Train Eole's model, unless there is one with the same configuration."""
    config = config_of(place, epochs=epochs)
    ready, wanted = place.folder / "ready.json", json.dumps(config)
    if ready.exists() and ready.read_text(encoding="utf-8") == wanted:
        return
    command = [str(python_of("eole", place.work)), "-m", "eole.bin.main", "train"]
    with (place.folder / "train.log").open("wb") as log:
        subprocess.run(
            [*command, "-config", write_config(place.folder, config)],
            check=True,
            env=environment_of(threads),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    ready.write_text(wanted, encoding="utf-8", newline="\n")


def arguments_of(program: Program, place: Place, output: Path) -> list[str]:
    """Return the arguments of a program's own command."""
    if program.run is None:
        files = {
            "src": place.pieces(f"{TEST}.en"),
            "output": output,
            "model_path": place.folder / "model",
        }
        options = {**files, "beam_size": place.beam_size, "n_best": 1}
        texts = [text for key, value in options.items() for text in (f"-{key}", str(value))]
        return ["predict", *texts, *program.options]
    files = {"model": program.run, "input": place.data / f"{TEST}.en", "output": output}
    sizes = {"beam-size": place.beam_size, "threads": place.threads, "workers": place.threads}
    options = {**files, **sizes, "device": "cpu"}
    texts = [text for key, value in options.items() for text in (f"--{key}", str(value))]
    return ["translate", *texts, *program.options]


def measure(number: int, program: Program, place: Place) -> dict[str, Any]:
    """Translate the test set with one program; return what its watch has seen, and its BLEU."""
    name = "eole" if program.run is None else "ours"
    folder = fresh_folder(place.folder / "translations" / str(number))
    output = folder / "output.txt"
    arguments = arguments_of(program, place, output)
    found = time_translation(name, arguments, folder, work=place.work, threads=place.threads)
    text = output
    if program.run is None:
        text = folder / "text.txt"
        place.prepare("text", str(place.run), str(output), str(text))
    references = list(read_lines(place.data / f"{TEST}.de"))
    bleu = build_bleu("13a")
    score = bleu.corpus_score(list(read_lines(text)), [references])
    return {**found, "bleu": score.score, "signature": str(bleu.get_signature())}


def table(seen: dict[Program, list[dict[str, Any]]], num_lines: int) -> str:
    """Return the medians as a table in Markdown."""
    speeds = {
        program: [num_lines / one["seconds"] for one in found] for program, found in seen.items()
    }
    [eole] = [statistics.median(each) for one, each in speeds.items() if one.run is None]
    lines = ["| program | BLEU | sentences/s | it / Eole | peak memory |", "|---|" + "---:|" * 4]
    for program, found in seen.items():
        each = speeds[program]
        speed = statistics.median(each)
        memory = statistics.median(one["peak_bytes"] for one in found) / 2**30
        lines.append(
            f"| `{program.title}` | {found[0]['bleu']:.2f} | {speed:.1f} ({min(each):.1f} to "
            f"{max(each):.1f}) | {speed / eole:.2f} | {memory:.2f} GiB |"
        )
    return "\n".join(lines)


def main() -> None:
    """Train what is missing, let the programs take turns, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("data", "work"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--run", type=Path, nargs="+", required=True)
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3, help="0 only trains")
    parser.add_argument("--beam", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--training-threads", type=int, default=2)
    options = parser.parse_args()
    runs = [run.resolve() for run in options.run]
    paths = options.data.resolve(), options.work.resolve(), runs[0]
    place = Place(*paths, options.beam, options.threads)
    write_pieces(place)
    train_eole(place, epochs=options.epochs, threads=options.training_threads)
    programs = [Program(run, way) for run in runs for way in (OURS, FAST)] + [Program(None)]
    seen: dict[Program, list[dict[str, Any]]] = {program: [] for program in programs}
    for turn, program in in_turn(programs, options.rounds):
        found = measure(programs.index(program), program, place)
        seen[program].append(found)
        print(f"round {turn}, {program.title}: {json.dumps(found)}", file=sys.stderr)
    if options.rounds:
        num_lines = place.pieces(f"{TEST}.en").read_bytes().count(b"\n")
        signature = seen[programs[0]][0]["signature"]
        print(f"\n{TEST}, {num_lines:,} lines, beam {place.beam_size}, {signature}\n")
        print(table(seen, num_lines))


if __name__ == "__main__":
    main()
