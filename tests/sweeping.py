"""Runs of a sweep that are no processes: they end as a test says."""

import signal
from collections.abc import Callable
from pathlib import Path

from nmt.recipe import Recipe, dump_recipe, parse_recipe
from nmt.run_folder import RunFolder
from nmt.sweep.grid import Setting, expand, read_axis
from nmt.sweep.record import Result
from nmt.sweep.running import Ending, Job, Process, Slot

RECIPE = """
data:
  source_lang: de
  target_lang: en
  train: {tsv: train.tsv}
  validation: {tsv: validation.tsv}
  test: {tsv: test.tsv}
training: {max_sentences: 2, max_epochs: 4, seed: 7}
"""

SIGNATURES = {"BLEU": "nrefs:1|tok:13a", "chrF2": "nrefs:1|nc:6"}

# What becomes of a run, from its folder's name and its seed.
Fate = Callable[[str, int], Ending]


def read(overrides: list[str]) -> Recipe:
    return parse_recipe(RECIPE, name="recipe", overrides=overrides)


def grid(*texts: str, one_at_a_time: bool = False) -> list[Setting]:
    axes = [read_axis(text) for text in texts]
    return expand(lambda more: read(list(more)), axes, one_at_a_time=one_at_a_time)


def result(seed: int, bleu: float, chrf: float = 50.0, loss: float = 2.0) -> Result:
    return Result(
        seed=seed,
        measures={"BLEU": bleu, "chrF2": chrf, "loss": loss},
        signatures=SIGNATURES,
        num_sentences=1014,
        seconds=90.0,
        num_weights=1234567,
    )


def write_finished(folder: RunFolder, recipe: Recipe) -> None:
    """Write what tells that a run has come to its end."""
    folder.path.mkdir(parents=True, exist_ok=True)
    text = dump_recipe(recipe)
    folder.recipe_file.write_text(text, encoding="utf-8", newline="\n")
    folder.weights_file.touch()
    folder.card_file.touch()


class Scripted:
    """A run that ends at the first look, unless it is told to wait for a signal."""

    def __init__(self, found: Ending | None) -> None:
        self.found = found
        self.signals: list[signal.Signals] = []

    def ending(self) -> Ending | None:
        return Ending(reason="stopped") if self.signals else self.found

    def send(self, number: signal.Signals) -> None:
        self.signals.append(number)

    def wait(self) -> None:
        assert self.signals


class Starter:
    """Starts runs whose fate is known, and notes which."""

    def __init__(self, fate: Fate) -> None:
        self.fate = fate
        self.started: list[str] = []

    def __call__(self, job: Job, slot: Slot) -> Process:
        self.started.append(f"{job.name}/seed-{job.seed}")
        found = self.fate(job.name, job.seed)
        if found.result is not None:
            write_finished(job.folder, slot.recipe(job.recipe))
        return Scripted(found)


def files(path: Path) -> list[str]:
    return sorted(file.relative_to(path).as_posix() for file in path.iterdir())
