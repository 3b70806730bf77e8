import json
import shutil
from pathlib import Path

import pytest
import torch
from toy import QUICK, toy_recipe, write_lines, write_quick_corpus

from nmt.cli.main import main
from nmt.run_folder import RunFolder, average_run, read_weights, write_weights
from nmt.training import train

LASTING = (*QUICK, "training.max_epochs=2", "model.dropout.embedding=0.2")


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a corpus and a run, `run`."""
    folder = tmp_path_factory.mktemp("ground")
    write_quick_corpus(folder)
    train(toy_recipe(folder, *LASTING, "training.keep_last=2"), folder / "run")
    return folder


@pytest.fixture
def run(ground: Path, tmp_path: Path) -> RunFolder:
    """A copy of the run."""
    return RunFolder(shutil.copytree(ground / "run", tmp_path / "run"))


def lines_of(
    run: RunFolder, capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0
) -> tuple[dict[str, str], str]:
    """What was compared, by its name, and what stood on stderr last."""
    capsys.readouterr()
    assert main(["reproduce", str(run.path), *arguments]) == code
    output = capsys.readouterr()
    lines = output.out.removesuffix("\n").split("\n")
    return dict(line.split(": ", 1) for line in lines if ": " in line), output.err.split("\n")[-2]


def refused(run: RunFolder, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Give a command that must end with 2 and one line, and train nothing; return the line."""
    before = sorted(run.path.parent.iterdir())
    capsys.readouterr()
    assert main(["reproduce", str(run.path), *arguments]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.count("\n") == 1, output.err
    assert sorted(run.path.parent.iterdir()) == before
    return output.err.removeprefix("nmt: ").removesuffix("\n")


def test_a_run_is_done_again_to_the_bit(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", str(run.path)]) == 0
    again = RunFolder(f"{run.path}-again")
    (score,) = run.scores()
    num_tensors = len(read_weights(run.weights_file))
    assert capsys.readouterr().out.split("\n") == [
        "data: equal",
        "tokenizers: equal",
        "validations: equal, 2 losses",
        f"weights: equal to the bit, {num_tensors} tensors",
        f"BLEU: equal, {score['value']:.4f}  {score['signature']}",
        "programs: the same versions",
        f"{again.path} is equal to {run.path}",
        "",
    ]
    assert again.weights_file.read_bytes() == run.weights_file.read_bytes()
    # a second time it would only look at what is there
    assert refused(run, capsys) == (
        f"{again.path} holds a finished run already; choose another --run-dir"
    )


def test_what_differs_is_said_and_the_exit_code_is_2(
    run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = read_weights(run.weights_file)
    weights["output_layer.bias"] = weights["output_layer.bias"].clone()
    weights["output_layer.bias"][3] += 0.5
    write_weights(run.weights_file, weights)
    entries = run.metrics()
    entries[1]["loss"] += 0.25
    write_lines(run.metrics_file, [json.dumps(entry) for entry in entries])
    (score,) = run.scores()
    value = score["value"]
    (run.report / "scores.json").write_text(
        json.dumps([score | {"value": value + 1}]), encoding="utf-8", newline="\n"
    )
    versions = run.versions() | {"torch": "0.1"}
    run.versions_file.write_text(json.dumps(versions), encoding="utf-8", newline="\n")
    out = tmp_path / "new"
    lines, error = lines_of(run, capsys, "--run-dir", str(out), code=2)
    assert lines["tokenizers"] == "equal"
    assert lines["validations"].startswith("differ from epoch 2 on, loss ")
    assert lines["weights"] == (
        f"1 of {len(weights)} tensors differ, most output_layer.bias, by up to 0.5"
    )
    assert lines["BLEU"].startswith(f"{value + 1:.4f} before, {value:.4f} now  ")
    assert lines["programs"] == f"torch 0.1 before, {torch.__version__} now"
    assert error.startswith(f"nmt: {out} is not equal to {run.path}: validations: differ from")


def test_a_run_that_was_averaged_is_averaged_again(
    run: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    before = read_weights(run.weights_file)
    average_run(run, "last", 2)
    assert not all(
        torch.equal(before[name], now) for name, now in read_weights(run.weights_file).items()
    )
    lines, _ = lines_of(run, capsys)
    assert lines["weights"].startswith("equal to the bit")
    card = RunFolder(f"{run.path}-again").card_file.read_text(encoding="utf-8")
    assert "| weights chosen by | mean of the last 2 |" in card


def test_other_data_is_refused_before_anything_is_trained(
    ground: Path, run: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    file = ground / "train.en"
    before = file.read_bytes()
    file.write_bytes(b"9 9 9\n" + before.split(b"\n", 1)[1])
    try:
        assert refused(run, capsys) == (
            f"{run.path}: the data is not what it was trained on (train); nothing was trained"
        )
    finally:
        file.write_bytes(before)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"data": None}, "has no fingerprints of the data that {run} was trained on"),
        ({"seed": 99}, "seed must be that of the recipe (1), got 99; these files are not of one"),
        ({"changes": ["a"]}, "its recipe was changed while it trained, see {run}/versions.json"),
        ({"averaged": "x"}, "averaged must have a choice and epochs, got 'x'"),
    ],
)
def test_a_record_that_says_too_little_is_one_line(
    changes: dict[str, object],
    complaint: str,
    run: RunFolder,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run.versions_file.write_text(
        json.dumps(run.versions() | changes), encoding="utf-8", newline="\n"
    )
    assert complaint.format(run=run.path) in refused(run, capsys)


def test_a_run_that_has_not_ended_is_one_line(
    run: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    run.weights_file.unlink()
    complaint = f"{run.path}: training has not come to its end; finish it first"
    assert refused(run, capsys) == complaint


def test_the_new_run_does_not_go_into_the_old_one(
    run: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    complaint = f"{run.path} holds a finished run already; choose another --run-dir"
    assert refused(run, capsys, "--run-dir", str(run.path)) == complaint
    run.card_file.unlink()
    complaint = f"{run.path}: the new run needs a folder of its own; choose another --run-dir"
    assert refused(run, capsys, "--run-dir", str(run.path)) == complaint


def test_a_fine_tuned_run_is_done_again_from_where_it_began(
    ground: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = RunFolder(shutil.copytree(ground / "run", tmp_path / "base"))
    arguments = ["finetune", str(base.path), "--freeze", "encoder", "--run-dir"]
    run = RunFolder(tmp_path / "tuned")
    assert main([*arguments, str(run.path)]) == 0
    lines, _ = lines_of(run, capsys, "--run-dir", str(tmp_path / "first"))
    assert lines["weights"].startswith("equal to the bit")
    write_weights(base.weights_file, read_weights(run.weights_file))
    complaint = f"{base.path}: its weights have changed since the training that started from it"
    assert refused(run, capsys, "--run-dir", str(tmp_path / "second")) == complaint
