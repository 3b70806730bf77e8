"""Runs one program's own training command and times its optimizer steps from inside.

    python watch.py --result FILE --warmup N --steps N --threads N PROGRAM -- ARGUMENTS ...

The clock is the same for every program: it runs from the end of the last warm-up step to the end of
the last counted step, loading, clipping and logging included. So is the count: what the loss is
given as labels, less padding, which is the target's pieces and EOS. Then the process ends itself:
what a program does after its last step is not waited for. Memory is read from /proc (Linux).
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_post_hook

from benchmarks.watching import look_before, main_of, peak_memory, watch_parser


class Watch:
    """Counts what is trained on, and ends the process when enough has been seen."""

    def __init__(self, result: Path, *, warmup: int, steps: int) -> None:
        """Take where the outcome goes and how many steps there are before and in the window."""
        self._result, self._warmup, self._last = result, warmup, warmup + steps
        self._num_steps = 0
        self._started = 0.0
        self._counts: list[Tensor] = []
        self._num_sentences = self._num_places = 0

    def count(self, labels: Tensor, pad_id: int) -> None:
        """Count a batch's labels, (B, T)."""
        self._counts.append((labels != pad_id).sum())  # reading it off would wait for a GPU
        self._num_sentences += labels.size(0)
        self._num_places += labels.numel()

    def step(self, *_: Any) -> None:
        """Take note of the end of an optimizer step."""
        self._num_steps += 1
        if self._num_steps == self._warmup:
            self._counts = []
            self._num_sentences = self._num_places = 0
            self._started = _now()
        elif self._num_steps == self._last:
            self._finish(_now() - self._started)

    def _finish(self, seconds: float) -> None:
        outcome = {
            "seconds": seconds,
            "steps": self._last - self._warmup,
            "tokens": int(sum(count.item() for count in self._counts)),
            "places": self._num_places,
            "sentences": self._num_sentences,
            "peak_bytes": peak_memory(os.getpid()),
        }
        if torch.cuda.is_available():
            outcome["peak_gpu_bytes"] = torch.cuda.max_memory_allocated()
        self._result.write_text(json.dumps(outcome) + "\n", encoding="utf-8", newline="\n")
        os._exit(0)


def _now() -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def watch_ours(watch: Watch) -> Callable[[], Any]:
    """Count this project's batches; return its command line."""
    pad_id = import_module("nmt.tokenizer").PAD_ID

    def look(_: Any, batch: Any, *__: Any) -> None:
        watch.count(batch.target_output_ids, pad_id)

    look_before(import_module("nmt.training.module").TranslationModule, "training_step", look)
    return main_of("nmt.cli.main")


def watch_eole(watch: Watch) -> Callable[[], Any]:
    """Count Eole's batches, whose targets begin with BOS; return its command line."""

    def look(loss: Any, batch: Any, *_: Any) -> None:
        watch.count(batch["tgt"][:, 1:], loss.padding_idx)

    look_before(import_module("eole.utils.loss").LossCompute, "forward", look)
    return main_of("eole.bin.main")


def watch_opennmt(watch: Watch) -> Callable[[], Any]:
    """Count OpenNMT-py's batches, whose targets begin with BOS; return its command line."""

    def look(loss: Any, batch: Any, *_: Any) -> None:
        watch.count(batch["tgt"][:, 1:, 0], loss.padding_idx)

    look_before(import_module("onmt.utils.loss").LossCompute, "forward", look)
    return main_of("onmt.bin.train")


def watch_joeynmt(watch: Watch) -> Callable[[], Any]:
    """Count JoeyNMT's batches, which have lost their BOS; return its command line."""

    def look(manager: Any, batch: Any) -> None:
        watch.count(batch.trg, manager.model.pad_index)

    look_before(import_module("joeynmt.training").TrainManager, "_train_step", look)
    return main_of("joeynmt.__main__")


WATCHED = {
    "ours": watch_ours,
    "eole": watch_eole,
    "opennmt": watch_opennmt,
    "joeynmt": watch_joeynmt,
}


def main() -> None:
    """Hang the watch in and hand over to the program."""
    parser = watch_parser(__doc__, WATCHED)
    parser.add_argument("--warmup", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    watch = Watch(options.result, warmup=options.warmup, steps=options.steps)
    run = WATCHED[options.program](watch)
    register_optimizer_step_post_hook(watch.step)
    sys.argv = [options.program, *options.arguments]
    sys.exit(run())


if __name__ == "__main__":
    main()
