import json
import math
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import sacrebleu
import torch
from lightning import Trainer
from small_models import build
from toy import toy_recipe

from nmt.corpus import SentencePair
from nmt.recipe import TrainingRecipe
from nmt.run_folder import RunFolder, read_weights
from nmt.training.module import TranslationModule
from nmt.training.validation import Validation

PAIRS = [SentencePair(f"{number} 1 2 3", f"3 2 1 {number}") for number in range(4, 10)]
RIGHT = [pair.target for pair in PAIRS]
WRONG = ["7 7"] * len(PAIRS)


class Run:
    """Validations of a model in training, without the training."""

    def __init__(self, folder: Path, *overrides: str) -> None:
        self.recipe = toy_recipe(folder, *overrides)
        self.folder = RunFolder(folder / "run")
        self.folder.make()
        self.hypotheses: list[str] = []
        self.asked: list[str] = []
        self.source_use: float | None = None
        self.validation = Validation(self.folder, self.recipe, PAIRS, self._translate)
        training = TrainingRecipe(max_sentences=8)
        self.module = TranslationModule(build(), training, total_steps=1)
        self.trainer = SimpleNamespace(
            current_epoch=0,
            should_stop=False,
            loggers=[],
            callback_metrics={},
            optimizers=[SimpleNamespace(param_groups=[{"lr": 0.125}])],
        )

    def _translate(self, lines: Sequence[str]) -> list[str]:
        self.asked = list(lines)
        return self.hypotheses[: len(lines)]

    def start(self, epochs_done: int = 0) -> None:
        self.trainer.current_epoch = epochs_done
        self.validation.on_train_start(cast(Trainer, self.trainer), self.module)

    def validate(
        self, loss: float, hypotheses: list[str], *, train_loss: float | None = None
    ) -> None:
        """Validate at the end of an epoch, with weights that are all the epoch's number."""
        for weight in self.module.model.parameters():
            weight.data.fill_(self.trainer.current_epoch + 1)
        self.hypotheses = hypotheses
        self.module.position.step += 10
        self.trainer.callback_metrics = {"loss": torch.tensor(loss)}
        if self.source_use is not None:
            self.trainer.callback_metrics["source_use"] = torch.tensor(self.source_use)
        if train_loss is not None:
            self.trainer.callback_metrics["train_loss"] = torch.tensor(train_loss)
        self.validation.on_validation_end(cast(Trainer, self.trainer), self.module)

    def end_epoch(self) -> None:
        """Go on to the next epoch, by way of two checkpoints."""
        self.validation.drop_others()
        self.validation.drop_others()
        self.trainer.current_epoch += 1

    def epochs(self, *results: tuple[float, list[str]]) -> None:
        for loss, hypotheses in results:
            self.validate(loss, hypotheses)
            self.end_epoch()

    def kept(self) -> list[str]:
        return sorted(file.name for file in self.folder.checkpoints.glob("*.safetensors"))

    def best(self) -> list[int]:
        """The epochs of the weights to translate with, by what is in their files."""
        weights = [read_weights(file) for file in self.validation.best_files()]
        return [int(next(iter(tensors.values())).flatten()[0]) for tensors in weights]


@pytest.fixture(autouse=True)
def _no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nmt.training.validation.draw_curves", lambda entries, path: None)


def test_a_validation_writes_a_line(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.start()
    run.trainer.current_epoch = 4
    hypotheses = [*RIGHT[:4], *WRONG[4:]]
    run.validate(0.5, hypotheses, train_loss=0.75)
    bleu, chrf = sacrebleu.BLEU(), sacrebleu.CHRF()
    entry = json.loads(run.folder.metrics_file.read_text(encoding="utf-8"))
    assert entry.pop("seconds") >= 0
    assert entry == {
        "epoch": 5,
        "step": 10,
        "learning_rate": 0.125,
        "train_loss": 0.75,
        "tokens_per_second": None,
        "loss": 0.5,
        "source_use": None,
        "perplexity": pytest.approx(math.exp(0.5)),
        "num_sentences": 6,
        "BLEU": bleu.corpus_score(hypotheses, [RIGHT]).score,
        "chrF2": chrf.corpus_score(hypotheses, [RIGHT]).score,
        "signatures": {"BLEU": str(bleu.get_signature()), "chrF2": str(chrf.get_signature())},
        "samples": [
            {"source": pair.source, "reference": pair.target, "hypothesis": pair.target}
            for pair in PAIRS[:3]
        ],
    }


def test_a_training_loss_that_is_not_known_is_null(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.validate(0.5, RIGHT)
    assert run.folder.metrics()[0]["train_loss"] is None


def test_a_loss_beyond_all_numbers_gives_a_perplexity_that_is_one(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.validate(1000.0, RIGHT)
    assert run.folder.metrics()[0]["perplexity"] == pytest.approx(math.exp(700))


@pytest.mark.parametrize(
    ("setting", "places"),
    [("null", [0, 1, 2, 3, 4, 5]), ("3", [0, 2, 4]), ("4", [0, 1, 3, 4]), ("99", list(range(6)))],
)
def test_some_sentences_stand_for_all(setting: str, places: list[int], tmp_path: Path) -> None:
    run = Run(tmp_path, f"training.validation_sentences={setting}")
    run.validate(0.5, RIGHT)
    assert run.asked == [PAIRS[place].source for place in places]
    assert run.folder.metrics()[0]["num_sentences"] == len(places)


@pytest.mark.parametrize(("metric", "best"), [("loss", 2), ("BLEU", 3), ("chrF2", 1)])
def test_the_recipe_says_by_what_the_best_weights_are_chosen(
    metric: str, best: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([(10.0, 90.0), (20.0, 80.0), (30.0, 70.0)])

    def score(*_: object, **__: object) -> list[Any]:
        bleu, chrf = next(scores)
        return [
            SimpleNamespace(name="BLEU", value=bleu, signature="b"),
            SimpleNamespace(name="chrF2", value=chrf, signature="c"),
        ]

    monkeypatch.setattr("nmt.training.validation.compute_scores", score)
    run = Run(tmp_path, f"training.checkpoint_metric={metric}")
    run.epochs((2.0, RIGHT), (1.0, RIGHT), (3.0, RIGHT))
    assert run.best() == [best]
    assert run.kept() == [f"epoch-{best:03}.safetensors"]


def losses(run: Run, *values: float) -> None:
    run.epochs(*((value, WRONG) for value in values))


def test_as_many_weights_are_kept_as_are_averaged_best_first(tmp_path: Path) -> None:
    run = Run(tmp_path, "training.average_checkpoints=2", "training.checkpoint_metric=loss")
    losses(run, 3.0, 1.0, 4.0, 2.0)
    assert run.best() == [2, 4]
    assert run.kept() == ["epoch-002.safetensors", "epoch-004.safetensors"]


def test_of_equal_weights_the_earlier_stay(tmp_path: Path) -> None:
    run = Run(tmp_path, "training.average_checkpoints=2", "training.checkpoint_metric=loss")
    losses(run, 2.0, 2.0, 2.0)
    assert run.best() == [1, 2]
    losses(run, 1.0)
    assert run.best() == [4, 1]


def test_the_last_weights_are_kept_too_where_that_is_wished(tmp_path: Path) -> None:
    run = Run(tmp_path, "training.keep_last=2", "training.checkpoint_metric=loss")
    losses(run, 3.0, 1.0, 4.0, 2.0, 5.0)
    assert run.best() == [2]
    assert run.kept() == [f"epoch-00{epoch}.safetensors" for epoch in (2, 4, 5)]


def test_weights_are_dropped_only_when_two_checkpoints_do_not_name_them(tmp_path: Path) -> None:
    run = Run(tmp_path, "training.checkpoint_metric=loss")
    losses(run, 3.0)
    run.validate(2.0, WRONG)
    assert run.kept() == ["epoch-001.safetensors", "epoch-002.safetensors"]
    run.validation.drop_others()
    assert run.kept() == ["epoch-001.safetensors", "epoch-002.safetensors"]
    again = Run(tmp_path, "training.checkpoint_metric=loss")
    again.validation.load_state_dict(run.validation.state_dict())
    again.start(epochs_done=2)
    losses(again, 4.0)
    assert again.kept() == ["epoch-002.safetensors"]


def test_training_stops_after_as_many_validations_without_gain_as_allowed(tmp_path: Path) -> None:
    run = Run(tmp_path, "training.patience=2", "training.checkpoint_metric=loss")
    stops = []
    for loss in (3.0, 4.0, 2.0, 2.0, 2.5):
        losses(run, loss)
        stops.append(run.trainer.should_stop)
    assert stops == [False, False, False, False, True]


def test_without_patience_training_goes_on(tmp_path: Path) -> None:
    run = Run(tmp_path, "training.checkpoint_metric=loss")
    losses(run, 1.0, 2.0, 3.0, 4.0, 5.0)
    assert not run.trainer.should_stop


@pytest.mark.parametrize(("num_bad", "stops"), [(1, False), (2, True)])
def test_a_stopped_training_that_is_started_again_stays_stopped(
    num_bad: int, stops: bool, tmp_path: Path
) -> None:
    overrides = ("training.patience=2", "training.checkpoint_metric=loss")
    run = Run(tmp_path, *overrides)
    losses(run, 1.0, *[2.0] * num_bad)
    again = Run(tmp_path, *overrides)
    again.validation.load_state_dict(run.validation.state_dict())
    again.start(epochs_done=1 + num_bad)
    assert again.trainer.should_stop == stops
    assert again.validation.best == run.validation.best
    assert again.best() == [1]


@pytest.mark.parametrize(("epochs_done", "left"), [(0, []), (2, [1, 2])])
def test_what_was_measured_after_the_checkpoint_is_forgotten(
    epochs_done: int, left: list[int], tmp_path: Path
) -> None:
    run = Run(tmp_path)
    losses(run, 3.0, 2.0, 1.0)
    again = Run(tmp_path)
    again.start(epochs_done=epochs_done)
    assert [entry["epoch"] for entry in run.folder.metrics()] == left


def test_time_goes_on_where_it_stood(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.folder.metrics_file.write_text(
        '{"epoch": 1, "step": 3, "seconds": 5000.0, "loss": 1.0}\n', encoding="utf-8"
    )
    run.start(epochs_done=1)
    run.validate(1.0, RIGHT)
    assert 5000 <= run.folder.metrics()[-1]["seconds"] < 5100


def test_loggers_get_every_number(tmp_path: Path) -> None:
    logged: dict[str, float] = {}
    run = Run(tmp_path)
    run.trainer.loggers = [
        SimpleNamespace(log_metrics=lambda numbers, step: logged.update(numbers | {"at": step}))
    ]
    run.validate(0.5, RIGHT)
    assert logged["at"] == 10
    assert logged["loss"] == 0.5
    assert logged["BLEU"] == pytest.approx(100.0)
    assert {"perplexity", "chrF2", "learning_rate"} <= logged.keys()


def warnings_of(
    losses: Sequence[float], caplog: pytest.LogCaptureFixture, folder: Path
) -> list[str]:
    caplog.clear()
    run = Run(folder, "training.max_epochs=4", "training.checkpoint_metric=loss")
    run.folder.metrics_file.unlink(missing_ok=True)
    run.epochs(*((loss, WRONG) for loss in losses))
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


def test_a_loss_that_stays_far_above_its_best_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert warnings_of([1.0, 1.6, 1.6, 1.4, 1.6, 1.6], caplog, tmp_path) == []
    (warning,) = warnings_of([1.0, 1.6, 1.7, 1.6], caplog, tmp_path)
    assert warning.startswith(
        "warning: the validation loss has been far above its best (1.60, best 1.00) for 3 "
    )
    assert len(warnings_of([1.0, 1.6, 1.7, float("nan")], caplog, tmp_path)) == 1


@pytest.mark.parametrize(
    ("use", "epoch", "is_warned"), [(0.09, 2, True), (0.11, 2, False), (0.0, 1, False)]
)
def test_a_translator_that_does_not_look_at_its_source_is_warned_of_late_in_training(
    use: float, epoch: int, is_warned: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = Run(tmp_path, "training.max_epochs=4")
    run.trainer.current_epoch = epoch - 1
    run.source_use = use
    run.validate(1.0, WRONG)
    assert run.folder.metrics()[0]["source_use"] == pytest.approx(use)
    warning = f"the loss is greater by {use:.3f} only; more data"
    assert (warning in caplog.text) == is_warned
