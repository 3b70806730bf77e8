import os
import signal
import sys
from pathlib import Path

import pytest
from sweeping import Scripted, read, result

from nmt.run_folder import RunFolder
from nmt.sweep.running import Child, Ending, Job, Slot, ending, run_jobs

DONE = Ending(result=result(1, 30.0))


def job(name: str, folder: Path = Path("nowhere")) -> Job:
    return Job(name, read(["training.seed=1"]), RunFolder(folder / name))


class Ground:
    """Places and runs; notes what began where, and what had ended by then."""

    def __init__(self, fates: dict[str, Ending | None]) -> None:
        self.fates = fates
        self.began: list[tuple[str, str | None, int]] = []
        self.ended: list[tuple[str, Ending]] = []
        self.processes: dict[str, Scripted] = {}

    def start(self, job: Job, slot: Slot) -> Scripted:
        self.began.append((job.name, slot.device, len(self.ended)))
        self.processes[job.name] = Scripted(self.fates[job.name])
        return self.processes[job.name]

    def note(self, job: Job, ending: Ending, seconds: float) -> None:
        assert seconds >= 0
        self.ended.append((job.name, ending))

    def run(self, *slots: Slot) -> signal.Signals | None:
        jobs = [job(name) for name in self.fates]
        return run_jobs(jobs, slots, start=self.start, ended=self.note)


def test_with_one_place_runs_come_one_after_another_and_a_failed_one_stops_none() -> None:
    failed = Ending(reason="no such file")
    ground = Ground({"a": DONE, "b": failed, "c": DONE})
    assert ground.run(Slot()) is None
    assert ground.began == [("a", None, 0), ("b", None, 1), ("c", None, 2)]
    assert ground.ended == [("a", DONE), ("b", failed), ("c", DONE)]


def test_as_many_runs_as_there_are_places_are_under_way_at_a_time() -> None:
    ground = Ground(dict.fromkeys("abcde", DONE))
    ground.run(Slot("cuda:0"), Slot("cuda:1"))
    assert ground.began == [
        ("a", "cuda:0", 0),
        ("b", "cuda:1", 0),
        ("c", "cuda:0", 2),
        ("d", "cuda:1", 2),
        ("e", "cuda:0", 4),
    ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_asks_all_runs_to_save_and_begins_no_others(number: signal.Signals) -> None:
    ground = Ground({"a": DONE, "b": None, "c": None, "d": DONE})
    before = signal.getsignal(number)

    def start_and_signal(job: Job, slot: Slot) -> Scripted:
        process = ground.start(job, slot)
        if job.name == "c":
            os.kill(os.getpid(), number)
        return process

    jobs = [job(name) for name in ground.fates]
    found = run_jobs(jobs, [Slot(), Slot()], start=start_and_signal, ended=ground.note)
    assert found == number
    assert ground.ended == [("a", DONE)]
    assert list(ground.processes) == ["a", "b", "c"]
    assert ground.processes["b"].signals == [signal.SIGTERM]
    assert ground.processes["c"].signals == [signal.SIGTERM]
    assert signal.getsignal(number) == before


def test_after_a_signal_a_free_place_stays_free() -> None:
    ground = Ground({"a": None, "b": DONE})

    def start_and_signal(job: Job, slot: Slot) -> Scripted:
        os.kill(os.getpid(), signal.SIGTERM)
        return ground.start(job, slot)

    jobs = [job(name) for name in ground.fates]
    run_jobs(jobs, [Slot(), Slot()], start=start_and_signal, ended=ground.note)
    assert list(ground.processes) == ["a"]


def test_a_second_ctrl_c_lets_no_run_save() -> None:
    class Slow(Scripted):
        def ending(self) -> Ending | None:
            if len(self.signals) == 1:
                os.kill(os.getpid(), signal.SIGINT)
            return Ending(reason="stopped") if len(self.signals) > 1 else None

    process = Slow(None)

    def start(_job: Job, _slot: Slot) -> Slow:
        os.kill(os.getpid(), signal.SIGINT)
        return process

    assert run_jobs([job("a")], [Slot()], start=start, ended=lambda *_: None) == signal.SIGINT
    assert process.signals == [signal.SIGTERM, signal.SIGINT]


def test_what_goes_wrong_here_leaves_no_run_alone() -> None:
    ground = Ground({"a": None, "b": DONE})

    def fail(*_: object) -> None:
        raise OSError("disk full")

    jobs = [job(name) for name in ground.fates]
    with pytest.raises(OSError, match="disk full"):
        run_jobs(jobs, [Slot(), Slot()], start=ground.start, ended=fail)
    assert ground.processes["a"].signals == [signal.SIGTERM]


def test_a_place_gives_a_run_its_device_and_its_share_of_the_threads() -> None:
    recipe = read([])
    assert Slot().recipe(recipe) == recipe
    assert Slot("cuda:1", 2).recipe(recipe) == read(["training.device=cuda", "training.threads=2"])
    own = read(["training.threads=3", "training.device=cpu"])
    assert Slot(None, 2).recipe(own) == own


@pytest.mark.parametrize(
    ("device", "visible", "expected"),
    [
        (None, None, None),
        ("cpu", "4,5", "4,5"),
        ("cuda", "4,5", "4,5"),
        ("cuda:1", None, "1"),
        ("cuda:1", "", "1"),
        ("cuda:1", "4, 5", "5"),
    ],
)
def test_of_several_gpus_a_run_sees_its_own(
    device: str | None, visible: str | None, expected: str | None
) -> None:
    given = {"HOME": "/"} if visible is None else {"HOME": "/", "CUDA_VISIBLE_DEVICES": visible}
    found = Slot(device).environment(given)
    assert found.pop("CUDA_VISIBLE_DEVICES", None) == expected
    assert found == {"HOME": "/"}


@pytest.mark.parametrize(
    ("code", "answer", "last_words", "expected"),
    [
        (0, {"result": result(1, 30.0).model_dump(mode="json")}, "notice\n", DONE),
        (2, {"failed": "no such file"}, "", Ending(reason="no such file")),
        (1, {"failed": "a", "traceback": "b"}, "", Ending(reason="a", traceback="b")),
        (
            75,
            {},
            "",
            Ending(reason="stopped by a signal from elsewhere; the same command goes on with it"),
        ),
        (-9, {}, "", Ending(reason="killed by SIGKILL (out of memory, perhaps)")),
        (-11, {}, "a\nb  c\n\n", Ending(reason="killed by SIGSEGV: b c")),
        (1, {}, "a\nb\n", Ending(reason="ended with exit code 1: b", traceback="a\nb\n")),
    ],
)
def test_how_a_process_has_ended_is_told_in_one_line(
    code: int, answer: dict[str, object], last_words: str, expected: Ending
) -> None:
    assert ending(code, answer, last_words) == expected


def test_a_process_that_cannot_begin_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\nexit 3\n", encoding="utf-8", newline="\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    process = Child(job("a", tmp_path), Slot())
    process.wait()
    assert process.ending() == Ending(reason="ended with exit code 3")
    assert list(tmp_path.iterdir()) == [broken]
