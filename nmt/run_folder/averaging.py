"""Which validations of a run are its best, and the mean of the weights that were kept of some."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from nmt.errors import CheckpointError
from nmt.run_folder.exporting import new_folder, without_weights, write_new
from nmt.run_folder.folder import RunFolder
from nmt.run_folder.weights import (
    average_weights,
    check_weights,
    read_weights,
    write_weights,
)
from nmt.run_folder.writing import write_atomically

Choice = Literal["best", "last"]


def merit(entry: Mapping[str, Any], metric: str) -> float:
    """Return how good a validation was by a metric: the higher the better.

    Args:
        entry: A line of `metrics.jsonl`.
        metric: `training.checkpoint_metric` of the recipe.
    """
    return -float(entry["loss"]) if metric == "loss" else float(entry[metric])


def best_first(folder: RunFolder) -> list[dict[str, Any]]:
    """Return a run's validations, the best first; of equally good ones the earlier is the better.

    Raises:
        CheckpointError: One was not measured by the recipe's metric.
    """
    entries, metric = folder.metrics(), folder.recipe.training.checkpoint_metric
    for entry in entries:
        if type(entry.get(metric)) not in (int, float):
            raise CheckpointError(
                f"{folder.metrics_file}: {metric} must be a number, got {entry.get(metric)!r}"
            )
    return sorted(entries, key=lambda entry: (-merit(entry, metric), entry["epoch"]))


def choose_epochs(folder: RunFolder, choice: Choice, count: int) -> list[int]:
    """Return the epochs of the best or the last validations, the best or the latest first.

    Args:
        folder: A run whose weights were kept in `checkpoints/`.
        choice: Which ones.
        count: How many.

    Raises:
        CheckpointError: There were not as many, or the weights of one were not kept.
    """
    _ = folder.recipe  # first: whether it is a run folder at all
    entries = folder.metrics()
    if len(entries) < count:
        raise CheckpointError(
            f"{folder.path}: must have {count} validations to average, has {len(entries)}"
        )
    if choice == "best":
        entries = best_first(folder)
    else:
        entries.sort(key=lambda entry: -entry["epoch"])
    epochs = [int(entry["epoch"]) for entry in entries[:count]]
    missing = [epoch for epoch in epochs if not folder.weights_of_epoch(epoch).exists()]
    if missing:
        setting = "average_checkpoints" if choice == "best" else "keep_last"
        raise CheckpointError(
            f"{folder.path}: the weights of epoch {missing[0]} were not kept in "
            f"{folder.checkpoints.name}/; a run with training.{setting}={count} keeps them"
        )
    return epochs


def average_epochs(folder: RunFolder, epochs: Sequence[int]) -> dict[str, Tensor]:
    """Return the mean of the weights after some epochs.

    Raises:
        CheckpointError: A file is damaged or not of the run's model.
    """
    with torch.device("meta"):  # shapes without the weights in them
        shapes = folder.build_model()
    files = [folder.weights_of_epoch(epoch) for epoch in epochs]
    for file in files:
        check_weights(shapes, read_weights(file), name=str(file))
    return average_weights(files)


def average_run(
    folder: RunFolder, choice: Choice, count: int, *, out: Path | None = None
) -> list[int]:
    """Let a run translate with the mean of the weights after some of its epochs.

    What was measured with other weights is not true of these: scores, card and confidence are
    deleted in the run, and not taken into another folder. The checkpoints stay as they are.

    Args:
        folder: The run.
        choice: Whether the best or the last validations.
        count: How many.
        out: A new run folder without checkpoints for the mean; None is the run itself.

    Returns:
        The epochs averaged.

    Raises:
        CheckpointError: The weights are not there, or the run has not come to its end.
        NMTError: `out` is there already, or cannot be written.
    """
    epochs = choose_epochs(folder, choice, count)
    if out is None and not folder.weights_file.exists():
        raise CheckpointError(
            f"{folder.path}: training has not come to its end; finish it, or choose another folder "
            "by --run-dir"
        )
    weights = average_epochs(folder, epochs)
    versions = folder.versions() | {"averaged": {"choice": choice, "epochs": epochs}}
    record = json.dumps(versions, indent=2) + "\n"
    if out is not None:
        files = without_weights(folder) | {folder.versions_file.name: record.encode("utf-8")}
        with new_folder(out) as made:
            write_new(made, files)
            write_weights(made / folder.weights_file.name, weights)
        return epochs
    with folder.held():
        write_weights(folder.weights_file, weights)
        write_atomically(folder.versions_file, record)
        for file in (folder.card_file, folder.confidence_file):
            file.unlink(missing_ok=True)
        shutil.rmtree(folder.report, ignore_errors=True)
    return epochs


def averaged(folder: RunFolder) -> tuple[Choice, int] | None:
    """Return of which validations, and how many, `average_run` took a run's weights.

    Returns:
        None where they are what training made.

    Raises:
        CheckpointError: The record is damaged.
    """
    found = folder.versions().get("averaged")
    if found is None:
        return None
    choice = found.get("choice") if isinstance(found, dict) else None
    epochs = found.get("epochs") if isinstance(found, dict) else None
    if choice not in ("best", "last") or not isinstance(epochs, list) or not epochs:
        raise CheckpointError(
            f"{folder.versions_file}: averaged must have a choice and epochs, "
            f"got {str(found)[:80]!r}"
        )
    return choice, len(epochs)
