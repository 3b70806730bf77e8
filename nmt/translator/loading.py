"""From run folders to what translates: tokenizers, one engine, how to decode, how sure to be."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import torch

from nmt.confidence import ConfidenceModel, load_confidence
from nmt.engine import (
    Average,
    EnsembleEngine,
    FoldedEngine,
    ModelEngine,
    ScoringEngine,
    can_fold,
)
from nmt.errors import CheckpointError, NMTError
from nmt.model import Seq2Seq
from nmt.model.products import has_int8
from nmt.recipe import Recipe
from nmt.run_folder import RunFolder, load_run, opened
from nmt.shortlist import Shortlist, load_shortlist
from nmt.tokenizer import Tokenizer, tag_ids

Runs = str | Path | Sequence[str | Path]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a run folder, or several as an ensemble, give to translate with.

    Attributes:
        recipe: Of the first run.
        tokenizers: Of source and target; all runs have the same.
        engine: The model, or all of them as one.
        shortlist: What target tokens it is to be searched over; None is all.
        confidence_model: None where the run has none, for an ensemble and over a shortlist: what is
            learned of one model and of all tokens does not hold for several or for few.
    """

    recipe: Recipe
    tokenizers: tuple[Tokenizer, Tokenizer]
    engine: ScoringEngine
    shortlist: Shortlist | None
    confidence_model: ConfidenceModel | None

    def tag_ids(self, target_lang: str | None) -> tuple[int, ...]:
        """Return what asks the model for a language; nothing where it knows only one.

        Args:
            target_lang: The language; None is the recipe's.

        Raises:
            NMTError: The model does not know it.
        """
        data = self.recipe.data
        wanted = data.direction[1] if target_lang is None else target_lang
        if wanted not in data.target_langs:
            raise NMTError(
                "the language to translate into must be one that the model knows "
                f"({', '.join(data.target_langs)}), got {wanted!r}"
            )
        return tag_ids(data.tag_of(wanted), self.tokenizers[0])


def load(
    runs: Runs,
    *,
    device: str = "cpu",
    average: Average = "linear",
    int8: bool = False,
    shortlist: bool = False,
    one_row: bool = False,
) -> Loaded:
    """Read one run folder or an ensemble of several.

    Args:
        runs: The run folder or folders, exported files or names on the hub.
        device: Where to compute: `cpu`, `cuda`, `mps`, or `auto` for the fastest there is.
        average: How an ensemble's probabilities become one, see `EnsembleEngine`.
        int8: Round the weights of the decoding step to 8 bits.
        shortlist: Search over the run's shortlist of target tokens.
        one_row: Each sentence will have one row, see `FoldedEngine`.

    Raises:
        NMTError: A run folder cannot be used, several do not go together, there is no such device,
            or the model cannot be had in the way that is asked for.
        ValueError: There is no run folder.
    """
    named = _named(runs)
    with ExitStack() as stack:
        folders = [stack.enter_context(opened(run)) for run in named]
        for other in folders[1:]:
            _check_alike(folders[0], other)
        place = choose_device(device)
        trained = [load_run(folder.path, device=place) for folder in folders]
        for folder, run in zip(folders, trained, strict=True):
            _check_fast(folder, run.model, int8=int8, shortlist=shortlist)
        is_alone = len(folders) == 1
        has_confidence = is_alone and not shortlist
        confidence_model = load_confidence(folders[0].confidence_file) if has_confidence else None
        limits = _shortlist(folders) if shortlist else None
    engines = [_engine(run.model, int8=int8, one_row=one_row) for run in trained]
    first = trained[0]
    return Loaded(
        recipe=first.recipe,
        tokenizers=(first.source_tokenizer, first.target_tokenizer),
        engine=engines[0] if is_alone else EnsembleEngine(engines, average=average),
        shortlist=limits,
        confidence_model=confidence_model,
    )


def _engine(model: Seq2Seq, *, int8: bool, one_row: bool) -> ScoringEngine:
    """Return the faster engine of those that can take a model."""
    if can_fold(model):
        return FoldedEngine(model, int8=int8, one_row=one_row)
    return ModelEngine(model)


def _check_fast(folder: RunFolder, model: Seq2Seq, *, int8: bool, shortlist: bool) -> None:
    """See that a model can be had with weights of 8 bits and over a shortlist.

    Raises:
        NMTError: It cannot.
    """
    asked = [name for name, wanted in (("int8", int8), ("a shortlist", shortlist)) if wanted]
    if asked and not can_fold(model):
        raise NMTError(
            f"{folder.path}: {asked[0]} needs a model on the CPU of plain LSTM layers and plain "
            "attention, without heads, window and coverage and not variational; translate "
            "without it"
        )
    if int8 and not has_int8():
        raise NMTError("int8 needs a processor with PyTorch's oneDNN; translate without")


def _shortlist(folders: Sequence[RunFolder]) -> Shortlist:
    """Read the shortlist of a run.

    Raises:
        NMTError: There are several runs, or there is no shortlist.
    """
    if len(folders) > 1:
        raise NMTError(f"a shortlist is for one model, got an ensemble of {len(folders)}")
    [folder] = folders
    source, target = folder.tokenizers
    found = load_shortlist(
        folder.shortlist_file, vocab_sizes=(source.vocab_size, target.vocab_size)
    )
    if found is None:
        raise CheckpointError(
            f"{folder.path} has no {folder.shortlist_file.name}: it was fine-tuned, or trained by "
            "a version that made none; translate without a shortlist"
        )
    return found


def choose_device(wanted: str) -> str:
    """Return the name of a device that is there, for `auto` the fastest.

    Args:
        wanted: `auto`, `cuda`, `mps` or `cpu`.

    Raises:
        NMTError: There is no such device here.
    """
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    here = [name for name, is_available in available.items() if is_available]
    if wanted == "auto":
        return here[0]
    if wanted not in here:
        raise NMTError(
            f"device must be auto or one that is here ({', '.join(here)}), got {wanted!r}"
        )
    return wanted


def first_recipe(runs: Runs) -> Recipe:
    """Return the recipe of one run, or of the first of several.

    Raises:
        NMTError: It cannot be read.
        ValueError: There is no run folder.
    """
    with opened(_named(runs)[0], names=("recipe.yaml",)) as folder:
        return folder.recipe


def _named(runs: Runs) -> Sequence[str | Path]:
    named = [runs] if isinstance(runs, str | Path) else runs
    if not named:
        raise ValueError("runs must hold at least one run folder, got none")
    return named


def _check_alike(first: RunFolder, other: RunFolder) -> None:
    """See that two runs translate between the same languages with the same tokenizers.

    Raises:
        CheckpointError: They do not; says where they differ.
    """
    wanted, found = (_languages(folder) for folder in (first, other))
    if wanted != found:
        raise CheckpointError(
            f"{other.path}: must translate {wanted} as {first.path} does, got {found}"
        )
    sides = zip(("source", "target"), first.tokenizers, other.tokenizers, strict=True)
    for side, known, tokenizer in sides:
        if known.model != tokenizer.model:
            raise CheckpointError(
                f"{other.path}: {side}.model must be that of {first.path}, "
                f"got {_difference(known, tokenizer)}; train all models of an ensemble on the same "
                "data with the same tokenizer settings"
            )


def _languages(folder: RunFolder) -> str:
    data = folder.recipe.data
    return f"{data.direction[0]} to {' or '.join(data.target_langs)}"


def _difference(known: Tokenizer, other: Tokenizer) -> str:
    """Name the first piece that differs."""
    pieces, others = (tokenizer.pieces(range(tokenizer.vocab_size)) for tokenizer in (known, other))
    for place, (piece, found) in enumerate(zip_longest(pieces, others)):
        if piece != found:
            here, there = ("no piece" if one is None else repr(one) for one in (found, piece))
            return f"{here} for {there} at piece {place}"
    return "the same pieces with other scores or another normalization"
