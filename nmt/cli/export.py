"""`nmt export`: what a run translates with, as a folder or as one file to give away."""

from pathlib import Path
from typing import Annotated

import typer

from nmt.cli.options import Run


def export_command(
    run: Run,
    out: Annotated[
        Path,
        typer.Argument(
            metavar="OUT", help="What to write; it must not be there yet.", show_default=False
        ),
    ],
    one_file: Annotated[
        bool, typer.Option("--one-file", help="Write one file, which --model takes as well.")
    ] = False,
) -> None:
    """Write what a run translates with, without its checkpoints, log and report.

    That is recipe, versions, weights, tokenizers, confidence, shortlist and model card.
    """
    from nmt.run_folder import RunFolder, export_file, export_folder

    (export_file if one_file else export_folder)(RunFolder(run), out)
    print(f"{out} translates: nmt translate --model {out}")
