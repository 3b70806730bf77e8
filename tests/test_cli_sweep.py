import signal
from functools import partial
from pathlib import Path

import pytest
from sweeping import RECIPE, Fate, Starter, files, result

from nmt.cli.main import main
from nmt.recipe import load_recipe
from nmt.run_folder import RunFolder
from nmt.sweep.running import Ending, Job, Process, Slot
from nmt.sweep.sweep import sweep

RATE = "training.learning_rate=0.002"


class Ground:
    """A recipe in an empty folder, and runs that are no processes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch = monkeypatch
        self.slots: list[Slot] = []
        self.let(lambda name, seed: Ending(result=result(seed, len(name))))

    def let(self, fate: Fate) -> None:
        """Say what becomes of the runs."""
        self.starter = Starter(fate)
        self.monkeypatch.setattr("nmt.sweep.sweep.sweep", partial(sweep, start=self._start))

    def _start(self, job: Job, slot: Slot) -> Process:
        self.slots.append(slot)
        return self.starter(job, slot)


@pytest.fixture
def ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ground:
    monkeypatch.chdir(tmp_path)
    Path("toy.yaml").write_text(RECIPE, encoding="utf-8", newline="\n")
    monkeypatch.setattr("nmt.sweep.sweep.draw", lambda *_: None)
    return Ground(monkeypatch)


def test_a_sweep_ends_with_its_table_on_stdout(
    ground: Ground, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("nmt.sweep.sweep.draw", lambda _, path: path.touch())
    assert main(["sweep", "toy.yaml", "--set", RATE, "--seeds", "2", "--sweep-dir", "s"]) == 0
    output = capsys.readouterr()
    assert output.out == Path("s/table.md").read_text(encoding="utf-8")
    lines = output.err.split("\n")
    assert lines[0] == "4 runs, in s"
    assert lines[-2:] == ["s: sweep.json, table.md, sweep.png", ""]
    assert len(ground.starter.started) == 4


def test_overrides_are_those_of_all_runs(ground: Ground) -> None:
    arguments = ["--set", "model.bridge=zero", "training.max_epochs=2", "--one-at-a-time"]
    assert main(["sweep", "toy.yaml", *arguments, "--set", RATE]) == 0
    assert files(Path("runs/toy-sweep")) == [
        *("baseline", "model.bridge=zero", "sweep.json", "table.md", RATE)
    ]
    recipe = RunFolder("runs/toy-sweep/model.bridge=zero/seed-1").recipe
    expected = ["training.max_epochs=2", "model.bridge=zero", "training.seed=1", "data.test=null"]
    assert recipe == load_recipe("toy.yaml", expected)


def test_without_a_grid_the_recipe_is_trained_with_each_seed(ground: Ground) -> None:
    assert main(["sweep", "toy.yaml", "--seeds", "3"]) == 0
    assert ground.starter.started == [f"baseline/seed-{seed}" for seed in (1, 2, 3)]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], [(None, None)] * 3),
        (["--jobs", "2"], [(None, 4)] * 3),
        (["--jobs", "12"], [(None, 1)] * 3),
        (["--devices", "cpu"], [("cpu", None)] * 3),
        (["--devices", "cuda:0,cuda:2"], [("cuda:0", 4), ("cuda:2", 4), ("cuda:0", 4)]),
        (
            ["--devices", "cuda:0,cuda:2", "--jobs", "3"],
            [("cuda:0", 2), ("cuda:2", 2), ("cuda:0", 2)],
        ),
        (["--devices", "cuda", "--jobs", "2"], [("cuda", 4)] * 3),
    ],
)
def test_runs_at_a_time_have_the_devices_in_turn_and_share_the_threads(
    arguments: list[str],
    expected: list[tuple[str | None, int | None]],
    ground: Ground,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("torch.get_num_threads", lambda: 8)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 3)
    assert main(["sweep", "toy.yaml", "--seeds", "3", *arguments]) == 0
    assert [(one.device, one.threads) for one in ground.slots] == expected


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (
            ["--set", "training.warmup=5,6"],
            "--set training.warmup=5: override: unknown key 'training.warmup'; did you mean "
            "'training.warmup_steps'?",
        ),
        (
            ["--set", "training.max_epochs=4,0"],
            "--set training.max_epochs=0: override: training.max_epochs must be >= 1, got 0",
        ),
        (["training.max_epochs=0"], "override: training.max_epochs must be >= 1, got 0"),
        (
            ["--seeds", "2", "training.seed=7"],
            "training.seed=7: the seeds of a sweep are those of --seeds",
        ),
        (["--seeds", "0"], "--seeds must be a whole number >= 1, got '0'"),
        (["--jobs", "x"], "--jobs must be a whole number >= 1, got 'x'"),
        (
            ["--devices", "cpu,cuda:1"],
            "--devices must be of those here (cpu, cuda, cuda:0), got 'cuda:1'",
        ),
    ],
)
def test_wrong_usage_is_one_line_and_nothing_is_trained(
    arguments: list[str],
    complaint: str,
    ground: Ground,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    assert main(["sweep", "toy.yaml", *arguments]) == 2
    assert capsys.readouterr() == ("", f"nmt: {complaint}\n")
    assert files(Path()) == ["toy.yaml"]


def test_failed_runs_stand_in_the_table_and_in_the_exit_code(
    ground: Ground, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = Ending(reason="no such file")
    ground.let(lambda name, seed: bad if seed == 2 else Ending(result=result(seed, 1.0)))
    assert main(["sweep", "toy.yaml", "--set", RATE, "--seeds", "3", "--sweep-dir", "s"]) == 2
    output = capsys.readouterr()
    assert "\n- baseline, seed 2: no such file\n" in output.out
    assert output.err.endswith(
        "\nnmt: 2 runs failed, the first of them: s/baseline/seed-2: no such file; the same "
        "command tries again\n"
    )


def test_a_defect_of_ours_is_1(ground: Ground, capsys: pytest.CaptureFixture[str]) -> None:
    ground.let(lambda *_: Ending(reason="KeyError: 1", traceback="Traceback: KeyError: 1\n"))
    assert main(["sweep", "toy.yaml", "--sweep-dir", "s"]) == 1
    error = capsys.readouterr().err
    assert "\nTraceback: KeyError: 1\n" in error
    # no picture of nothing
    assert "\ns: sweep.json, table.md\n" in error
    assert "\nnmt: a run failed: s/baseline/seed-1: KeyError: 1; the same command" in error


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 75)])
def test_a_stopped_sweep_has_the_code_of_its_signal_and_says_what_is_left(
    number: signal.Signals, code: int, ground: Ground, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*_: object) -> Ending:
        signal.raise_signal(number)
        return Ending(reason="killed by SIGTERM")

    ground.let(stop)
    assert main(["sweep", "toy.yaml", "--set", RATE, "--sweep-dir", "s"]) == code
    output = capsys.readouterr()
    assert output.out == ""
    stopped = f"s: stopped by {number.name}, 2 to go; the same command goes on\n"
    assert output.err.endswith(stopped)
