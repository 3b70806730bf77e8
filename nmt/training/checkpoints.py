"""Lightning's checkpoints on the disk: whole, of this version, and nothing of them is run."""

from __future__ import annotations

import io
import logging
import math
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins import TorchCheckpointIO
from torch import Tensor, nn

from nmt.errors import CheckpointError
from nmt.run_folder import RunFolder

_log = logging.getLogger(__name__)

# What a checkpoint holds of ours, and in which form.
OURS = "nmt"
FORMAT_VERSION = 1
# Lightning brings a checkpoint of an older version up to date before anyone can look at it.
_LIGHTNING_VERSION = re.compile(r"2\.\d+\.\d+([a-z.]+\d+)?")


class RunCheckpointIO(TorchCheckpointIO):
    """Writes a run's last checkpoint and reads it.

    Lightning's own way of writing leads through the system's temporary folder, which may be a
    smaller disk, and its own way of reading would run what a pickle says.
    """

    def __init__(self, folder: RunFolder) -> None:
        """Take the run folder to write into."""
        self._folder = folder

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Put a checkpoint in the place of the last one.

        Raises:
            NMTError: It cannot be written.
        """
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        self._folder.keep_checkpoint(buffer.getbuffer())

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint, see `read_checkpoint`."""
        return read_checkpoint(Path(path))


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint into the memory of the CPU; nothing in it is run.

    Raises:
        CheckpointError: It is damaged, holds more than numbers, or is not of this version.
    """
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what a file of any content leads to has no end
        kind = type(error).__name__
        raise CheckpointError(
            f"{path}: not a checkpoint that can be read safely ({kind}); delete it to train from "
            "the start"
        ) from error
    ours = found.get(OURS) if isinstance(found, dict) else None
    version = ours.get("format_version") if isinstance(ours, dict) else None
    if type(version) is not int or version != FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: format version must be {FORMAT_VERSION}, got {version!r}; go on with the "
            "version of nmt that wrote it, or delete it to train from the start"
        )
    assert isinstance(found, dict)
    writer = found.get("pytorch-lightning_version")
    if not isinstance(writer, str) or not _LIGHTNING_VERSION.fullmatch(writer):
        raise CheckpointError(
            f"{path}: must be of lightning 2, got {str(writer)[:40]!r}; delete it to train from "
            "the start"
        )
    return found


def is_of_model(checkpoint: dict[str, Any], module: nn.Module) -> bool:
    """Tell whether a checkpoint's weights and moments are finite and fit a module."""
    try:
        weights, (optimizer,) = checkpoint["state_dict"], checkpoint["optimizer_states"]
        shapes = {name: weight.shape for name, weight in module.state_dict().items()}
        found = {name: weight.shape for name, weight in weights.items()}
        tensors = list(weights.values())
        parameters, states = list(module.parameters()), optimizer["state"]
        for number, state in states.items():
            shape = parameters[number].shape
            sizes = {name: tensor.shape for name, tensor in state.items()}
            if sizes != {"step": torch.Size(()), "exp_avg": shape, "exp_avg_sq": shape}:
                return False
            tensors += state.values()
        return found == shapes and all(bool(tensor.isfinite().all()) for tensor in tensors)
    except (AttributeError, LookupError, TypeError, ValueError):
        return False


def find_unlike(found: Any, wanted: Any, place: str) -> str | None:
    """Return the place of what is of another shape or type than wanted; None where nothing is.

    What a checkpoint holds is put into the trainer's own objects as it is: a text where they have a
    number would be found out much later, or never.

    Args:
        found: What was read: mappings, lists, tensors, numbers and texts.
        wanted: The same of a training that has just begun. Numbers stand for any of their kind,
            whole ones for those >= 0, None, True and False for any number or None.
        place: What `found` is called.
    """
    if isinstance(wanted, Mapping):
        if not isinstance(found, Mapping) or found.keys() != wanted.keys():
            return place
        parts = [(f"{place}.{key}", found[key], wanted[key]) for key in wanted]
    elif isinstance(wanted, list | tuple):
        if not isinstance(found, list | tuple) or len(found) != len(wanted):
            return place
        parts = [(place, *pair) for pair in zip(found, wanted, strict=True)]
    else:
        return None if _is_alike(found, wanted) else place
    unlike = (find_unlike(one, other, name) for name, one, other in parts)
    return next((name for name in unlike if name is not None), None)


def _is_alike(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, Tensor):
        return (
            isinstance(found, Tensor)
            and found.shape == wanted.shape
            and found.dtype == wanted.dtype
        )
    if wanted is None or isinstance(wanted, bool):
        return found is None or type(found) in (bool, int, float)
    if isinstance(wanted, str):
        return isinstance(found, str)
    if isinstance(wanted, int):
        return type(found) is int and found >= 0
    return type(found) in (int, float) and not math.isnan(found)


def find_checkpoint(folder: RunFolder) -> Path | None:
    """Return the checkpoint to go on from, with a notice if it is not the last one.

    Returns:
        Its file; None where there is none.

    Raises:
        CheckpointError: All there are are damaged.
    """
    last, previous = folder.last_checkpoint, folder.previous_checkpoint
    if last.exists() and _is_whole(last):
        return last
    if previous.exists() and _is_whole(previous):
        what = "damaged or cut off" if last.exists() else "missing"
        _log.warning("warning: %s is %s: going on from %s", last, what, previous.name)
        previous.replace(last)  # or the next checkpoint would drive out the whole one
        return last
    for file in (last, previous):
        if file.exists():
            raise CheckpointError(f"{file}: damaged or cut off; delete it to train from the start")
    return None


def _is_whole(path: Path) -> bool:
    """Tell whether every byte is as it was written: torch itself does not look."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError, ValueError):
        return False
