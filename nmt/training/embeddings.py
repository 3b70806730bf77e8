"""Embeddings that others have trained, as a model's first ones."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from nmt.corpus import read_lines
from nmt.errors import DataError
from nmt.tokenizer import Tokenizer


def load_embeddings(table: Tensor, path: str | Path, tokenizer: Tokenizer) -> int:
    """Put the vectors of a file into a table of embeddings.

    Args:
        table: Vectors of all pieces, (V, E); changed in place, rows without a vector in the file
            excepted.
        path: Text, a piece and its E numbers a line, parted by spaces; a first line of two numbers,
            as word2vec writes it, is left aside. Pieces that the tokenizer does not have, too.
        tokenizer: Knows the pieces.

    Returns:
        How many pieces got a vector.

    Raises:
        DataError: The file cannot be read, a line has another number of numbers, or no piece is
            the tokenizer's.
    """
    ids = {piece: row for row, piece in enumerate(tokenizer.pieces(range(tokenizer.vocab_size)))}
    lines = read_lines(path)
    is_headed = bool(lines) and len(lines[0].split(" ")) == 2
    num_found = 0
    for number, line in enumerate(lines[is_headed:], start=1 + is_headed):
        piece, *numbers = line.rstrip(" ").split(" ")
        if len(numbers) != table.size(1):
            raise DataError(
                f"{path}: line {number} must have a piece and {table.size(1)} numbers "
                f"(model.embedding_size), got {len(numbers)}"
            )
        if piece in ids:
            with torch.no_grad():
                table[ids[piece]] = torch.tensor(_floats(numbers, place=f"{path}: line {number}"))
            num_found += 1
    if not num_found:
        raise DataError(f"{path}: no piece is one of the tokenizer's, such as {_some(tokenizer)}")
    return num_found


def _floats(numbers: list[str], *, place: str) -> list[float]:
    try:
        return [float(number) for number in numbers]
    except ValueError as error:
        raise DataError(f"{place}: {error}") from error


def _some(tokenizer: Tokenizer) -> str:
    last = tokenizer.vocab_size - 1
    return ", ".join(map(repr, tokenizer.pieces([last // 2, last])))
