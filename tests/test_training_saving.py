"""When a training is saved, by its own account."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from lightning import Trainer
from small_models import build, make_batch

from nmt.errors import SavedAndStoppedError
from nmt.recipe import TrainingRecipe
from nmt.run_folder import RunFolder
from nmt.training.module import TranslationModule
from nmt.training.saving import Saving
from nmt.training.signals import StopRequests
from nmt.training.validation import Validation


class Run:
    """An epoch of ten batches, without the training."""

    def __init__(self, folder: Path, *, every_minutes: float | None) -> None:
        self.num_dropped = 0
        self.saves: list[tuple[int, int]] = []
        self.stops = StopRequests()
        validation = SimpleNamespace(drop_others=self._drop)
        self.saving = Saving(
            RunFolder(folder), cast(Validation, validation), self.stops, every_minutes=every_minutes
        )
        self.module = TranslationModule(build(), TrainingRecipe(max_sentences=8), total_steps=20)
        self.trainer = cast(
            Trainer, SimpleNamespace(num_training_batches=10, save_checkpoint=self._save)
        )

    def _drop(self) -> None:
        self.num_dropped += 1

    def _save(self, path: Path) -> None:
        assert self.num_dropped == len(self.saves)  # never before
        self.saves.append((self.module.position.epoch, self.module.position.batch))

    def batches(self, count: int) -> None:
        for _ in range(count):
            self.module.position.batch += 1
            self.saving.on_train_batch_end(self.trainer, self.module, None, make_batch(), 0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Each look at it is a second later."""
    clock = SimpleNamespace(now=0)

    def monotonic() -> int:
        clock.now += 1
        return int(clock.now)

    monkeypatch.setattr("nmt.training.saving.time", SimpleNamespace(monotonic=monotonic))
    return clock


def test_it_is_saved_by_the_clock_but_not_after_the_last_batch(tmp_path: Path, clock: Any) -> None:
    run = Run(tmp_path, every_minutes=3 / 60)
    run.batches(10)
    # a second a look, and one look more at each save
    assert run.saves == [(0, 3), (0, 6), (0, 9)]
    run.saving.on_train_epoch_end(run.trainer, run.module)
    assert run.saves[-1] == (1, 0)
    assert run.num_dropped == 4


def test_without_a_clock_it_is_saved_after_each_epoch(tmp_path: Path, clock: Any) -> None:
    run = Run(tmp_path, every_minutes=None)
    run.batches(10)
    assert run.saves == []
    run.saving.on_train_epoch_end(run.trainer, run.module)
    assert run.saves == [(1, 0)]


def test_it_is_not_saved_within_an_optimizer_step(tmp_path: Path) -> None:
    run = Run(tmp_path, every_minutes=1e-9)
    run.module.training_step(make_batch(), 0)
    assert run.module.is_within_step
    run.batches(1)
    assert run.saves == []


def test_who_is_asked_to_stop_saves_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(tmp_path, every_minutes=None)
    run.batches(2)
    run.module.position.step = 2
    monkeypatch.setattr(run.stops, "received", SimpleNamespace(name="SIGTERM"))
    with pytest.raises(
        SavedAndStoppedError, match=r"^stopped by SIGTERM at step 2 of 20; the same"
    ):
        run.batches(1)
    assert run.saves == [(0, 3)]


def test_who_is_asked_at_the_end_of_an_epoch_stops_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path, every_minutes=None)
    run.batches(9)
    monkeypatch.setattr(run.stops, "received", SimpleNamespace(name="SIGUSR1"))
    run.batches(1)
    assert run.saves == []
    with pytest.raises(SavedAndStoppedError, match=r"^stopped by SIGUSR1 "):
        run.saving.on_train_epoch_end(run.trainer, run.module)
    assert run.saves == [(1, 0)]
