"""Runs one program's own command for translating and times the translation from inside.

    python watch.py --result FILE --started SECONDS --threads N PROGRAM -- ARGUMENTS ...

The clock runs while the program's own call translates the whole file: reading it, making batches
and putting them back into order belong to it, imports and the loading of the model do not. Those
are in the time from `--started`, the reading of the monotonic clock when the process was begun. The
tokens of each line are counted in what that call returns. Memory is read from /proc (Linux).
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from benchmarks.watching import main_of, peak_memory, watch_parser


class Watch:
    """Times one translation and counts what came of it."""

    def __init__(self, result: Path, *, process_started: float) -> None:
        """Take where the outcome goes and when the process was begun."""
        self._result, self._process_started = result, process_started
        self._started = 0.0
        self._lengths: Counter[int] = Counter()
        self._beam_sizes: set[int] = set()

    def start(self) -> None:
        """Take note that the model is loaded and translating begins."""
        self._started = time.monotonic()

    def count(self, lengths: Iterable[int], *, beam_size: int) -> None:
        """Count the tokens of each line's one translation."""
        self._lengths.update(lengths)
        self._beam_sizes.add(beam_size)

    def stop(self) -> None:
        """Write down what was seen."""
        now = time.monotonic()
        outcome = {
            "seconds": now - self._started,
            "seconds_of_process": now - self._process_started,
            "lines_of_length": self._lengths,
            "beam_sizes": sorted(self._beam_sizes),
            "peak_bytes": peak_memory(os.getpid()),
        }
        self._result.write_text(json.dumps(outcome) + "\n", encoding="utf-8", newline="\n")


def watch_ours(watch: Watch) -> Callable[[], Any]:
    """Time from the loaded translators to the end of the command, which has written all lines.

    Returns:
        This project's command line.
    """
    owner = import_module("nmt.translator").ParallelTranslator
    start, translate = owner.__init__, owner.translate_detailed

    def started(self: Any, *args: Any, **kwargs: Any) -> None:
        start(self, *args, **kwargs)
        for helper in self._helpers:  # no work at all is done when a helper has loaded its model
            helper.begin(([], None, range(0)))
            helper.finish(self._translator.background)
        watch.start()

    def translated(self: Any, *args: Any, **kwargs: Any) -> Iterator[Any]:
        beam_size = self._translator._options.beam_size
        for translation in translate(self, *args, **kwargs):
            [hypothesis] = translation.hypotheses
            length = sum(len(part.hypothesis.token_ids) for part in hypothesis.parts)
            watch.count([length], beam_size=beam_size)
            yield translation

    owner.__init__, owner.translate_detailed = started, translated
    main = main_of("nmt.cli.main")

    def run() -> Any:
        exit_code = main()
        watch.stop()
        return exit_code

    return run


def watch_eole(watch: Watch) -> Callable[[], Any]:
    """Time the call over all batches of a file; return Eole's command line."""
    owner = import_module("eole.predict.inference").Inference
    predict = owner._predict

    def timed(self: Any, *args: Any, **kwargs: Any) -> Any:
        watch.start()
        scores, estimates, predictions = predict(self, *args, **kwargs)
        watch.count(_lengths(predictions), beam_size=self.beam_size)
        watch.stop()
        return scores, estimates, predictions

    owner._predict = timed
    return main_of("eole.bin.main")


def watch_opennmt(watch: Watch) -> Callable[[], Any]:
    """Time the call over all batches of a file; return OpenNMT-py's command line."""
    owner = import_module("onmt.translate.translator").Inference
    translate = owner._translate

    def timed(self: Any, *args: Any, **kwargs: Any) -> Any:
        watch.start()
        scores, predictions = translate(self, *args, **kwargs)
        watch.count(_lengths(predictions), beam_size=self.beam_size)
        watch.stop()
        return scores, predictions

    owner._translate = timed
    return main_of("onmt.bin.translate")


def _lengths(predictions: Iterable[list[str]]) -> Iterator[int]:
    """Yield the tokens of each line, for which there is one translation."""
    for [line] in predictions:
        yield len(line.split(" "))


def watch_joeynmt(watch: Watch) -> Callable[[], Any]:
    """Time the call over all batches of a file; return JoeyNMT's command line.

    It reads `min_output_length` from its configuration and logs it, but does not hand it on to its
    search (2.3.0), which would take it: so it is handed on here.
    """
    module: Any = import_module("joeynmt.prediction")
    predict, search = module.predict, module.search

    def timed(*args: Any, **kwargs: Any) -> Any:
        asked = kwargs["args"]
        module.search = partial(search, min_output_length=asked.min_output_length)
        watch.start()
        found = predict(*args, **kwargs)
        watch.count(map(len, found[3]), beam_size=asked.beam_size)
        watch.stop()
        return found

    module.predict = timed
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
    parser.add_argument("--started", type=float, required=True)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    run = WATCHED[options.program](Watch(options.result, process_started=options.started))
    sys.argv = [options.program, *options.arguments]
    sys.exit(run())


if __name__ == "__main__":
    main()
