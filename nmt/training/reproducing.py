"""A run done again from its recipe, seed and data, and what of it came out otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nmt.errors import CheckpointError
from nmt.run_folder import RunFolder, average_run, averaged, read_weights
from nmt.training.data import load_corpora
from nmt.training.finetuning import check_base, load_base
from nmt.training.run import train

_PROGRAMS = ("nmt", "torch", "lightning", "python")


@dataclass(frozen=True, slots=True)
class Reproduction:
    """What came out when a run was done again.

    Attributes:
        lines: What was compared and how it came out, a line each.
        differences: Those of them that say what is not equal.
    """

    lines: tuple[str, ...]
    differences: tuple[str, ...]


def reproduce(run_dir: str | Path, out: str | Path) -> Reproduction:
    """Do a finished run again and compare the two.

    Args:
        run_dir: The run.
        out: A run folder for the new one; where it was begun there already it goes on.

    Raises:
        CheckpointError: The run is not finished or cannot be done again, its data is not what it
            was, or the new folder holds a finished run.
        NMTError: The new run cannot be trained.
    """
    folder, again = RunFolder(run_dir), RunFolder(out)
    before = folder.versions()
    _check_can_be_done_again(folder, before)
    if again.weights_file.exists() and again.card_file.exists():
        raise CheckpointError(
            f"{again.path} holds a finished run already; choose another --run-dir"
        )
    if again.path.exists() and again.path.samefile(folder.path):
        raise CheckpointError(
            f"{folder.path}: the new run needs a folder of its own; choose another --run-dir"
        )
    mean = averaged(folder)
    _check_data(folder, before["data"])
    train(folder.recipe, again.path)
    if mean is not None:
        average_run(again, *mean)
        train(folder.recipe, again.path)  # scores the mean
    found = list(_compare(folder, again))
    lines = [*(line for line, _ in found), _programs(before, again.versions())]
    return Reproduction(tuple(lines), tuple(line for line, is_equal in found if not is_equal))


def _check_can_be_done_again(folder: RunFolder, versions: Mapping[str, Any]) -> None:
    recipe = folder.recipe  # first: whether it is a run folder at all
    if not folder.weights_file.exists():
        raise CheckpointError(f"{folder.path}: training has not come to its end; finish it first")
    if not isinstance(versions.get("data"), dict):
        raise CheckpointError(
            f"{folder.versions_file}: has no fingerprints of the data that {folder.path} was "
            "trained on; it cannot be compared"
        )
    if versions.get("seed") != recipe.training.seed:
        raise CheckpointError(
            f"{folder.versions_file}: seed must be that of the recipe ({recipe.training.seed}), "
            f"got {versions.get('seed')!r}; these files are not of one run"
        )
    if versions.get("changes"):
        raise CheckpointError(
            f"{folder.path}: its recipe was changed while it trained, see {folder.versions_file}; "
            "it cannot be done again in one go"
        )


def _check_data(folder: RunFolder, recorded: Mapping[str, str]) -> None:
    """See that the data, and the run that it started from, are what they were."""
    fingerprints = load_corpora(folder.recipe).fingerprints()
    names = sorted({*fingerprints, *recorded})
    changed = [name for name in names if fingerprints.get(name) != recorded.get(name)]
    if changed:
        raise CheckpointError(
            f"{folder.path}: the data is not what it was trained on ({', '.join(changed)}); "
            "nothing was trained"
        )
    base, settings = load_base(folder.recipe), folder.recipe.finetune
    if base is not None and settings is not None:
        known = folder.versions().get("finetuned_from")
        fingerprint = known.get("weights") if isinstance(known, dict) else None
        check_base(base, fingerprint, name=settings.run)


def _compare(folder: RunFolder, again: RunFolder) -> Iterator[tuple[str, bool]]:
    """Yield what was compared and how it came out, and whether it is equal."""
    yield "data: equal", True
    pairs = zip(folder.tokenizers, again.tokenizers, strict=True)
    is_equal = all(one.model == other.model for one, other in pairs)
    yield f"tokenizers: {'equal' if is_equal else 'not equal'}", is_equal
    yield _compare_validations(folder.metrics(), again.metrics())
    yield _compare_weights(read_weights(folder.weights_file), read_weights(again.weights_file))
    yield from _compare_scores(folder.scores(), again.scores())


def _compare_validations(
    before: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]
) -> tuple[str, bool]:
    if not before:
        return "validations: none recorded", True
    for one, other in zip(before, now, strict=False):
        if one["loss"] != other["loss"]:
            return (
                f"validations: differ from epoch {one['epoch']} on, loss {one['loss']:.6f} before, "
                f"{other['loss']:.6f} now"
            ), False
    if len(before) != len(now):
        return f"validations: {len(before)} before, {len(now)} now", False
    return f"validations: equal, {len(now)} losses", True


def _compare_weights(before: Mapping[str, Tensor], now: Mapping[str, Tensor]) -> tuple[str, bool]:
    shapes, new_shapes = ({name: one.shape for name, one in each.items()} for each in (before, now))
    if shapes != new_shapes:
        return "weights: of other shapes", False
    different = [name for name in before if not torch.equal(before[name], now[name])]
    if not different:
        return f"weights: equal to the bit, {len(before)} tensors", True
    gaps = {name: float((before[name] - now[name]).abs().max()) for name in different}
    worst = max(gaps, key=gaps.__getitem__)
    return (
        f"weights: {len(different)} of {len(before)} tensors differ, most {worst}, by up to "
        f"{gaps[worst]:.3g}"
    ), False


def _compare_scores(
    before: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[str, bool]]:
    new = {score["name"]: score for score in now}
    for score in before:
        name, found = score["name"], new.get(score["name"])
        value = "none" if found is None else f"{found['value']:.4f}"
        is_equal = found is not None and (
            (found["value"], found["signature"]) == (score["value"], score["signature"])
        )
        told = f"equal, {value}" if is_equal else f"{score['value']:.4f} before, {value} now"
        yield f"{name}: {told}  {score['signature']}", is_equal


def _programs(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    changed = [
        f"{name} {before.get(name)} before, {now.get(name)} now"
        for name in _PROGRAMS
        if before.get(name) != now.get(name)
    ]
    return f"programs: {'; '.join(changed) or 'the same versions'}"
