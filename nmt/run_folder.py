"""What a trained model is on disk: written atomically, read safely, complete or refused.

recipe.yaml          the resolved recipe        checkpoints/    for going on, and to be averaged
versions.json        what wrote it, from what   metrics.jsonl   one line a validation
model.safetensors    the weights                curves.png, log.txt, cleaning.json
source.model, target.model   SentencePiece      report/, README.md
confidence.json      how sure to be of a translation
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from nmt import __version__
from nmt.errors import CheckpointError, NMTError
from nmt.model import Seq2Seq, build_model
from nmt.recipe import Recipe, dump_recipe, load_recipe
from nmt.tokenizer import Tokenizer

FORMAT_VERSION = "2"
# Names that weights had in earlier formats; what they begin with, then and now.
_RENAMED = {
    "1": {"decoder.bottom.": "decoder.lower.0.", "decoder.readout.": "decoder.readout.projection."}
}

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
        self.checkpoints = self.path / "checkpoints"
        self.last_checkpoint = self.checkpoints / "last.ckpt"
        self.metrics_file = self.path / "metrics.jsonl"
        self.curves_file = self.path / "curves.png"
        self.log_file = self.path / "log.txt"
        self.cleaning_file = self.path / "cleaning.json"
        self.card_file = self.path / "README.md"
        self.report = self.path / "report"

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
        except OSError as error:
            reason = error.strerror or str(error)
            raise NMTError(f"{self.path}: cannot write a run folder there: {reason}") from error

    def holds_other_files(self) -> bool:
        """Tell whether anything is here that no run has written; a start cut off leaves a few."""
        # not README.md, log.txt or report: those may be somebody else's, and would be overwritten
        ours = {
            self.checkpoints,
            self.cleaning_file,
            self.source_tokenizer_file,
            self.target_tokenizer_file,
            self.versions_file,
        }
        return self.path.is_dir() and any(
            file not in ours and file.suffix != ".part" for file in self.path.iterdir()
        )

    def remove_if_empty(self) -> None:
        """Take back what `make` made, where nothing was written since."""
        with contextlib.suppress(OSError):
            self.checkpoints.rmdir()
            self.path.rmdir()

    def start(
        self, recipe: Recipe, tokenizers: tuple[Tokenizer, Tokenizer], versions: Mapping[str, Any]
    ) -> None:
        """Write what a run begins with; the recipe comes last and marks the run as begun."""
        write_atomically(self.source_tokenizer_file, tokenizers[0].model)
        write_atomically(self.target_tokenizer_file, tokenizers[1].model)
        write_atomically(self.versions_file, json.dumps(versions, indent=2) + "\n")
        write_atomically(self.recipe_file, dump_recipe(recipe))

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

    def check_space(self, *, num_weights: int, num_kept: int) -> None:
        """See that the disk has room for all that training will write.

        Args:
            num_weights: Weights of the model.
            num_kept: Validations whose weights are kept in `checkpoints/`.

        Raises:
            NMTError: It has not.
        """
        # The old and the new last checkpoint are there at once, each the weights and what Adam
        # remembers of them twice; and one more of those kept; and at the end those to translate
        # with.
        copies = 2 * 3 + (num_kept + 1) + 1
        needed = copies * num_weights * _BYTES_OF_WEIGHT + _BYTES_OF_THE_REST
        files = (file for file in self.path.rglob("*") if file.is_file())
        needed -= sum(file.stat().st_size for file in files)
        free = shutil.disk_usage(self.path).free
        if needed > free:
            raise NMTError(
                f"{self.path}: must have {_megabytes(needed)} free for weights and checkpoints, "
                f"got {_megabytes(free)}; make room or choose another --run-dir"
            )

    def versions(self) -> dict[str, Any]:
        """What wrote this folder and from which data; empty where that is not recorded."""
        found = _read_json(self.versions_file)
        return found if isinstance(found, dict) else {}

    def build_model(self) -> Seq2Seq:
        """Return the run's model with fresh random weights."""
        return model_for(self.recipe, self.tokenizers)

    def metrics(self) -> list[dict[str, Any]]:
        """One entry for each validation so far; a last line cut off by a crash is left out."""
        if not self.metrics_file.exists():
            return []
        entries = []
        for line in self.metrics_file.read_bytes().split(b"\n"):
            # bytes: what is cut off may end within a character
            with contextlib.suppress(ValueError):
                entries.append(json.loads(line))
        return entries

    def scores(self) -> list[dict[str, Any]]:
        """What the test set was scored with; empty where it was not yet."""
        found = _read_json(self.report / "scores.json")
        return found if isinstance(found, list) else []

    def _require(self, *files: Path) -> None:
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
    model = folder.build_model()
    set_weights(model, weights, name=str(folder.weights_file))
    return TrainedRun(recipe, source, target, model.to(device).eval())


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a whole file or none, see `replacing`."""
    data = content.encode("utf-8") if isinstance(content, str) else content
    with replacing(path) as temporary, temporary.open("wb") as stream:
        stream.write(data)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give the name of a file to write beside another; put it in its place when it is whole.

    Whatever goes wrong, the old file stays as it was and nothing is left of the new one.

    Raises:
        NMTError: It cannot be written: the disk is full, perhaps.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield temporary
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def cannot_write(path: Path, error: OSError) -> NMTError:
    """Return the complaint that a file could not be written, and what to do about it."""
    is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    advice = "; make room and give the same command again" if is_full else ""
    return NMTError(f"{path}: cannot write: {error.strerror or error}{advice}")


def _megabytes(num_bytes: int) -> str:
    return f"{num_bytes / 1e6:,.1f} MB"


def _read_json(path: Path) -> Any:
    """Return what is in a file; None where it is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


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
        raise CheckpointError(f"{path}: damaged or not safetensors ({error})") from error


def set_weights(model: Seq2Seq, weights: Mapping[str, Tensor], *, name: str) -> None:
    """Put weights into a model; those that it shares between parts may be given once.

    Raises:
        CheckpointError: A weight is missing, unknown or of another shape.
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
        state[key].copy_(weight)


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
