"""The files of a run: where each is, what is in it, and whether all of them are there."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nmt.errors import CheckpointError, NMTError
from nmt.model import Seq2Seq, build_model
from nmt.recipe import Recipe, dump_recipe, load_recipe
from nmt.run_folder.lock import Holder, locked
from nmt.run_folder.weights import check_weights, read_weights, set_weights
from nmt.run_folder.writing import (
    check_free,
    flush,
    flush_folder,
    megabytes,
    reads_back,
    replacing,
    sweep,
    write_atomically,
)
from nmt.tokenizer import Tokenizer

_BYTES_OF_WEIGHT = 4
# Tokenizers, log, metrics, curves and report are small beside the weights.
_BYTES_OF_THE_REST = 5_000_000


@dataclass(frozen=True, slots=True)
class TrainedRun:
    """Everything that translating needs."""

    recipe: Recipe
    source_tokenizer: Tokenizer
    target_tokenizer: Tokenizer
    model: Seq2Seq


class RunFolder:
    """The files of one training run; a folder that may not exist yet."""

    def __init__(self, path: str | Path) -> None:
        """Name the folder; nothing is read or made."""
        self.path = Path(path)
        self.recipe_file = self.path / "recipe.yaml"
        self.versions_file = self.path / "versions.json"
        self.weights_file = self.path / "model.safetensors"
        self.source_tokenizer_file = self.path / "source.model"
        self.target_tokenizer_file = self.path / "target.model"
        self.confidence_file = self.path / "confidence.json"
        self.shortlist_file = self.path / "shortlist.safetensors"
        self.checkpoints = self.path / "checkpoints"
        self.last_checkpoint = self.checkpoints / "last.ckpt"
        self.previous_checkpoint = self.checkpoints / "previous.ckpt"
        self.lock_file = self.path / ".lock"
        self.metrics_file = self.path / "metrics.jsonl"
        self.skipped_file = self.path / "skipped.jsonl"
        self.curves_file = self.path / "curves.png"
        self.log_file = self.path / "log.txt"
        self.cleaning_file = self.path / "cleaning.json"
        self.card_file = self.path / "README.md"
        self.report = self.path / "report"

    def weights_of_epoch(self, epoch: int) -> Path:
        """Return where the weights after an epoch are, if they were kept."""
        return self.checkpoints / f"epoch-{epoch:03}.safetensors"

    @property
    def is_started(self) -> bool:
        """Whether a training run has begun here."""
        return self.recipe_file.exists()

    @cached_property
    def recipe(self) -> Recipe:
        """The recipe of the run.

        Raises:
            CheckpointError: This is no run folder, or its recipe is cut off.
            RecipeError: Its recipe is damaged.
        """
        self._require(self.path, self.recipe_file)
        recipe = load_recipe(self.recipe_file)
        # A resolved recipe says everything, unless an older version wrote it that knew fewer keys.
        if "bleu_tokenizer" not in recipe.evaluation.model_fields_set:
            raise CheckpointError(f"{self.recipe_file}: the end is missing; the file is cut off")
        return recipe

    @cached_property
    def tokenizers(self) -> tuple[Tokenizer, Tokenizer]:
        """The source and the target tokenizer.

        Raises:
            CheckpointError: A file is missing.
            TokenizerError: A file is damaged.
        """
        self._require(self.source_tokenizer_file, self.target_tokenizer_file)
        return (
            Tokenizer.load(self.source_tokenizer_file),
            Tokenizer.load(self.target_tokenizer_file),
        )

    def make(self) -> None:
        """Make the folder and try to write in it.

        Raises:
            NMTError: It cannot be made or written.
        """
        try:
            self.checkpoints.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path):
                pass
            for folder in (self.path, self.path.parent):
                flush_folder(folder)
        except OSError as error:
            reason = error.strerror or str(error)
            raise NMTError(f"{self.path}: cannot write a run folder there: {reason}") from error

    def holds_other_files(self) -> bool:
        """Tell whether anything is here that no run has written; a start cut off leaves a few."""
        # not README.md, log.txt or report: those may be somebody else's, and would be overwritten
        ours = {
            self.checkpoints,
            self.lock_file,
            self.cleaning_file,
            self.source_tokenizer_file,
            self.target_tokenizer_file,
            self.versions_file,
        }
        return self.path.is_dir() and any(
            file not in ours and file.suffix != ".part" for file in self.path.iterdir()
        )

    @contextlib.contextmanager
    def held(self) -> Iterator[Holder | None]:
        """Make the folder, and keep other runs out of it as long as the context lasts.

        What killed runs have left half-written is deleted at the beginning; at the end, the folder
        itself is, where nothing was written.

        Yields:
            The run that was killed here before; None where there is none.

        Raises:
            CheckpointError: Another run is at work here.
            NMTError: The folder cannot be made or written.
        """
        self.make()
        try:
            with locked(self.lock_file) as killed:
                try:
                    sweep(self.path)
                    yield killed
                finally:
                    with contextlib.suppress(OSError):
                        self.checkpoints.rmdir()
        finally:
            with contextlib.suppress(OSError):
                self.path.rmdir()

    def keep_checkpoint(self, data: bytes | memoryview) -> None:
        """Put a checkpoint in the place of the last one, which becomes the previous one.

        The new one is read back from the disk before the old one leaves its place.

        Raises:
            NMTError: It cannot be written, or not read back; the last and the previous one stay.
        """
        last = self.last_checkpoint
        with replacing(last) as temporary:
            check_free(last, len(data))
            temporary.write_bytes(data)
            flush(temporary)
            if not reads_back(temporary, data):
                raise NMTError(f"{last}: the disk gives back other bytes than were written to it")
            if last.exists():
                last.replace(self.previous_checkpoint)

    def start(
        self, recipe: Recipe, tokenizers: tuple[Tokenizer, Tokenizer], versions: Mapping[str, Any]
    ) -> None:
        """Write what a run begins with; the recipe comes last and marks the run as begun."""
        write_atomically(self.source_tokenizer_file, tokenizers[0].model)
        write_atomically(self.target_tokenizer_file, tokenizers[1].model)
        write_atomically(self.versions_file, json.dumps(versions, indent=2) + "\n")
        write_atomically(self.recipe_file, dump_recipe(recipe))

    def change_recipe(self, recipe: Recipe, changes: Sequence[str], *, at: str) -> None:
        """Go on with another recipe, and write down since when.

        Args:
            recipe: The recipe from now on.
            changes: What differs.
            at: How far the run has come.
        """
        versions = self.versions()
        versions["changes"] = [*versions.get("changes", []), {"at": at, "changes": list(changes)}]
        write_atomically(self.versions_file, json.dumps(versions, indent=2) + "\n")
        write_atomically(self.recipe_file, dump_recipe(recipe))
        self.__dict__.pop("recipe", None)  # as it was read before

    def take_back_start(self) -> None:
        """Delete what `start` and its caller wrote, where the run did not come to begin."""
        if not self.is_started:
            for file in (
                self.cleaning_file,
                self.source_tokenizer_file,
                self.target_tokenizer_file,
                self.versions_file,
            ):
                file.unlink(missing_ok=True)

    def check_space(self, *, num_weights: int, num_kept: int, with_average: bool = False) -> None:
        """See that the disk has room for all that training will write.

        Args:
            num_weights: Weights of the model.
            num_kept: Validations whose weights are kept in `checkpoints/`.
            with_average: Whether a moving average of the weights is trained along.

        Raises:
            NMTError: It has not.
        """
        # The new, the last and the previous checkpoint are there at once, each the weights, their
        # average and what Adam remembers of them twice; and two more of those kept, one that only
        # the previous checkpoint knows and a new one; and at the end those to translate with.
        copies = 3 * (3 + with_average) + (num_kept + 2) + 1
        needed = copies * num_weights * _BYTES_OF_WEIGHT + _BYTES_OF_THE_REST
        files = (file for file in self.path.rglob("*") if file.is_file())
        needed -= sum(file.stat().st_size for file in files)
        free = shutil.disk_usage(self.path).free
        if needed > free:
            raise NMTError(
                f"{self.path}: must have {megabytes(needed)} free for weights and checkpoints, "
                f"got {megabytes(free)}; make room or choose another --run-dir"
            )

    def versions(self) -> dict[str, Any]:
        """What wrote this folder and from which data; empty where that is not recorded."""
        found = _read_json(self.versions_file)
        return found if isinstance(found, dict) else {}

    def build_model(self) -> Seq2Seq:
        """Return the run's model with fresh random weights."""
        return model_for(self.recipe, self.tokenizers)

    def metrics(self) -> list[dict[str, Any]]:
        """One entry for each validation so far; a last line cut off by a crash is left out.

        Raises:
            CheckpointError: An entry is not that of a validation.
        """
        entries = _read_lines(self.metrics_file)
        for entry in entries:
            for key in ("epoch", "step", "seconds", "loss"):
                is_counted = key in ("epoch", "step")
                if type(entry.get(key)) not in ((int,) if is_counted else (int, float)):
                    what = "a whole number" if is_counted else "a number"
                    raise CheckpointError(
                        f"{self.metrics_file}: {key} must be {what}, got {entry.get(key)!r}"
                    )
        return entries

    def skipped(self) -> list[dict[str, Any]]:
        """One entry for each optimizer step that was left out, the first ones at least."""
        return _read_lines(self.skipped_file)

    def scores(self) -> list[dict[str, Any]]:
        """What the test set was scored with; empty where it was not yet."""
        path = self.report / "scores.json"
        found = _read_json(path)
        if isinstance(found, dict):  # early reports were the list of scores alone
            found = found.get("scores")
        scores = found if isinstance(found, list) else []
        for score in scores:
            if not isinstance(score, dict) or not (
                isinstance(score.get("value"), int | float)
                and isinstance(score.get("name"), str)
                and isinstance(score.get("signature"), str)
            ):
                raise CheckpointError(
                    f"{path}: a score must have a name, a value and a signature, got {score!r}"
                )
        return scores

    def _require(self, *files: Path) -> None:
        if self.path.is_file():
            raise CheckpointError(
                f"{self.path}: must be a run folder here, got a file; an exported one is a ZIP "
                "archive of its run folder"
            )
        if not self.path.is_dir():
            raise CheckpointError(f"{self.path}: no such run folder")
        for file in files:
            if not file.exists():
                raise CheckpointError(
                    f"{self.path}: {file.name} is missing; not a whole run folder"
                )


def model_for(recipe: Recipe, tokenizers: tuple[Tokenizer, Tokenizer]) -> Seq2Seq:
    """Return the model of a recipe for a source and a target tokenizer, with fresh weights."""
    source, target = tokenizers
    return build_model(
        recipe.model,
        source_vocab_size=source.vocab_size,
        target_vocab_size=target.vocab_size,
        pad_id=target.pad_id,
    )


def load_run(path: str | Path, *, device: torch.device | str = "cpu") -> TrainedRun:
    """Read a trained model.

    Args:
        path: A run folder; its checkpoints are not needed.
        device: Where the weights shall be.

    Raises:
        CheckpointError: A file is missing, damaged, of another version or of another run.
        RecipeError, TokenizerError: That file is damaged.
    """
    folder = RunFolder(path)
    recipe = folder.recipe
    source, target = folder.tokenizers
    folder._require(folder.weights_file)
    weights = read_weights(folder.weights_file)
    _check_vocabulary(folder, weights, source, target)
    _check_shapes(folder, weights)
    model = folder.build_model()
    set_weights(model, weights, name=str(folder.weights_file))
    return TrainedRun(recipe, source, target, model.to(device).eval())


def _read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the JSON objects of a file of lines; none where it is missing."""
    if not path.exists():
        return []
    entries = []
    for line in path.read_bytes().split(b"\n"):
        # bytes: what is cut off may end within a character
        with contextlib.suppress(ValueError, RecursionError):
            entries.append(json.loads(line))
    return [entry for entry in entries if isinstance(entry, dict)]


def _read_json(path: Path) -> Any:
    """Return what is in a file; None where it is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def _check_shapes(folder: RunFolder, weights: Mapping[str, Tensor]) -> None:
    """See that the weights are of the recipe before memory is taken for what it asks for."""
    with torch.device("meta"):  # shapes without the weights in them
        shapes = folder.build_model()
    check_weights(shapes, weights, name=str(folder.weights_file))


def _check_vocabulary(
    folder: RunFolder, weights: Mapping[str, Tensor], source: Tokenizer, target: Tokenizer
) -> None:
    """See that the tokenizers are those of the weights."""
    target_table = weights.get("output_layer.bias")
    source_table = weights.get("encoder.embedding.table.weight")
    for side, table, tokenizer in (
        ("source", source_table, source),
        ("target", target_table, target),
    ):
        if table is not None and len(table) != tokenizer.vocab_size:
            raise CheckpointError(
                f"{folder.path}: weights have {len(table)} {side} embeddings, {side}.model has "
                f"{tokenizer.vocab_size} pieces; these files are not of one run"
            )
