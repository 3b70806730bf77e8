"""How fast this project and other toolkits train the same model on the same pieces, side by side.

    python benchmarks/training.py --data FOLDER --work FOLDER [--rounds 3]
        [--batch sentences|tokens] [--only NAME ...] [--threads 2] [--device cpu|cuda]

FOLDER of --data holds train and val as .en and .de. Below --work every program gets a virtual
environment of its own, and all of them the same pieces; what is there already is used again. Then
the programs take turns, each trained by its own command for some steps (training/watch.py says what
is counted), and a table of the medians is printed. After them comes how near this project's step is
to the time that its matrix products alone take (training/roofline.py). It wants the machine alone.

The model: a joint unigram vocabulary of 8,000 pieces and one embedding table of 512 for source,
target and output layer, two layers of bidirectional LSTM of 256 a direction, two layers of LSTM of
512, general attention, dropout 0.3, label smoothing 0.1, Adam, gradients clipped at 1, float32.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PARTS = ROOT / "benchmarks" / "training"
TORCH = "torch==2.13.0"
# What a toolkit's own command imports, each list around the toolkit itself: their metadata asks for
# an older PyTorch, or for packages that training never touches.
PACKAGES = {
    "eole": (
        "eole==0.6.4",
        "aiohttp==3.14.5",
        "configargparse==1.9.0",
        "ctranslate2==4.8.5",
        "fastapi==0.165.0",
        "fasttext-wheel==0.9.2",
        "huggingface-hub==2.4.0",
        "numpy==2.4.6",
        "pandas==3.1.1",
        "protobuf==7.36.2",
        "pyahocorasick==2.3.1",
        "pydantic==2.14.3",
        "pyonmttok==1.38.1",
        "pyyaml==6.0.3",
        "rapidfuzz==3.14.6",
        "rich==15.0.0",
        "sacrebleu==2.6.0",
        "safetensors==0.8.0",
        "sentencepiece==0.2.2",
        "six==1.17.0",
        "spacy==3.8.18",
        "subword-nmt==0.3.8",
        "tensorboard==2.21.0",
        "tokenizers==0.23.3",
        "torch-optimi==0.3.3",
        "uvicorn==0.54.0",
        "waitress==3.0.2",
    ),
    "opennmt": (
        "OpenNMT-py==3.5.1",
        "configargparse==1.9.0",
        "ctranslate2==4.8.5",
        "fasttext-wheel==0.9.2",
        "flask==3.1.3",
        "pyahocorasick==2.3.1",
        "pyonmttok==1.38.1",
        "pyyaml==6.0.3",
        "rapidfuzz==3.14.6",
        "sacrebleu==2.6.0",
        "sentencepiece==0.2.3",
        "six==1.17.0",
        "spacy==3.8.18",
        "tensorboard==2.21.0",
        "waitress==3.0.2",
    ),
    "joeynmt": (
        "joeynmt==2.3.0",
        "datasets==5.2.0",
        "importlib-metadata==10.2.0",
        "matplotlib==3.11.2",
        "numpy==2.4.6",
        "packaging==26.3",
        "pandas==3.1.1",
        "pyyaml==6.0.3",
        "sacrebleu==2.6.0",
        "sentencepiece==0.2.0",
        "subword-nmt==0.3.8",
        "tensorboard==2.21.0",
    ),
}
# Steps before the clock starts, and steps that are timed.
WINDOWS = {"sentences": (10, 40), "tokens": (4, 16)}
MAX_SENTENCES = 64
MAX_TOKENS = 4096
FOREVER = 1_000_000
# The recipe's own settings are said again, so that the comparison stays when the recipe changes.
OURS = (
    "tokenizer={vocab_size: 8000, joint: true}",
    "model.embedding_size=512",
    "model.encoder={num_layers: 2, hidden_size: 256}",
    "model.tied_embeddings=all",
    "model.dropout={embedding: 0.3, layers: 0.3, readout: 0.3}",
    "training.max_grad_norm=1.0",
    "training.label_smoothing=0.1",
    "training.learning_rate=1e-3",
)


@dataclass(frozen=True)
class Setting:
    """What all programs of a round are run with."""

    data: Path
    work: Path
    batch: str
    threads: int
    device: str
    seed: int

    @property
    def pieces(self) -> Path:
        """Where the training pairs lie as pieces."""
        return self.work / "pieces"

    @property
    def is_by_sentences(self) -> bool:
        """Whether a batch is a number of sentences, and not of tokens."""
        return self.batch == "sentences"

    @property
    def batch_size(self) -> int:
        """Sentences or tokens."""
        return MAX_SENTENCES if self.is_by_sentences else MAX_TOKENS


def our_settings(setting: Setting, *, feeding: bool = False, query: str = "bottom") -> list[str]:
    """Return the recipe and the overrides that make it the model of the comparison."""
    sets = [
        f"data.{part}.{side}={setting.data / name}.{lang}"
        for part, name in (("train", "train"), ("validation", "val"))
        for side, lang in (("source", "en"), ("target", "de"))
    ]
    limits = {"max_sentences": "null", "max_tokens": "null"}
    limits[f"max_{setting.batch}"] = str(setting.batch_size)
    feedback = "attentional" if feeding else "null"
    return [
        str(ROOT / "recipes" / "multi30k_en_de.yaml"),
        *sets,
        "data.test=null",
        *OURS,
        f"model.attention={{kind: general, query: {query}}}",
        f"model.decoder={{num_layers: 2, hidden_size: 512, feedback: {feedback}}}",
        *(f"training.{name}={value}" for name, value in limits.items()),
        f"training.threads={setting.threads}",
        f"training.device={setting.device}",
        f"training.seed={setting.seed}",
    ]


def run_ours(setting: Setting, folder: Path, *, feeding: bool) -> list[str]:
    """Return this project's arguments."""
    return ["train", *our_settings(setting, feeding=feeding), "--run-dir", str(folder)]


def run_ours_on_top(setting: Setting, folder: Path, *, feeding: bool) -> list[str]:
    """Return the arguments for the others' shape: the top decoder layer asks the attention."""
    settings = our_settings(setting, feeding=feeding, query="top")
    return ["train", *settings, "--run-dir", str(folder)]


def run_eole(setting: Setting, folder: Path, *, feeding: bool) -> list[str]:
    """Write Eole's configuration; its recurrent decoder has no input feeding."""
    assert not feeding
    training = optimization(setting) | {
        "batch_type": "sents" if setting.is_by_sentences else "tokens",
        "model_path": str(folder / "model"),
        "log_attention_entropy": False,
        "num_workers": 0,
    }
    config = corpus(setting) | {
        "seed": setting.seed,
        "report_every": 100,
        "transforms": [],
        "training": training,
        "model": {
            "architecture": "rnn",
            "encoder": {"encoder_type": "brnn", "layers": 2, "hidden_size": 512},
            "decoder": {"layers": 2, "hidden_size": 512, "global_attention": "general"},
            "embeddings": {"word_vec_size": 512},
            "share_embeddings": True,
            "share_decoder_embeddings": True,
        },
    }
    return ["train", "-config", write_config(folder, config)]


def run_opennmt(setting: Setting, folder: Path, *, feeding: bool) -> list[str]:
    """Write OpenNMT-py's configuration."""
    config = corpus(setting) | optimization(setting)
    config |= {
        "seed": setting.seed,
        "report_every": 100,
        "batch_type": "sents" if setting.is_by_sentences else "tokens",
        "save_model": str(folder / "model"),
        "num_workers": 0,
        "encoder_type": "brnn",
        "decoder_type": "rnn",
        "rnn_type": "LSTM",
        "input_feed": int(feeding),
        "global_attention": "general",
        "layers": 2,
        "hidden_size": 512,
        "word_vec_size": 512,
        "share_embeddings": True,
        "share_decoder_embeddings": True,
    }
    return ["-config", write_config(folder, config)]


def corpus(setting: Setting) -> dict[str, Any]:
    """Return what Eole and OpenNMT-py call their data."""
    source, target = (str(setting.pieces / f"train.{lang}") for lang in ("en", "de"))
    vocabulary = str(setting.pieces / "vocab.txt")
    return {
        "data": {"corpus": {"path_src": source, "path_tgt": target, "transforms": []}},
        "src_vocab": vocabulary,
        "tgt_vocab": vocabulary,
        "share_vocab": True,
    }


def optimization(setting: Setting) -> dict[str, Any]:
    """Return how Eole and OpenNMT-py train; the whole corpus is one bucket, sorted by length."""
    lines = (setting.pieces / "train.de").read_bytes().count(b"\n")
    on_gpu = {"world_size": 1, "gpu_ranks": [0]}
    return {
        "batch_size": setting.batch_size,
        "bucket_size": lines,
        "optim": "adam",
        "learning_rate": 1e-3,
        "max_grad_norm": 1.0,
        "dropout": [0.3],
        "label_smoothing": 0.1,
        "train_steps": FOREVER,
        "valid_steps": FOREVER,
        "save_checkpoint_steps": FOREVER,
    } | (on_gpu if setting.device == "cuda" else {})


def run_joeynmt(setting: Setting, folder: Path, *, feeding: bool) -> list[str]:
    """Write JoeyNMT's configuration: it shuffles and has no batches of like length."""
    side = {"level": "word", "max_length": -1, "voc_file": str(setting.pieces / "vocab.txt")}
    embeddings = {"embedding_dim": 512, "scale": False, "dropout": 0.3}
    stack = {"type": "recurrent", "rnn_type": "lstm", "num_layers": 2, "dropout": 0.3}
    config = {
        "name": "benchmark",
        "model_dir": str(folder / "model"),
        "use_cuda": setting.device == "cuda",
        "random_seed": setting.seed,
        "data": {
            "train": str(setting.pieces / "train"),
            "dev": str(setting.pieces / "train"),
            "dataset_type": "plain",
            "src": {"lang": "en", **side},
            "trg": {"lang": "de", **side},
        },
        "model": {
            "tied_embeddings": True,
            "tied_softmax": True,
            "encoder": {
                **stack,
                "embeddings": embeddings,
                "hidden_size": 256,
                "bidirectional": True,
            },
            "decoder": {
                **stack,
                "embeddings": embeddings,
                "hidden_size": 512,
                "hidden_dropout": 0.3,
                "init_hidden": "bridge",
                "attention": "luong",
                "input_feeding": feeding,
            },
        },
        "training": {
            "optimizer": "adam",
            "learning_rate": 1e-3,
            "scheduling": "warmupinversesquareroot",  # a constant rate is refused
            "learning_rate_warmup": 400,
            "clip_grad_norm": 1.0,
            "label_smoothing": 0.1,
            "normalization": "tokens",
            "batch_size": setting.batch_size,
            "batch_type": setting.batch.removesuffix("s"),
            "epochs": FOREVER,
            "logging_freq": 100,
            "validation_freq": FOREVER,
        },
        "testing": {},
    }
    return ["train", write_config(folder, config)]


def write_config(folder: Path, config: dict[str, Any]) -> str:
    """Write a configuration as JSON, which is YAML too; return its path."""
    path = folder / "config.yaml"
    path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8", newline="\n")
    return str(path)


@dataclass(frozen=True)
class Program:
    """One row of the table."""

    title: str
    environment: str
    arguments: Callable[..., list[str]]
    feeding: bool = False


PROGRAMS = {
    "ours": Program("nmt", "ours", run_ours),
    "ours-top": Program("nmt, attention on top", "ours", run_ours_on_top),
    "eole": Program("Eole 0.6.4", "eole", run_eole),
    "opennmt": Program("OpenNMT-py 3.5.1", "opennmt", run_opennmt),
    "joeynmt": Program("JoeyNMT 2.3.0", "joeynmt", run_joeynmt),
    "ours-feeding": Program("nmt, input feeding", "ours", run_ours, feeding=True),
    "opennmt-feeding": Program(
        "OpenNMT-py 3.5.1, input feeding", "opennmt", run_opennmt, feeding=True
    ),
    "joeynmt-feeding": Program(
        "JoeyNMT 2.3.0, input feeding", "joeynmt", run_joeynmt, feeding=True
    ),
}


def python_of(environment: str, work: Path) -> Path:
    """Return the interpreter of a virtual environment, which is made where it is missing."""
    folder = work / "venvs" / environment
    python = folder / "bin" / "python"
    ready = folder / "packages.txt"
    packages = PACKAGES.get(environment, ())
    wanted = "\n".join((TORCH, *packages)) + "\n"
    if ready.exists() and ready.read_text(encoding="utf-8") == wanted:
        return python
    print(f"making the environment {environment}", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
    install = [str(python), "-m", "pip", "install", "--quiet"]
    if packages:
        toolkit, *others = packages
        # alone first: with its own wishes heard, pip would bring another PyTorch
        subprocess.run([*install, "--no-deps", toolkit], check=True)
        subprocess.run([*install, TORCH, *others], check=True)
    else:
        constraints = str(ROOT / "constraints.txt")
        subprocess.run([*install, TORCH, "-c", constraints, "-e", str(ROOT)], check=True)
    ready.write_text(wanted, encoding="utf-8", newline="\n")
    return python


def environment_of(threads: int) -> dict[str, str]:
    """Return the variables of a timed process."""
    counts = {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    return {**os.environ, **counts, "PYTHONPATH": str(ROOT), "TOKENIZERS_PARALLELISM": "false"}


def prepare(setting: Setting) -> None:
    """Write the pieces that all are trained on, where they are missing."""
    if (setting.pieces / "vocab.txt").exists():
        return
    command = [str(python_of("ours", setting.work)), str(PARTS / "prepare.py")]
    command += [str(setting.pieces), *our_settings(setting)]
    subprocess.run(command, check=True, env=environment_of(setting.threads))


def measure(name: str, setting: Setting) -> dict[str, Any]:
    """Train with one program for the window's steps; return what its watch has seen."""
    program = PROGRAMS[name]
    python = python_of(program.environment, setting.work)
    folder = setting.work / "runs" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    run_folder = folder / "run" if program.environment == "ours" else folder
    arguments = program.arguments(setting, run_folder, feeding=program.feeding)
    warmup, steps = WINDOWS[setting.batch]
    result, log = folder / "result.json", folder / "log.txt"
    command = [str(python), str(PARTS / "watch.py"), "--result", str(result)]
    command += ["--warmup", str(warmup), "--steps", str(steps), "--threads", str(setting.threads)]
    command += [program.environment, "--", *arguments]
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env=environment_of(setting.threads),
            cwd=folder,
            start_new_session=True,
        )
        try:
            process.wait()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # also what the watch has left behind
    if not result.exists():
        raise SystemExit(f"{name} has ended before its last step; see {log}")
    found: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    return found


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
    for seed in range(1, options.rounds + 1):
        for name in options.only:
            outcomes[name].append(measure(name, setting_of(seed)))
            print(f"round {seed}, {name}: {json.dumps(outcomes[name][-1])}", file=sys.stderr)
    print(table(outcomes))
    if options.device == "cpu" and "ours" in options.only:
        show_roofline(setting_of(1))


if __name__ == "__main__":
    main()
