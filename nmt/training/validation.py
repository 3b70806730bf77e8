"""What happens at each validation: translate, score, keep the best weights, stop in time."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning import Callback, LightningModule, Trainer

from nmt.corpus import SentencePair
from nmt.evaluation import Score, compute_scores
from nmt.recipe import Recipe
from nmt.run_folder import RunFolder, merit, write_atomically, write_weights
from nmt.training.curves import draw_curves
from nmt.training.module import TranslationModule

_log = logging.getLogger(__name__)

_NUM_SAMPLES = 3
# A validation loss this many times the best, at so many validations in a row, is warned of.
_FAR_ABOVE = 1.5
_VALIDATIONS_TO_WARN = 3
# Nats a token: translators that work have one and more.
_LITTLE_USE = 0.1
Translate = Callable[[Sequence[str]], list[str]]


class Validation(Callback):
    """Measures the model on the validation set by the same way that users translate.

    Keeps the weights of the best validations in `checkpoints/`, as many as are to be averaged, and
    one line a validation in `metrics.jsonl`.
    """

    def __init__(
        self, folder: RunFolder, recipe: Recipe, pairs: Sequence[SentencePair], translate: Translate
    ) -> None:
        """Take what to measure on.

        Args:
            folder: Where to write.
            recipe: Says what is measured and what is best.
            pairs: The validation set.
            translate: Translates lines with the model that is in training.
        """
        self._folder = folder
        self._recipe = recipe
        self._pairs = _spread(pairs, recipe.training.validation_sentences)
        self._translate = translate
        self._num_kept = recipe.training.average_checkpoints or 1
        # (merit, epoch) of the weights kept, best first; merit: the higher the better
        self.best: list[tuple[float, int]] = []
        self.since_gain = 0
        self._saved_before: list[Path] = []
        self._started = time.monotonic()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget what was measured after the checkpoint that this run goes on from.

        Where training was stopped early already, it ends here.
        """
        kept = [
            entry for entry in self._folder.metrics() if entry["epoch"] <= trainer.current_epoch
        ]
        _write_lines(self._folder.metrics_file, kept)
        seconds = kept[-1]["seconds"] if kept else 0.0
        self._started = time.monotonic() - seconds
        trainer.should_stop = self._is_without_gain()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Translate, score, write down, and keep the weights if they are among the best."""
        assert isinstance(pl_module, TranslationModule)
        epoch = trainer.current_epoch + 1
        hypotheses = self._translate([pair.source for pair in self._pairs])
        loss = float(trainer.callback_metrics["loss"])
        scores = self._score(hypotheses)
        entry = self._entry(trainer, pl_module.position.step, loss, scores)
        entry["samples"] = [
            {"source": pair.source, "reference": pair.target, "hypothesis": hypothesis}
            for pair, hypothesis in list(zip(self._pairs, hypotheses, strict=True))[:_NUM_SAMPLES]
        ]
        entries = [*self._folder.metrics(), entry]
        _write_lines(self._folder.metrics_file, entries)
        for logger in trainer.loggers:
            logger.log_metrics(_numbers(entry), step=pl_module.position.step)
        draw_curves(entries, self._folder.curves_file)
        self._report(entry, scores)
        for warning in _warnings(entries, max_epochs=self._recipe.training.max_epochs):
            _log.warning("warning: %s", warning)
        self._keep(merit(entry, self._recipe.training.checkpoint_metric), epoch, pl_module)
        if self._is_without_gain():
            _log.info("stopped early: no gain in %d validations", self.since_gain)
            trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        """Return what the next start must know."""
        return {"best": [list(entry) for entry in self.best], "since_gain": self.since_gain}

    def check_state(self, state: Any) -> None:
        """See that a state is such as `state_dict` returns.

        Raises:
            ValueError: It is not.
        """
        try:
            is_known = state.keys() == self.state_dict().keys() and all(
                type(merit) is float and type(epoch) is int and epoch > 0
                for merit, epoch in state["best"]
            )
        except (AttributeError, TypeError, ValueError):
            is_known = False
        if not is_known or type(state["since_gain"]) is not int or state["since_gain"] < 0:
            raise ValueError("the best validations must be pairs of a number and an epoch")

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take what an earlier start knew."""
        self.best = [(float(merit), int(epoch)) for merit, epoch in state_dict["best"]]
        self.since_gain = int(state_dict["since_gain"])
        self._saved_before = [*self.best_files(), *self._last_files()]

    def best_files(self) -> list[Path]:
        """Return the files of the weights kept, best first."""
        return [self._folder.weights_of_epoch(epoch) for _, epoch in self.best]

    def _score(self, hypotheses: Sequence[str]) -> list[Score]:
        return compute_scores(
            hypotheses,
            [pair.target for pair in self._pairs],
            metrics=("BLEU", "chrF2"),
            target_lang=self._recipe.data.direction[1],
            bleu_tokenizer=self._recipe.evaluation.bleu_tokenizer,
        )

    def _entry(
        self, trainer: Trainer, step: int, loss: float, scores: Sequence[Score]
    ) -> dict[str, Any]:
        measured = trainer.callback_metrics
        entry: dict[str, Any] = {
            "epoch": trainer.current_epoch + 1,
            "step": step,
            "seconds": round(time.monotonic() - self._started, 1),
            "learning_rate": trainer.optimizers[0].param_groups[0]["lr"],
            "train_loss": _value(measured, "train_loss"),
            "tokens_per_second": _value(measured, "tokens_per_second"),
            "loss": loss,
            "source_use": _value(measured, "source_use"),
            "perplexity": math.exp(min(loss, 700.0)),
            "num_sentences": len(self._pairs),
        }
        for score in scores:
            entry[score.name] = score.value
        return entry | {"signatures": {score.name: score.signature for score in scores}}

    def _report(self, entry: dict[str, Any], scores: Sequence[Score]) -> None:
        shown = ", ".join(f"{score.name} {score.value:.2f} ({score.signature})" for score in scores)
        _log.info(
            "epoch %d, step %d: loss %.4f, perplexity %.2f, source use %s, %s on %d sentences",
            entry["epoch"],
            entry["step"],
            entry["loss"],
            entry["perplexity"],
            "unknown" if entry["source_use"] is None else f"{entry['source_use']:.2f}",
            shown,
            entry["num_sentences"],
        )
        for sample in entry["samples"]:
            _log.info("  source      %s", sample["source"])
            _log.info("  reference   %s", sample["reference"])
            _log.info("  hypothesis  %s", sample["hypothesis"])

    def _keep(self, value: float, epoch: int, module: TranslationModule) -> None:
        gained = not self.best or value > self.best[0][0]
        self.since_gain = 0 if gained else self.since_gain + 1
        is_among_best = len(self.best) < self._num_kept or value > self.best[-1][0]
        if is_among_best or self._recipe.training.keep_last is not None:
            weights = module.validated_model.state_dict()
            write_weights(self._folder.weights_of_epoch(epoch), weights)
        if not is_among_best:
            return
        # of equal merit the earlier stands first
        ranked = sorted([*self.best, (value, epoch)], key=lambda entry: (-entry[0], entry[1]))
        self.best = ranked[: self._num_kept]

    def drop_others(self) -> None:
        """Delete the weights that are no longer among the best, nor among the last to be kept.

        To be called after each checkpoint that was saved: a run may go on from it, or from the one
        before, whose best are kept too.
        """
        kept = [*self.best_files(), *self._last_files()]
        for file in self._folder.checkpoints.glob("epoch-*.safetensors"):
            if file not in kept and file not in self._saved_before:
                file.unlink()
        self._saved_before = kept

    def _is_without_gain(self) -> bool:
        patience = self._recipe.training.patience
        return patience is not None and self.since_gain >= patience

    def _last_files(self) -> list[Path]:
        """Return the files of the last weights that are kept whatever they are worth."""
        count = self._recipe.training.keep_last
        entries = [] if count is None else self._folder.metrics()[-count:]
        return [self._folder.weights_of_epoch(int(entry["epoch"])) for entry in entries]


def _warnings(entries: Sequence[Mapping[str, Any]], *, max_epochs: int) -> Iterator[str]:
    """Say what looks wrong at the latest validation."""
    latest = entries[-1]
    best = min(entry["loss"] for entry in entries)
    recent = entries[-_VALIDATIONS_TO_WARN:]
    if len(recent) == _VALIDATIONS_TO_WARN and all(
        not entry["loss"] <= _FAR_ABOVE * best for entry in recent
    ):
        yield (
            f"the validation loss has been far above its best ({latest['loss']:.2f}, best "
            f"{best:.2f}) for {len(recent)} validations; the best weights are kept; a lower "
            "training.learning_rate, more model.dropout or training.patience may help"
        )
    use = latest.get("source_use")
    if use is not None and use < _LITTLE_USE and 2 * latest["epoch"] >= max_epochs:
        yield (
            f"the sources are hardly used: with those of other sentences the loss is greater by "
            f"{use:.3f} only; more data, smaller batches or model.bridge=zero may help"
        )


def _spread(pairs: Sequence[SentencePair], count: int | None) -> list[SentencePair]:
    """Return `count` pairs at even distances, or all."""
    if count is None or count >= len(pairs):
        return list(pairs)
    return [pairs[place * len(pairs) // count] for place in range(count)]


def _value(measured: Mapping[str, Any], name: str) -> float | None:
    return float(measured[name]) if name in measured else None


def _numbers(entry: dict[str, Any]) -> dict[str, float]:
    return {key: float(value) for key, value in entry.items() if isinstance(value, int | float)}


def _write_lines(path: Path, entries: Sequence[dict[str, Any]]) -> None:
    lines = (json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries)
    write_atomically(path, "".join(lines))
