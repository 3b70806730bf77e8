"""`nmt reproduce`: does a run again and says what came out otherwise."""

from pathlib import Path
from typing import Annotated

import typer

from nmt.cli.options import Run
from nmt.errors import NMTError


def reproduce_command(
    run: Run,
    run_dir: Annotated[
        Path | None,
        typer.Option(help="Where the new run goes. By default RUN with -again at its end."),
    ] = None,
) -> None:
    """Train a run again from its recipe, seed and data, and compare.

    Where the data is not what it was, nothing is trained. The exit code is 0 only where all is
    equal: weights to the bit, validations and scores. That needs the same machine, versions and
    number of threads.
    """
    from nmt.training import reproduce

    out = run_dir or run.resolve().with_name(f"{run.resolve().name}-again")
    reproduction = reproduce(run, out)
    for line in reproduction.lines:
        print(line)
    if reproduction.differences:
        raise NMTError(f"{out} is not equal to {run}: {reproduction.differences[0]}")
    print(f"{out} is equal to {run}")
