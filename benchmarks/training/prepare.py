"""Writes the training pairs as pieces, the ones that `nmt train` itself makes of them.

    python prepare.py FOLDER RECIPE [key=value ...]

FOLDER gets train.en and train.de, a line a sentence and a space between pieces, and vocab.txt, the
pieces of the joint tokenizer without its special ones.
"""

from __future__ import annotations

import sys
from pathlib import Path

from nmt.recipe import load_recipe
from nmt.training.data import load_corpora
from nmt.training.tokenizers import train_tokenizers


def write_lines(path: Path, lines: list[str]) -> None:
    """Write lines as UTF-8."""
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")


def main() -> None:
    """Write the files; the vocabulary last, as a sign that all is there."""
    folder = Path(sys.argv[1])
    recipe = load_recipe(sys.argv[2], overrides=sys.argv[3:])
    pairs = load_corpora(recipe).train
    tokenizer, _ = train_tokenizers(pairs, recipe)
    sides = {
        "en": tokenizer.encode_batch([pair.source for pair in pairs]),
        "de": tokenizer.encode_batch([pair.target for pair in pairs]),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for lang, sequences in sides.items():
        lines = [" ".join(tokenizer.pieces(token_ids)) for token_ids in sequences]
        write_lines(folder / f"train.{lang}", lines)
    pieces = tokenizer.pieces(range(tokenizer.eos_id + 1, tokenizer.vocab_size))
    write_lines(folder / "vocab.txt", pieces)


if __name__ == "__main__":
    main()
