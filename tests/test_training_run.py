"""A whole run: what stops it before it begins, what it goes on from, and what it says."""

import errno
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning import LightningModule, Trainer
from stopping import StoppedError, stop_after
from toy import QUICK, read_lines, toy_recipe, write_lines, write_quick_corpus

from nmt import Translator
from nmt.batching import Batch
from nmt.confidence import dump_confidence
from nmt.corpus import load_pairs
from nmt.errors import CheckpointError, DataError, NMTError, RecipeError, TokenizerError
from nmt.recipe import Recipe, dump_recipe
from nmt.run_folder import RunFolder
from nmt.shortlist import load_shortlist
from nmt.training import train
from nmt.training.module import TranslationModule
from nmt.training.saving import Saving
from nmt.training.validation import Validation
from nmt.translator import learn_confidence

ROOT = Path(__file__).parent.parent

# Everything that a run must remember is at work: random numbers, schedule, best weights, means.
LASTING = (
    *QUICK,
    "training.max_epochs=3",
    "training.average_checkpoints=2",
    "training.ema=0.3",
    "model.dropout.embedding=0.2",
    "model.dropout.layers=0.2",
    "model.dropout.readout=0.2",
    "model.dropout.word=0.1",
)

# Trains by a recipe and kills itself, as nothing else could, within the second epoch.
KILLED = """
import os, signal, sys
from nmt.recipe import load_recipe
from nmt.training import train
from nmt.training.module import TranslationModule

true_step = TranslationModule.training_step
num_steps = 0

def step(self, batch, batch_index):
    global num_steps
    num_steps += 1
    if num_steps == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return true_step(self, batch, batch_index)

TranslationModule.training_step = step
train(load_recipe(sys.argv[1]), sys.argv[2])
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_quick_corpus(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a corpus and the run that nothing has come in between, `whole`."""
    folder = tmp_path_factory.mktemp("ground")
    write_quick_corpus(folder)
    train(toy_recipe(folder, *LASTING), folder / "whole")
    return folder


def lines_without_time(run: RunFolder) -> list[dict[str, Any]]:
    return [
        {key: value for key, value in entry.items() if key not in ("seconds", "tokens_per_second")}
        for entry in run.metrics()
    ]


def assert_equal_runs(run: RunFolder, whole: RunFolder) -> None:
    assert run.weights_file.read_bytes() == whole.weights_file.read_bytes()
    assert [entry["epoch"] for entry in run.metrics()] == [1, 2, 3]
    assert lines_without_time(run) == lines_without_time(whole)
    assert run.scores() == whole.scores()


@pytest.mark.parametrize("epoch", [1, 3])
def test_a_run_goes_on_where_it_was_as_if_nothing_had_been(
    epoch: int, ground: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, run = toy_recipe(ground, *LASTING), RunFolder(ground / f"stopped-{epoch}")
    with monkeypatch.context() as patched:
        patched.setattr(Saving, "on_train_epoch_end", stop_after(epoch))
        with pytest.raises(StoppedError):
            train(recipe, run.path)
    assert not run.weights_file.exists()
    train(recipe, run.path)
    assert_equal_runs(run, RunFolder(ground / "whole"))


def test_a_plateau_is_remembered(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nmt.training.module.PLATEAU_PATIENCE", 0)
    # too low a rate to gain anything: it is halved at every validation after the first
    settings = ("training.schedule=plateau", "training.learning_rate=1e-6")
    recipe = toy_recipe(folder, *LASTING, *settings)
    whole, run = train(recipe, folder / "whole"), RunFolder(folder / "run")
    rates = [entry["learning_rate"] for entry in whole.metrics()]
    assert rates == pytest.approx([1e-6, 5e-7, 2.5e-7])
    with monkeypatch.context() as patched:
        patched.setattr(Saving, "on_train_epoch_end", stop_after(2))
        with pytest.raises(StoppedError):
            train(recipe, run.path)
    train(recipe, run.path)
    assert_equal_runs(run, whole)


def test_a_run_killed_within_an_epoch_goes_on_from_the_one_before(ground: Path) -> None:
    recipe, run = toy_recipe(ground, *LASTING), RunFolder(ground / "killed")
    recipe_file = ground / "recipe.yaml"
    recipe_file.write_text(dump_recipe(recipe), encoding="utf-8", newline="\n")
    process = subprocess.run(
        [sys.executable, "-c", KILLED, str(recipe_file), str(run.path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        encoding="utf-8",
    )
    assert process.returncode == -9, process.stderr
    assert [entry["epoch"] for entry in run.metrics()] == [1]
    # nothing on stdout, and nothing of Lightning's on stderr: only what the run has to say
    assert process.stdout == ""
    said = (
        r"training the tokenizer|kept \d+ of|\d[\d,]* weights, |epoch 1, step 3: loss |  source  "
        r"|  reference  |  hypothesis  "
    )
    lines = process.stderr.rstrip("\n").split("\n")
    assert [line for line in lines if not re.match(said, line)] == []
    train(recipe, run.path)
    assert_equal_runs(run, RunFolder(ground / "whole"))


def test_a_run_that_stopped_before_its_report_only_evaluates(
    ground: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, run = toy_recipe(ground, *LASTING), RunFolder(ground / "unreported")

    def stop(*_: object, **__: object) -> None:
        raise StoppedError

    with monkeypatch.context() as patched:
        patched.setattr("nmt.training.run._evaluate", stop)
        with pytest.raises(StoppedError):
            train(recipe, run.path)
    assert run.weights_file.exists()
    with monkeypatch.context() as patched:
        patched.setattr("nmt.training.run.fit", stop)
        train(recipe, run.path)
    assert_equal_runs(run, RunFolder(ground / "whole"))
    assert run.card_file.exists()


def test_the_test_set_is_translated_as_users_would(ground: Path) -> None:
    whole = RunFolder(ground / "whole")
    translations = Translator.load(whole.path).translate(read_lines(ground / "test.en"))
    assert read_lines(whole.report / "hypotheses.txt") == translations
    assert translations != read_lines(ground / "test.de")  # it has hardly learned


def test_the_report_shows_the_best_translations_of_the_beam(folder: Path) -> None:
    run = train(toy_recipe(folder, *QUICK, "decoding.beam_size=3"), folder / "run")
    found = Translator.load(run.path, num_hypotheses=3).translate_detailed(
        read_lines(folder / "test.en")
    )
    wanted = [[one.text for one in translation.hypotheses] for translation in found]
    report = json.loads((run.report / "scores.json").read_bytes())
    shown = {place for places in report["highlights"].values() for place in places}
    assert shown
    for place in shown:
        told = report["sentences"][place]["alternatives"]
        assert [one["text"] for one in told] == wanted[place]
        assert len(told) == 3


def contents(folder: Path) -> dict[str, bytes]:
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


def test_a_finished_run_says_so_and_stays_as_it_is(
    ground: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = ground / "whole"
    before = contents(whole)
    assert train(toy_recipe(ground, *LASTING), whole).path == whole
    assert contents(whole) == before
    assert capfd.readouterr() == (
        "",
        f"{whole} is trained already: nothing to do; to train longer, add --allow-changes and "
        "training.max_epochs=N, more than 3\n",
    )


def test_a_finished_run_does_without_its_checkpoints(folder: Path) -> None:
    recipe = toy_recipe(folder, *QUICK)
    run = train(recipe, folder / "run")
    for file in run.checkpoints.iterdir():
        file.unlink()
    run.checkpoints.rmdir()
    train(recipe, run.path)
    assert not run.checkpoints.exists()


def test_a_finished_run_needs_its_data_no_more(folder: Path) -> None:
    recipe = toy_recipe(folder, *QUICK)
    run = train(recipe, folder / "run")
    before = contents(run.path)
    (folder / "train.en").unlink()
    train(recipe, run.path)
    assert contents(run.path) == before


def test_a_run_may_go_on_with_other_threads_and_workers(folder: Path) -> None:
    run = train(toy_recipe(folder, *QUICK), folder / "run")
    before = contents(run.path)
    train(toy_recipe(folder, *QUICK, "training.num_workers=1", "training.device=cpu"), run.path)
    assert contents(run.path) == before


def test_a_checkpoint_cut_off_is_refused(folder: Path) -> None:
    recipe = toy_recipe(folder, *QUICK)
    run = train(recipe, folder / "run")
    run.card_file.unlink()
    run.weights_file.unlink()
    run.last_checkpoint.write_bytes(run.last_checkpoint.read_bytes()[:-1000])
    message = r"last\.ckpt: damaged or cut off; delete it to train from the start$"
    with pytest.raises(CheckpointError, match=message):
        train(recipe, run.path)


def test_a_missing_checkpoint_is_no_secret(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    recipe = toy_recipe(folder, *QUICK)
    run = train(recipe, folder / "run")
    for file in (run.card_file, run.weights_file, run.last_checkpoint):
        file.unlink()
    train(recipe, run.path)
    assert f"{run.last_checkpoint} is missing: starting anew\n" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("epoch", "outcome"),
    [(1, "starts from the beginning"), (2, "goes on from the last checkpoint")],
)
def test_who_stops_a_run_is_told_how_to_go_on(
    epoch: int,
    outcome: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def stop(validation: Validation, trainer: Trainer, module: LightningModule) -> None:
        if trainer.current_epoch + 1 == epoch:
            raise KeyboardInterrupt

    monkeypatch.setattr(Validation, "on_validation_end", stop)
    with pytest.raises(KeyboardInterrupt):
        train(toy_recipe(folder, *QUICK, "training.max_epochs=2"), folder / "run")
    assert capfd.readouterr().err.endswith(f"stopped; the same command {outcome}\n")


def test_a_recipe_of_another_kind_is_refused_in_a_few_words(ground: Path) -> None:
    others = [f"decoding.{key}" for key in ("beam_size=1", "batch_size=9", "length_penalty=0.5")]
    others += [f"training.{key}" for key in ("max_epochs=9", "learning_rate=0.5", "patience=3")]
    complaint = r"another recipe \((?:[^;]+; ){4}and 1 more\); choose another --run-dir"
    with pytest.raises(CheckpointError, match=complaint):
        train(toy_recipe(ground, *LASTING, *others), ground / "whole")


def test_another_recipe_is_refused_with_what_differs(ground: Path) -> None:
    before = contents(ground / "whole")
    recipe = toy_recipe(ground, *LASTING, "training.learning_rate=0.5", "decoding.batch_size=9")
    message = (
        r"whole holds a run of another recipe \(training\.learning_rate: 0\.008 -> 0\.5; "
        r"decoding\.batch_size: 64 -> 9\); choose another --run-dir, or go on with the changes by "
        r"--allow-changes$"
    )
    with pytest.raises(CheckpointError, match=message):
        train(recipe, ground / "whole")
    assert contents(ground / "whole") == before


@pytest.mark.parametrize(
    ("setting", "shown"),
    [
        ("training.seed=3", r"training\.seed: 1 -> 3"),
        ("training.max_sentences=4", r"training\.max_sentences: 8 -> 4"),
        ("model.encoder.hidden_size=6", r"model\.encoder\.hidden_size: 4 -> 6"),
    ],
)
def test_what_makes_another_run_is_refused_though_changes_are_allowed(
    setting: str, shown: str, ground: Path
) -> None:
    before = contents(ground / "whole")
    recipe = toy_recipe(ground, *LASTING, "training.max_epochs=4", setting)
    message = rf"whole holds a run of another recipe \({shown}\); choose another --run-dir, or del"
    with pytest.raises(CheckpointError, match=message):
        train(recipe, ground / "whole", allow_changes=True)
    assert contents(ground / "whole") == before


def test_a_plateaus_rate_is_not_changed_within_a_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = (*QUICK, "training.schedule=plateau")
    start_only(toy_recipe(folder, *settings), folder / "run", monkeypatch)
    changed = toy_recipe(folder, *settings, "training.learning_rate=0.5")
    with pytest.raises(CheckpointError, match=r"learning_rate: 0\.008 -> 0\.5\); choose another"):
        train(changed, folder / "run", allow_changes=True)


def test_a_finished_run_is_trained_longer_where_that_is_wished(folder: Path) -> None:
    settings = (*QUICK, "training.schedule=constant")
    run = train(toy_recipe(folder, *settings), folder / "run")
    once = contents(run.path)
    rate = "training.learning_rate=0.004"
    longer = toy_recipe(folder, *settings, "training.max_epochs=2", rate)
    train(longer, run.path, allow_changes=True)
    assert [entry["epoch"] for entry in run.metrics()] == [1, 2]
    assert [entry["learning_rate"] for entry in run.metrics()] == pytest.approx([0.008, 0.004])
    changed = RunFolder(run.path)
    assert changed.recipe == longer
    assert changed.versions()["changes"] == [
        {
            "at": "epoch 1",
            "changes": ["training.max_epochs: 1 -> 2", "training.learning_rate: 0.008 -> 0.004"],
        }
    ]
    after = contents(run.path)
    assert after["model.safetensors"] != once["model.safetensors"]
    assert after["log.txt"].startswith(once["log.txt"])
    assert b"changed: training.max_epochs: 1 -> 2\n" in after["log.txt"]
    # the recipe is that of the run now, and the one before is not
    train(longer, run.path)
    with pytest.raises(CheckpointError, match=r"max_epochs: 2 -> 1"):
        train(toy_recipe(folder, *settings), run.path)


def test_a_changed_search_only_evaluates_anew(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = train(toy_recipe(folder, *QUICK), folder / "run")
    weights = run.weights_file.read_bytes()
    (run.report / "scores.json").unlink()

    def stop(*_: object, **__: object) -> None:
        raise StoppedError

    monkeypatch.setattr("nmt.training.run.fit", stop)
    train(toy_recipe(folder, *QUICK, "decoding.batch_size=9"), run.path, allow_changes=True)
    assert run.weights_file.read_bytes() == weights
    assert len(run.scores()) == 1


def test_fewer_epochs_than_are_done_are_refused(folder: Path) -> None:
    settings = (*QUICK, "training.max_epochs=3")
    run = train(toy_recipe(folder, *settings), folder / "run")
    message = r"^training\.max_epochs must be >= 3, the epochs that are done, got 2$"
    with pytest.raises(RecipeError, match=message):
        train(toy_recipe(folder, *settings, "training.max_epochs=2"), run.path, allow_changes=True)


def break_steps(monkeypatch: pytest.MonkeyPatch, broken: set[int]) -> None:
    """Give the steps of these numbers, counted from 1, a loss that is no number."""
    true_step = TranslationModule.training_step
    numbers = itertools.count(1)

    def step(self: TranslationModule, batch: Batch, batch_index: int) -> dict[str, Any]:
        outputs = true_step(self, batch, batch_index)
        if next(numbers) in broken:
            outputs["loss"] = outputs["loss"] * float("nan")
        return outputs

    monkeypatch.setattr(TranslationModule, "training_step", step)


def test_a_skipped_step_is_counted_and_its_pairs_are_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_steps(monkeypatch, {2})
    run = train(toy_recipe(folder, *QUICK), folder / "run")
    (entry,) = run.skipped()
    assert entry["epoch"] == 1
    assert entry["gradient_norm"] == "nan"
    corpus = list(
        zip(*(read_lines(folder / f"train.{side}") for side in ("en", "de")), strict=True)
    )
    assert len(entry["pairs"]) == 8
    for pair in entry["pairs"]:
        assert (pair["source"], pair["target"]) == corpus[pair["place"]]
    assert "warning: step 2 skipped, the 1. in all: loss " in run.log_file.read_text("utf-8")
    assert [validation["step"] for validation in run.metrics()] == [2]


def test_ten_skipped_steps_in_a_row_end_a_run_and_leave_its_checkpoint(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = (*QUICK, "training.max_epochs=9")
    with monkeypatch.context() as patched:
        break_steps(patched, {2, *range(5, 100)})
        message = (
            r"run: training has diverged: 10 steps in a row, the last of them 4, had a loss or "
            r"gradient that is no number \(see skipped\.jsonl\); go on from the last checkpoint "
            r"with --allow-changes and a lower training\.learning_rate"
        )
        with pytest.raises(NMTError, match=message):
            train(toy_recipe(folder, *settings), folder / "run")
    run = RunFolder(folder / "run")
    assert len(run.skipped()) == 11
    train(
        toy_recipe(folder, *settings, "training.learning_rate=1e-3"), run.path, allow_changes=True
    )
    # nine epochs of three steps; what was skipped after the last checkpoint is forgotten
    assert run.metrics()[-1]["step"] == 27 - len(run.skipped())


def start_only(recipe: Recipe, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin a run and stop it before the first batch."""

    def stop(*_: object, **__: object) -> None:
        raise StoppedError

    with monkeypatch.context() as patched:
        patched.setattr("nmt.training.run.fit", stop)
        with pytest.raises(StoppedError):
            train(recipe, path)
    assert RunFolder(path).is_started


@pytest.mark.parametrize("name", ["train", "validation", "test"])
def test_other_data_is_refused(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = toy_recipe(folder, *QUICK)
    start_only(recipe, folder / "run", monkeypatch)
    lines = read_lines(folder / f"{name}.de")
    write_lines(folder / f"{name}.de", [*lines[:-1], "1 2 3 4"])
    message = rf"run: the data has changed since this run began \({name}\); choose another"
    with pytest.raises(CheckpointError, match=message):
        train(recipe, folder / "run")


@pytest.mark.parametrize("name", ["thesis.tex", "README.md"])
def test_a_folder_of_somebody_is_refused(name: str, folder: Path) -> None:
    (folder / "run").mkdir()
    (folder / "run" / name).write_text("mine", encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"run holds files that are not of a run; choose an"):
        train(toy_recipe(folder, *QUICK), folder / "run")
    assert contents(folder / "run") == {name: b"mine"}


def test_a_folder_that_cannot_be_written_is_found_before_anything_is_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*_: object) -> None:
        raise AssertionError("the corpus was read")

    monkeypatch.setattr("nmt.training.run.load_corpora", read)
    (folder / "file").write_text("", encoding="utf-8")
    message = r"file/run: cannot write a run folder there: Not a directory$"
    with pytest.raises(NMTError, match=message):
        train(toy_recipe(folder, *QUICK), folder / "file" / "run")


@pytest.mark.parametrize(
    ("setting", "error", "message"),
    [
        ("data.train.source=none.en", DataError, r"none\.en"),
        ("tokenizer.vocab_size=999", TokenizerError, r"vocab_size must be <= \d+ .*, got 999;"),
        ("training.max_length=1", DataError, r"at most 1 tokens a side"),
        ("training.warmup_steps=3", RecipeError, r"warmup_steps must be < 3, .*, got 3$"),
        (
            "training.precision=fp16",
            RecipeError,
            r"'fp16' needs a CUDA device, got 'cpu'; use fp32",
        ),
        ("evaluation.bleu_tokenizer=14b", RecipeError, r"'14b'"),
    ],
)
def test_what_a_corrected_recipe_puts_right_leaves_nothing_in_its_way(
    setting: str, error: type[Exception], message: str, folder: Path
) -> None:
    settings = [*QUICK, "training.device=cpu", setting]
    if setting.startswith("data.train"):
        settings.append(f"data.train.target={folder}/train.de")
    with pytest.raises(error, match=message):
        train(toy_recipe(folder, *settings), folder / "run")
    assert not (folder / "run").exists()


def test_a_missing_device_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(NMTError, match=r"^device must be auto or one that is here .*, got 'cuda'$"):
        train(toy_recipe(folder, *QUICK, "training.device=cuda"), folder / "run")
    assert not (folder / "run").exists()


def test_a_missing_tensorboard_is_found_before_the_run_begins(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    message = r"^training\.tensorboard needs the package tensorboard; pip install tensorboard$"
    with pytest.raises(RecipeError, match=message):
        train(toy_recipe(folder, *QUICK, "training.tensorboard=true"), folder / "run")
    assert not (folder / "run").exists()


def test_threads_are_as_many_as_the_recipe_says(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    start_only(toy_recipe(folder, *QUICK, "training.threads=3"), folder / "run", monkeypatch)
    start_only(toy_recipe(folder, *QUICK, "training.threads=null"), folder / "other", monkeypatch)
    assert asked == [3]


def test_the_beginning_of_a_run_is_recorded(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    recipe = toy_recipe(folder, *QUICK, f"data.cache_dir={folder}/cache")
    start_only(recipe, folder / "run", monkeypatch)
    run = RunFolder(folder / "run")
    assert run.recipe == recipe
    versions = run.versions()
    assert versions["torch"] == torch.__version__
    assert versions["seed"] == 1
    assert versions["data"].keys() == {"train", "validation", "test"}
    assert '"num_kept": 24' in run.cleaning_file.read_text(encoding="utf-8")
    output = capfd.readouterr()
    assert output.out == ""
    assert output.err.startswith("training the tokenizer\nkept 24 of 24 sentence pairs\n")


def test_a_run_without_a_test_set_has_a_card_and_no_report(folder: Path) -> None:
    run = train(toy_recipe(folder, *QUICK, "data.test=null"), folder / "run")
    assert not run.report.exists()
    assert "| not tested | | |" in run.card_file.read_text(encoding="utf-8")


def test_a_confidence_is_learned_where_there_is_enough_to_learn_from(
    trained_run: RunFolder, folder: Path
) -> None:
    """The toy's fifty validation pairs are enough, six are not."""
    log = trained_run.log_file.read_text(encoding="utf-8")
    assert re.search(
        r"confidence: expected calibration error 0\.\d+ on 50 validation sentences\n", log
    )
    recipe = trained_run.recipe
    pairs = load_pairs(recipe.data.validation)
    learned = learn_confidence(Translator.load(trained_run.path), pairs)
    assert learned is not None
    assert trained_run.confidence_file.read_text(encoding="utf-8") == dump_confidence(learned.model)
    quick = train(toy_recipe(folder, *QUICK), folder / "run")
    assert not quick.confidence_file.exists()
    message = "no confidence: the validation set has less than 16 pairs\n"
    assert message in quick.log_file.read_text(encoding="utf-8")


def test_a_shortlist_of_the_training_pairs_is_learned(
    trained_run: RunFolder,
) -> None:
    """Digits are reversed: each may come out wherever it goes in, and all lists have it."""
    source, target = trained_run.tokenizers
    shortlist = load_shortlist(
        trained_run.shortlist_file, vocab_sizes=(source.vocab_size, target.vocab_size)
    )
    assert shortlist is not None
    [ids] = source.encode_batch(["1 7"])
    [allowed] = shortlist.allowed(torch.tensor([ids]))
    for token in (target.bos_id, target.eos_id, *target.encode("7 1")):
        assert allowed[token]
    log = trained_run.log_file.read_text(encoding="utf-8")
    assert "shortlist: learned from 2000 training pairs\n" in log
    lines = [pair.source for pair in load_pairs(trained_run.recipe.data.validation)]
    found, expected = (
        Translator.load(trained_run.path, shortlist=short).translate(lines)
        for short in (True, False)
    )
    assert found == expected


def test_pairs_too_long_are_told_of(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run = train(toy_recipe(folder, *QUICK, "training.max_length=4"), folder / "run")
    long = sum(len(line.split()) > 4 for line in read_lines(folder / "train.en"))
    assert 0 < long < 24
    message = f"left out {long} pairs longer than training.max_length"
    assert message in capfd.readouterr().err.split("\n")
    assert message in run.log_file.read_text(encoding="utf-8")


def fill_disk_at(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the disk be full when a file of this name is to take its place."""
    true_replace = Path.replace

    def replace(self: Path, target: Path) -> Path:
        if Path(target).name == name:
            raise OSError(errno.ENOSPC, "No space left on device")
        return true_replace(self, target)

    monkeypatch.setattr(Path, "replace", replace)


def full(name: str) -> str:
    return rf"run/.*{re.escape(name)}: cannot write: No space left on device; make room and give "


@pytest.mark.parametrize(
    "name", ["cleaning.json", "source.model", "target.model", "versions.json", "recipe.yaml"]
)
def test_a_disk_full_at_the_start_leaves_no_folder(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(folder)
    fill_disk_at(name, monkeypatch)
    with pytest.raises(NMTError, match=full(name)):
        train(toy_recipe(folder, *QUICK), folder / "run")
    assert not (folder / "run").exists()
    assert contents(folder) == before


@pytest.mark.parametrize(
    "name",
    [
        "metrics.jsonl",
        "curves.png",
        "epoch-001.safetensors",
        "last.ckpt",
        "model.safetensors",
        "hypotheses.txt",
        "index.html",
        "report.md",
        "scores.json",
        "README.md",
    ],
)
def test_a_disk_full_later_costs_nothing_but_time(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = toy_recipe(folder, *QUICK)
    with monkeypatch.context() as patched:
        fill_disk_at(name, patched)
        with pytest.raises(NMTError, match=full(name)):
            train(recipe, folder / "run")
    assert not [file for file in contents(folder) if file.endswith(".part")]
    before = contents(folder / "run")
    run = train(recipe, folder / "run")
    assert run.card_file.exists()
    after = contents(run.path)
    grown = {"log.txt", "metrics.jsonl", "curves.png", "checkpoints/last.ckpt"}
    assert all(after[file] == before[file] for file in before.keys() - grown)


def test_a_log_that_cannot_grow_is_an_error_in_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    true_open = Path.open

    def refuse(self: Path, *arguments: Any, **options: Any) -> Any:
        if self.name == "log.txt":
            raise OSError(errno.ENOSPC, "No space left on device")
        return true_open(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(NMTError, match=full("log.txt")):
        train(toy_recipe(folder, *QUICK), folder / "run")


def test_too_little_room_is_found_before_the_run_begins(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = SimpleNamespace(total=10**9, used=10**9 - 1_500_000, free=1_500_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    message = (
        r"run: must have 5\.1 MB free for weights and checkpoints, got 1\.5 MB; make room or "
        r"choose another --run-dir$"
    )
    with pytest.raises(NMTError, match=message):
        train(toy_recipe(folder, *QUICK), folder / "run")
    assert not (folder / "run").exists()


def test_what_was_said_before_the_run_began_is_in_its_log(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for side in ("en", "de"):
        lines = [*read_lines(folder / f"train.{side}"), *read_lines(folder / f"test.{side}")]
        write_lines(folder / f"train.{side}", lines)
    run = train(toy_recipe(folder, *QUICK, f"data.cache_dir={folder}/cache"), folder / "run")
    warning = (
        "warning: 4 of the 4 test pairs also stand in the training set; "
        "these are left out of training\n"
    )
    kept = "kept 24 of 28 sentence pairs (dropped: held_out 4 from line 25)\n"
    for said in (capfd.readouterr().err, run.log_file.read_text(encoding="utf-8")):
        assert said.count(warning) == 1
        assert said.count("training the tokenizer\n") == 1
        assert said.count(kept) == 1
