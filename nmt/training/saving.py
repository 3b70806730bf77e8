"""When a training is saved, and that it leaves only once it is."""

from __future__ import annotations

import logging
import time
from typing import Any

from lightning import Callback, LightningModule, Trainer

from nmt.errors import CheckpointError, DataError, RecipeError
from nmt.run_folder import RunFolder
from nmt.training.checkpoints import FORMAT_VERSION, OURS
from nmt.training.module import TranslationModule
from nmt.training.position import check_random_states, random_states, set_random_states
from nmt.training.signals import StopRequests
from nmt.training.validation import Validation

_log = logging.getLogger(__name__)


class Saving(Callback):
    """Saves all that going on needs: after every epoch, every some minutes, and when asked to stop.

    Within an epoch it saves between optimizer steps alone: gradients added up for the next step
    are not saved. The epoch's last batch is followed by its validation; what is asked then is done
    after that.
    """

    def __init__(
        self,
        folder: RunFolder,
        validation: Validation,
        stops: StopRequests,
        *,
        every_minutes: float | None,
    ) -> None:
        """Take what to look at.

        Args:
            folder: Where to save.
            validation: Which knows the best weights.
            stops: Whether the run was asked to stop.
            every_minutes: Longest time between two saves; None is an epoch, however long.
        """
        self._folder = folder
        self._validation = validation
        self._stops = stops
        self._seconds = None if every_minutes is None else 60 * every_minutes
        self._saved = time.monotonic()
        self._random_states: dict[str, Any] | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say where the run stands."""
        self._stops.install()  # Lightning has put its own handlers there
        self._saved = time.monotonic()
        if self._random_states is not None:
            _log.info("%s, resumed from %s", _place(pl_module), self._folder.last_checkpoint)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Draw random numbers from where the run before would have gone on to draw."""
        if self._random_states is not None:
            set_random_states(self._random_states)
            self._random_states = None

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save if it is time, and leave if that was asked."""
        assert isinstance(pl_module, TranslationModule)
        is_last = pl_module.position.batch == trainer.num_training_batches
        if is_last or pl_module.is_within_step:
            return
        is_due = self._seconds is not None and time.monotonic() - self._saved >= self._seconds
        if is_due or self._stops.received is not None:
            self._save(trainer)
        self._leave_if_asked(pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save, and leave if that was asked."""
        assert isinstance(pl_module, TranslationModule)
        pl_module.position.epoch += 1
        pl_module.position.batch = 0
        self._save(trainer)
        self._leave_if_asked(pl_module)

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Save what was done before a stream of training pairs broke off."""
        assert isinstance(pl_module, TranslationModule)
        if isinstance(exception, DataError) and not pl_module.is_within_step:
            self._save(trainer)

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add the position and the random states."""
        assert isinstance(pl_module, TranslationModule)
        checkpoint[OURS] = {
            "format_version": FORMAT_VERSION,
            "position": pl_module.position.state_dict(),
            "random_states": random_states(),
        }

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Take the position and the random states."""
        assert isinstance(pl_module, TranslationModule)
        ours, path = checkpoint[OURS], self._folder.last_checkpoint
        try:
            pl_module.position.load_state_dict(ours["position"])
            check_random_states(ours["random_states"])
            self._validation.check_state(checkpoint["callbacks"][self._validation.state_key])
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise CheckpointError(f"{path}: {error}; delete it to train from the start") from error
        self._check_batch(trainer, pl_module)
        if trainer.max_epochs is not None and trainer.max_epochs < pl_module.position.epoch:
            raise RecipeError(
                f"training.max_epochs must be >= {pl_module.position.epoch}, the epochs that are "
                f"done, got {trainer.max_epochs}"
            )
        self._random_states = ours["random_states"]

    def _check_batch(self, trainer: Trainer, module: TranslationModule) -> None:
        """See that the batch to go on with is one of an epoch's."""
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        if data is not None and module.position.batch >= data.num_batches:
            raise CheckpointError(
                f"{self._folder.last_checkpoint}: batch must be < {data.num_batches}, those of an "
                f"epoch, got {module.position.batch}; delete it to train from the start"
            )

    def _save(self, trainer: Trainer) -> None:
        trainer.save_checkpoint(self._folder.last_checkpoint)
        self._validation.drop_others()
        self._saved = time.monotonic()

    def _leave_if_asked(self, pl_module: LightningModule) -> None:
        if self._stops.received is not None:
            raise self._stops.outcome(_place(pl_module))


def _place(module: LightningModule) -> str:
    assert isinstance(module, TranslationModule)
    return f"at step {module.position.step:,} of {module.total_steps:,}"
