"""A run of a sweep as the process that it is; what it does is also tried without one, quickly."""

import os
import signal
import threading
from pathlib import Path

import pytest
from toy import QUICK, toy_recipe, write_quick_corpus

from nmt.corpus import load_pairs
from nmt.errors import DataError
from nmt.evaluation import compute_scores
from nmt.recipe import Recipe
from nmt.run_folder import RunFolder, load_run
from nmt.sweep import child
from nmt.sweep.child import train_and_measure
from nmt.sweep.running import Child, Job, Slot
from nmt.translator import Translator


def quick_recipe(folder: Path, *overrides: str) -> Recipe:
    """A recipe for a moment's training, without a test set, its corpus written."""
    write_quick_corpus(folder)
    return toy_recipe(folder, *QUICK, "data.test=null", "training.max_epochs=2", *overrides)


def test_a_run_is_measured_on_all_of_the_validation_set_as_users_translate(tmp_path: Path) -> None:
    recipe = quick_recipe(
        tmp_path, "training.seed=5", "training.validation_sentences=2", "data.reverse=true"
    )
    found = train_and_measure(recipe, tmp_path / "run")
    run = RunFolder(tmp_path / "run")
    pairs = load_pairs(recipe.data.validation, reverse=True)
    hypotheses = Translator.load(run.path).translate([pair.source for pair in pairs])
    references = [pair.target for pair in pairs]
    scores = compute_scores(
        hypotheses, references, metrics=("BLEU", "chrF2"), target_lang="en", bleu_tokenizer=None
    )
    losses = [entry["loss"] for entry in run.metrics()]
    assert len(losses) == 2
    assert found.measures == {**{one.name: one.value for one in scores}, "loss": min(losses)}
    assert found.signatures == {one.name: one.signature for one in scores}
    assert (found.seed, found.num_sentences) == (5, 6)
    assert found.num_weights == sum(one.numel() for one in load_run(run.path).model.parameters())
    assert found.seconds == run.metrics()[-1]["seconds"]
    assert run.scores() == []
    # once more: nothing is trained, the same comes out
    assert train_and_measure(recipe, run.path) == found


def test_what_is_wrong_with_the_data_is_an_error_of_its_own(tmp_path: Path) -> None:
    recipe = quick_recipe(tmp_path)
    (tmp_path / "train.de").unlink()
    with pytest.raises(DataError, match=r"train\.de"):
        train_and_measure(recipe, tmp_path / "run")


@pytest.mark.parametrize(
    ("error", "code", "answer"),
    [
        (DataError("no\nfile"), 2, {"failed": "no file"}),
        (DataError("a " * 40_000), 2, {"failed": "a " * 500}),
        (KeyboardInterrupt(), 130, {}),
        (ZeroDivisionError("by 0"), 1, {"failed": "ZeroDivisionError: by 0"}),
    ],
)
def test_what_goes_wrong_is_told_in_one_line(
    error: BaseException,
    code: int,
    answer: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(child, "train_and_measure", fail)
    text = "data: {source_lang: de, target_lang: en, train: {tsv: a}, validation: {tsv: b}}\n"
    found = child.outcome(f"{text}training: {{max_sentences: 2}}", tmp_path)
    assert found[0] == code
    traceback = found[1].pop("traceback", "")
    assert found[1] == answer
    assert (code == 1) == traceback.endswith("ZeroDivisionError: by 0\n")


def test_a_run_is_asked_to_leave_when_the_sweep_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda *arguments: sent.append(arguments))
    here, there = os.pipe()
    with os.fdopen(here, "rb", buffering=0) as orders:
        waiting = threading.Thread(target=child.leave_with_the_sweep, args=(orders,))
        waiting.start()
        assert sent == []
        os.close(there)
        waiting.join()
    assert sent == [(os.getpid(), signal.SIGTERM)]


def test_a_process_trains_and_answers(tmp_path: Path) -> None:
    recipe = quick_recipe(tmp_path, "training.threads=null")
    job = Job("a", recipe, RunFolder(tmp_path / "a"))
    process = Child(job, Slot("cpu", 1))
    process.wait()
    found = process.ending()
    assert found is not None
    assert found.result is not None, found.reason
    assert found.result.signatures.keys() == {"BLEU", "chrF2"}
    assert job.folder.recipe == Slot("cpu", 1).recipe(recipe)
    assert "done: " in job.folder.log_file.read_text(encoding="utf-8")
