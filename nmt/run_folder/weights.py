"""Weights as safetensors: written once each, read without running anything."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import safetensors
import safetensors.torch
from torch import Tensor

from nmt import __version__
from nmt.errors import CheckpointError
from nmt.model import Seq2Seq
from nmt.run_folder.writing import write_atomically

FORMAT_VERSION = "2"
# Names that weights had in earlier formats; what they begin with, then and now.
_RENAMED = {
    "1": {"decoder.bottom.": "decoder.lower.0.", "decoder.readout.": "decoder.readout.projection."}
}


def write_weights(path: Path, weights: Mapping[str, Tensor]) -> None:
    """Write weights as safetensors, tensors that are one in memory once.

    Equal weights give equal files.
    """
    unique = _unique(weights)
    metadata = {"format_version": FORMAT_VERSION, "nmt_version": __version__}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in unique.items()}
    write_atomically(path, _with_sorted_header(safetensors.torch.save(tensors, metadata)))


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read weights that `write_weights` wrote.

    Raises:
        CheckpointError: The file is damaged or of another version.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            renamed = _renamed(path, metadata)
            return {renamed(name): file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, OSError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"{path}: damaged or not safetensors ({reason})") from error


def set_weights(model: Seq2Seq, weights: Mapping[str, Tensor], *, name: str) -> None:
    """Put weights into a model; those that it shares between parts may be given once.

    Raises:
        CheckpointError: As `check_weights`.
    """
    check_weights(model, weights, name=name)
    state = model.state_dict()
    for key, weight in weights.items():
        state[key].copy_(weight)


def check_weights(model: Seq2Seq, weights: Mapping[str, Tensor], *, name: str) -> None:
    """See that weights are those of a model, which may be one of shapes alone.

    Raises:
        CheckpointError: A weight is missing, unknown, of another shape or type, or no number.
    """
    state = model.state_dict()
    missing = _unique(state).keys() - weights.keys()
    unknown = weights.keys() - state.keys()
    if missing or unknown:
        wrong = sorted(missing | unknown)[0]
        what = "missing" if wrong in missing else "not of this model"
        raise CheckpointError(f"{name}: weight {wrong!r} is {what}; not of the run's recipe")
    for key, weight in weights.items():
        if weight.shape != state[key].shape:
            raise CheckpointError(
                f"{name}: weight {key!r} must have the shape {tuple(state[key].shape)}, "
                f"got {tuple(weight.shape)}; not of the run's recipe"
            )
        if not weight.is_floating_point():
            raise CheckpointError(
                f"{name}: weight {key!r} must be of a floating point type, got {weight.dtype}"
            )
        if not weight.isfinite().all():
            raise CheckpointError(
                f"{name}: weight {key!r} must be finite numbers, got some that are not; damaged, "
                "or of a training that has diverged"
            )


def average_weights(files: Sequence[Path]) -> dict[str, Tensor]:
    """Return the mean of several files of weights of one model."""
    total = read_weights(files[0])
    for file in files[1:]:
        for name, weight in read_weights(file).items():
            total[name] += weight
    return {name: weight / len(files) for name, weight in total.items()}


def _unique(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights without second names of the same memory."""
    seen: set[int] = set()
    unique = {}
    for name, weight in weights.items():
        if weight.data_ptr() not in seen:
            seen.add(weight.data_ptr())
            unique[name] = weight
    return unique


def _with_sorted_header(data: bytes) -> bytes:
    """Return a safetensors file with its header in order: the library writes metadata in any."""
    start = 8  # bytes that hold the size of the header, a JSON object padded with spaces
    end = start + int.from_bytes(data[:start], "little")
    header = json.dumps(json.loads(data[start:end]), sort_keys=True, separators=(",", ":"))
    return data[:start] + header.encode("ascii").ljust(end - start) + data[end:]


def _renamed(path: Path, metadata: Mapping[str, str]) -> Callable[[str], str]:
    """Return what gives the weights of a file their names of today.

    Raises:
        CheckpointError: The file has a format that this version does not read.
    """
    version = metadata.get("format_version")
    if version != FORMAT_VERSION and version not in _RENAMED:
        writer = metadata.get("nmt_version", "another program")
        raise CheckpointError(
            f"{path}: format version must be one of {', '.join([*_RENAMED, FORMAT_VERSION])}, "
            f"got {version} (written by nmt {writer}; this is nmt {__version__})"
        )
    beginnings = _RENAMED.get(version, {})

    def rename(name: str) -> str:
        old = next((old for old in beginnings if name.startswith(old)), "")
        return beginnings.get(old, "") + name.removeprefix(old)

    return rename
