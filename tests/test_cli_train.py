from pathlib import Path

import pytest
from toy import QUICK, RECIPE, toy_recipe, write_quick_corpus

from nmt.cli.main import main
from nmt.recipe import Recipe, parse_recipe
from nmt.run_folder import RunFolder


@pytest.fixture
def recipe_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe, its corpus beside it, and an empty folder to stand in."""
    write_quick_corpus(tmp_path)
    file = tmp_path / "toy.yaml"
    file.write_text(RECIPE.format(folder=tmp_path.as_posix()), encoding="utf-8", newline="\n")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return file


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Recipe, Path]]:
    """What the command asked to train; nothing is trained."""
    asked: list[tuple[Recipe, Path]] = []

    def train(recipe: Recipe, run_dir: Path, *, allow_changes: bool) -> RunFolder:
        assert not allow_changes
        asked.append((recipe, run_dir))
        return RunFolder(run_dir)

    monkeypatch.setattr("nmt.training.train", train)
    return asked


def test_the_printed_recipe_is_the_recipe(
    recipe_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overrides = ["training.seed=9", "data.test=null"]
    assert main(["train", str(recipe_file), *overrides, "--print-recipe"]) == 0
    output = capsys.readouterr()
    assert parse_recipe(output.out, name="printed") == toy_recipe(recipe_file.parent, *overrides)
    assert output.err == ""
    assert list(Path().iterdir()) == []


def test_a_run_ends_with_its_scores_on_stdout(
    recipe_file: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", str(recipe_file), *QUICK, "--run-dir", "run"]) == 0
    run = RunFolder("run")
    (score,) = run.scores()
    output = capfd.readouterr()
    assert output.out == f"BLEU = {score['value']:.2f}  {score['signature']}\n"
    assert "done: run\n" in output.err
    assert run.recipe == toy_recipe(recipe_file.parent, *QUICK)


def test_the_run_folder_is_named_after_the_recipe(
    recipe_file: Path, trained: list[tuple[Recipe, Path]]
) -> None:
    assert main(["train", str(recipe_file), "training.seed=9"]) == 0
    expected = toy_recipe(recipe_file.parent, "training.seed=9")
    assert trained == [(expected, Path("runs") / "toy")]


def test_a_recipe_that_comes_with_nmt_goes_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trained: list[tuple[Recipe, Path]]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", "multi30k_en_de", "--run-dir", "here"]) == 0
    assert [path for _, path in trained] == [Path("here")]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (
            ["training.warmup=5"],
            "override: unknown key 'training.warmup'; did you mean 'training.warmup_steps'?",
        ),
        (["training.seed"], "override must be section.key=value, got 'training.seed'"),
        (["training.max_epochs=0"], "override: training.max_epochs must be >= 1, got 0"),
    ],
)
def test_a_wrong_setting_is_one_line_and_leaves_no_folder(
    arguments: list[str],
    complaint: str,
    recipe_file: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["train", str(recipe_file), *arguments, "--run-dir", "run"]) == 2
    assert capsys.readouterr() == ("", f"nmt: {complaint}\n")
    assert list(Path().iterdir()) == []


def test_a_missing_recipe_is_one_line(
    recipe_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = recipe_file.with_name("none.yaml")
    assert main(["train", str(missing)]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith(f"nmt: {missing}: no such recipe; give a YAML file, or one ")
    assert output.err.count("\n") == 1


def test_a_corpus_that_is_missing_is_one_line_and_leaves_no_folder(
    recipe_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (recipe_file.parent / "train.de").unlink()
    assert main(["train", str(recipe_file), "--run-dir", "run"]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert "train.de" in output.err
    assert output.err.count("\n") == 1
    assert list(Path().iterdir()) == []
