"""Whole sweeps whose runs are no processes: what is trained, what is kept, what is refused."""

import json
import re
import shutil
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest
from sweeping import Fate, Starter, files, grid, result, write_finished

from nmt.errors import CheckpointError, NMTError
from nmt.run_folder import RunFolder
from nmt.run_folder.lock import locked
from nmt.sweep.record import SweepFolder
from nmt.sweep.running import Ending, Job, Process, Slot
from nmt.sweep.sweep import Outcome, sweep

RATES = "training.learning_rate=0.002,0.004"
ROWS = ("baseline", "training.learning_rate=0.002", "training.learning_rate=0.004")


@pytest.fixture(autouse=True)
def no_picture(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw nothing, which takes its time, but where the picture is looked for."""
    if "with_picture" not in request.fixturenames:
        monkeypatch.setattr("nmt.sweep.sweep.draw", lambda *_: None)


@pytest.fixture
def with_picture() -> None:
    """Draw."""


def well(name: str, seed: int) -> Ending:
    """Every run ends well; BLEU is 10 for each seed and 1 for each letter of the name."""
    return Ending(result=result(seed, 10.0 * seed + len(name)))


def failing(*runs: str, traceback: str = "") -> Fate:
    def fate(name: str, seed: int) -> Ending:
        is_bad = f"{name}/seed-{seed}" in runs
        return Ending(reason="no such file", traceback=traceback) if is_bad else well(name, seed)

    return fate


def run(
    path: Path, *texts: str, num_seeds: int = 1, fate: Fate = well, num_slots: int = 1
) -> tuple[Outcome, list[str], list[str]]:
    """Return what has become of a sweep, the runs that were trained, and what was said."""
    starter, said = Starter(fate), list[str]()
    outcome = sweep(
        grid(*texts),
        SweepFolder(path),
        num_seeds=num_seeds,
        slots=[Slot()] * num_slots,
        say=said.append,
        start=starter,
    )
    return outcome, starter.started, said


def record(path: Path) -> dict[str, dict[str, list[int]]]:
    """The seeds of the results and of the failures of each row of `sweep.json`."""
    found = json.loads((path / "sweep.json").read_text(encoding="utf-8"))
    return {
        row["name"]: {
            key: [one["seed"] for one in row[key]] for key in ("results", "failures") if row[key]
        }
        for row in found["settings"]
    }


@pytest.mark.usefixtures("with_picture")
def test_every_setting_is_trained_with_every_seed_the_first_seed_first(tmp_path: Path) -> None:
    outcome, started, said = run(tmp_path / "s", RATES, num_seeds=2)
    assert started == [f"{row}/seed-{seed}" for seed in (1, 2) for row in ROWS]
    assert files(tmp_path / "s") == sorted([*ROWS, "sweep.json", "sweep.png", "table.md"])
    assert files(tmp_path / "s" / ROWS[1]) == ["seed-1", "seed-2"]
    recipe = RunFolder(tmp_path / "s" / ROWS[1] / "seed-2").recipe
    assert (recipe.training.learning_rate, recipe.training.seed) == (0.002, 2)
    assert recipe.data.test is None
    assert record(tmp_path / "s") == {row: {"results": [1, 2]} for row in ROWS}
    assert (tmp_path / "s" / "table.md").read_text(encoding="utf-8") == outcome.table
    assert outcome.table.count("\n| ") == 1 + len(ROWS)
    assert (outcome.failures, outcome.stopped_by, outcome.num_left) == ({}, None, 0)
    assert said[0] == f"6 runs, in {tmp_path / 's'}"
    assert said[1] == "[1/6] baseline/seed-1 starts"
    assert re.fullmatch(
        r"baseline/seed-1 is done in 0 s: validation BLEU 18\.00, chrF2 50\.00, loss 2\.0000; "
        r"about 0 s left",
        said[2],
    )


def test_the_record_has_the_numbers_of_the_table(tmp_path: Path) -> None:
    run(tmp_path / "s", "training.max_epochs=8", num_seeds=2)
    found = json.loads((tmp_path / "s" / "sweep.json").read_text(encoding="utf-8"))
    baseline, other = found["settings"]
    assert other["values"] == {"training.max_epochs": 8}
    # names of 8 and 21 letters; seeds 1 and 2
    assert list(baseline["summary"]["BLEU"].items()) == [
        *(("mean", 23), ("least", 18), ("greatest", 28), ("difference", None))
    ]
    assert list(other["summary"]["BLEU"].values()) == [36, 31, 41, 13]
    assert other["results"][0]["signatures"]["BLEU"] == "nrefs:1|tok:13a"


def test_the_same_command_again_trains_nothing(tmp_path: Path) -> None:
    before, _, _ = run(tmp_path / "s", RATES)
    after, started, said = run(tmp_path / "s", RATES)
    assert started == []
    assert after.table == before.table
    assert said == [f"3 runs, 3 of them trained already, in {tmp_path / 's'}"]


def test_what_was_not_trained_is_trained_and_no_other(tmp_path: Path) -> None:
    run(tmp_path / "s", RATES)
    shutil.rmtree(tmp_path / "s" / ROWS[1])
    _, started, _ = run(tmp_path / "s", RATES)
    assert started == [f"{ROWS[1]}/seed-1"]


def test_a_run_that_was_cut_off_goes_on(tmp_path: Path) -> None:
    run(tmp_path / "s", RATES)
    RunFolder(tmp_path / "s" / ROWS[1] / "seed-1").weights_file.unlink()
    _, started, said = run(tmp_path / "s", RATES)
    assert started == [f"{ROWS[1]}/seed-1"]
    assert said[1] == f"[3/3] {ROWS[1]}/seed-1 goes on"


def test_another_grid_only_adds_runs_and_all_are_in_the_table(tmp_path: Path) -> None:
    run(tmp_path / "s", RATES)
    _, started, _ = run(tmp_path / "s", "training.learning_rate=0.004,0.008", num_seeds=2)
    new = "training.learning_rate=0.008"
    assert started == [
        f"{new}/seed-1",
        *(f"{row}/seed-2" for row in ("baseline", ROWS[2], new)),
    ]
    both, one = {"results": [1, 2]}, {"results": [1]}
    assert record(tmp_path / "s") == {"baseline": both, ROWS[2]: both, new: both, ROWS[1]: one}


def test_a_failed_run_is_told_of_and_tried_again(tmp_path: Path) -> None:
    bad = f"{ROWS[1]}/seed-1"
    outcome, started, said = run(tmp_path / "s", RATES, fate=failing(bad))
    assert len(started) == 3
    assert outcome.failures == {str(tmp_path / "s" / bad): "no such file"}
    assert (outcome.has_defect, outcome.num_left) == (False, 1)
    assert f"{bad} has failed: no such file" in said[4]
    assert "learning_rate=0.002, seed 1: no such file\n" in outcome.table
    assert record(tmp_path / "s")[ROWS[1]] == {"failures": [1]}
    outcome, started, _ = run(tmp_path / "s", RATES)
    assert started == [bad]
    assert (outcome.failures, outcome.num_left) == ({}, 0)
    assert "Failed" not in outcome.table


def test_a_defect_of_ours_is_shown_in_full(tmp_path: Path) -> None:
    fate = failing("baseline/seed-1", traceback="Traceback\n  line 1\n")
    outcome, _, said = run(tmp_path / "s", fate=fate)
    assert outcome.has_defect
    assert said[2] == "Traceback\n  line 1"
    assert files(tmp_path / "s") == ["baseline", "sweep.json", "table.md"]


def test_failures_of_earlier_grids_are_kept_until_their_folders_are_deleted(tmp_path: Path) -> None:
    bad, other = f"{ROWS[1]}/seed-1", "training.learning_rate=0.008"
    run(tmp_path / "s", RATES, fate=failing(bad))
    for _ in range(2):
        outcome, _, _ = run(tmp_path / "s", other)
        assert record(tmp_path / "s")[ROWS[1]] == {"failures": [1]}
        assert "learning_rate=0.002, seed 1: no such file\n" in outcome.table
    shutil.rmtree(tmp_path / "s" / ROWS[1])
    outcome, _, _ = run(tmp_path / "s", other)
    assert set(record(tmp_path / "s")) == {"baseline", ROWS[2], other}
    assert "Failed" not in outcome.table


def test_a_failed_run_whose_folder_cannot_be_made_stops_no_sweep(tmp_path: Path) -> None:
    bad = f"{ROWS[1]}/seed-1"
    run(tmp_path / "s")
    (tmp_path / "s" / ROWS[1]).touch()
    outcome, started, _ = run(tmp_path / "s", RATES, fate=failing(bad))
    assert started == [f"{ROWS[1]}/seed-1", f"{ROWS[2]}/seed-1"]
    assert outcome.failures == {str(tmp_path / "s" / bad): "no such file"}


def test_a_signal_ends_the_sweep_and_says_what_is_left(tmp_path: Path) -> None:
    class Signalled(Starter):
        def __call__(self, job: Job, slot: Slot) -> Process:
            if job.name == ROWS[1]:
                signal.raise_signal(signal.SIGTERM)
            return super().__call__(job, slot)

    outcome = sweep(
        grid(RATES),
        SweepFolder(tmp_path / "s"),
        num_seeds=1,
        slots=[Slot()],
        say=lambda _: None,
        start=Signalled(failing(f"{ROWS[1]}/seed-1")),
    )
    assert (outcome.stopped_by, outcome.num_left) == (signal.SIGTERM, 2)
    assert record(tmp_path / "s") == {ROWS[0]: {"results": [1]}, ROWS[1]: {}, ROWS[2]: {}}


@pytest.mark.parametrize("texts", [(), (RATES,)])
def test_a_sweep_of_another_recipe_is_refused(texts: Sequence[str], tmp_path: Path) -> None:
    path = tmp_path / "s"
    run(path, *texts)
    record_file = path / "sweep.json"
    changed = record_file.read_text(encoding="utf-8").replace('"max_epochs": 4', '"max_epochs": 5')
    record_file.write_text(changed, encoding="utf-8", newline="\n")
    message = rf"^{path} holds a sweep of another recipe \(training.max_epochs: 5 -> 4\); choose "
    with pytest.raises(CheckpointError, match=message):
        run(path, *texts)
    assert record_file.read_text(encoding="utf-8") == changed


def test_a_recipe_that_nothing_was_trained_by_may_be_mended(tmp_path: Path) -> None:
    path = tmp_path / "s"
    runs = [f"{row}/seed-1" for row in ROWS]
    run(path, RATES, fate=failing(*runs))
    record_file = path / "sweep.json"
    changed = record_file.read_text(encoding="utf-8").replace('"max_epochs": 4', '"max_epochs": 5')
    record_file.write_text(changed, encoding="utf-8", newline="\n")
    outcome, started, _ = run(path, "model.bridge=zero")
    assert started == ["baseline/seed-1", "model.bridge=zero/seed-1"]
    assert record(path) == {"baseline": {"results": [1]}, "model.bridge=zero": {"results": [1]}}
    assert '"max_epochs": 4' in record_file.read_text(encoding="utf-8")
    assert "Failed" not in outcome.table


def test_a_run_of_another_recipe_is_refused(tmp_path: Path) -> None:
    (other,) = grid("training.max_epochs=8")[1:]
    run(tmp_path / "s", RATES)
    found = SweepFolder(tmp_path / "s").run(ROWS[1], 1)
    write_finished(found, other.with_seed(1))
    message = rf"^{found.path} holds a run of another recipe \(training.max_epochs: 8 -> 4; "
    with pytest.raises(CheckpointError, match=message):
        run(tmp_path / "s", RATES)


def test_where_a_run_is_trained_may_change(tmp_path: Path) -> None:
    starter = Starter(well)
    for slot in (Slot("cpu", 3), Slot(None, 1)):
        sweep(
            grid(),
            SweepFolder(tmp_path / "s"),
            num_seeds=1,
            slots=[slot],
            say=lambda _: None,
            start=starter,
        )
    assert starter.started == ["baseline/seed-1"]
    training = RunFolder(tmp_path / "s" / "baseline" / "seed-1").recipe.training
    assert (training.device, training.threads) == ("cpu", 3)


def test_a_folder_of_something_else_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "notes.txt").touch()
    message = rf"^{tmp_path / 's'} holds files that are not of a sweep; choose another --sweep-dir$"
    with pytest.raises(CheckpointError, match=message):
        run(tmp_path / "s")
    assert files(tmp_path / "s") == ["notes.txt"]


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "s").touch()
    with pytest.raises(NMTError, match=rf"^{tmp_path / 's'}: must be a folder, got a file$"):
        run(tmp_path / "s")


def test_a_damaged_record_is_refused(tmp_path: Path) -> None:
    run(tmp_path / "s")
    (tmp_path / "s" / "sweep.json").write_text('{"version": 2}', encoding="utf-8", newline="\n")
    with pytest.raises(CheckpointError, match=r"sweep\.json: damaged or of another version; "):
        run(tmp_path / "s")


def test_two_sweeps_do_not_share_a_folder(tmp_path: Path) -> None:
    run(tmp_path / "s")
    message = (
        r"s: process \d+ on .* is training here; wait for its end or choose another --sweep-dir$"
    )
    with (
        locked(tmp_path / "s" / ".lock"),
        pytest.raises(CheckpointError, match=message),
    ):
        run(tmp_path / "s")


def test_a_sweep_that_is_refused_leaves_no_folder(tmp_path: Path) -> None:
    with (
        pytest.raises(CheckpointError, match="holds a run of another recipe"),
        SweepFolder(tmp_path / "s").held(),
    ):
        raise CheckpointError("holds a run of another recipe")
    assert files(tmp_path) == []
