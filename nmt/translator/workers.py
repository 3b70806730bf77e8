"""Translates with several processes, each with the model and its share of the cores.

A step of a search has small parts that no number of threads makes faster. Two processes of one
thread each do them at once, and translate up to a fifth more than one of two threads.
"""

from __future__ import annotations

import contextlib
import io
import pickle
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

import torch

from nmt.errors import NMTError
from nmt.translator.results import Background, Translation
from nmt.translator.translator import Translator

# Fewer lines for each process are translated sooner by one than given away and fetched.
_FEWEST_BATCHES = 2

# Lines, their prefixes, and their numbers.
_Work = tuple[Sequence[str], Sequence[str] | None, range]
# Translations, and what was wrong with the line behind the last of them.
_Outcome = tuple[list[Translation], NMTError | None]


class ParallelTranslator(contextlib.AbstractContextManager["ParallelTranslator"]):
    """A translator and helpers like it in processes of their own; a context that ends them."""

    def __init__(self, load: Callable[[], Translator], *, num_workers: int) -> None:
        """Start the helpers; the first of the workers is this process.

        Args:
            load: Makes a translator, here and in every other process, where it arrives by pickle.
            num_workers: Processes that translate, this one included, at least 1. They share the
                threads that PyTorch has here now.

        Raises:
            NMTError: There is no such translator.
            ValueError: `num_workers` is below 1.
        """
        if num_workers < 1:
            raise ValueError(f"num_workers must be >= 1, got {num_workers}")
        num_threads = max(1, torch.get_num_threads() // num_workers)
        self._translator = load()  # before there is anything to end
        self._helpers = [_Helper(load, num_threads) for _ in range(num_workers - 1)]
        if self._helpers:
            torch.set_num_threads(num_threads)

    def __exit__(self, *_: object) -> None:
        for helper in self._helpers:
            helper.end()

    @property
    def max_source_length(self) -> int:
        """See `Translator`."""
        return self._translator.max_source_length

    @property
    def has_attention(self) -> bool:
        """See `Translator`."""
        return self._translator.has_attention

    @property
    def has_confidence(self) -> bool:
        """See `Translator`."""
        return self._translator.has_confidence

    @property
    def window_size(self) -> int:
        """How many lines to give at once, so that each worker has as many as it sorts by length."""
        return self._translator.window_size * (1 + len(self._helpers))

    def translate_detailed(
        self,
        lines: Sequence[str],
        *,
        prefixes: Sequence[str] | None = None,
        numbers: range | None = None,
    ) -> Iterator[Translation]:
        """Translate lines, dealt out among the workers; see `Translator.translate_detailed`.

        Every worker has long and short ones in the same mixture, and so as much to do.

        Raises:
            DataError: What is asked of a line cannot be; the lines before it are given out first.
            NMTError: A helper has been killed; the lines before its own are given out first.
        """
        numbers = range(1, len(lines) + 1) if numbers is None else numbers
        num_shares = len(lines) // (self._translator.batch_size * _FEWEST_BATCHES)
        helpers = self._helpers[: max(0, num_shares - 1)]
        num_workers = 1 + len(helpers)

        def share(worker: int) -> _Work:
            own = None if prefixes is None else prefixes[worker::num_workers]
            return lines[worker::num_workers], own, numbers[worker::num_workers]

        for worker, helper in enumerate(helpers, start=1):
            helper.begin(share(worker))
        outcomes = [_translate(self._translator, share(0))]
        outcomes += [helper.finish(self._translator.background) for helper in helpers]
        for place in range(len(lines)):
            translations, refusal = outcomes[place % num_workers]
            if place // num_workers == len(translations):
                assert refusal is not None
                raise refusal
            yield translations[place // num_workers]
        for _, refusal in outcomes:
            if refusal is not None:  # behind the last line
                raise refusal


class _Helper:
    """A process that translates what it is sent."""

    def __init__(self, load: Callable[[], Translator], num_threads: int) -> None:
        context = get_context("spawn")  # a forked child of a process with threads may hang
        self._connection, far_end = context.Pipe()
        self._process = context.Process(
            target=_help, args=(far_end, load, num_threads), daemon=True
        )
        _start(self._process)
        far_end.close()  # so that the helper's death ends the connection

    def begin(self, work: _Work) -> None:
        """Give it some lines."""
        with contextlib.suppress(OSError):  # `finish` finds out
            self._connection.send(work)

    def finish(self, background: Background) -> _Outcome:
        """Wait for what becomes of them; `background` is that of all translations."""
        try:
            data = self._connection.recv_bytes()
        except (EOFError, OSError):
            self._process.join()
            code = self._process.exitcode
            if code == 1:  # it has printed the traceback of a defect of ours
                raise RuntimeError("a worker process has failed, see above") from None
            return [], NMTError(
                f"a worker process has ended with exit code {code}; translate with fewer"
            )
        return _unpack(data, background)

    def end(self) -> None:
        """Let it go, whatever it is at."""
        self._connection.close()
        self._process.terminate()
        self._process.join()


def _start(process: SpawnProcess) -> None:
    """Start a process that Ctrl-C does not end: it is for the one that it helps, from the start."""
    if threading.current_thread() is not threading.main_thread():
        process.start()  # no other thread may say what signals do
        return
    heeded = signal.signal(signal.SIGINT, signal.SIG_IGN)  # is inherited
    try:
        process.start()
    finally:
        signal.signal(signal.SIGINT, heeded)


def _help(connection: Connection, load: Callable[[], Translator], num_threads: int) -> None:
    """Translate what comes until nothing does any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(num_threads)
    translator = load()
    while True:
        try:
            work = connection.recv()
        except EOFError:
            return
        connection.send_bytes(_pack(_translate(translator, work), translator.background))


def _translate(translator: Translator, work: _Work) -> _Outcome:
    lines, prefixes, numbers = work
    translations: list[Translation] = []
    try:
        for translation in translator.translate_detailed(lines, prefixes=prefixes, numbers=numbers):
            translations.append(translation)
    except NMTError as error:
        return translations, error
    return translations, None


class _Pickler(pickle.Pickler):
    """Leaves the background out, which both sides have."""

    def __init__(self, file: io.BytesIO, background: Background) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self._background = background

    def persistent_id(self, obj: Any) -> str | None:
        return "background" if obj is self._background else None


class _Unpickler(pickle.Unpickler):  # noqa: S301 - of what a process of our own has sent
    def __init__(self, file: io.BytesIO, background: Background) -> None:
        super().__init__(file)
        self._background = background

    def persistent_load(self, _: str) -> Background:
        return self._background


def _pack(outcome: _Outcome, background: Background) -> bytes:
    file = io.BytesIO()
    _Pickler(file, background).dump(outcome)
    return file.getvalue()


def _unpack(data: bytes, background: Background) -> _Outcome:
    outcome: _Outcome = _Unpickler(io.BytesIO(data), background).load()
    return outcome
