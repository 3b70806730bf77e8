"""Options that several commands share, so that they read the same everywhere."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nmt.cli.declaring import choice, number, whole_number
from nmt.errors import NMTError

if TYPE_CHECKING:
    from nmt.engine import Average


SEARCH = "Search"
MACHINE = "Machine"

# Those of the rooms they are for, which are not imported: `--help` is to be quick.
Device = Literal["auto", "cpu", "cuda", "mps"]
Ensemble = Literal["linear", "log"]

RecipeName = Annotated[
    Path,
    typer.Argument(
        help="A recipe: a YAML file, or the name of one that comes with nmt.", show_default=False
    ),
]
Run = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.", show_default=False)]
NewRun = Annotated[
    Path | None, typer.Option(metavar="DIR", help="A new run folder; it must not be there yet.")
]
Model = Annotated[Path, typer.Option(metavar="RUN", help="A run folder.", show_default=False)]
Models = Annotated[
    list[Path],
    typer.Option(
        metavar="RUN",
        help="A run folder, an exported file or hub:OWNER/NAME; give several of one tokenizer for "
        "an ensemble.",
        show_default=False,
    ),
]
EnsembleOption = Annotated[
    Ensemble | None,
    choice(
        "--ensemble",
        "Average an ensemble's probabilities or log-probabilities. [linear]",
        Ensemble,
    ),
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
    whole_number(
        "--beam-size", "Hypotheses kept; 1 is greedy search. [as in the recipe]", panel=SEARCH
    ),
]
LengthPenalty = Annotated[
    float | None,
    number("--length-penalty", "Favours long output; 0 is none. [as in the recipe]", panel=SEARCH),
]
BatchSize = Annotated[
    int | None,
    whole_number("--batch-size", "Sentences translated at once. [as in the recipe]", panel=MACHINE),
]
DeviceOption = Annotated[Device, choice("--device", "Where to compute.", Device, panel=MACHINE)]
Threads = Annotated[
    int | None, whole_number("--threads", "CPU threads to compute with. [all]", panel=MACHINE)
]
Workers = Annotated[
    int | None,
    whole_number(
        "--workers",
        "Processes that share the threads and the lines, where there are some hundred. [1]",
        panel=MACHINE,
    ),
]
Int8 = Annotated[
    bool,
    typer.Option(
        "--int8",
        help="Round the decoder's weights to 8 bits: faster, a little less exact.",
        rich_help_panel=MACHINE,
    ),
]
ShortlistOption = Annotated[
    bool,
    typer.Option(
        "--shortlist",
        help="Choose among the tokens that the source makes likely: faster, a little less exact.",
        rich_help_panel=MACHINE,
    ),
]
Alignments = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Write there, line by line, which words belong together: 0-0 1-2, source first.",
    ),
]


def average_of(models: Sequence[Path], ensemble: Ensemble | None) -> "Average":
    """Return how to average the models.

    Raises:
        NMTError: It is said how, and there is nothing to average.
    """
    if ensemble is not None and len(models) == 1:
        raise NMTError("--ensemble needs --model more than once")
    return ensemble or "linear"
