"""Signals that ask a run to leave: from the keyboard, or from whatever schedules batch jobs."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nmt.errors import SavedAndStoppedError

# SIGUSR1 is what SLURM can be told to send some time before the end; Windows has none.
_ASKING = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name)
)


class StopRequests:
    """Notes that the run was asked to leave.

    Where there is something to save first, what saves looks here; elsewhere the run ends at once.
    A second Ctrl-C ends it at once everywhere.
    """

    def __init__(self) -> None:
        """Nothing is asked yet."""
        self.received: signal.Signals | None = None
        self._is_deferring = False

    @contextmanager
    def heeded(self) -> Iterator[None]:
        """Take the signals as long as the context lasts; only a main thread can."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.getsignal(number) for number in _ASKING}
        self.install()
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def install(self) -> None:
        """Take the signals, also from a library that has put itself in between."""
        if threading.current_thread() is threading.main_thread():
            for number in _ASKING:
                signal.signal(number, self._note)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Let the run save before it leaves; at the end of the context it leaves."""
        self._is_deferring = True
        try:
            yield
        finally:
            self._is_deferring = False
        if self.received is not None:
            raise self.outcome("after the training")

    def outcome(self, place: str) -> SavedAndStoppedError:
        """Return what ends the run.

        Args:
            place: How far it has come, in words.
        """
        assert self.received is not None
        return SavedAndStoppedError(
            f"stopped by {self.received.name} {place}; the same command goes on from there"
        )

    def _note(self, number: int, frame: Any) -> None:
        is_again = self.received is not None
        if number == signal.SIGINT and (is_again or not self._is_deferring):
            raise KeyboardInterrupt
        self.received = signal.Signals(number)
        if not self._is_deferring:
            raise self.outcome("outside of the training")
