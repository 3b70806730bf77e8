"""The runs of a sweep, each in a process of its own, some at a time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from nmt.recipe import Recipe, dump_recipe
from nmt.run_folder import RunFolder
from nmt.sweep import child
from nmt.sweep.record import Result

_SECONDS_BETWEEN_LOOKS = 0.05
# What asks to save and leave; Windows has no SIGUSR1.
_ASKING = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name)
)
_WHERE_NMT_LIES = Path(__file__).parents[2]
_VISIBLE_GPUS = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True, slots=True)
class Job:
    """A run to train: of which setting, by which recipe and where."""

    name: str
    recipe: Recipe
    folder: RunFolder

    @property
    def seed(self) -> int:
        """Of the run."""
        return self.recipe.training.seed


@dataclass(frozen=True, slots=True)
class Slot:
    """A place where one run after the other is trained.

    Attributes:
        device: `cpu`, `mps`, `cuda` or `cuda:N`; None is the recipe's.
        threads: CPU threads of a run whose recipe does not say; None leaves it to PyTorch.
    """

    device: str | None = None
    threads: int | None = None

    def recipe(self, recipe: Recipe) -> Recipe:
        """Return the recipe that a run has here."""
        training = recipe.training
        device = None if self.device is None else self.device.partition(":")[0]
        threads = training.threads or self.threads
        return recipe.changed(training=training.changed(device=device, threads=threads))

    def environment(self, given: dict[str, str]) -> dict[str, str]:
        """Return the environment of a run here: of several GPUs it sees its own.

        Args:
            given: The sweep's own environment.
        """
        kind, _, number = (self.device or "").partition(":")
        if kind != "cuda" or not number:
            return given
        # a sweep that sees some GPUs only counts those
        visible = [one.strip() for one in given.get(_VISIBLE_GPUS, "").split(",") if one.strip()]
        return given | {_VISIBLE_GPUS: visible[int(number)] if visible else number}


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run has ended.

    Attributes:
        result: What came out; None where nothing did.
        reason: Why nothing did, in one line.
        traceback: Of a defect of ours.
    """

    result: Result | None = None
    reason: str = ""
    traceback: str = ""


class Process(Protocol):
    """A run under way."""

    def ending(self) -> Ending | None:
        """Return how it has ended; None as long as it has not."""

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, where it has not ended."""

    def wait(self) -> None:
        """Wait until it has ended."""


class Child:
    """A run in a process of its own, see `nmt.sweep.child`."""

    def __init__(self, job: Job, slot: Slot) -> None:
        """Start it."""
        environment = slot.environment(dict(os.environ))
        paths = [str(_WHERE_NMT_LIES), environment.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - until it has ended
        self._process = subprocess.Popen(
            # -P: the folder that one stands in is no place for modules
            [sys.executable, "-P", "-m", child.__name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=environment,
            start_new_session=True,  # Ctrl-C comes by way of the sweep, and once
        )
        order = {"recipe": dump_recipe(slot.recipe(job.recipe)), "run": str(job.folder.path)}
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended already, and is found so
            self._process.stdin.write(json.dumps(order).encode("utf-8") + b"\n")
            self._process.stdin.flush()

    def ending(self) -> Ending | None:
        """Return how it has ended; None as long as it has not."""
        code = self._process.poll()
        if code is None:
            return None
        process, stdout = self._process, self._process.stdout
        assert stdout is not None
        assert process.stdin is not None
        answer = _read_answer(stdout.read())
        self._stderr.seek(0)
        last_words = self._stderr.read().decode("utf-8", errors="replace")
        for stream in (stdout, self._stderr):
            stream.close()
        with suppress(BrokenPipeError):
            process.stdin.close()
        return ending(code, answer, last_words)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, where it has not ended."""
        self._process.send_signal(number)

    def wait(self) -> None:
        """Wait until it has ended."""
        self._process.wait()


def ending(code: int, answer: dict[str, Any], last_words: str) -> Ending:
    """Return how a process has ended.

    Args:
        code: Its exit code; below 0 the signal that has killed it.
        answer: What it has said; empty where it could not.
        last_words: What it has printed.
    """
    if "result" in answer:
        return Ending(result=Result.model_validate(answer["result"]))
    if "failed" in answer:
        return Ending(reason=answer["failed"], traceback=answer.get("traceback", ""))
    if code in (child.STOPPED, child.INTERRUPTED):
        return Ending(reason="stopped by a signal from elsewhere; the same command goes on with it")
    lines = [line for line in last_words.split("\n") if line.strip()]
    said = f": {' '.join(lines[-1].split())}" if lines else ""
    if code < 0:
        name = signal.Signals(-code).name
        memory = " (out of memory, perhaps)" if name == "SIGKILL" else ""
        return Ending(reason=f"killed by {name}{memory}{said}")
    return Ending(reason=f"ended with exit code {code}{said}", traceback=last_words)


def run_jobs(
    jobs: Sequence[Job],
    slots: Sequence[Slot],
    *,
    start: Callable[[Job, Slot], Process],
    ended: Callable[[Job, Ending, float], None],
) -> signal.Signals | None:
    """Train runs, each as soon as a place is free, and do not stop for one that fails.

    Args:
        jobs: The runs, in the order in which they begin.
        slots: Where; as many runs at a time as there are of them.
        start: Starts a run in a place.
        ended: Is told of each run that has ended, how, and after how many seconds; not of those
            that were stopped before their end because all were.

    Returns:
        The signal that has asked to stop; then all that had begun have saved and left. None where
        all runs have ended.
    """
    waiting, free = deque(jobs), deque(slots)
    running: list[tuple[Job, Slot, Process, float]] = []
    with _stop_requests() as requests:
        num_passed_on = 0
        try:
            while running or (waiting and not requests):
                while waiting and free and not requests:
                    job, slot = waiting.popleft(), free.popleft()
                    running.append((job, slot, start(job, slot), time.monotonic()))
                for request in requests[num_passed_on:]:
                    _pass_on(request, [process for _, _, process, _ in running], num_passed_on)
                    num_passed_on += 1
                for one in list(running):
                    job, slot, process, started = one
                    found = process.ending()
                    if found is None:
                        continue
                    running.remove(one)
                    free.append(slot)
                    if found.result is not None or not requests:
                        ended(job, found, time.monotonic() - started)
                time.sleep(_SECONDS_BETWEEN_LOOKS)
        finally:  # none is left alone, whatever went wrong here
            for _, _, process, _ in running:
                process.send(signal.SIGTERM)
            for _, _, process, _ in running:
                process.wait()
    return requests[0] if requests else None


def _pass_on(request: signal.Signals, processes: Sequence[Process], num_before: int) -> None:
    """Ask the runs to save and leave; at a second Ctrl-C, to leave at once."""
    if num_before and request != signal.SIGINT:
        return
    for process in processes:
        process.send(signal.SIGINT if num_before else signal.SIGTERM)


@contextmanager
def _stop_requests() -> Iterator[list[signal.Signals]]:
    """Collect the signals that ask to stop, as long as the context lasts."""
    requests: list[signal.Signals] = []

    def note(number: int, _frame: object) -> None:
        requests.append(signal.Signals(number))

    before = {number: signal.signal(number, note) for number in _ASKING}
    try:
        yield requests
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _read_answer(data: bytes) -> dict[str, Any]:
    """Return what a process has said; empty where it was cut off."""
    try:
        found = json.loads(data)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
