import io
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from lightning import LightningModule, Trainer
from rich.console import Console
from small_models import make_batch

from nmt.training.progress import ProgressBar

MODULE = cast(LightningModule, None)


@pytest.fixture
def trainer() -> Any:
    return SimpleNamespace(
        num_training_batches=20, max_epochs=3, current_epoch=1, callback_metrics={}
    )


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """A terminal to show the bar on."""
    shown = io.StringIO()

    def console(*, stderr: bool) -> Console:
        assert stderr
        return Console(file=shown, force_terminal=True, width=150, color_system=None)

    monkeypatch.setattr("nmt.training.progress.Console", console)
    terminal = SimpleNamespace(stderr=SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("nmt.training.progress.sys", terminal)
    return shown


def train_epoch(
    bar: ProgressBar, trainer: Trainer, losses: list[float], *, num_tokens: int = 12
) -> None:
    """Train on batches of so many tokens, with these losses per token."""
    bar.on_train_epoch_start(trainer, MODULE)
    for number, loss in enumerate(losses):
        outputs = {"summed_loss": torch.tensor(loss * num_tokens), "num_tokens": num_tokens}
        bar.on_train_batch_end(trainer, MODULE, outputs, make_batch(), number)


def test_a_terminal_shows_epoch_loss_speed_and_place(
    trainer: Any, screen: io.StringIO, capfd: pytest.CaptureFixture[str]
) -> None:
    bar = ProgressBar()
    bar.on_train_start(trainer, MODULE)
    train_epoch(bar, trainer, [3.0, *[1.0] * 10])
    bar.on_train_end(trainer, MODULE)
    shown = screen.getvalue()
    assert "epoch 2, loss 1.182, " in shown  # 13 over 11
    assert " tokens/s" in shown
    assert "31/60" in shown  # an epoch of 20 batches lies behind
    assert capfd.readouterr() == ("", "")


def test_the_speed_counts_real_target_tokens(
    trainer: Any, screen: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 10.0, 14.0])  # made, epoch begun, first batch done
    monkeypatch.setattr(
        "nmt.training.progress.time", SimpleNamespace(monotonic=lambda: next(clock))
    )
    bar = ProgressBar()
    bar.on_train_start(trainer, MODULE)
    train_epoch(bar, trainer, [1.0])
    bar.on_train_end(trainer, MODULE)
    # 4 + 2 + 5 + 1 tokens in 4 seconds
    assert "epoch 2, loss 1.000, 3 tokens/s" in screen.getvalue()


def test_a_validation_is_told_the_speed_and_shown(
    trainer: Any, screen: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 10.0, 14.0, 16.0])  # and validation begun
    monkeypatch.setattr(
        "nmt.training.progress.time", SimpleNamespace(monotonic=lambda: next(clock))
    )
    bar = ProgressBar()
    bar.on_train_start(trainer, MODULE)
    train_epoch(bar, trainer, [1.0])
    bar.on_validation_start(trainer, MODULE)
    bar.on_train_end(trainer, MODULE)
    assert float(trainer.callback_metrics["tokens_per_second"]) == 2
    assert "epoch 2, validation" in screen.getvalue()


def test_the_bar_is_gone_before_a_complaint_is_printed(trainer: Any, screen: io.StringIO) -> None:
    bar = ProgressBar()
    bar.on_train_start(trainer, MODULE)
    bar.on_exception(trainer, MODULE, ValueError())
    length = len(screen.getvalue())
    train_epoch(bar, trainer, [1.0])
    bar.on_train_end(trainer, MODULE)
    assert len(screen.getvalue()) == length > 0


def test_without_a_terminal_nothing_is_shown(
    trainer: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    bar = ProgressBar()
    bar.on_train_start(trainer, MODULE)
    train_epoch(bar, trainer, [1.0] * 12)
    bar.on_train_end(trainer, MODULE)
    assert capfd.readouterr() == ("", "")


def test_the_training_loss_is_the_mean_of_the_epoch(trainer: Any) -> None:
    bar = ProgressBar()
    bar.on_train_start(trainer, MODULE)
    # the `loss` that Lightning knows is divided by what a step of several batches needs
    for losses, mean in (([9.0, 8.0], 8.5), ([2.0, 3.0, 7.0], 4.0)):
        train_epoch(bar, trainer, losses)
        bar.on_validation_start(trainer, MODULE)
        bar.on_train_epoch_end(trainer, MODULE)
        assert float(trainer.callback_metrics["train_loss"]) == pytest.approx(mean)


def test_before_any_batch_there_is_no_training_loss(trainer: Any) -> None:
    bar = ProgressBar()
    bar.on_train_start(trainer, MODULE)
    bar.on_validation_start(trainer, MODULE)
    assert trainer.callback_metrics == {}
