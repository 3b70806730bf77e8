"""A toy language pair: strings of digits, translated by saying them backwards."""

import random
from pathlib import Path

from nmt.recipe import Recipe, parse_recipe

RECIPE = """
data:
  source_lang: en
  target_lang: de
  train: {{source: '{folder}/train.en', target: '{folder}/train.de'}}
  validation: {{source: '{folder}/validation.en', target: '{folder}/validation.de'}}
  test: {{source: '{folder}/test.en', target: '{folder}/test.de'}}
  # few pairs will do, and a palindrome is a translation like any other
  cleaning: {{min_pairs: 1, identical: false}}
tokenizer: {{vocab_size: 25, model_type: bpe, byte_fallback: false}}
model:
  embedding_size: 32
  encoder: {{num_layers: 1, hidden_size: 32}}
  decoder: {{num_layers: 2, hidden_size: 48}}
  dropout: {{embedding: 0.0, layers: 0.0, readout: 0.0}}
  tied_embeddings: all
training:
  max_epochs: 3
  max_sentences: 32
  learning_rate: 8e-3
  warmup_steps: 20
  label_smoothing: 0.0
  threads: 1
decoding: {{beam_size: 2}}
"""

# Trained in a moment, learns nothing: for what only needs some training to take place.
QUICK = (
    "model.embedding_size=8",
    "model.encoder.hidden_size=4",
    "model.decoder.hidden_size=8",
    "training.max_epochs=1",
    "training.max_sentences=8",
    "training.warmup_steps=1",
    "decoding.beam_size=1",
    "decoding.max_target_length=8",
    "evaluation.metrics=[BLEU]",
)


def toy_recipe(folder: Path, *overrides: str) -> Recipe:
    """The recipe for a corpus in `folder`."""
    return parse_recipe(RECIPE.format(folder=folder.as_posix()), name="toy", overrides=overrides)


def write_corpus(folder: Path, *, num_train: int, num_validation: int, num_test: int) -> None:
    """Write three sets without a string in common."""
    generator = random.Random(1)
    strings: dict[str, None] = {}  # a set that keeps its order
    while len(strings) < num_train + num_validation + num_test:
        strings[" ".join(generator.choices("0123456789", k=generator.randint(3, 5)))] = None
    lines = iter(strings)
    for name, count in (("train", num_train), ("validation", num_validation), ("test", num_test)):
        sources = [next(lines) for _ in range(count)]
        write_lines(folder / f"{name}.en", sources)
        write_lines(folder / f"{name}.de", [source[::-1] for source in sources])


def write_quick_corpus(folder: Path) -> None:
    """Write what `QUICK` recipes train on: three batches an epoch."""
    write_corpus(folder, num_train=24, num_validation=6, num_test=4)


def write_lines(file: Path, lines: list[str]) -> None:
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")


def read_lines(file: Path) -> list[str]:
    text = file.read_text(encoding="utf-8")
    assert text.endswith("\n")
    return text[:-1].split("\n")
