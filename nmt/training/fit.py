"""The training loop itself: Lightning's trainer, set up from a recipe and kept quiet."""

from __future__ import annotations

import logging
import math
import os
import warnings
from typing import Any

from lightning import Callback, Trainer
from lightning.fabric.plugins.environments.lightning import LightningEnvironment

from nmt.corpus import SentencePair
from nmt.engine import ModelEngine
from nmt.errors import RecipeError
from nmt.model import Seq2Seq
from nmt.recipe import Recipe, TrainingRecipe
from nmt.run_folder import RunFolder, average_weights, write_weights
from nmt.tokenizer import tag_ids
from nmt.training.checkpoints import RunCheckpointIO, find_checkpoint
from nmt.training.data import TranslationData
from nmt.training.divergence import Divergence
from nmt.training.module import TranslationModule
from nmt.training.progress import ProgressBar
from nmt.training.saving import Saving
from nmt.training.signals import StopRequests
from nmt.training.validation import Validation
from nmt.translator import Translator, choose_device

_log = logging.getLogger(__name__)

_PRECISIONS = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}


def fit(
    recipe: Recipe,
    folder: RunFolder,
    model: Seq2Seq,
    data: TranslationData,
    validation_pairs: list[SentencePair],
    *,
    stops: StopRequests | None = None,
) -> None:
    """Train a model, from the last checkpoint where there is one, and write its weights.

    Args:
        recipe: How.
        folder: Where checkpoints and weights go.
        model: What to train; its weights change.
        data: Batches to train and validate on.
        validation_pairs: The validation set as text.
        stops: Whether the run is asked to stop.

    Raises:
        RecipeError: The schedule does not fit the number of steps.
        CheckpointError: The checkpoints are damaged.
        SavedAndStoppedError: A signal has asked for it; all that was done is saved.
        KeyboardInterrupt: A second Ctrl-C; the last checkpoint stays.
    """
    training = recipe.training
    # oneDNN keeps what it makes ready for every new shape of a batch, and memory with it: hundreds
    # of MiB in an epoch. To make it ready again takes no time that could be measured.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "32")
    total_steps = count_steps(training, num_batches=data.num_batches)
    module = TranslationModule(model, training, total_steps=total_steps)
    translator = _translator(module.validated_model, folder, recipe)
    validation = Validation(folder, recipe, validation_pairs, translator.translate)
    stops = stops or StopRequests()
    saving = Saving(folder, validation, stops, every_minutes=training.save_every_minutes)
    trainer = _trainer(recipe, folder, [ProgressBar(), validation, Divergence(folder), saving])
    data.position = module.position
    last = find_checkpoint(folder)
    if last is None and folder.metrics():
        _log.info("%s is missing: starting anew", folder.last_checkpoint)
    with stops.deferred():
        _run(trainer, module, data, None if last is None else str(last))
    files = validation.best_files()
    write_weights(folder.weights_file, average_weights(files))
    names = ", ".join(file.stem for file in files)
    mean = "the mean of " if len(files) > 1 else ""
    _log.info("translating with %s%s, by %s", mean, names, training.checkpoint_metric)


def count_steps(recipe: TrainingRecipe, *, num_batches: int) -> int:
    """Return the optimizer steps of the whole training.

    Args:
        recipe: How many epochs, and how many batches to a step.
        num_batches: Batches of an epoch.

    Raises:
        RecipeError: The schedule does not fit the number of steps.
    """
    total_steps = math.ceil(num_batches / recipe.gradient_accumulation) * recipe.max_epochs
    if recipe.schedule == "cosine" and recipe.warmup_steps >= total_steps:
        raise RecipeError(
            f"training.warmup_steps must be < {total_steps}, the steps of {recipe.max_epochs} "
            f"epochs, got {recipe.warmup_steps}"
        )
    return total_steps


def _translator(model: Seq2Seq, folder: RunFolder, recipe: Recipe) -> Translator:
    """Return a translator around a model in memory, as users get it from a run folder."""
    tokenizers = folder.tokenizers
    tag = recipe.data.tag_of(recipe.data.direction[1])
    return Translator(
        *tokenizers, ModelEngine(model), recipe.decoding, tag_ids=tag_ids(tag, tokenizers[0])
    )


def _trainer(recipe: Recipe, folder: RunFolder, callbacks: list[Callback]) -> Trainer:
    training = recipe.training
    return Trainer(
        accelerator=choose_device(training.device),
        devices=1,
        precision=_PRECISIONS[training.precision],  # type: ignore[arg-type]
        max_epochs=training.max_epochs,
        gradient_clip_val=training.max_grad_norm,
        accumulate_grad_batches=training.gradient_accumulation,
        check_val_every_n_epoch=training.validate_every,
        num_sanity_val_steps=0,
        reload_dataloaders_every_n_epochs=1,
        callbacks=callbacks,
        logger=_logger(recipe, folder),
        log_every_n_steps=1,  # or small corpora are warned about; nothing is logged by steps
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        # not SLURM's environment: there Lightning would put the job into the queue again by itself
        plugins=[RunCheckpointIO(folder), LightningEnvironment()],
        default_root_dir=folder.path,
    )


def _logger(recipe: Recipe, folder: RunFolder) -> Any:
    if not recipe.training.tensorboard:
        return False
    from lightning.pytorch.loggers import TensorBoardLogger

    return TensorBoardLogger(folder.path, name="tensorboard", version="")


def _run(
    trainer: Trainer, module: TranslationModule, data: TranslationData, checkpoint: str | None
) -> None:
    with warnings.catch_warnings():
        # true of Lightning's own code, and nothing that a user could change
        warnings.filterwarnings("ignore", message=".*LeafSpec", category=FutureWarning)
        warnings.filterwarnings("ignore", message=".*does not have many workers")
        warnings.filterwarnings("ignore", message=".*persistent_workers=True")
        # it is: it begins where the position says
        warnings.filterwarnings("ignore", message=".*your dataloader is not resumable")
        try:
            trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
        except SystemExit as error:
            # Lightning turns Ctrl-C into an exit of its own
            if trainer.interrupted:
                raise KeyboardInterrupt from error
            raise
