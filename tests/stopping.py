"""Trainings that are cut off, as by anything that ends a run."""

from collections.abc import Callable

from lightning import LightningModule, Trainer

from nmt.training.saving import Saving


class StoppedError(Exception):
    """Stands for whatever ends a run."""


def stop_after(epoch: int) -> Callable[[Saving, Trainer, LightningModule], None]:
    """Return a hook that ends the run as soon as the epoch's checkpoint is written."""
    true_end = Saving.on_train_epoch_end

    def end(self: Saving, trainer: Trainer, pl_module: LightningModule) -> None:
        true_end(self, trainer, pl_module)
        if trainer.current_epoch + 1 == epoch:
            raise StoppedError

    return end
