"""Steps that were left out because a loss or gradient was no number: written down, and an end."""

from __future__ import annotations

import json
import logging
from typing import Any

from lightning import Callback, LightningModule, Trainer

from nmt.batching import Batch
from nmt.errors import NMTError
from nmt.run_folder import RunFolder, write_atomically
from nmt.training.module import SkippedStep, TranslationModule

_log = logging.getLogger(__name__)

MOST_SKIPPED_IN_ROW = 10
# More of them tell nothing new.
_MOST_WRITTEN = 50


class Divergence(Callback):
    """Writes the pairs of each skipped step to `skipped.jsonl`, and ends a run that only skips."""

    def __init__(self, folder: RunFolder) -> None:
        """Take the run folder, whose tokenizers tell what the pairs were."""
        self._folder = folder

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget what was skipped after the checkpoint that this run goes on from."""
        assert isinstance(pl_module, TranslationModule)
        num_skipped = pl_module.position.num_skipped
        entries = self._folder.skipped()
        if len(entries) > num_skipped:
            self._write(entries[:num_skipped])

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Write down what was skipped.

        Raises:
            NMTError: One step after the other is skipped.
        """
        assert isinstance(pl_module, TranslationModule)
        skipped = pl_module.take_skipped()
        if skipped is None:
            return
        position = pl_module.position
        _log.warning(
            "warning: step %d skipped, the %d. in all: loss %s, gradient norm %s",
            position.step + 1,
            position.num_skipped,
            skipped.loss,
            skipped.gradient_norm,
        )
        if position.num_skipped <= _MOST_WRITTEN:
            self._write([*self._folder.skipped(), self._entry(trainer.current_epoch + 1, skipped)])
        if position.skipped_in_row >= MOST_SKIPPED_IN_ROW:
            raise NMTError(
                f"{self._folder.path}: training has diverged: {position.skipped_in_row} steps in a "
                f"row, the last of them {position.step + 1:,}, had a loss or gradient that is no "
                f"number (see {self._folder.skipped_file.name}); go on from the last checkpoint "
                "with --allow-changes and a lower training.learning_rate or training.max_grad_norm"
            )

    def _entry(self, epoch: int, skipped: SkippedStep) -> dict[str, Any]:
        return {
            "epoch": epoch,
            "loss": str(skipped.loss),  # JSON knows no nan
            "gradient_norm": str(skipped.gradient_norm),
            "pairs": [pair for batch in skipped.batches for pair in self._pairs(batch)],
        }

    def _pairs(self, batch: Batch) -> list[dict[str, Any]]:
        source, target = self._folder.tokenizers
        lengths = zip(batch.source_lengths.tolist(), batch.target_mask.sum(dim=1), strict=True)
        rows = zip(batch.indices.tolist(), lengths, strict=True)
        return [
            {
                "place": place,
                "source": source.decode(batch.source_ids[row, : num_source - 1].tolist()),
                "target": target.decode(batch.target_output_ids[row, : num_target - 1].tolist()),
            }
            for row, (place, (num_source, num_target)) in enumerate(rows)
        ]

    def _write(self, entries: list[dict[str, Any]]) -> None:
        lines = (json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries)
        write_atomically(self._folder.skipped_file, "".join(lines))
