"""What Lightning calls for each batch: the loss, the optimizer and the random numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from lightning import LightningModule
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau

from nmt.batching import Batch
from nmt.loss import alignment_loss, coverage_loss, smoothed_cross_entropy
from nmt.model import Seq2Seq
from nmt.recipe import TrainingRecipe
from nmt.training.schedules import rate_factor

PLATEAU_FACTOR = 0.5
PLATEAU_PATIENCE = 1


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
        self.model = model
        self.recipe = recipe
        self.total_steps = total_steps
        self._tokens_of_step: list[int] = []
        self._validation = torch.zeros(2, dtype=torch.float64)

    def on_train_batch_start(self, batch: Batch, batch_index: int) -> None:
        """Seed dropout anew in every epoch, by the recipe's seed and the epoch alone.

        A run that goes on from a checkpoint then draws what an unbroken one draws, whatever else
        has drawn before: the loaders do, and not the same number of times.
        """
        if batch_index == 0:
            sequence = np.random.SeedSequence((self.recipe.seed, self.current_epoch))
            torch.manual_seed(int(sequence.generate_state(1)[0]))

    def training_step(self, batch: Batch, batch_index: int) -> dict[str, Any]:
        """Return what the gradient is taken of, and the batch's summed loss for the record.

        The `loss` is over the number of tokens of the step's first batch.
        """
        labels = batch.target_output_ids[batch.target_mask]  # (N,)
        loss, attention = self._loss(
            batch, self._inputs(batch), labels, label_smoothing=self.recipe.label_smoothing
        )
        if self.recipe.coverage_loss is not None:
            repeated = coverage_loss(attention, batch.target_mask)
            loss = loss + self.recipe.coverage_loss * repeated
        if self.recipe.guided_alignment is not None and batch.alignment is not None:
            astray = alignment_loss(attention, batch.alignment)
            loss = loss + self.recipe.guided_alignment * astray
        self._tokens_of_step.append(len(labels))
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

    def on_validation_epoch_start(self) -> None:
        """Begin a new mean."""
        self._validation.zero_()

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Add the negative log-likelihood of a batch; no smoothing."""
        labels = batch.target_output_ids[batch.target_mask]  # (N,)
        nll, _ = self._loss(batch, batch.target_input_ids, labels, label_smoothing=0.0)
        self._validation += torch.tensor([nll.item(), len(labels)], dtype=torch.float64)

    def on_validation_epoch_end(self) -> None:
        """Offer the mean negative log-likelihood per target token as `loss`."""
        total, num_tokens = self._validation.tolist()
        loss = total / num_tokens
        self.log("loss", torch.tensor(loss, dtype=torch.float32))
        if self.recipe.schedule == "plateau" and self.global_step >= self.recipe.warmup_steps:
            plateau: Any = self.lr_schedulers()
            plateau.step(loss)

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
        """Step the schedule; that of plateaus has stepped at the validation.

        Lightning would step it only after the epoch's checkpoint has been saved: a run that goes on
        from there would miss a step.
        """
        if self.recipe.schedule != "plateau":
            super().lr_scheduler_step(scheduler, metric)

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Take a step; the plateau schedule's warm-up is done here, by hand."""
        optimizer = args[2]
        if self.recipe.schedule == "plateau" and self.global_step < self.recipe.warmup_steps:
            factor = (self.global_step + 1) / self.recipe.warmup_steps
            for group in optimizer.param_groups:
                group["lr"] = self.recipe.learning_rate * factor
        super().optimizer_step(*args, **kwargs)

    def _inputs(self, batch: Batch) -> Tensor:
        """Return what the decoder reads: reference tokens, in part the model's own, (B, T)."""
        probability = self.recipe.scheduled_sampling * self.global_step / self.total_steps
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

    def _loss(
        self, batch: Batch, target_input_ids: Tensor, labels: Tensor, *, label_smoothing: float
    ) -> tuple[Tensor, Tensor]:
        """Return the summed cross-entropy of a batch and the attention, (B, T, S)."""
        readouts, attention = self.model.readouts(
            batch.source_ids, batch.source_lengths, target_input_ids, batch.target_mask
        )
        output = self.model.output_layer
        loss = smoothed_cross_entropy(
            readouts,
            labels,
            weight=output.weight,
            bias=output.bias,
            label_smoothing=label_smoothing,
        )
        return loss, attention


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
