"""Options that several commands share, so that they read the same everywhere."""

import math
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from nmt.errors import NMTError


class Device(StrEnum):
    """Where to compute."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"
    mps = "mps"


def _finite(length_penalty: float | None) -> float | None:
    if length_penalty is not None and not math.isfinite(length_penalty):
        raise NMTError(f"--length-penalty must be a number >= 0, got {length_penalty}")
    return length_penalty


Model = Annotated[Path, typer.Option(metavar="RUN", help="A run folder.", show_default=False)]
BeamSize = Annotated[
    int | None, typer.Option(min=1, help="Hypotheses kept; 1 is greedy search. [as in the recipe]")
]
LengthPenalty = Annotated[
    float | None,
    typer.Option(
        min=0, callback=_finite, help="Favours long output; 0 is none. [as in the recipe]"
    ),
]
BatchSize = Annotated[
    int | None, typer.Option(min=1, help="Sentences translated at once. [as in the recipe]")
]
DeviceOption = Annotated[Device, typer.Option(help="Where to compute.")]
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads to compute with. [all]")]
