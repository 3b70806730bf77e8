"""Lightning's checkpoints on the disk: whole, of this version, and nothing of them is run."""

from __future__ import annotations

import io
import logging
import zipfile
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins import TorchCheckpointIO
from torch import nn

from nmt.errors import CheckpointError
from nmt.run_folder import RunFolder

_log = logging.getLogger(__name__)

# What a checkpoint holds of ours, and in which form.
OURS = "nmt"
FORMAT_VERSION = 1


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
    return found


def is_of_model(checkpoint: dict[str, Any], module: nn.Module) -> bool:
    """Tell whether a checkpoint's weights and moments are finite and fit a module."""
    try:
        weights, (optimizer,) = checkpoint["state_dict"], checkpoint["optimizer_states"]
        shapes = {name: weight.shape for name, weight in module.state_dict().items()}
        found = {name: weight.shape for name, weight in weights.items()}
        tensors = list(weights.values())
        for number, parameter in enumerate(module.parameters()):
            state = optimizer["state"].get(number, {})
            moments = [moment for name, moment in state.items() if name != "step"]
            if any(moment.shape != parameter.shape for moment in moments):
                return False
            tensors += moments
        return found == shapes and all(bool(tensor.isfinite().all()) for tensor in tensors)
    except (AttributeError, LookupError, TypeError, ValueError):
        return False


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
