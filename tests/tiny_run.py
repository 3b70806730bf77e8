"""A run folder with random weights, written in a moment: for what only needs some model."""

from pathlib import Path

import torch

from nmt.recipe import parse_recipe
from nmt.run_folder import RunFolder, write_weights
from nmt.tokenizer import Tokenizer

SOURCES = ["eine Katze", "ein Hund läuft", "", "nein", "die Katze und der Hund"]
TARGETS = ["a cat", "a dog runs", "", "no", "the cat and the dog"]

RECIPE = """
data:
  source_lang: de
  target_lang: en
  train: {tsv: train.tsv}
  validation: {tsv: validation.tsv}
tokenizer: {vocab_size: 34, byte_fallback: false}
model:
  embedding_size: 8
  encoder: {num_layers: 1, hidden_size: 4}
  decoder: {num_layers: 2, hidden_size: 8}
training: {max_sentences: 2, max_epochs: 30, seed: 7}
decoding: {beam_size: 2, max_target_length: 8}
"""

VERSIONS = {"nmt": "0.1.0", "torch": "2.13.0", "python": "3.11.7", "seed": 7, "data": {}}


def write_run(path: Path, *overrides: str) -> RunFolder:
    """Write a run folder whose model translates, badly; `overrides` are those of its recipe."""
    recipe = parse_recipe(RECIPE, name="recipe", overrides=overrides)
    folder = RunFolder(path)
    folder.make()
    tokenizer = Tokenizer.train([*SOURCES, *TARGETS], recipe.tokenizer_with_tags)
    folder.start(recipe, (tokenizer, tokenizer), VERSIONS)
    torch.manual_seed(recipe.training.seed)
    write_weights(folder.weights_file, folder.build_model().state_dict())
    return folder
