"""The model that the programs are compared with, in the words of each of them.

A joint unigram vocabulary of 8,000 pieces and one embedding table of 512 for source, target and
output layer, two layers of bidirectional LSTM of 256 a direction, two layers of LSTM of 512,
general attention; trained with dropout 0.3, label smoothing 0.1, Adam, gradients clipped at 1,
float32.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkits import ROOT, environment_of, python_of

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
    """What the programs are trained with; `steps` is where training would end and save."""

    data: Path
    work: Path
    batch: str
    threads: int
    device: str
    seed: int
    steps: int = FOREVER

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


def train_ours(setting: Setting, folder: Path, *, feeding: bool) -> list[str]:
    """Return this project's arguments."""
    return ["train", *our_settings(setting, feeding=feeding), "--run-dir", str(folder)]


def train_ours_on_top(setting: Setting, folder: Path, *, feeding: bool) -> list[str]:
    """Return the arguments for the others' shape: the top decoder layer asks the attention."""
    settings = our_settings(setting, feeding=feeding, query="top")
    return ["train", *settings, "--run-dir", str(folder)]


def train_eole(setting: Setting, folder: Path, *, feeding: bool) -> list[str]:
    """Write Eole's configuration."""
    config = eole_config(setting, folder, size=512, feeding=feeding)
    return ["train", "-config", write_config(folder, config)]


def eole_config(setting: Setting, folder: Path, *, size: int, feeding: bool) -> dict[str, Any]:
    """Return Eole's configuration, with two layers of `size` on either side and embeddings of it.

    Its architecture `rnn` makes every encoder one of a single direction, whatever is asked for
    (0.6.4), so the parts are put together as a custom one.
    """
    training = optimization(setting) | {
        "batch_type": "sents" if setting.is_by_sentences else "tokens",
        "model_path": str(folder / "model"),
        "log_attention_entropy": False,
        "num_workers": 0,
    }
    return corpus(setting) | {
        "seed": setting.seed,
        "report_every": 100,
        "transforms": [],
        "training": training,
        "model": {
            "architecture": "custom",
            "encoder": {"encoder_type": "brnn", "layers": 2, "hidden_size": size},
            "decoder": {
                "decoder_type": "rnn",
                "layers": 2,
                "hidden_size": size,
                "global_attention": "general",
            },
            "input_feed": int(feeding),
            "embeddings": {"word_vec_size": size},
            "share_embeddings": True,
            "share_decoder_embeddings": True,
        },
    }


def train_opennmt(setting: Setting, folder: Path, *, feeding: bool) -> list[str]:
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
        "train_steps": setting.steps,
        "valid_steps": FOREVER,
        "save_checkpoint_steps": setting.steps,
    } | (on_gpu if setting.device == "cuda" else {})


def train_joeynmt(setting: Setting, folder: Path, *, feeding: bool) -> list[str]:
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
            "updates": setting.steps,
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


def prepare(setting: Setting) -> None:
    """Write the pieces that all are trained on, where they are missing."""
    if (setting.pieces / "vocab.txt").exists():
        return
    command = [
        str(python_of("ours", setting.work)),
        str(ROOT / "benchmarks" / "training" / "prepare.py"),
    ]
    command += [str(setting.pieces), *our_settings(setting)]
    subprocess.run(command, check=True, env=environment_of(setting.threads))
