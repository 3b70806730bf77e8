"""`nmt push`: puts a run on the Hugging Face hub."""

from typing import Annotated

import typer

from nmt.cli.options import Run


def push_command(
    run: Run,
    repository: Annotated[
        str, typer.Argument(metavar="OWNER/NAME", help="Its name there.", show_default=False)
    ],
    private: Annotated[
        bool, typer.Option("--private", help="Make a new repository private.")
    ] = False,
    update: Annotated[
        bool,
        typer.Option(
            "--update",
            help="Put the run on top of what is there; the repository's history keeps that.",
        ),
    ] = False,
) -> None:
    """Put a run on the Hugging Face hub: what nmt export writes, and nothing else.

    Who pushes is told by HF_TOKEN, or by hf auth login. Others translate with --model
    hub:OWNER/NAME.
    """
    from nmt.run_folder import RunFolder, push

    print(push(RunFolder(run), repository, private=private, update=update))
    print(f"nmt translate --model hub:{repository}")
