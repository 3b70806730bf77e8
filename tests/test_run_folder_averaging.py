import json
from pathlib import Path

import pytest
import torch
from tiny_run import SOURCES, write_run

from nmt import Translator
from nmt.cli.main import main
from nmt.errors import CheckpointError, NMTError
from nmt.run_folder import RunFolder, average_run, merit, read_weights, write_weights

# loss and chrF2 after epochs 1 to 4; of equal losses the earlier is the better
LOSSES = (3.0, 1.0, 2.0, 2.0)
CHRF2 = (10.0, 20.0, 40.0, 30.0)


def write_trained_run(
    path: Path, *overrides: str, kept: tuple[int, ...] = (1, 2, 3, 4)
) -> RunFolder:
    """A run whose weights after an epoch are those to translate with plus the epoch's number."""
    run = write_run(path, *overrides)
    entries = [
        {
            "epoch": epoch,
            "step": epoch,
            "seconds": 1.0,
            "loss": loss,
            "chrF2": score,
            "signatures": {"chrF2": "signature"},
        }
        for epoch, (loss, score) in enumerate(zip(LOSSES, CHRF2, strict=True), start=1)
    ]
    lines = "".join(f"{json.dumps(entry)}\n" for entry in entries)
    run.metrics_file.write_text(lines, encoding="utf-8", newline="\n")
    for epoch in kept:
        weights = {name: weight + epoch for name, weight in read_weights(run.weights_file).items()}
        write_weights(run.weights_of_epoch(epoch), weights)
    run.card_file.write_text("card\n", encoding="utf-8", newline="\n")
    run.confidence_file.write_text("{}\n", encoding="utf-8", newline="\n")
    run.report.mkdir()
    (run.report / "scores.json").write_text("[]\n", encoding="utf-8", newline="\n")
    return run


def added(run: Path, before: dict[str, torch.Tensor]) -> float:
    """By how much all weights of a run are greater than those before."""
    weights = read_weights(RunFolder(run).weights_file)
    assert weights.keys() == before.keys()
    differences = torch.cat([(weights[name] - before[name]).flatten() for name in before])
    assert float(differences.max() - differences.min()) < 1e-5
    return round(float(differences[0]), 4)


def test_merit_is_the_higher_the_better() -> None:
    assert merit({"loss": 2.0, "chrF2": 30.0}, "loss") == -2.0
    assert merit({"loss": 2.0, "chrF2": 30.0}, "chrF2") == 30.0


@pytest.mark.parametrize(
    ("metric", "options", "epochs"),
    [
        ("loss", ["--best", "1"], [2]),
        ("loss", ["--best", "2"], [2, 3]),
        ("chrF2", ["--best", "2"], [3, 4]),
        ("chrF2", ["--best", "3"], [2, 3, 4]),
        ("loss", ["--last", "3"], [2, 3, 4]),
        ("chrF2", ["--last", "1"], [4]),
    ],
)
def test_a_run_translates_with_the_mean(
    metric: str,
    options: list[str],
    epochs: list[int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = write_trained_run(tmp_path / "run", f"training.checkpoint_metric={metric}")
    before, kept = read_weights(run.weights_file), sorted(run.checkpoints.iterdir())
    assert main(["average", str(run.path), *options]) == 0
    assert added(run.path, before) == round(sum(epochs) / len(epochs), 4)
    named = ", ".join(map(str, epochs))
    output = capsys.readouterr()
    assert (
        output.out == f"{run.path} translates with the mean of the weights after epochs {named}\n"
    )
    assert "are deleted" in output.err
    assert sorted(run.checkpoints.iterdir()) == kept
    # nothing is left that was measured with other weights, and nothing else is gone
    assert not {run.card_file, run.confidence_file, run.report} & set(run.path.iterdir())
    averaged = run.versions()["averaged"]
    assert (averaged["choice"], sorted(averaged["epochs"])) == (options[0][2:], epochs)
    assert run.versions()["seed"] == 7
    assert main(["info", str(run.path)]) == 0
    assert f", the mean of the {options[0][2:]} {options[1]}\n" in capsys.readouterr().out
    assert len(Translator.load(run.path).translate(SOURCES)) == len(SOURCES)


def test_the_mean_may_go_into_another_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_trained_run(tmp_path / "run")
    run.shortlist_file.write_bytes(b"of the tokenizers, whatever the weights")
    before = {file: file.read_bytes() for file in run.path.rglob("*") if file.is_file()}
    out = tmp_path / "new" / "mean"
    assert main(["average", str(run.path), "--last", "2", "--run-dir", str(out)]) == 0
    assert added(out, read_weights(run.weights_file)) == 3.5
    assert {file: file.read_bytes() for file in run.path.rglob("*") if file.is_file()} == before
    names = [
        "model.safetensors",
        "recipe.yaml",
        "shortlist.safetensors",
        "source.model",
        "target.model",
        "versions.json",
    ]
    assert sorted(file.name for file in out.iterdir()) == names
    assert [file.name for file in out.parent.iterdir()] == ["mean"]
    assert RunFolder(out).versions()["averaged"] == {"choice": "last", "epochs": [4, 3]}
    assert len(Translator.load(out).translate(SOURCES)) == len(SOURCES)
    assert capsys.readouterr().err == ""


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    run = write_trained_run(tmp_path / "run")
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine").touch()
    with pytest.raises(NMTError, match=r"out is there already; choose another name$"):
        average_run(run, "best", 1, out=out)
    assert [file.name for file in out.iterdir()] == ["mine"]


def test_a_run_that_is_still_training_is_averaged_elsewhere_only(tmp_path: Path) -> None:
    """Weights in its own folder would be taken for the end of training."""
    run = write_trained_run(tmp_path / "run")
    before = read_weights(run.weights_file)
    run.weights_file.unlink()
    with pytest.raises(CheckpointError, match=r"run: training has not come to its end; finish it"):
        average_run(run, "best", 1)
    assert not run.weights_file.exists()
    assert average_run(run, "last", 1, out=tmp_path / "out") == [4]
    assert added(tmp_path / "out", before) == 4


def test_a_run_at_work_is_left_alone(tmp_path: Path) -> None:
    run = write_trained_run(tmp_path / "run")
    with (
        run.held(),
        pytest.raises(CheckpointError, match=r"is training here; wait for its end"),
    ):
        average_run(RunFolder(run.path), "best", 1)
    assert run.card_file.exists()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--best", "5"], "run: must have 5 validations to average, has 4"),
        (
            ["--best", "2"],
            "run: the weights of epoch 4 were not kept in checkpoints/; a run with "
            "training.average_checkpoints=2 keeps them",
        ),
        (
            ["--last", "1"],
            "run: the weights of epoch 4 were not kept in checkpoints/; a run with "
            "training.keep_last=1 keeps them",
        ),
        ([], "one of --best and --last must be given"),
        (["--best", "1", "--last", "1"], "one of --best and --last must be given"),
        (["--best", "0"], "--best must be a whole number >= 1, got '0'"),
    ],
)
def test_what_cannot_be_averaged_is_one_line(
    arguments: list[str],
    complaint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = write_trained_run(tmp_path / "run", kept=(1, 3))
    before = run.weights_file.read_bytes()
    monkeypatch.chdir(tmp_path)
    assert main(["average", "run", *arguments]) == 2
    assert capsys.readouterr() == ("", f"nmt: {complaint}\n")
    assert run.weights_file.read_bytes() == before
    assert run.card_file.exists()


def test_no_run_folder_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["average", str(tmp_path / "none"), "--best", "1"]) == 2
    assert capsys.readouterr() == ("", f"nmt: {tmp_path / 'none'}: no such run folder\n")


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (torch.full((34,), float("nan")), "must be finite numbers"),
        (torch.ones(3), r"must have the shape \(34,\), got \(3,\)"),
    ],
)
def test_weights_that_are_no_weights_are_not_averaged(
    weight: torch.Tensor, message: str, tmp_path: Path
) -> None:
    run = write_trained_run(tmp_path / "run")
    file, before = run.weights_of_epoch(3), run.weights_file.read_bytes()
    write_weights(file, read_weights(file) | {"output_layer.bias": weight})
    with pytest.raises(CheckpointError, match=rf"epoch-003.*'output_layer.bias' {message}"):
        average_run(run, "last", 2)
    assert run.weights_file.read_bytes() == before


def test_an_entry_without_the_metric_is_refused(tmp_path: Path) -> None:
    run = write_trained_run(tmp_path / "run", "training.checkpoint_metric=BLEU")
    with pytest.raises(CheckpointError, match=r"metrics\.jsonl: BLEU must be a number, got None"):
        average_run(run, "best", 1)
