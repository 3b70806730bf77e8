"""The progress bar: loss, speed and time left, on stderr; and the running training loss."""

from __future__ import annotations

import sys
import time
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from nmt.batching import Batch

# reading a loss off a GPU waits for it, so it is done this rarely
_BATCHES_BETWEEN_READINGS = 10


class ProgressBar(Callback):
    """Shows a bar for all epochs where stderr is a terminal.

    In any case it logs `train_loss` and `tokens_per_second`.
    """

    def __init__(self) -> None:
        """Start with nothing counted."""
        self._progress: Progress | None = None
        self._summed_losses: list[torch.Tensor] = []
        self._num_tokens = 0
        # of the epoch under way, before this process
        self._earlier_losses = torch.zeros(0)
        self._num_earlier_tokens = 0
        self._started = time.monotonic()

    def state_dict(self) -> dict[str, Any]:
        """Return what the epoch's mean loss is made of: rounding depends on each number."""
        num_tokens = self._num_earlier_tokens + self._num_tokens
        return {"summed_losses": self._all_losses(), "num_tokens": num_tokens}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take what an earlier start has summed up."""
        self._earlier_losses = state_dict["summed_losses"]
        self._num_earlier_tokens = state_dict["num_tokens"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the bar."""
        # Not rich's own opinion, which FORCE_COLOR may change: escapes would fill a log file.
        if not sys.stderr.isatty():
            return
        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
        )
        total = int(trainer.num_training_batches) * (trainer.max_epochs or 1)
        done = int(trainer.num_training_batches) * trainer.current_epoch
        done += len(self._earlier_losses)
        self._task = self._progress.add_task("training", total=total, completed=done)
        self._progress.start()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin a new mean."""
        self._summed_losses = []
        self._num_tokens = 0
        self._earlier_losses = torch.zeros(0)
        self._num_earlier_tokens = 0
        self._started = time.monotonic()

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
    ) -> None:
        """Move the bar on."""
        self._summed_losses.append(outputs["summed_loss"])
        self._num_tokens += outputs["num_tokens"]
        if self._progress is None:
            return
        self._progress.advance(self._task)
        if batch_idx % _BATCHES_BETWEEN_READINGS == 0:
            self._progress.update(
                self._task,
                description=(
                    f"epoch {trainer.current_epoch + 1}, loss {self._mean_loss():.3f}, "
                    f"{self._speed():,.0f} tokens/s"
                ),
            )

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Hand over the epoch's mean training loss and speed before they are written down."""
        if self._summed_losses:
            trainer.callback_metrics["train_loss"] = torch.tensor(self._mean_loss())
            trainer.callback_metrics["tokens_per_second"] = torch.tensor(self._speed())
        if self._progress is not None:
            self._progress.update(
                self._task, description=f"epoch {trainer.current_epoch + 1}, validation"
            )

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the bar away."""
        self._stop()

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Take the bar away before the complaint is printed."""
        self._stop()

    def _speed(self) -> float:
        """Real target tokens of the epoch so far, for each second; of this process alone."""
        return self._num_tokens / (time.monotonic() - self._started)

    def _mean_loss(self) -> float:
        num_tokens = self._num_earlier_tokens + self._num_tokens
        return self._all_losses().double().sum().item() / num_tokens

    def _all_losses(self) -> torch.Tensor:
        """Return the summed loss of each batch of the epoch so far, (batches,), on the CPU."""
        if not self._summed_losses:
            return self._earlier_losses
        return torch.cat((self._earlier_losses, torch.stack(self._summed_losses).cpu()))

    def _stop(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
