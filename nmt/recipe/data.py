"""What a recipe says of sentence pairs: where each set is, and what is left out of training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)

PositiveInt = Annotated[int, Field(ge=1)]


def _check_column(column: object) -> object:
    is_number = isinstance(column, int) and not isinstance(column, bool) and column >= 1
    if not (is_number or isinstance(column, str)):
        raise ValueError(f"must be a column's number, from 1 on, or its name, got {column!r}")
    return column


def _check_delimiter(delimiter: object) -> object:
    if not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '"\r\n':
        raise ValueError(f"must be one character, but no quote or line end, got {delimiter!r}")
    return delimiter


Column = Annotated[int | str, BeforeValidator(_check_column)]


class Section(BaseModel):
    """What every part of a recipe shares: frozen, strictly typed, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class FileSet(Section):
    """Two plain text files, line by line.

    Attributes:
        alignment: A third file with the word alignment of each pair, such as `0-0 1-2`; for a
            training set with `training.guided_alignment`.
    """

    source: str
    target: str
    alignment: str | None = None


class TsvSet(Section):
    """One file whose columns are parted by tabs; nothing is quoted.

    Attributes:
        source: The source's column: its number, from 1 on, or its name in the first line.
        target: The target's column, as `source`.
    """

    tsv: str
    source: Column = 1
    target: Column = 2


class CsvSet(Section):
    """One file whose columns are parted by commas and may be quoted.

    Attributes:
        source: The source's column: its number, from 1 on, or its name in the first line.
        target: The target's column, as `source`.
        delimiter: The character between columns.
    """

    csv: str
    source: Column = 1
    target: Column = 2
    delimiter: Annotated[str, BeforeValidator(_check_delimiter)] = ","


class JsonlSet(Section):
    """One file with a JSON object a line."""

    jsonl: str
    source: str = "source"
    target: str = "target"


class HubSet(Section):
    """A split of a dataset on the Hugging Face hub, or in a local folder that `datasets` reads."""

    hub: str
    config: str | None = None
    split: str
    source: str
    target: str


class BuiltinSet(Section):
    """Artificial English and German sentences from the grammar that comes with nmt.

    Attributes:
        split: Sets of different splits have no sentence in common, whatever their seeds.
        sentences: How many pairs to draw; none is drawn twice.
        seed: Makes the draw.
        distance: Prepositional phrases between words that depend on each other; null draws
            sentences of every kind.
    """

    builtin: Literal["grammar"]
    split: Literal["train", "validation", "test"]
    sentences: PositiveInt
    seed: Annotated[int, Field(ge=0)] = 1
    distance: Annotated[int, Field(ge=0)] | None = None


# The names of the sets in a recipe, and the key that only sets of one kind have.
SETS = frozenset({"train", "validation", "test"})
_KINDS = ("tsv", "csv", "jsonl", "hub", "builtin")


def _kind_of_set(value: Any) -> str:
    keys = value if isinstance(value, Mapping) else getattr(value, "model_fields_set", ())
    return next((kind for kind in _KINDS if kind in keys), "files")


CorpusSet = Annotated[
    Annotated[FileSet, Tag("files")]
    | Annotated[TsvSet, Tag("tsv")]
    | Annotated[CsvSet, Tag("csv")]
    | Annotated[JsonlSet, Tag("jsonl")]
    | Annotated[HubSet, Tag("hub")]
    | Annotated[BuiltinSet, Tag("builtin")],
    Discriminator(_kind_of_set),
]


class CleaningRecipe(Section):
    """Which training pairs are left out; a pair with a blank side always is.

    Attributes:
        max_characters: Longest side that is kept, in characters.
        max_length_ratio: How many times longer or shorter a target may be than its source's length
            and the corpus's median ratio let expect, in characters.
        deduplicate: Drop all but the first of equal pairs.
        held_out: Drop pairs that also stand in the validation or the test set.
        identical: Drop pairs whose sides are the same.
        min_pairs: Fewest pairs that must be left to train on.
    """

    max_characters: PositiveInt | None = 1000
    max_length_ratio: Annotated[float, Field(gt=1)] | None = 5.0
    deduplicate: bool = True
    held_out: bool = True
    identical: bool = True
    min_pairs: PositiveInt = 100


class DataRecipe(Section):
    """Where the sentence pairs come from.

    Attributes:
        reverse: Swap source and target everywhere.
        cache_dir: The folder that keeps prepared training sets, for this run and others; null is
            `nmt` in the user's folder for caches.
    """

    source_lang: Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]+)*$")]
    target_lang: Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]+)*$")]
    reverse: bool = False
    train: CorpusSet
    validation: CorpusSet
    test: CorpusSet | None = None
    cleaning: CleaningRecipe = CleaningRecipe()
    cache_dir: str | None = None

    @model_validator(mode="after")
    def _builtin_languages(self) -> Self:
        sets = (self.train, self.validation, self.test)
        languages = (self.source_lang, self.target_lang)
        if any(isinstance(one, BuiltinSet) for one in sets) and languages != ("en", "de"):
            raise ValueError(
                "a built-in set needs source_lang 'en' and target_lang 'de', "
                f"got {self.source_lang!r} and {self.target_lang!r}; use reverse to swap them"
            )
        return self

    @property
    def direction(self) -> tuple[str, str]:
        """The languages translated from and into, `reverse` heeded."""
        pair = (self.source_lang, self.target_lang)
        return (pair[1], pair[0]) if self.reverse else pair
