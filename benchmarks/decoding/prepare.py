"""Writes a run folder with fresh weights, and texts as pieces of its tokenizer.

    python prepare.py run FOLDER RECIPE [key=value ...]
    python prepare.py pieces FOLDER TEXT FILE

The first makes a run folder to translate with, untrained: what is forced to a length takes as long.
The second writes TEXT as FILE, a space between pieces, with the tokenizer of the run folder.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from nmt.corpus.files import read_lines
from nmt.recipe import load_recipe
from nmt.run_folder import RunFolder, write_atomically, write_weights
from nmt.training.data import load_corpora
from nmt.training.shortlisting import write_shortlist
from nmt.training.tokenizers import train_tokenizers


def make_run(folder: RunFolder, recipe_file: str, overrides: list[str]) -> None:
    """Write what translating needs; the weights last, as a sign that all is there."""
    recipe = load_recipe(recipe_file, overrides=overrides)
    folder.make()
    pairs = load_corpora(recipe).train
    folder.start(recipe, train_tokenizers(pairs, recipe), {})
    write_shortlist(folder, pairs)
    torch.manual_seed(recipe.training.seed)
    write_weights(folder.weights_file, folder.build_model().state_dict())


def write_pieces(folder: RunFolder, text: Path, file: Path) -> None:
    """Write the lines of a text as pieces."""
    tokenizer, _ = folder.tokenizers
    lines = map(tokenizer.pieces, tokenizer.encode_batch(read_lines(text)))
    write_atomically(file, "".join(f"{' '.join(pieces)}\n" for pieces in lines))


def main() -> None:
    """Do what is asked for."""
    what, folder, *rest = sys.argv[1:]
    if what == "run":
        make_run(RunFolder(folder), rest[0], rest[1:])
    else:
        write_pieces(RunFolder(folder), *map(Path, rest))


if __name__ == "__main__":
    main()
