"""Several processes against one: the same lines in the same order, and the same complaints."""

import os
import signal
from functools import partial
from itertools import islice
from pathlib import Path

import pytest
import torch
from tiny_run import SOURCES, write_run

from nmt.errors import CheckpointError, DataError, NMTError
from nmt.translator import ParallelTranslator, Translator, translation_record

LINES = [f"{one} {number}" for number in range(5) for one in SOURCES]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("runs") / "run").path


def test_workers_translate_as_one_does(run: Path) -> None:
    """Twice, with all that can be told of a translation, and with lines that cannot be."""
    threads = torch.get_num_threads()
    load = partial(Translator.load, run, batch_size=2, num_hypotheses=2)
    translator = load()
    blank = next(place for place, line in enumerate(SOURCES) if not line)
    lines = [line if line.strip("0123456789 ") else "" for line in LINES]
    prefixes = ["a" if line else "" for line in lines]
    try:
        with ParallelTranslator(load, num_workers=3) as parallel:
            assert parallel.window_size == 3 * translator.window_size
            assert parallel.max_source_length == translator.max_source_length
            assert (parallel.has_attention, parallel.has_confidence) == (True, False)
            for some, own in ((lines, None), (lines[:7], None), (lines, prefixes), ([], None)):
                found = [*parallel.translate_detailed(some, prefixes=own)]
                expected = [*translator.translate_detailed(some, prefixes=own)]
                assert [translation_record(one) for one in found] == [
                    translation_record(one) for one in expected
                ]
            for place in (blank, len(lines) - len(SOURCES) + blank):
                wrong = [*prefixes]
                wrong[place] = "a"
                given = parallel.translate_detailed(
                    lines, prefixes=wrong, numbers=range(11, 11 + len(lines))
                )
                assert len([*islice(given, place)]) == place
                with pytest.raises(DataError, match=f"line {place + 11}: a blank line must have"):
                    next(given)
    finally:
        torch.set_num_threads(threads)


def test_a_killed_helper_is_one_line_and_loses_nothing_before_it(run: Path) -> None:
    threads = torch.get_num_threads()
    load = partial(Translator.load, run, batch_size=2)
    try:
        with ParallelTranslator(load, num_workers=2) as parallel:
            assert len([*parallel.translate_detailed(LINES)]) == len(LINES)
            [helper] = parallel._helpers
            assert helper._process.pid is not None
            os.kill(helper._process.pid, signal.SIGKILL)
            helper._process.join()
            found = parallel.translate_detailed(LINES)
            assert [one.text for one in islice(found, 1)] == load().translate(LINES[:1])
            with pytest.raises(NMTError, match="a worker process has ended with exit code -9"):
                next(found)
    finally:
        torch.set_num_threads(threads)


def test_what_cannot_be_loaded_starts_nothing(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError):
        ParallelTranslator(partial(Translator.load, tmp_path / "none"), num_workers=2)
    with pytest.raises(ValueError, match="num_workers must be >= 1, got 0"):
        ParallelTranslator(partial(Translator.load, tmp_path / "none"), num_workers=0)
