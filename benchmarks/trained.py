"""Speed beside BLEU: a trained model of this project and Eole's of the same sizes, side by side.

    python benchmarks/trained.py --data FOLDER --work FOLDER --model RUN [--epochs 12]
        [--rounds 3] [--beam 5] [--threads 2] [--training-threads 2] [--only NAME ...]

FOLDER of --data holds train and test_2016_flickr as .en and .de. Eole trains a model of RUN's sizes
on the pieces of RUN's joint tokenizer, with input feeding, as its users do, unless it lies below
--work already. Then the programs take turns translating the test set as decoding.py has them do,
each ending its translations where it will, and a table is printed: BLEU, detokenized and cased,
beside sentences a second. It wants the machine alone.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from comparison import write_config
from toolkits import ROOT, TITLES, environment_of, fresh_folder, in_turn, python_of, run_watched

from nmt.bleu import build_bleu
from nmt.run_folder import RunFolder

PARTS = ROOT / "benchmarks" / "decoding"
TEST = "test_2016_flickr"
SENTENCES = 64  # a batch in training
SIDES = (("src", "en"), ("tgt", "de"))
OPTIONS: dict[str, tuple[str, ...]] = {
    "ours": ("--batch-size", "128"),
    "ours-int8": ("--batch-size", "128", "--int8"),
    "ours-shortlist": ("--batch-size", "128", "--int8", "--shortlist"),
    "ours-workers": ("--batch-size", "64", "--workers", "2", "--int8", "--shortlist"),
    "eole": ("-batch_type", "sents", "-batch_size", "128"),
}


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
        return self.work / "trained"

    @property
    def model(self) -> Path:
        """Where Eole's model lies."""
        return self.folder / "model"

    def prepare(self, *arguments: str) -> None:
        """Have decoding/prepare.py write something."""
        command = [str(python_of("ours", self.work)), str(PARTS / "prepare.py"), *arguments]
        subprocess.run(command, check=True, env=environment_of(self.threads))

    def pieces(self, name: str) -> Path:
        """Return where a text lies as pieces."""
        return self.folder / f"{name}.pieces"


def write_pieces(place: Place) -> None:
    """Write what Eole reads; the vocabulary last, as a sign that all is there."""
    vocabulary = place.folder / "vocab.txt"
    if vocabulary.exists():
        return
    place.folder.mkdir(parents=True, exist_ok=True)
    for name in ("train.en", "train.de", f"{TEST}.en"):
        text = str(place.data / name)
        place.prepare("pieces", str(place.run), text, str(place.pieces(name)))
    place.prepare("vocabulary", str(place.run), str(vocabulary))


def eole_config(place: Place, *, epochs: int) -> dict[str, Any]:
    """Return Eole's configuration: the sizes and the training of a run folder's recipe.

    Its rate falls by half every second epoch over the last six, which is its own kind of schedule.
    """
    recipe = RunFolder(place.run).recipe
    model, training = recipe.model, recipe.training
    num_lines = place.pieces("train.de").read_bytes().count(b"\n")
    steps = num_lines // SENTENCES
    texts = {f"path_{side}": str(place.pieces(f"train.{lang}")) for side, lang in SIDES}
    vocabulary = str(place.folder / "vocab.txt")
    return {
        "data": {"corpus": {**texts, "transforms": []}},
        "src_vocab": vocabulary,
        "tgt_vocab": vocabulary,
        "share_vocab": True,
        "seed": training.seed,
        "report_every": 100,
        "transforms": [],
        "training": {
            "batch_size": SENTENCES,
            "batch_type": "sents",
            "bucket_size": num_lines,
            "optim": "adam",
            "learning_rate": 1e-3,
            "learning_rate_decay": 0.5,
            "start_decay_steps": steps * max(1, epochs - 6),
            "decay_steps": steps * 2,
            "max_grad_norm": 1.0,
            "dropout": [model.dropout.layers],
            "label_smoothing": training.label_smoothing,
            "train_steps": steps * epochs,
            "valid_steps": 10**6,
            "save_checkpoint_steps": steps,
            "keep_checkpoint": 1,
            "model_path": str(place.model),
            "num_workers": 0,
        },
        "model": {
            "architecture": "custom",
            "encoder": {
                "encoder_type": "brnn",
                "layers": model.encoder.num_layers,
                "hidden_size": model.encoder.state_size,
            },
            "decoder": {
                "decoder_type": "rnn",
                "layers": model.decoder.num_layers,
                "hidden_size": model.decoder.hidden_size,
                "global_attention": "general",
            },
            "input_feed": 1,
            "embeddings": {"word_vec_size": model.embedding_size},
            "share_embeddings": True,
            "share_decoder_embeddings": True,
        },
    }


def train_eole(place: Place, *, epochs: int, threads: int) -> None:
    """Train Eole's model where there is none."""
    ready = place.folder / "ready"
    if ready.exists():
        return
    config = write_config(place.folder, eole_config(place, epochs=epochs))
    command = [str(python_of("eole", place.work)), "-m", "eole.bin.main", "train"]
    with (place.folder / "train.log").open("wb") as log:
        subprocess.run(
            [*command, "-config", config],
            check=True,
            env=environment_of(threads),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    ready.touch()


def arguments_of(name: str, place: Place, output: Path) -> list[str]:
    """Return the arguments of a program's own command."""
    if name == "eole":
        files = {"src": place.pieces(f"{TEST}.en"), "output": output, "model_path": place.model}
        options = {**files, "beam_size": place.beam_size, "n_best": 1}
        texts = [text for key, value in options.items() for text in (f"-{key}", str(value))]
        return ["predict", *texts, *OPTIONS[name]]
    files = {"model": place.run, "input": place.data / f"{TEST}.en", "output": output}
    options = {**files, "beam-size": place.beam_size, "threads": place.threads, "device": "cpu"}
    texts = [text for key, value in options.items() for text in (f"--{key}", str(value))]
    return ["translate", *texts, *OPTIONS[name]]


def measure(name: str, place: Place) -> dict[str, Any]:
    """Translate the test set with one program; return what its watch has seen, and its BLEU."""
    program = "eole" if name == "eole" else "ours"
    folder = fresh_folder(place.folder / "translations" / name)
    output = folder / "output.txt"
    command = [str(python_of(program, place.work)), str(PARTS / "watch.py")]
    command += ["--result", str(folder / "result.json"), "--threads", str(place.threads)]
    command += ["--started", str(time.monotonic()), program, "--"]
    found = run_watched(
        [*command, *arguments_of(name, place, output)], folder, threads=place.threads
    )
    text = output
    if program == "eole":
        text = folder / "text.txt"
        place.prepare("text", str(place.run), str(output), str(text))
    references = (place.data / f"{TEST}.de").read_text(encoding="utf-8").split("\n")[:-1]
    translations = text.read_text(encoding="utf-8").split("\n")[:-1]
    bleu = build_bleu("13a")
    score = bleu.corpus_score(translations, [references])
    return {**found, "bleu": score.score, "signature": str(bleu.get_signature())}


def table(seen: dict[str, list[dict[str, Any]]], num_lines: int) -> str:
    """Return the medians as a table in Markdown."""
    speeds = {
        name: statistics.median(num_lines / one["seconds"] for one in found)
        for name, found in seen.items()
    }
    lines = ["| program | BLEU | sentences/s | it / Eole | peak memory |", "|---|" + "---:|" * 4]
    for name, found in seen.items():
        each = [num_lines / one["seconds"] for one in found]
        title = " ".join((TITLES["eole" if name == "eole" else "ours"], *OPTIONS[name]))
        memory = statistics.median(one["peak_bytes"] for one in found) / 2**30
        factor = f"{speeds[name] / speeds['eole']:.2f}" if "eole" in speeds else ""
        lines.append(
            f"| `{title}` | {found[0]['bleu']:.2f} | {speeds[name]:.1f} ({min(each):.1f} to "
            f"{max(each):.1f}) | {factor} | {memory:.2f} GiB |"
        )
    return "\n".join(lines)


def main() -> None:
    """Train what is missing, let the programs take turns, print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("data", "work", "model"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3, help="0 only trains")
    parser.add_argument("--beam", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--training-threads", type=int, default=2)
    parser.add_argument("--only", nargs="*", choices=list(OPTIONS), default=list(OPTIONS))
    options = parser.parse_args()
    paths = (options.data.resolve(), options.work.resolve(), options.model.resolve())
    place = Place(*paths, options.beam, options.threads)
    write_pieces(place)
    train_eole(place, epochs=options.epochs, threads=options.training_threads)
    seen: dict[str, list[dict[str, Any]]] = {name: [] for name in options.only}
    for number, name in in_turn(options.only, options.rounds):
        found = measure(name, place)
        seen[name].append(found)
        print(f"round {number}, {name}: {json.dumps(found)}", file=sys.stderr)
    if options.rounds:
        num_lines = place.pieces(f"{TEST}.en").read_bytes().count(b"\n")
        print(f"\n{TEST}, {num_lines:,} lines, beam {place.beam_size}\n")
        print(table(seen, num_lines))


if __name__ == "__main__":
    main()
