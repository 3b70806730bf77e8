"""What Lightning calls for each batch: the loss, the optimizer and the random numbers."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypedDict, cast

import numpy as np
import torch
from lightning import LightningModule
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau

from nmt.batching import Batch
from nmt.errors import CheckpointError
from nmt.loss import alignment_loss, coverage_loss, r_drop_loss, smoothed_cross_entropy
from nmt.model import Seq2Seq, VariationalSeq2Seq
from nmt.recipe import TrainingRecipe
from nmt.training.average import moving_average
from nmt.training.checkpoints import find_unlike, is_of_model
from nmt.training.position import Position
from nmt.training.schedules import rate_factor
from nmt.training.variational import variational_loss

PLATEAU_FACTOR = 0.5
PLATEAU_PATIENCE = 1


@dataclass(frozen=True, slots=True)
class SkippedStep:
    """An optimizer step that was left out, and what was in it.

    Attributes:
        loss: Summed over the step's batches.
        gradient_norm: Of all weights together; this or the loss is no number.
        batches: What it was computed from.
    """

    loss: float
    gradient_norm: float
    batches: tuple[Batch, ...]


class TranslationModule(LightningModule):
    """Trains a model by teacher forcing.

    The gradient of an optimizer step is that of the mean loss over all its real target tokens, also
    where several batches are added up for it.
    """

    def __init__(self, model: Seq2Seq, recipe: TrainingRecipe, *, total_steps: int) -> None:
        """Take the model to train.

        Args:
            model: Its weights change.
            recipe: How.
            total_steps: Optimizer steps of the whole training.
        """
        super().__init__()
        self.model = model  # first of the modules: checkpoints number the weights
        self.average = None if recipe.ema is None else moving_average(model, recipe.ema)
        self.recipe = recipe
        self.total_steps = total_steps
        self.position = Position()
        # of the optimizer step under way
        self._tokens_of_step: list[int] = []
        self._batches_of_step: list[Batch] = []
        self._loss_of_step = torch.zeros(())
        self._has_stepped = False
        self._skipped: SkippedStep | None = None
        # sum over tokens, and their number: losses, and what these gain by the right sources
        self._validation = torch.zeros(2, dtype=torch.float64)
        self._source_use = torch.zeros(2, dtype=torch.float64)

    @property
    def validated_model(self) -> Seq2Seq:
        """The model to validate, keep and translate with: the average where there is one."""
        return self.model if self.average is None else cast(Seq2Seq, self.average.module)

    @property
    def is_within_step(self) -> bool:
        """Whether gradients wait for those of further batches."""
        return bool(self._tokens_of_step)

    def on_train_batch_start(self, batch: Batch, batch_index: int) -> None:
        """Seed all generators anew in every epoch, by the recipe's seed and the epoch alone.

        A run that goes on from a checkpoint then draws what an unbroken one draws, whatever else
        has drawn before: the loaders do, and not the same number of times.
        """
        if batch_index == 0:
            sequence = np.random.SeedSequence((self.recipe.seed, self.current_epoch))
            seed = int(sequence.generate_state(1)[0])
            for set_seed in (torch.manual_seed, random.seed, np.random.seed):
                set_seed(seed)
        self.position.batch += 1

    def training_step(self, batch: Batch, batch_index: int) -> dict[str, Any]:
        """Return what the gradient is taken of, and the batch's summed loss for the record.

        The `loss` is over the number of tokens of the step's first batch.
        """
        labels = batch.target_output_ids[batch.target_mask]  # (N,)
        read = replace(batch, target_input_ids=self._inputs(batch))
        loss = (
            self._loss(read, labels) if self.recipe.r_drop is None else self._r_drop(read, labels)
        )
        self._tokens_of_step.append(len(labels))
        self._batches_of_step.append(batch)
        self._loss_of_step = self._loss_of_step.to(loss.device) + loss.detach()
        return {
            "loss": loss / self._tokens_of_step[0],
            "summed_loss": loss.detach(),
            "num_tokens": len(labels),
        }

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Make the gradients' sum over batches a mean over all their tokens."""
        tokens = self._tokens_of_step
        # Lightning has divided each loss by the number of batches to a step
        factor = self.recipe.gradient_accumulation * tokens[0] / sum(tokens)
        if factor != 1:
            for parameter in self.parameters():
                if parameter.grad is not None:
                    parameter.grad.mul_(factor)
        self._tokens_of_step = []

    def configure_gradient_clipping(
        self,
        optimizer: Any,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the gradients by their norm; where that or the loss is no number, skip the step.

        An optimizer leaves weights without a gradient as they are, and all it remembers of them.
        """
        norm = torch.nn.utils.get_total_norm(
            [weight.grad for weight in self.parameters() if weight.grad is not None]
        )
        if gradient_clip_val is not None:
            torch.nn.utils.clip_grads_with_norm_(self.parameters(), gradient_clip_val, norm)
        loss = self._loss_of_step
        self._has_stepped = bool(torch.isfinite(norm) & torch.isfinite(loss))
        if self._has_stepped:
            self.position.step += 1
            self.position.skipped_in_row = 0
        else:
            for weight in self.parameters():
                weight.grad = None
            # a scaler finds its factor by making gradients too large
            if self.recipe.precision != "fp16" or not torch.isfinite(loss):
                self._skip(float(loss), float(norm))
        self._batches_of_step = []
        self._loss_of_step = torch.zeros(())

    def take_skipped(self) -> SkippedStep | None:
        """Return the step that was just skipped, once; None where it was not."""
        skipped, self._skipped = self._skipped, None
        return skipped

    def _skip(self, loss: float, gradient_norm: float) -> None:
        self.position.num_skipped += 1
        self.position.skipped_in_row += 1
        self._skipped = SkippedStep(loss, gradient_norm, tuple(self._batches_of_step))

    def on_validation_epoch_start(self) -> None:
        """Begin a new mean."""
        self._validation.zero_()
        self._source_use.zero_()

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Add the negative log-likelihood of a batch, and that with its neighbours' sources."""
        right = self._likelihood(batch)
        self._validation += right
        if len(batch.indices) > 1:
            shuffled = replace(
                batch,
                source_ids=batch.source_ids.roll(1, dims=0),
                source_lengths=batch.source_lengths.roll(1),
            )
            self._source_use += self._likelihood(shuffled) - right
            self._source_use[1] += right[1]

    def _likelihood(self, batch: Batch) -> Tensor:
        """Return the summed negative log-likelihood and the number of tokens, (2,), float64."""
        labels = batch.target_output_ids[batch.target_mask]  # (N,)
        model = self.validated_model
        if isinstance(model, VariationalSeq2Seq):
            log_p, _ = model(*_inputs(batch))
            nll = -log_p.gather(1, labels[:, None]).sum()
        else:
            readouts, _ = model.readouts(*_inputs(batch))
            nll = smoothed_cross_entropy(
                readouts, labels, **_output_layer(model), label_smoothing=0.0
            )
        return torch.tensor([nll.item(), len(labels)], dtype=torch.float64)

    def on_validation_epoch_end(self) -> None:
        """Offer the mean negative log-likelihood per target token as `loss`.

        And as `source_use` by how much it is greater with the sources of other sentences: a
        translator that does not look at its source has about none.
        """
        total, num_tokens = self._validation.tolist()
        loss = total / num_tokens
        self.log("loss", torch.tensor(loss, dtype=torch.float32))
        gained, num_compared = self._source_use.tolist()
        if num_compared:
            self.log("source_use", torch.tensor(gained / num_compared, dtype=torch.float32))
        if self.recipe.schedule == "plateau" and self.position.step >= self.recipe.warmup_steps:
            plateau: Any = self.lr_schedulers()
            plateau.step(loss)

    def on_train_start(self) -> None:
        """Let the optimizer be what the recipe says, also where a checkpoint knows another one."""
        optimizer: Any = self.optimizers()
        for group in optimizer.param_groups:
            group["betas"] = self.recipe.adam_betas
            group["weight_decay"] = self.recipe.weight_decay
        if self.recipe.schedule == "plateau":
            return
        schedule: Any = self.lr_schedulers()
        schedule.base_lrs = [self.recipe.learning_rate] * len(schedule.base_lrs)
        factor = rate_factor(self.recipe, total_steps=self.total_steps)
        for group in optimizer.param_groups:
            group["initial_lr"] = self.recipe.learning_rate
            group["lr"] = self.recipe.learning_rate * factor(schedule.last_epoch)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """See that a checkpoint's tensors are this model's, before any is taken.

        Raises:
            CheckpointError: They are not.
        """
        if not is_of_model(checkpoint, self):
            raise CheckpointError(
                "the last checkpoint is not of the run's model, or has numbers that are none; "
                "delete it to train from the start"
            )
        unlike = self._find_unlike(checkpoint)
        if unlike is not None:
            raise CheckpointError(
                f"the last checkpoint is damaged: {unlike} is not what a training of this recipe "
                "saves with these versions of torch and lightning; go on with those that wrote it, "
                "or delete it to train from the start"
            )

    def _find_unlike(self, checkpoint: dict[str, Any]) -> str | None:
        """Return the place of what is not of this trainer's optimizer, schedule and loops."""
        states, trainer = checkpoint.get("callbacks"), cast(Any, self.trainer)
        known = {callback.state_key for callback in trainer.callbacks if callback.state_dict()}
        if not isinstance(states, Mapping) or states.keys() != known:
            return "callbacks"  # where those of one are missing, Lightning would not ask it
        (optimizer,), (schedule,) = self.configure_optimizers()
        loops = ("fit_loop", "validate_loop", "test_loop", "predict_loop")
        wanted = {
            "epoch": 0,
            "global_step": 0,
            "loops": {name: getattr(trainer, name).state_dict() for name in loops},
            "lr_schedulers": [schedule["scheduler"].state_dict()],
            "groups": optimizer.state_dict()["param_groups"],
        }
        found = {key: checkpoint.get(key) for key in wanted}
        found["groups"] = checkpoint["optimizer_states"][0].get("param_groups")
        return find_unlike(found, wanted, "checkpoint")

    def configure_optimizers(self) -> Any:
        """Return the optimizer and its schedules."""
        optimizer = _optimizer(self.model, self.recipe)
        factor = rate_factor(self.recipe, total_steps=self.total_steps)
        if self.recipe.schedule != "plateau":
            return [optimizer], [{"scheduler": LambdaLR(optimizer, factor), "interval": "step"}]
        plateau = ReduceLROnPlateau(optimizer, factor=PLATEAU_FACTOR, patience=PLATEAU_PATIENCE)
        return [optimizer], [
            {
                "scheduler": plateau,
                "interval": "epoch",
                "frequency": self.recipe.validate_every,
                "monitor": "loss",
            }
        ]

    def lr_scheduler_step(self, scheduler: Any, metric: Any | None) -> None:
        """Step the schedule after a step that was taken; that of plateaus has at the validation.

        Lightning would step it only after the epoch's checkpoint has been saved: a run that goes on
        from there would miss a step.
        """
        if self.recipe.schedule != "plateau" and self._has_stepped:
            super().lr_scheduler_step(scheduler, metric)

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Take a step, and the average after it; the plateaus' warm-up is done here, by hand."""
        optimizer = args[2]
        if self.recipe.schedule == "plateau" and self.position.step < self.recipe.warmup_steps:
            factor = (self.position.step + 1) / self.recipe.warmup_steps
            for group in optimizer.param_groups:
                group["lr"] = self.recipe.learning_rate * factor
        super().optimizer_step(*args, **kwargs)
        if self.average is not None and self._has_stepped:
            self.average.update_parameters(self.model)

    def _inputs(self, batch: Batch) -> Tensor:
        """Return what the decoder reads: reference tokens, in part the model's own, (B, T)."""
        probability = self.recipe.scheduled_sampling * self.position.step / self.total_steps
        if probability == 0:
            return batch.target_input_ids
        self.model.eval()  # it chooses as it would when translating
        mixed = self.model.mix_inputs(
            batch.source_ids,
            batch.source_lengths,
            batch.target_input_ids,
            probability=probability,
        )
        self.model.train()
        return mixed

    def _loss(self, batch: Batch, labels: Tensor) -> Tensor:
        """Return the summed loss of a batch; `labels`: its real target tokens, (N,)."""
        if isinstance(self.model, VariationalSeq2Seq):
            smoothing = self.recipe.label_smoothing
            loss, attention = variational_loss(self.model, batch, label_smoothing=smoothing)
            return loss + self._attention_losses(batch, attention)
        readouts, attention = self.model.readouts(*_inputs(batch))
        loss = smoothed_cross_entropy(
            readouts,
            labels,
            **_output_layer(self.model),
            label_smoothing=self.recipe.label_smoothing,
            own_share=self._own_share,
        )
        return loss + self._attention_losses(batch, attention)

    def _r_drop(self, batch: Batch, labels: Tensor) -> Tensor:
        """Do so by two passes with other masks of dropout, the mean of both and their distance."""
        assert self.recipe.r_drop is not None
        twice = batch.twice()
        readouts, attention = self.model.readouts(*_inputs(twice))
        loss = r_drop_loss(
            readouts.view(2, len(labels), readouts.size(1)),
            labels,
            **_output_layer(self.model),
            label_smoothing=self.recipe.label_smoothing,
            own_share=self._own_share,
            alpha=self.recipe.r_drop,
        )
        return loss + self._attention_losses(twice, attention) / 2

    @property
    def _own_share(self) -> float:
        """Mixed cross-entropy's share of the model's own tokens at this step."""
        return (self.recipe.mixed_cross_entropy or 0.0) * self.position.step / self.total_steps

    def _attention_losses(self, batch: Batch, attention: Tensor) -> Tensor | float:
        """Return the weighted losses on the attention, (B, T, S), that the recipe asks for."""
        loss: Tensor | float = 0.0
        if self.recipe.coverage_loss is not None:
            repeated = coverage_loss(attention, batch.target_mask)
            loss = loss + self.recipe.coverage_loss * repeated
        if self.recipe.guided_alignment is not None and batch.alignment is not None:
            astray = alignment_loss(attention, batch.alignment)
            loss = loss + self.recipe.guided_alignment * astray
        return loss


def _inputs(batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return what a model reads of a batch, in its own order."""
    return batch.source_ids, batch.source_lengths, batch.target_input_ids, batch.target_mask


class _OutputLayer(TypedDict):
    weight: Tensor
    bias: Tensor


def _output_layer(model: Seq2Seq) -> _OutputLayer:
    return {"weight": model.output_layer.weight, "bias": model.output_layer.bias}


def _optimizer(model: Seq2Seq, recipe: TrainingRecipe) -> torch.optim.Optimizer:
    kind = torch.optim.AdamW if recipe.optimizer == "adamw" else torch.optim.Adam
    # Lightning clips no gradients for a fused optimizer under mixed precision
    fused = recipe.precision == "fp32" and next(model.parameters()).device.type in {"cpu", "cuda"}
    return kind(
        model.parameters(),
        lr=recipe.learning_rate,
        betas=recipe.adam_betas,
        weight_decay=recipe.weight_decay,
        fused=fused or None,
    )
