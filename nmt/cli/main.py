"""The `nmt` command: puts the commands together and gives every outcome its exit code.

The codes: 0 all well; 1 a defect of ours, with its traceback; 2 the input or the usage, in one
line; 75 saved and stopped by a signal; 130 Ctrl-C; 141 the reader of a pipe has left. Nothing slow
is imported before a command runs.
"""

import errno
import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from typer.main import get_command

from nmt import __version__
from nmt.cli.average import average_command
from nmt.cli.compare import compare_command
from nmt.cli.demo import demo_command
from nmt.cli.evaluate import evaluate_command
from nmt.cli.export import export_command
from nmt.cli.finetune import finetune_command
from nmt.cli.info import info_command
from nmt.cli.push import push_command
from nmt.cli.reproduce import reproduce_command
from nmt.cli.score import score_command
from nmt.cli.sweep import sweep_command
from nmt.cli.train import train_command
from nmt.cli.translate import translate_command
from nmt.errors import NMTError, SavedAndStoppedError

_INPUT_OR_USAGE = 2
# What sysexits.h calls a failure that is gone when the same is tried again.
_STOPPED = 75
# What a shell reports for a program that a signal ended: 128 and the number of the signal.
_INTERRUPTED = 130
_BROKEN_PIPE = 141
# What the system says where what is printed goes into a file that cannot grow.
_NO_ROOM = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO))


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"nmt {__version__}")
        raise typer.Exit


def _nmt(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, help="Print the version and leave."),
    ] = False,
) -> None:
    """Train LSTM translation systems, translate with them, and measure how well they do."""


def _build_app() -> typer.Typer:
    app = typer.Typer(
        name="nmt",
        add_completion=False,
        rich_markup_mode="markdown",  # the other mode takes [text in brackets] for colours
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_nmt)
    app.command("demo")(demo_command)
    app.command("train")(train_command)
    app.command("sweep")(sweep_command)
    app.command("translate")(translate_command)
    app.command("score")(score_command)
    app.command("evaluate")(evaluate_command)
    app.command("compare")(compare_command)
    app.command("info")(info_command)
    app.command("finetune")(finetune_command)
    app.command("average")(average_command)
    app.command("export")(export_command)
    app.command("reproduce")(reproduce_command)
    app.command("push")(push_command)
    return app


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one `nmt` command.

    Args:
        arguments: What stands after `nmt`; by default what this process was started with. None at
            all prints the help.

    Returns:
        The exit code.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    return run(_build_app(), arguments or ["--help"])


def run(app: typer.Typer, arguments: Sequence[str]) -> int:
    """Run a command line application; see the top of this file for the exit codes.

    Anything that is neither the user's input nor the user's will passes through: Python prints its
    traceback and exits with 1.
    """
    try:
        exit_code = _invoke(app, arguments)
        sys.stdout.flush()
    except typer.TyperException as error:
        return _refuse(_in_house_style(error.format_message()))
    except SavedAndStoppedError as stop:
        _refuse(str(stop))
        return _STOPPED
    except NMTError as error:
        return _refuse(str(error))
    except (KeyboardInterrupt, typer.Abort):
        return _INTERRUPTED
    except BrokenPipeError:
        _stop_writing()
        return _BROKEN_PIPE
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return _refuse(f"{error.filename}: the name is too long")
        # what else goes wrong with a file has become an error of ours before
        if error.filename is not None or error.errno not in _NO_ROOM:
            raise
        _stop_writing()
        return _refuse(f"<stdout>: cannot be written ({(error.strerror or str(error)).lower()})")
    return exit_code


def _invoke(app: typer.Typer, arguments: Sequence[str]) -> int:
    # Not `app(...)`: that prints usage errors as a panel of several lines.
    try:
        with get_command(app).make_context("nmt", list(arguments)) as context:
            context.command.invoke(context)
    except typer.Exit as leaving:
        return leaving.exit_code
    return 0


def _refuse(complaint: str) -> int:
    print(f"nmt: {complaint}", file=sys.stderr)
    return _INPUT_OR_USAGE


def _in_house_style(message: str) -> str:
    """Put one of typer's messages on one line, lower case and without a full stop."""
    line = " ".join(message.split()).removesuffix(".")
    return line[:1].lower() + line[1:]


def _stop_writing() -> None:
    """Let what still waits to be printed go nowhere, or Python complains about it on leaving."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
