"""Writes a run folder with fresh weights, and texts as pieces of its tokenizer and back.

    python prepare.py run FOLDER RECIPE [key=value ...]
    python prepare.py pieces FOLDER TEXT FILE
    python prepare.py text FOLDER PIECES FILE
    python prepare.py vocabulary FOLDER FILE

The first makes a run folder to translate with, untrained: what is forced to a length takes as long.
The second writes TEXT as FILE, a space between pieces, with the joint tokenizer of the run folder,
the third writes pieces as text, and the fourth all its pieces but the special ones, one a line.
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


def write_text(folder: RunFolder, pieces: Path, file: Path) -> None:
    """Write lines of pieces as text; what is no piece of the tokenizer is left out."""
    tokenizer, _ = folder.tokenizers
    ids = ([tokenizer.id_of(piece) for piece in line.split(" ")] for line in read_lines(pieces))
    lines = (tokenizer.decode([one for one in line if one is not None]) for line in ids)
    write_atomically(file, "".join(f"{line}\n" for line in lines))


def write_vocabulary(folder: RunFolder, file: Path) -> None:
    """Write all pieces but the special ones."""
    tokenizer, _ = folder.tokenizers
    pieces = tokenizer.pieces(range(tokenizer.eos_id + 1, tokenizer.vocab_size))
    write_atomically(file, "".join(f"{piece}\n" for piece in pieces))


def main() -> None:
    """Do what is asked for."""
    what, name, *rest = sys.argv[1:]
    folder = RunFolder(name)
    if what == "run":
        make_run(folder, rest[0], rest[1:])
    else:
        tasks = {"pieces": write_pieces, "text": write_text, "vocabulary": write_vocabulary}
        tasks[what](folder, *map(Path, rest))


if __name__ == "__main__":
    main()
