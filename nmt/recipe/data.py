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
Probability = Annotated[float, Field(ge=0, lt=1)]


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

    def changed(self, **changes: object) -> Self:
        """Return the section with other values, taken unchecked; None leaves a key as it is."""
        given = {key: value for key, value in changes.items() if value is not None}
        return self.model_copy(update=given)


Language = Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]+)*$")]


class AnySet(Section):
    """What sets of every kind may say of their pairs.

    Attributes:
        source_lang: null is the recipe's.
        target_lang: Likewise.
        weight: How often each pair of a training set comes in an epoch: 1 is once, 3 three times,
            and with 0.5 half of the pairs come, in each epoch others.
    """

    source_lang: Language | None = None
    target_lang: Language | None = None
    weight: Annotated[float, Field(gt=0, le=1000)] = 1.0


class FileSet(AnySet):
    """Two plain text files, line by line.

    Attributes:
        alignment: A third file with the word alignment of each pair, such as `0-0 1-2`; for a
            training set with `training.guided_alignment`.
    """

    source: str
    target: str
    alignment: str | None = None


class TsvSet(AnySet):
    """One file whose columns are parted by tabs; nothing is quoted.

    Attributes:
        source: The source's column: its number, from 1 on, or its name in the first line.
        target: The target's column, as `source`.
    """

    tsv: str
    source: Column = 1
    target: Column = 2


class CsvSet(AnySet):
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


class JsonlSet(AnySet):
    """One file with a JSON object a line."""

    jsonl: str
    source: str = "source"
    target: str = "target"


class StreamingRecipe(Section):
    """How a training set is read that does not fit on the disk: while it is trained on.

    Attributes:
        batches_per_epoch: What is called an epoch: after so many batches the model is validated.
        shuffle_buffer: Pairs that are read, shuffled and sorted by length at a time. What must be
            known before training is learned from the first so many: the tokenizer, the usual
            ratio of lengths, what looks wrong.
    """

    batches_per_epoch: PositiveInt
    shuffle_buffer: PositiveInt = 100_000


class HubSet(AnySet):
    """A split of a dataset on the Hugging Face hub, or in a local folder that `datasets` reads.

    Attributes:
        streaming: Read a training set while training, and never as a whole; null is off.
    """

    hub: str
    config: str | None = None
    split: str
    source: str
    target: str
    streaming: StreamingRecipe | None = None


class BuiltinSet(AnySet):
    """Artificial English and German sentences from the grammar that comes with nmt.

    Attributes:
        source_lang: `de` with the target `en` turns the pairs round, in a recipe with
            `language_tags`.
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


def _form_of_sets(value: Any) -> str:
    return "list" if isinstance(value, tuple | list) else "one"


CorpusSets = Annotated[
    Annotated[CorpusSet, Tag("one")]
    | Annotated[tuple[CorpusSet, ...], Field(min_length=1), Tag("list")],
    Discriminator(_form_of_sets),
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
        train: One set, or a list of sets.
        language_tags: Put a piece such as `<2de>` before every source, which says the language to
            translate into: for models that know several.
        cache_dir: The folder that keeps prepared training sets, for this run and others; null is
            `nmt` in the user's folder for caches.
    """

    source_lang: Language
    target_lang: Language
    reverse: bool = False
    language_tags: bool = False
    train: CorpusSets
    validation: CorpusSet
    test: CorpusSet | None = None
    cleaning: CleaningRecipe = CleaningRecipe()
    cache_dir: str | None = None

    @model_validator(mode="after")
    def _builtin_languages(self) -> Self:
        for one in self.named_sets().values():
            languages = (one.source_lang or self.source_lang, one.target_lang or self.target_lang)
            is_turned = self.language_tags and (one.source_lang, one.target_lang) == ("de", "en")
            if isinstance(one, BuiltinSet) and languages != ("en", "de") and not is_turned:
                raise ValueError(
                    "a built-in set needs source_lang 'en' and target_lang 'de', "
                    f"got {languages[0]!r} and {languages[1]!r}; use reverse to swap them"
                )
        return self

    @model_validator(mode="after")
    def _sets_fit(self) -> Self:
        for name, one in self.named_sets().items():
            is_for_training = name.startswith("train")
            if not is_for_training and one.weight != 1:
                raise ValueError(f"{name}: only training sets have a weight, got {one.weight}")
            if is_for_training and self.language_tags:
                continue
            found, wanted = (" to ".join(two) for two in (self.direction_of(one), self.direction))
            if found != wanted:
                advice = "for a model of several directions set data.language_tags to true"
                raise ValueError(
                    f"{name}: the languages must be those of the recipe, {wanted}, got {found}"
                    + (f"; {advice}" if is_for_training else "")
                )
        return self

    @model_validator(mode="after")
    def _a_stream_is_alone(self) -> Self:
        for name, one in self.named_sets().items():
            if not isinstance(one, HubSet) or one.streaming is None:
                continue
            if name != "train":
                raise ValueError(
                    f"{name}: a set with streaming must be the only training set; leave streaming "
                    "out, or give no list"
                )
            if one.weight != 1:
                raise ValueError(
                    f"{name}: a set with streaming has no weight, got {one.weight:g}; "
                    "batches_per_epoch says how much of it an epoch has"
                )
        return self

    @property
    def streaming(self) -> StreamingRecipe | None:
        """How the training set is streamed; None where it is not."""
        return self.train.streaming if isinstance(self.train, HubSet) else None

    def named_sets(self) -> dict[str, CorpusSet]:
        """Return all sets by name; those of a list are `train.0` and so on."""
        named = {"validation": self.validation}
        if self.test is not None:
            named["test"] = self.test
        return {**dict(self.named_train_sets()), **named}

    def named_train_sets(self) -> list[tuple[str, CorpusSet]]:
        """Return the training sets, each with its name."""
        if not isinstance(self.train, tuple):
            return [("train", self.train)]
        return [(f"train.{number}", one) for number, one in enumerate(self.train)]

    @property
    def direction(self) -> tuple[str, str]:
        """The languages translated from and into, `reverse` heeded."""
        return self._turned(self.source_lang, self.target_lang)

    def direction_of(self, one: CorpusSet) -> tuple[str, str]:
        """Return the languages that the pairs of a set lead from and to, `reverse` heeded."""
        return self._turned(
            one.source_lang or self.source_lang, one.target_lang or self.target_lang
        )

    def _turned(self, source_lang: str, target_lang: str) -> tuple[str, str]:
        return (target_lang, source_lang) if self.reverse else (source_lang, target_lang)

    @property
    def target_langs(self) -> tuple[str, ...]:
        """The languages that a model can be asked for, the recipe's own first."""
        into = (self.direction_of(one)[1] for one in self.named_sets().values())
        return tuple(dict.fromkeys((self.direction[1], *into)))

    def tag_of(self, target_lang: str) -> str | None:
        """Return the piece that asks for a language; None where nothing asks for one."""
        return f"<2{target_lang}>" if self.language_tags else None
