"""Trains the recipes of the papers at one small size; gives a table and a picture of what came out.

    python benchmarks/papers.py --data FOLDER --runs FOLDER [--epochs 4] [--only NAME ...]

FOLDER holds train, val and test_2016_flickr as .en and .de. First every recipe is trained on the
first 4,000 pairs for one epoch, one after the other, for its speed: this wants the machine alone.
Then each row is one `nmt train` over all pairs. What is done is not done again, so the command can
be stopped and started anew.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
ONE_WAY = ("model.encoder.hidden_size=256",)
BOTH_WAYS = ("model.encoder.hidden_size=128",)
DEEP = ("model.encoder.num_layers=4", "model.decoder.num_layers=4")
ENERGIES = ("model.attention.size=256",)

# One row each: name, recipe, and what makes it small. Every encoder state is 256 wide.
ROWS: dict[str, tuple[str, tuple[str, ...]]] = {
    "gnmt_v2 (default)": ("gnmt_v2", (*DEEP, *BOTH_WAYS)),
    "bahdanau2015": (
        "bahdanau2015",
        (*BOTH_WAYS, *ENERGIES, "model.decoder.readout_size=256"),
    ),
    "luong2015": ("luong2015", (*DEEP, *ONE_WAY)),
    "gnmt2016": ("gnmt2016", (*DEEP, *ONE_WAY, *ENERGIES)),
    "sutskever2014": ("sutskever2014", (*DEEP, *ONE_WAY)),
    "rnmtplus2018": ("rnmtplus2018", (*DEEP, *BOTH_WAYS, *ENERGIES)),
    "luong2015, no input feeding": (
        "luong2015",
        (*DEEP, *ONE_WAY, "model.decoder.feedback=null"),
    ),
}
COMMON = (
    "model.embedding_size=256",
    "model.decoder.hidden_size=256",
    "model.dropout={embedding: 0.2, layers: 0.2, readout: 0.2}",
    "tokenizer.vocab_size=4000",
    "training.learning_rate=2e-3",
    "training.adam_betas=[0.9, 0.98]",
    "training.max_sentences=64",
)
NUM_PAIRS_FOR_SPEED = 4_000
NMT = "import sys; from nmt.cli.main import main; sys.exit(main())"


def train(row: str, folder: Path, data: Path, *overrides: str) -> None:
    """Train one row to its end, or go on with it."""
    recipe, sizes = ROWS[row]
    sets = [
        f"data.{part}.{side}={data / name}.{lang}"
        for part, name in (("train", "train"), ("validation", "val"), ("test", "test_2016_flickr"))
        for side, lang in (("source", "en"), ("target", "de"))
    ]
    command = [sys.executable, "-c", NMT, "train", recipe, "--run-dir", str(folder)]
    command += [*sets, *COMMON, *sizes, *overrides]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})


def measure_speed(row: str, folder: Path, data: Path) -> None:
    """Train a row on few pairs; the validation is short and not timed."""
    few = folder.parent / "few"
    few.mkdir(parents=True, exist_ok=True)
    for lang in ("en", "de"):
        lines = (data / f"train.{lang}").read_bytes().split(b"\n")[:NUM_PAIRS_FOR_SPEED]
        (few / f"train.{lang}").write_bytes(b"\n".join(lines) + b"\n")
    sets = (f"data.train.source={few}/train.en", f"data.train.target={few}/train.de")
    short = ("training.max_epochs=1", "training.warmup_steps=10", "training.validation_sentences=4")
    train(row, folder, data, *sets, *short, "data.test=null", "tokenizer.vocab_size=3500")


def outcome(row: str, folder: Path, speed_folder: Path) -> dict[str, Any]:
    """Return what a row reached; None where it was not trained."""
    sys.path.insert(0, str(ROOT))
    from nmt.run_folder import RunFolder, read_weights

    speed = RunFolder(speed_folder).metrics()[0]["tokens_per_second"]
    found: dict[str, Any] = {"row": row, "tokens_per_second": speed}
    found |= dict.fromkeys(("parameters", "perplexity", "bleu", "signature"))
    run = RunFolder(folder)
    if run.card_file.exists():
        bleu = next(score for score in run.scores() if score["name"] == "BLEU")
        weights = read_weights(run.weights_file).values()
        found["parameters"] = sum(weight.numel() for weight in weights)
        found["perplexity"] = min(entry["perplexity"] for entry in run.metrics())
        found |= {"bleu": bleu["value"], "signature": bleu["signature"]}
    return found


def table(outcomes: list[dict[str, Any]]) -> str:
    """Return the outcomes as a table in Markdown."""
    lines = [
        "| recipe | parameters | target tokens/s | validation perplexity | BLEU |",
        "|---|---:|---:|---:|---:|",
    ]
    for one in outcomes:
        cells = [one["row"], "", f"{one['tokens_per_second']:,.0f}", "", ""]
        if one["bleu"] is not None:
            cells[1] = f"{one['parameters'] / 1e6:.1f} M"
            cells[3:] = [f"{one['perplexity']:.2f}", f"{one['bleu']:.2f}"]
        lines.append(f"| {' | '.join(cells)} |")
    signatures = sorted({one["signature"] for one in outcomes if one["signature"]})
    return "\n".join([*lines, "", *(f"BLEU: `{signature}`" for signature in signatures)])


def draw(outcomes: list[dict[str, Any]], path: Path) -> None:
    """Draw BLEU against training speed, one dot a recipe."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    for one in (one for one in outcomes if one["bleu"] is not None):
        axes.scatter(one["tokens_per_second"], one["bleu"], color="tab:blue")
        axes.annotate(
            one["row"],
            (one["tokens_per_second"], one["bleu"]),
            textcoords="offset points",
            xytext=(0, 7),
            ha="center",
            fontsize=9,
        )
    axes.set_xlabel("target tokens a second in training")
    axes.set_ylabel("BLEU on Multi30k test_2016")
    axes.margins(x=0.2, y=0.15)
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=150)


def main() -> None:
    """Train what is not trained, print the table, draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--only", nargs="*", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--no-training", action="store_true", help="only show what there is")
    options = parser.parse_args()
    names = {row: row.replace(",", "").replace(" ", "_") for row in ROWS}
    folders = {row: options.runs / name for row, name in names.items()}
    speeds = {row: options.runs / "speed" / name for row, name in names.items()}
    if not options.no_training:
        for row in ROWS:
            measure_speed(row, speeds[row], options.data)
        for row in options.only:
            train(row, folders[row], options.data, f"training.max_epochs={options.epochs}")
    measured = [row for row in ROWS if (speeds[row] / "README.md").exists()]
    outcomes = [outcome(row, folders[row], speeds[row]) for row in measured]
    results = json.dumps(outcomes, indent=2)
    (options.runs / "papers.json").write_text(results + "\n", encoding="utf-8", newline="\n")
    print(table(outcomes))
    draw(outcomes, options.runs / "papers.png")


if __name__ == "__main__":
    main()
