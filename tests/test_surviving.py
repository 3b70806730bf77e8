"""Runs in processes of their own that are killed, stopped and starved: what is left of them.

All of a run that was cut off and started again must be that of a run that nothing came between.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nmt.recipe import Recipe, dump_recipe, parse_recipe
from nmt.run_folder import RunFolder

ROOT = Path(__file__).parent.parent

# Everything that a run must remember is at work: random numbers, schedule, moments, best weights,
# mean, batches added up. Saved after every step.
RECIPE = """
data:
  source_lang: en
  target_lang: de
  train: {builtin: grammar, split: train, sentences: 60}
  validation: {builtin: grammar, split: validation, sentences: 8}
  cleaning: {min_pairs: 1}
tokenizer: {vocab_size: 400, byte_fallback: false}
model:
  embedding_size: 8
  encoder: {num_layers: 1, hidden_size: 4}
  decoder: {num_layers: 2, hidden_size: 8}
  dropout: {embedding: 0.2, layers: 0.2, readout: 0.2, word: 0.1}
training:
  max_epochs: 3
  max_sentences: 8
  warmup_steps: 2
  gradient_accumulation: 2
  average_checkpoints: 2
  save_every_minutes: 1e-9
  threads: 1
decoding: {beam_size: 1, max_target_length: 8}
"""

# Trains, and notes each batch that it is done with; `{injected}` is what happens to it.
PROGRAM = """
import json, os, resource, signal, sys, time
from pathlib import Path
from nmt.cli.main import main
from nmt.recipe import load_recipe
from nmt.training.module import TranslationModule
from nmt.training.saving import Saving
from nmt.training.validation import Validation

recipe, run, notes = sys.argv[1:4]
true_step, true_end = TranslationModule.training_step, Saving.on_train_batch_end

def end(self, trainer, module, outputs, batch, batch_index):
    with open(notes, "a") as stream:
        place = [module.position.epoch, batch_index]
        stream.write(json.dumps([*place, batch.indices.tolist()]) + "\\n")
    true_end(self, trainer, module, outputs, batch, batch_index)

Saving.on_train_batch_end = end

def kill():
    os.kill(os.getpid(), signal.SIGKILL)

def pause():
    print("pause", flush=True)
    time.sleep(60)

def on_call(owner, name, number, happens, is_meant=lambda *_: True):
    true_method, num_calls = getattr(owner, name), 0
    def method(*arguments):
        nonlocal num_calls
        num_calls += is_meant(*arguments)
        if num_calls == number:
            happens()
        return true_method(*arguments)
    setattr(owner, name, method)

{injected}
sys.exit(main(["train", recipe, "--run-dir", run]))
"""


class Ground:
    """A recipe and the run that nothing has come between, `whole`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.recipe_file = folder / "recipe.yaml"
        recipe: Recipe = parse_recipe(RECIPE, name="recipe")
        self.recipe_file.write_text(dump_recipe(recipe), encoding="utf-8", newline="\n")
        self.whole = RunFolder(folder / "whole")
        assert self.run("whole").returncode == 0

    def start(self, name: str, injected: str = "", **options: Any) -> "subprocess.Popen[str]":
        """Start a process that trains into the folder of this name."""
        paths = [self.recipe_file, self.folder / name, self.folder / f"{name}.notes"]
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM.format(injected=injected), *map(str, paths)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            **options,
        )

    def run(
        self, name: str, injected: str = "", **options: Any
    ) -> "subprocess.CompletedProcess[str]":
        with self.start(name, injected, **options) as process:
            out, err = process.communicate()
            return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def batches(self, name: str) -> dict[tuple[int, int], list[int]]:
        """The batches that a run was done with; what was done twice was the same both times."""
        found: dict[tuple[int, int], list[int]] = {}
        for line in (self.folder / f"{name}.notes").read_text(encoding="utf-8").split("\n")[:-1]:
            epoch, batch, indices = json.loads(line)
            assert found.setdefault((epoch, batch), indices) == indices
        return found

    def assert_finished_as_the_whole(self, name: str) -> None:
        run = RunFolder(self.folder / name)
        assert run.weights_file.read_bytes() == self.whole.weights_file.read_bytes()
        assert self.batches(name) == self.batches("whole")
        assert measured(run) == measured(self.whole)
        assert names(run.checkpoints) == names(self.whole.checkpoints)
        assert not list(run.path.rglob(".*"))


def measured(run: RunFolder) -> list[dict[str, Any]]:
    return [
        {key: value for key, value in entry.items() if key not in ("seconds", "tokens_per_second")}
        for entry in run.metrics()
    ]


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    return Ground(tmp_path_factory.mktemp("ground"))


def test_the_whole_run_has_seen_every_batch(ground: Ground) -> None:
    batches = ground.batches("whole")
    assert set(batches) == {(epoch, batch) for epoch in range(3) for batch in range(8)}
    assert [entry["step"] for entry in ground.whole.metrics()] == [4, 8, 12]


@pytest.mark.parametrize(
    ("name", "injected"),
    [
        # in the middle of the second epoch, and of an optimizer step
        ("within-an-epoch", 'on_call(TranslationModule, "training_step", 12, kill)'),
        ("within-a-validation", 'on_call(Validation, "on_validation_end", 2, kill)'),
    ],
)
def test_a_killed_run_ends_as_if_nothing_had_been(name: str, injected: str, ground: Ground) -> None:
    assert ground.run(name, injected).returncode == -signal.SIGKILL
    again = ground.run(name)
    assert again.returncode == 0, again.stderr
    assert ", resumed from " in again.stderr
    ground.assert_finished_as_the_whole(name)


def test_a_run_killed_between_file_and_name_ends_as_if_nothing_had_been(ground: Ground) -> None:
    name = "within-a-save"
    injected = (
        'on_call(Path, "replace", 4, pause, lambda _, target: Path(target).name == "last.ckpt")'
    )
    with ground.start(name, injected) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "pause\n"
        process.kill()
    run = RunFolder(ground.folder / name)
    assert len(list(run.checkpoints.glob(".last.ckpt.*.part"))) == 1
    assert not run.last_checkpoint.exists()  # it is the previous one already
    again = ground.run(name)
    assert again.returncode == 0, again.stderr
    assert "last.ckpt is missing: going on from previous.ckpt\n" in again.stderr
    assert f"process {process.pid} on " in again.stderr
    ground.assert_finished_as_the_whole(name)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGUSR1"])
def test_a_signal_saves_and_leaves(name: str, ground: Ground) -> None:
    # within an optimizer step of two batches, with no save by the clock
    injected = (
        'on_call(TranslationModule, "training_step", 11, '
        f"lambda: os.kill(os.getpid(), signal.{name}))\n"
        "Saving.__init__.__kwdefaults__ = None\n"
    )
    stopped = ground.run(name, injected)
    assert stopped.returncode == 75
    line = f"nmt: stopped by {name} at step 6 of 12; the same command goes on from there\n"
    assert stopped.stderr.endswith(line)
    assert stopped.stdout == ""
    again = ground.run(name)
    assert again.returncode == 0, again.stderr
    assert "at step 6 of 12, resumed from " in again.stderr
    ground.assert_finished_as_the_whole(name)


def test_a_disk_that_is_full_stops_a_run_in_one_line_and_loses_nothing(ground: Ground) -> None:
    name = "full"
    injected = """
def fill():
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))

on_call(Saving, "on_train_batch_end", 13, fill)
"""
    stopped = ground.run(name, injected)
    assert stopped.returncode == 2
    run = RunFolder(ground.folder / name)
    (line,) = [line for line in stopped.stderr.split("\n") if line.startswith("nmt: ")]
    assert line == f"nmt: {run.last_checkpoint}: cannot write: File too large"
    assert stopped.stderr.endswith(f"{line}\n")
    assert not list(run.path.rglob(".*"))
    assert {"last.ckpt", "previous.ckpt"} <= set(names(run.checkpoints))
    again = ground.run(name)
    assert again.returncode == 0, again.stderr
    assert "at step 6 of 12, resumed from " in again.stderr
    ground.assert_finished_as_the_whole(name)
