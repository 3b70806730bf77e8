"""Options that several commands share, so that they read the same everywhere."""

import math
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt.errors import NMTError

if TYPE_CHECKING:
    from nmt.engine import Average


SEARCH = "Search"
MACHINE = "Machine"


class Device(StrEnum):
    """Where to compute."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"
    mps = "mps"


class Ensemble(StrEnum):
    """How the probabilities of several models become one."""

    linear = "linear"
    log = "log"


def number(option: str, *, above: float | None = None) -> Callable[[float | None], float | None]:
    """Return a check that a number is finite and, where asked, above a bound."""

    def check(value: float | None) -> float | None:
        if value is None or (math.isfinite(value) and (above is None or value > above)):
            return value
        bound = ">= 0" if above is None else f"> {above:g}"
        raise NMTError(f"{option} must be a number {bound}, got {value}")

    return check


Model = Annotated[Path, typer.Option(metavar="RUN", help="A run folder.", show_default=False)]
Models = Annotated[
    list[Path],
    typer.Option(
        metavar="RUN",
        help="A run folder; give several of one tokenizer for an ensemble.",
        show_default=False,
    ),
]
EnsembleOption = Annotated[
    Ensemble | None,
    typer.Option(help="Average an ensemble's probabilities or log-probabilities. [linear]"),
]
To = Annotated[
    str | None,
    typer.Option(
        metavar="LANG",
        help="The language to translate into, for a model that knows several. [the recipe's]",
    ),
]
BeamSize = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Hypotheses kept; 1 is greedy search. [as in the recipe]",
        rich_help_panel=SEARCH,
    ),
]
LengthPenalty = Annotated[
    float | None,
    typer.Option(
        min=0,
        callback=number("--length-penalty"),
        help="Favours long output; 0 is none. [as in the recipe]",
        rich_help_panel=SEARCH,
    ),
]
BatchSize = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Sentences translated at once. [as in the recipe]",
        rich_help_panel=MACHINE,
    ),
]
DeviceOption = Annotated[Device, typer.Option(help="Where to compute.", rich_help_panel=MACHINE)]
Threads = Annotated[
    int | None,
    typer.Option(min=1, help="CPU threads to compute with. [all]", rich_help_panel=MACHINE),
]


def average_of(models: Sequence[Path], ensemble: Ensemble | None) -> "Average":
    """Return how to average the models.

    Raises:
        NMTError: It is said how, and there is nothing to average.
    """
    if ensemble is not None and len(models) == 1:
        raise NMTError("--ensemble needs --model more than once")
    return "log" if ensemble is Ensemble.log else "linear"
