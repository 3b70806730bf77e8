"""Options of `nmt translate` that say how translations are found, chosen and bound."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from nmt.cli.declaring import choice, number, whole_number
from nmt.cli.options import SEARCH
from nmt.risk import Utility

_SAMPLING = "Sampling and minimum Bayes risk"
_WISHES = "What translations shall hold"

# That of the search, which is not imported: `--help` is to be quick.
Normalization = Literal["wu", "plain"]
GlossaryMode = Literal["hard", "soft"]

NormalizationOption = Annotated[
    Normalization | None,
    choice(
        "--normalization",
        "Divide log-probabilities by ((5 + length) / 6)^penalty, or by length^penalty. "
        "[as in the recipe]",
        Normalization,
        panel=SEARCH,
    ),
]
CoveragePenalty = Annotated[
    float | None,
    number(
        "--coverage-penalty",
        "What it costs to leave source tokens out; 0 is nothing. [as in the recipe]",
        panel=SEARCH,
    ),
]
MinLengthRatio = Annotated[
    float | None,
    number(
        "--min-length-ratio",
        "Fewest tokens for each source token. [as in the recipe]",
        panel=SEARCH,
    ),
]
MaxLengthRatio = Annotated[
    float | None,
    number(
        "--max-length-ratio",
        "Most tokens for each source token, 10 being added. [as in the recipe]",
        bounds="> 0",
        panel=SEARCH,
    ),
]
MinLength = Annotated[
    int | None,
    whole_number(
        "--min-length",
        "Fewest tokens, with the end of the sentence. [as in the recipe]",
        panel=SEARCH,
    ),
]
MaxLength = Annotated[
    int | None,
    whole_number(
        "--max-length",
        "Most tokens, with the end of the sentence. [as in the recipe]",
        panel=SEARCH,
    ),
]
NoRepeatNgram = Annotated[
    int | None,
    whole_number(
        "--no-repeat-ngram",
        "Never write the same N tokens in a row twice. [as in the recipe]",
        panel=SEARCH,
    ),
]
KeepRepeats = Annotated[
    bool,
    typer.Option(
        "--keep-repeats",
        help="Leave translations that go round in circles, and do not search them again.",
        rich_help_panel=SEARCH,
    ),
]
SplitSentences = Annotated[
    bool,
    typer.Option(
        "--split-sentences",
        help="Translate each sentence of a line by itself. [lines that are too long alone]",
        rich_help_panel=SEARCH,
    ),
]
Groups = Annotated[
    int | None,
    whole_number(
        "--groups", "Search in so many groups that avoid each other.", least=2, panel=SEARCH
    ),
]
DiversityPenalty = Annotated[
    float | None,
    number(
        "--diversity-penalty",
        "What a token costs that an earlier group has chosen, in log-probability.",
        panel=SEARCH,
    ),
]

Sample = Annotated[
    int | None,
    whole_number(
        "--sample",
        "Draw N translations of each line at random instead of searching.",
        panel=_SAMPLING,
    ),
]
Temperature = Annotated[
    float | None,
    number(
        "--temperature",
        "Less than 1 makes likely tokens likelier. [1]",
        bounds="> 0",
        panel=_SAMPLING,
    ),
]
TopK = Annotated[
    int | None,
    whole_number("--top-k", "Draw among so many most likely tokens. [all]", panel=_SAMPLING),
]
TopP = Annotated[
    float | None,
    number(
        "--top-p",
        "Draw among the most likely tokens that have this probability together. [1]",
        bounds="in (0, 1]",
        panel=_SAMPLING,
    ),
]
Seed = Annotated[
    int | None,
    whole_number("--seed", "Another seed draws others. [0]", least=0, panel=_SAMPLING),
]
Mbr = Annotated[
    Utility | None,
    choice(
        "--mbr",
        "Choose by minimum Bayes risk, among what is drawn or the whole beam, the translation "
        "most like the others by this score.",
        Utility,
        panel=_SAMPLING,
    ),
]

ProtectNumbers = Annotated[
    bool,
    typer.Option(
        "--protect-numbers",
        help="Keep numbers as they are, with a model that knows placeholders.",
        rich_help_panel=_WISHES,
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
    choice(
        "--glossary-mode",
        "Always, or where it costs little. [hard]",
        GlossaryMode,
        panel=_WISHES,
    ),
]
PreferenceBonus = Annotated[
    float | None,
    number(
        "--preference-bonus",
        "What a soft glossary's tokens are worth, each, in log-probability. [1]",
        panel=_WISHES,
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
