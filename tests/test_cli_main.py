import errno
import os
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Annotated

import pytest
import typer

import nmt
from nmt.cli.main import main, run
from nmt.errors import CheckpointError, DataError, RecipeError

COMMANDS = (
    "train",
    "sweep",
    "finetune",
    "translate",
    "score",
    "evaluate",
    "info",
    "average",
    "export",
    "reproduce",
    "push",
)


def run_raising(error: BaseException) -> int:
    """The exit code of an application whose only command raises this error."""

    def fail() -> None:
        raise error

    return run_command(fail)


def run_command(command: Callable[..., None], *arguments: str) -> int:
    app = typer.Typer()
    app.command()(command)
    return run(app, arguments)


def run_python(code: str, *, stdout: int = subprocess.PIPE) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", code],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONUNBUFFERED": ""},  # printed when the buffer is full, as at home
    )


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_help_names_every_command(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    output = capsys.readouterr()
    assert "Usage: nmt " in output.out
    assert all(re.search(rf"\b{command}\b", output.out) for command in COMMANDS)
    assert output.err == ""


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_help_of_its_own(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--help"]) == 0
    assert f"Usage: nmt {command} " in capsys.readouterr().out


def test_brackets_in_a_help_are_no_colours(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "--help"]) == 0
    words = capsys.readouterr().out.replace("│", " ").split()
    assert "[as in the recipe]" in " ".join(words)


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"nmt {nmt.__version__}\n"


def test_arguments_are_those_of_the_process_by_default(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["nmt", "--version"])
    assert main() == 0
    assert capsys.readouterr().out == f"nmt {nmt.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["trian"], "no such command 'trian'. Did you mean 'train'?"),
        (["--versoin"], "no such option: --versoin (Possible options: --version)"),
        (["info"], "missing argument 'RUN'"),
        (["info", "runs/a", "runs/b"], "got unexpected extra argument(s) (runs/b)"),
        (["evaluate"], "missing option '--model'"),
        (
            ["evaluate", "--model", "runs/a", "--beam", "3"],
            "no such option: --beam (Possible options: --beam-size)",
        ),
        (
            ["evaluate", "--model", "runs/a", "--beam-size", "three"],
            "--beam-size must be a whole number >= 1, got 'three'",
        ),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    output = capsys.readouterr()
    assert output.err == f"nmt: {complaint}\n"
    assert output.out == ""


def test_what_a_command_prints_goes_out_and_the_exit_code_is_0(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def greet(name: Annotated[str, typer.Argument()]) -> None:
        typer.echo(f"hello {name}")

    assert run_command(greet, "world") == 0
    assert capsys.readouterr() == ("hello world\n", "")


@pytest.mark.parametrize(
    "error",
    [
        DataError("data/train.en: cannot be read (no such file or directory)"),
        CheckpointError("runs/a: no recipe.yaml; this is not a run folder"),
        RecipeError("recipes/tiny.yaml has 2 errors:\n  one\n  two"),
    ],
)
def test_what_the_user_can_put_right_is_said_without_a_traceback(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_raising(error) == 2
    assert capsys.readouterr() == ("", f"nmt: {error}\n")


def test_a_defect_of_ours_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError, match=r"^division by zero$"):
        run_raising(ZeroDivisionError("division by zero"))


def test_a_command_may_choose_its_exit_code() -> None:
    assert run_raising(typer.Exit(75)) == 75


@pytest.mark.parametrize("error", [KeyboardInterrupt(), typer.Abort()])
def test_an_interrupt_is_quiet(error: BaseException, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_raising(error) == 130
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("num_lines", [1, 100_000], ids=["at the end", "in between"])
def test_a_reader_who_leaves_is_no_error(num_lines: int) -> None:
    code = f"""
import sys, typer
from nmt.cli.main import run

def count() -> None:
    for number in range({num_lines}):
        print(number)

app = typer.Typer()
app.command()(count)
sys.exit(run(app, []))
"""
    reader, writer = os.pipe()
    os.close(reader)
    result = run_python(code, stdout=writer)
    os.close(writer)
    assert (result.returncode, result.stderr) == (141, "")


@pytest.mark.parametrize("num_lines", [1, 100_000], ids=["at the end", "in between"])
def test_a_full_disk_behind_stdout_is_one_line(num_lines: int) -> None:
    code = f"""
import sys, typer
from nmt.cli.main import run

def count() -> None:
    for number in range({num_lines}):
        print(number)

app = typer.Typer()
app.command()(count)
sys.exit(run(app, []))
"""
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - a device
        result = run_python(code, stdout=full.fileno())
    complaint = "nmt: <stdout>: cannot be written (no space left on device)\n"
    assert (result.returncode, result.stderr) == (2, complaint)


def test_an_error_of_a_file_that_nobody_saw_coming_is_a_defect() -> None:
    with pytest.raises(OSError, match="disk is full"):
        run_raising(OSError(errno.ENOSPC, "disk is full", "file"))


def test_the_installed_command_ends_with_the_exit_code() -> None:
    result = run_python("import sys; from nmt.cli.main import main; sys.exit(main(['trian']))")
    complaint = "nmt: no such command 'trian'. Did you mean 'train'?\n"
    assert (result.returncode, result.stdout, result.stderr) == (2, "", complaint)
