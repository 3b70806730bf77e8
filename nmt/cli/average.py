"""`nmt average`: translate with the mean of several of a run's checkpoints."""

import sys
from typing import Annotated

from nmt.cli.declaring import whole_number
from nmt.cli.options import NewRun, Run
from nmt.errors import NMTError


def average_command(
    run: Run,
    best: Annotated[
        int | None,
        whole_number("--best", "Average the best N validations, by the recipe's metric."),
    ] = None,
    last: Annotated[int | None, whole_number("--last", "Average the last N validations.")] = None,
    run_dir: NewRun = None,
) -> None:
    """Let a run translate with the mean of its best or last checkpoints.

    Without --run-dir the run's own weights are replaced, and its scores, card and confidence are
    deleted: they are of the weights before. The checkpoints stay.
    """
    if (best is None) == (last is None):
        raise NMTError("one of --best and --last must be given")
    from nmt.run_folder import RunFolder, average_run

    count = best or last or 0
    epochs = average_run(RunFolder(run), "best" if best else "last", count, out=run_dir)
    named = ", ".join(map(str, sorted(epochs)))
    print(f"{run_dir or run} translates with the mean of the weights after epochs {named}")
    if run_dir is None:
        print(
            f"scores, card and confidence of the weights before are deleted; nmt train with "
            f"--run-dir {run} makes them anew",
            file=sys.stderr,
        )
