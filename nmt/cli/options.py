"""Options that several commands share, so that they read the same everywhere."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Device(StrEnum):
    """Where to compute."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"
    mps = "mps"


Model = Annotated[Path, typer.Option(metavar="RUN", help="A run folder.", show_default=False)]
BeamSize = Annotated[
    int | None, typer.Option(min=1, help="Hypotheses kept; 1 is greedy search. [as in the recipe]")
]
BatchSize = Annotated[
    int | None, typer.Option(min=1, help="Sentences translated at once. [as in the recipe]")
]
DeviceOption = Annotated[Device, typer.Option(help="Where to compute.")]
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads to compute with. [all]")]
