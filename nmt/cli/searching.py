"""Options of `nmt translate` that say how translations are found, chosen and bound."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from nmt.cli.options import SEARCH, number

_SAMPLING = "Sampling and minimum Bayes risk"
_WISHES = "What translations shall hold"


class Normalization(StrEnum):
    """What the length penalty is made of."""

    wu = "wu"
    plain = "plain"


class Utility(StrEnum):
    """What minimum Bayes risk expects most of."""

    chrf = "chrF2"
    bleu = "BLEU"


class GlossaryMode(StrEnum):
    """Whether a glossary is obeyed or preferred."""

    hard = "hard"
    soft = "soft"


NormalizationOption = Annotated[
    Normalization | None,
    typer.Option(
        help="Divide log-probabilities by ((5 + length) / 6)^penalty, or by length^penalty. "
        "[as in the recipe]",
        rich_help_panel=SEARCH,
    ),
]
CoveragePenalty = Annotated[
    float | None,
    typer.Option(
        min=0,
        callback=number("--coverage-penalty"),
        help="What it costs to leave source tokens out; 0 is nothing. [as in the recipe]",
        rich_help_panel=SEARCH,
    ),
]
MinLengthRatio = Annotated[
    float | None,
    typer.Option(
        min=0,
        callback=number("--min-length-ratio"),
        help="Fewest tokens for each source token. [as in the recipe]",
        rich_help_panel=SEARCH,
    ),
]
MaxLengthRatio = Annotated[
    float | None,
    typer.Option(
        callback=number("--max-length-ratio", above=0),
        help="Most tokens for each source token, 10 being added. [as in the recipe]",
        rich_help_panel=SEARCH,
    ),
]
MinLength = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Fewest tokens, with the end of the sentence. [as in the recipe]",
        rich_help_panel=SEARCH,
    ),
]
MaxLength = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Most tokens, with the end of the sentence. [as in the recipe]",
        rich_help_panel=SEARCH,
    ),
]
NoRepeatNgram = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        help="Never write the same N tokens in a row twice. [as in the recipe]",
        rich_help_panel=SEARCH,
    ),
]
Groups = Annotated[
    int | None,
    typer.Option(
        min=2, help="Search in so many groups that avoid each other.", rich_help_panel=SEARCH
    ),
]
DiversityPenalty = Annotated[
    float | None,
    typer.Option(
        min=0,
        callback=number("--diversity-penalty"),
        help="What a token costs that an earlier group has chosen, in log-probability.",
        rich_help_panel=SEARCH,
    ),
]

Sample = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        help="Draw N translations of each line at random instead of searching.",
        rich_help_panel=_SAMPLING,
    ),
]
Temperature = Annotated[
    float | None,
    typer.Option(
        callback=number("--temperature", above=0),
        help="Less than 1 makes likely tokens likelier. [1]",
        rich_help_panel=_SAMPLING,
    ),
]
TopK = Annotated[
    int | None,
    typer.Option(
        min=1, help="Draw among so many most likely tokens. [all]", rich_help_panel=_SAMPLING
    ),
]
TopP = Annotated[
    float | None,
    typer.Option(
        max=1,
        callback=number("--top-p", above=0),
        help="Draw among the most likely tokens that have this probability together. [1]",
        rich_help_panel=_SAMPLING,
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(min=0, help="Another seed draws others. [0]", rich_help_panel=_SAMPLING),
]
Mbr = Annotated[
    Utility | None,
    typer.Option(
        help="Choose by minimum Bayes risk, among what is drawn or the whole beam, the translation "
        "most like the others by this score.",
        rich_help_panel=_SAMPLING,
    ),
]

PrefixFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="What each translation starts with, line by line; blank is anything.",
        rich_help_panel=_WISHES,
    ),
]
GlossaryFile = Annotated[
    Path | None,
    typer.Option(
        "--glossary",
        metavar="FILE",
        help="On each line a source phrase, a tab and a target phrase.",
        rich_help_panel=_WISHES,
    ),
]
GlossaryModeOption = Annotated[
    GlossaryMode | None,
    typer.Option(help="Always, or where it costs little. [hard]", rich_help_panel=_WISHES),
]
PreferenceBonus = Annotated[
    float | None,
    typer.Option(
        min=0,
        callback=number("--preference-bonus"),
        help="What a soft glossary's tokens are worth, each, in log-probability. [1]",
        rich_help_panel=_WISHES,
    ),
]
AvoidFile = Annotated[
    Path | None,
    typer.Option(
        "--avoid",
        metavar="FILE",
        help="Target phrases that no translation may hold, one a line.",
        rich_help_panel=_WISHES,
    ),
]
