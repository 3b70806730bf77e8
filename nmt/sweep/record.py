"""The folder of a sweep: its runs, and `sweep.json`, which says what came out of them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from nmt.errors import CheckpointError, NMTError
from nmt.recipe import Recipe, parse_recipe
from nmt.run_folder import RunFolder, write_atomically
from nmt.run_folder.lock import locked

# What a run is measured by on the validation set: of the loss the less is the better.
MEASURES = ("BLEU", "chrF2", "loss")


class Result(BaseModel):
    """What came out of a run.

    Attributes:
        seed: Of the run.
        measures: By name: scores of its weights on the whole validation set, and the least of its
            validation losses.
        signatures: Of the scores.
        num_sentences: Of the validation set.
        seconds: What its training took.
        num_weights: Of its model.
    """

    model_config = ConfigDict(frozen=True)

    seed: int
    measures: dict[str, float]
    signatures: dict[str, str]
    num_sentences: int
    seconds: float
    num_weights: int


class Failure(BaseModel):
    """A run that came to nothing; `reason` is one line."""

    model_config = ConfigDict(frozen=True)

    seed: int
    reason: str


class Row(BaseModel):
    """A setting of a sweep and what came out of its runs so far.

    Attributes:
        name: Of its folder.
        values: What differs from the baseline, by key.
        results: By seed, the least first.
        failures: Of the runs that failed last time.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    values: dict[str, Any]
    results: tuple[Result, ...] = ()
    failures: tuple[Failure, ...] = ()

    def with_result(self, result: Result) -> Row:
        """Return the row with the result of one more run, or in place of that of the same seed."""
        others = self._without(result.seed)
        results = sorted((*others.results, result), key=lambda one: one.seed)
        return others.model_copy(update={"results": tuple(results)})

    def with_failure(self, failure: Failure) -> Row:
        """Return the row with the failure of one more run."""
        others = self._without(failure.seed)
        failures = sorted((*others.failures, failure), key=lambda one: one.seed)
        return others.model_copy(update={"failures": tuple(failures)})

    def _without(self, seed: int) -> Row:
        return self.model_copy(
            update={
                "results": tuple(one for one in self.results if one.seed != seed),
                "failures": tuple(one for one in self.failures if one.seed != seed),
            }
        )


class _Record(BaseModel):
    """What is in `sweep.json`, but for what follows from it."""

    version: Literal[1]
    recipe: dict[str, Any]
    settings: tuple[Row, ...]


class SweepFolder:
    """The files of a sweep; a folder that may not exist yet."""

    def __init__(self, path: str | Path) -> None:
        """Name the folder; nothing is read or made."""
        self.path = Path(path)
        self.record_file = self.path / "sweep.json"
        self.table_file = self.path / "table.md"
        self.plot_file = self.path / "sweep.png"
        self.lock_file = self.path / ".lock"

    def run(self, name: str, seed: int) -> RunFolder:
        """Return the folder of a run of a setting."""
        return RunFolder(self.path / name / f"seed-{seed}")

    def has_runs(self) -> bool:
        """Tell whether any run has begun here."""
        return any(RunFolder(path).is_started for path in self.path.glob("*/seed-*"))

    def keep_setting(self, name: str) -> None:
        """Make the folder of a setting where there is none: its failures are kept as long as it."""
        with contextlib.suppress(OSError):  # why the run has failed, perhaps
            (self.path / name).mkdir(exist_ok=True)

    def has_setting(self, name: str) -> bool:
        """Tell whether a setting has a folder."""
        return (self.path / name).is_dir()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Make the folder, and keep other sweeps out of it as long as the context lasts.

        Raises:
            CheckpointError: Another sweep is at work here, or the folder is of something else.
            NMTError: The folder cannot be made or written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = error.strerror or str(error)
            raise NMTError(f"{self.path}: cannot write a sweep there: {reason}") from error
        try:
            with locked(self.lock_file, option="--sweep-dir"):
                yield
        finally:
            with contextlib.suppress(OSError):
                self.path.rmdir()  # where nothing was written

    def check(self) -> None:
        """See that the folder is of a sweep, or empty.

        Raises:
            CheckpointError: It is not.
        """
        if self.record_file.exists() or not self.path.exists():
            return
        if not self.path.is_dir():
            raise CheckpointError(f"{self.path}: must be a folder, got a file")
        if any(file != self.lock_file and file.suffix != ".part" for file in self.path.iterdir()):
            raise CheckpointError(
                f"{self.path} holds files that are not of a sweep; choose another --sweep-dir"
            )

    def read(self) -> tuple[Recipe, list[Row]] | None:
        """Return the baseline's recipe and the rows so far; None where nothing has begun.

        Raises:
            CheckpointError: The record is damaged.
        """
        if not self.record_file.exists():
            return None
        try:
            record = _Record.model_validate_json(self.record_file.read_bytes())
        except (OSError, ValidationError) as error:
            raise CheckpointError(
                f"{self.record_file}: damaged or of another version; choose another --sweep-dir"
            ) from error
        recipe = parse_recipe(json.dumps(record.recipe), name=str(self.record_file))
        return recipe, list(record.settings)

    def write(self, recipe: Recipe, rows: Sequence[tuple[Row, dict[str, Any]]]) -> None:
        """Write the record, each row with a summary of it for who reads the file."""
        record = {
            "version": 1,
            "recipe": recipe.model_dump(mode="json"),
            "settings": [row.model_dump(mode="json") | {"summary": more} for row, more in rows],
        }
        write_atomically(self.record_file, json.dumps(record, indent=2, ensure_ascii=False) + "\n")
