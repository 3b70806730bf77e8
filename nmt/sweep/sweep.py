"""A whole sweep: what is left to train, training it, and the table and the picture of all of it."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from nmt.errors import CheckpointError
from nmt.recipe import Recipe
from nmt.run_folder import write_atomically
from nmt.sweep.grid import Setting
from nmt.sweep.plot import draw
from nmt.sweep.record import Failure, Row, SweepFolder
from nmt.sweep.running import Child, Ending, Job, Process, Slot, run_jobs
from nmt.sweep.table import summarize, table
from nmt.training.changes import changes_that_matter, shown
from nmt.training.run import is_finished

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What has become of a sweep.

    Attributes:
        table: Of all its runs so far, those of earlier calls too.
        failures: Of this call, by the folder of the run.
        has_defect: Whether any of them is a defect of ours.
        stopped_by: The signal that has ended it before its end.
        num_left: Runs that are still to be trained.
    """

    table: str
    failures: dict[str, str]
    has_defect: bool
    stopped_by: signal.Signals | None
    num_left: int


def sweep(
    settings: Sequence[Setting],
    folder: SweepFolder,
    *,
    num_seeds: int,
    slots: Sequence[Slot],
    say: Say,
    start: Callable[[Job, Slot], Process] = Child,
) -> Outcome:
    """Train what is not trained yet of a grid, and compare all of it on the validation set.

    Args:
        settings: The rows of the grid, the baseline first.
        folder: Where; what an earlier call has left there is gone on with and added to.
        num_seeds: Runs of each setting, with the seeds from 1 on.
        slots: Places for runs; as many are trained at a time.
        say: Is told how it comes on, a line at a time.
        start: Starts a run.

    Raises:
        CheckpointError: The folder is in use, or not of this recipe's sweep; nothing is changed.
        NMTError: It cannot be written.
    """
    folder.check()
    with folder.held():
        folder.check()  # again: something else may have begun here in between
        rows = _rows(settings, folder)
        jobs = [
            Job(setting.name, setting.with_seed(seed), folder.run(setting.name, seed))
            for seed in range(1, num_seeds + 1)
            for setting in settings
        ]
        for job in jobs:
            _check_run(job)
        left = [job for job in jobs if not _is_done(job, rows)]
        state = _State(settings[0].recipe, folder, rows, say, len(jobs), left, len(slots))
        state.begin()
        stopped_by = run_jobs(left, slots, start=state.starting(start), ended=state.ended)
        state.draw()
    return Outcome(
        table=table(summarize(list(rows.values()))),
        failures=state.failures,
        has_defect=state.has_defect,
        stopped_by=stopped_by,
        num_left=len(left) - state.num_ended + len(state.failures),
    )


def _rows(settings: Sequence[Setting], folder: SweepFolder) -> dict[str, Row]:
    """Return a row for each setting, and those of earlier grids behind them, by name.

    Raises:
        CheckpointError: They are of another recipe.
    """
    rows = {one.name: Row(name=one.name, values=dict(one.values)) for one in settings}
    known = folder.read()
    if known is None:
        return rows
    recipe, earlier = known
    changes = changes_that_matter(recipe, settings[0].recipe)
    if changes and not folder.has_runs():
        return rows  # a recipe that no run could be trained by binds nobody
    if changes:
        raise CheckpointError(
            f"{folder.path} holds a sweep of another recipe ({shown(changes)}); "
            "choose another --sweep-dir"
        )
    for row in earlier:
        kept = tuple(
            one for one in row.results if is_finished(folder.run(row.name, one.seed))
        )  # not of a run that somebody has deleted
        is_tried_again = row.name in rows
        is_deleted = not folder.has_setting(row.name)
        failures = () if is_tried_again or is_deleted else row.failures
        if kept or failures or row.name in rows:
            rows[row.name] = row.model_copy(update={"results": kept, "failures": failures})
    return rows


def _check_run(job: Job) -> None:
    """See that the folder of a run is of its recipe, or of none.

    Raises:
        CheckpointError: It is not.
    """
    if not job.folder.is_started:
        return
    changes = changes_that_matter(job.folder.recipe, job.recipe)
    if changes:
        raise CheckpointError(
            f"{job.folder.path} holds a run of another recipe ({shown(changes)}); "
            "choose another --sweep-dir, or delete it"
        )


def _is_done(job: Job, rows: dict[str, Row]) -> bool:
    return any(result.seed == job.seed for result in rows[job.name].results)


@dataclass(slots=True)
class _State:
    """How far a sweep has come."""

    recipe: Recipe
    folder: SweepFolder
    rows: dict[str, Row]
    say: Say
    num_jobs: int
    left: Sequence[Job]
    num_slots: int
    failures: dict[str, str] = field(default_factory=dict)
    has_defect: bool = False
    num_ended: int = 0
    num_started: int = 0
    seconds: list[float] = field(default_factory=list)
    under_way: dict[str, float] = field(default_factory=dict)

    def begin(self) -> None:
        """Mark the folder as that of this sweep."""
        done = self.num_jobs - len(self.left)
        many = "" if self.num_slots == 1 else f", {self.num_slots} at a time"
        trained = f", {done} of them trained already" if done else ""
        self.say(f"{_count(self.num_jobs, 'run')}{trained}{many}, in {self.folder.path}")
        self._write()

    def starting(self, start: Callable[[Job, Slot], Process]) -> Callable[[Job, Slot], Process]:
        """Return what starts a run and says so."""

        def start_and_say(job: Job, slot: Slot) -> Process:
            self.num_started += 1
            number = self.num_jobs - len(self.left) + self.num_started
            verb = "goes on" if job.folder.is_started else "starts"
            place = f" on {slot.device}" if slot.device else ""
            self.say(f"[{number}/{self.num_jobs}] {_called(job)} {verb}{place}")
            self.under_way[str(job.folder.path)] = time.monotonic()
            return start(job, slot)

        return start_and_say

    def ended(self, job: Job, ending: Ending, seconds: float) -> None:
        """Take down how a run has ended, and say so."""
        self.num_ended += 1
        del self.under_way[str(job.folder.path)]
        row = self.rows[job.name]
        if ending.result is None:
            self.failures[str(job.folder.path)] = ending.reason
            self.folder.keep_setting(job.name)
            self.rows[job.name] = row.with_failure(Failure(seed=job.seed, reason=ending.reason))
            self.has_defect |= bool(ending.traceback)
            if ending.traceback:
                self.say(ending.traceback.rstrip("\n"))
            told = f"has failed: {ending.reason}"
        else:
            self.seconds.append(seconds)
            self.rows[job.name] = row.with_result(ending.result)
            measures = ending.result.measures
            told = (
                f"is done in {_duration(seconds)}: validation BLEU {measures['BLEU']:.2f}, chrF2 "
                f"{measures['chrF2']:.2f}, loss {measures['loss']:.4f}"
            )
        self._write()
        self.say(f"{_called(job)} {told}{self._time_left()}")

    def draw(self) -> None:
        """Draw what has come out, if anything has."""
        rows = list(self.rows.values())
        if any(row.results for row in rows):
            draw(summarize(rows), self.folder.plot_file)

    def _time_left(self) -> str:
        """Say how long the rest may take, as far as can be told from what has ended."""
        num_waiting = len(self.left) - self.num_started
        if not self.seconds or not (num_waiting or self.under_way):
            return ""
        mean, now = sum(self.seconds) / len(self.seconds), time.monotonic()
        rest = [max(0.0, mean - (now - started)) for started in self.under_way.values()]
        seconds = max((sum(rest) + num_waiting * mean) / self.num_slots, *rest, 0.0)
        return f"; about {_duration(seconds)} left"

    def _write(self) -> None:
        """Write what has come out so far."""
        summaries = summarize(list(self.rows.values()))
        self.folder.write(self.recipe, [(one.row, one.as_record()) for one in summaries])
        write_atomically(self.folder.table_file, table(summaries))


def _called(job: Job) -> str:
    return f"{job.name}/seed-{job.seed}"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
