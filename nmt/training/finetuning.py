"""A training that starts from another run: its tokenizers, its weights, and which of them stay."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from nmt.errors import CheckpointError, RecipeError
from nmt.model import Seq2Seq, VariationalSeq2Seq
from nmt.recipe import FinetuneRecipe, Part, Recipe, differences
from nmt.run_folder import TrainedRun, load_run, opened
from nmt.tokenizer import Tokenizer

# Weights with a row for each piece of one side, behind that side: 0 source, 1 target.
_TABLES = {
    "encoder.embedding.table.weight": 0,
    "decoder.embedding.table.weight": 1,
    "output_layer.weight": 1,
    "output_layer.bias": 1,
}
_WORD_START = "\u2581"


@dataclass(frozen=True, slots=True)
class Base:
    """The run that a training starts from.

    Attributes:
        run: Its recipe, tokenizers and weights.
        fingerprint: A hash of its weights.
    """

    run: TrainedRun
    fingerprint: str


def load_base(recipe: Recipe) -> Base | None:
    """Return the run that a recipe starts from; None where it starts from nothing.

    Raises:
        NMTError: That run cannot be used.
        RecipeError: The recipe would have it of other sizes, or with other tokenizers.
    """
    if recipe.finetune is None:
        return None
    name = recipe.finetune.run
    with opened(name) as folder:
        run = load_run(folder.path)
        fingerprint = _hash(folder.weights_file)
    for change in differences(run.recipe, recipe):
        key = change.partition(":")[0]
        if key.startswith(("model.", "tokenizer.")) and not key.startswith("model.dropout."):
            raise RecipeError(
                f"{key} must be that of {name}, whose weights and tokenizers are kept, "
                f"got {change.partition(': ')[2]}"
            )
    return Base(run, fingerprint)


def check_base(base: Base, fingerprint: str | None, *, name: str) -> None:
    """See that a run has the weights that it was known by.

    Raises:
        CheckpointError: It has others.
    """
    if fingerprint is not None and base.fingerprint != fingerprint:
        raise CheckpointError(
            f"{name}: its weights have changed since the training that started from it"
        )


def extended_tokenizers(base: Base, pieces: Sequence[str]) -> tuple[Tokenizer, Tokenizer]:
    """Return the tokenizers of a run with new pieces on both sides.

    Raises:
        TokenizerError: A string cannot be a piece.
        RecipeError: A string is a piece of both sides already.
    """
    key = "finetune.add_pieces"
    source, target = base.run.source_tokenizer, base.run.target_tokenizer
    for piece in pieces:
        if source.id_of(piece) is not None and target.id_of(piece) is not None:
            raise RecipeError(f"{key} must be new, got {piece!r}, which is a piece already")
    if not pieces:
        return source, target
    return source.with_pieces(pieces, key=key), target.with_pieces(pieces, key=key)


def start_from(model: Seq2Seq, base: Base, tokenizers: tuple[Tokenizer, Tokenizer]) -> None:
    """Give a model the weights of a run.

    The row of a new piece is the mean of the rows of the pieces that its text was cut into before
    (without the mark of a word's beginning, where there are others): in the mean its sentences
    begin where they were, and it has all that was known of its parts.

    Args:
        model: Its weights change.
        base: The run.
        tokenizers: Those of `extended_tokenizers`.
    """
    known = (base.run.source_tokenizer, base.run.target_tokenizer)
    weights = base.run.model.state_dict()
    with torch.no_grad():
        for name, weight in model.state_dict().items():
            found = weights[name]
            weight[: len(found)] = found
            if len(found) < len(weight):
                side = _TABLES[name]
                weight[len(found) :] = _new_rows(found, known[side], tokenizers[side])


def freeze(model: Seq2Seq, settings: FinetuneRecipe) -> None:
    """Let the weights of some parts stay as they are.

    Weights that parts share stay if any of those parts does.

    Raises:
        RecipeError: A part has no weights, or nothing is left to train.
    """
    for part in settings.freeze:
        weights = list(_weights_of(model, part))
        if not weights:
            raise RecipeError(f"finetune.freeze: this model's {part} has no weights to freeze")
        for weight in weights:
            weight.requires_grad_(False)
    if not any(weight.requires_grad for weight in model.parameters()):
        raise RecipeError("finetune.freeze must leave something to train, got all parts")


def _weights_of(model: Seq2Seq, part: Part) -> Iterator[nn.Parameter]:
    embeddings = {*model.encoder.embedding.parameters(), *model.decoder.embedding.parameters()}
    attention = {weight for one in _attention(model) for weight in one.parameters()}
    owners: dict[Part, Sequence[nn.Module]] = {
        "embeddings": (model.encoder.embedding, model.decoder.embedding),
        "encoder": (model.encoder,),
        "bridge": (model.bridge,),
        "attention": _attention(model),
        "decoder": (model.decoder,),
        "output_layer": (model.output_layer,),
    }
    # of the encoder and the decoder what is no part by itself
    others = embeddings | attention if part in ("encoder", "decoder") else set()
    for owner in owners[part]:
        yield from (weight for weight in owner.parameters() if weight not in others)


def _attention(model: Seq2Seq) -> list[nn.Module]:
    """Return what says where to look: the attention, and what training guesses with."""
    attention: list[nn.Module] = (
        [] if model.decoder.attention is None else [model.decoder.attention]
    )
    return [*attention, model.posterior] if isinstance(model, VariationalSeq2Seq) else attention


def _new_rows(table: Tensor, known: Tokenizer, extended: Tokenizer) -> Tensor:
    """Return the rows of the pieces that only the extended tokenizer knows."""
    rows = []
    for piece in extended.pieces(range(known.vocab_size, extended.vocab_size)):
        parts = known.encode(piece)
        inner = [one for one in parts if known.pieces([one]) != [_WORD_START]]
        # of a piece that the known tokenizer makes nothing of, all that it knows
        rows.append(table[inner or parts or range(known.vocab_size)].mean(dim=0))
    return torch.stack(rows)


def _hash(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
