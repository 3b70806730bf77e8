"""Typed recipes: reads YAML and overrides, and complains about everything at once.

A recipe says everything about a training run. This room is the only home of defaults; it does not
know how anything is built.
"""

from __future__ import annotations

import difflib
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    model_validator,
)
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from nmt.errors import RecipeError

Probability = Annotated[float, Field(ge=0, lt=1)]
PositiveInt = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """What every part of a recipe shares: frozen, strictly typed, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class FileSet(Section):
    """Two plain text files, line by line."""

    source: str
    target: str


class TsvSet(Section):
    """One file with source and target separated by a tab."""

    tsv: str


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


_SETS = frozenset({"train", "validation", "test"})


def _kind_of_set(value: Any) -> str:
    keys = value if isinstance(value, Mapping) else getattr(value, "model_fields_set", ())
    return next((kind for kind in ("tsv", "jsonl", "hub") if kind in keys), "files")


CorpusSet = Annotated[
    Annotated[FileSet, Tag("files")]
    | Annotated[TsvSet, Tag("tsv")]
    | Annotated[JsonlSet, Tag("jsonl")]
    | Annotated[HubSet, Tag("hub")],
    Discriminator(_kind_of_set),
]


class CleaningRecipe(Section):
    """Which training pairs are left out; a pair with a blank side always is.

    Attributes:
        max_characters: Longest side that is kept, in characters.
        max_length_ratio: Longer side over shorter side in characters, the most that is kept.
        deduplicate: Keep only the first of equal pairs.
    """

    max_characters: PositiveInt | None = 1000
    max_length_ratio: Annotated[float, Field(ge=1)] | None = None
    deduplicate: bool = False


class DataRecipe(Section):
    """Where the sentence pairs come from; `reverse` swaps source and target everywhere."""

    source_lang: Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]+)*$")]
    target_lang: Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]+)*$")]
    reverse: bool = False
    train: CorpusSet
    validation: CorpusSet
    test: CorpusSet | None = None
    cleaning: CleaningRecipe = CleaningRecipe()

    @property
    def direction(self) -> tuple[str, str]:
        """The languages translated from and into, `reverse` heeded."""
        pair = (self.source_lang, self.target_lang)
        return (pair[1], pair[0]) if self.reverse else pair


class TokenizerRecipe(Section):
    """How SentencePiece is trained; the names are its own, `joint` excepted.

    Attributes:
        joint: One tokenizer for both sides instead of one for each.
        user_defined_symbols: Strings that always stay one piece.
    """

    vocab_size: PositiveInt = 8000
    model_type: Literal["unigram", "bpe"] = "unigram"
    joint: bool = True
    character_coverage: Annotated[float, Field(gt=0, le=1)] = 1.0
    byte_fallback: bool = True
    normalization_rule_name: Literal["nmt_nfkc", "nfkc", "nmt_nfkc_cf", "nfkc_cf", "identity"] = (
        "nmt_nfkc"
    )
    user_defined_symbols: tuple[str, ...] = ()


class EncoderRecipe(Section):
    """A stack of bidirectional LSTMs; `hidden_size` is that of one direction."""

    num_layers: PositiveInt = 2
    hidden_size: PositiveInt = 256


class AttentionRecipe(Section):
    """How energies are computed; `size` is the width of the additive kind's hidden layer."""

    kind: Literal["dot", "general", "additive"] = "general"
    size: PositiveInt | None = None

    @model_validator(mode="after")
    def _size_fits_kind(self) -> Self:
        if self.kind != "additive" and self.size is not None:
            raise ValueError(
                f"size is for additive attention only, got {self.size} with kind {self.kind!r}"
            )
        return self


class DecoderRecipe(Section):
    """One LSTM below the attention, `num_layers - 1` above it."""

    num_layers: Annotated[int, Field(ge=2)] = 2
    hidden_size: PositiveInt = 512


class DropoutRecipe(Section):
    """Where the network is thinned while it trains.

    Attributes:
        embedding: On embeddings.
        layers: Between LSTM layers and on the context.
        readout: On the attentional state, before the output layer.
        word: Whole source and target input tokens replaced by zero vectors.
        shared_over_time: One mask for all steps of a sentence (Gal & Ghahramani 2016).
    """

    embedding: Probability = 0.3
    layers: Probability = 0.3
    readout: Probability = 0.3
    word: Probability = 0.0
    shared_over_time: bool = False


class ModelRecipe(Section):
    """The network.

    Attributes:
        bridge: `linear` starts the decoder from the encoder's final states, `zero` from nothing.
        tied_embeddings: `output` makes the output layer the target embedding (Press & Wolf 2017),
            `all` makes the source embedding the same too (needs a joint tokenizer).
    """

    embedding_size: PositiveInt = 512
    encoder: EncoderRecipe = EncoderRecipe()
    attention: AttentionRecipe = AttentionRecipe()
    decoder: DecoderRecipe = DecoderRecipe()
    bridge: Literal["linear", "zero"] = "linear"
    dropout: DropoutRecipe = DropoutRecipe()
    tied_embeddings: Literal["output", "all"] | None = "output"


class TrainingRecipe(Section):
    """How the weights are found.

    Attributes:
        max_tokens: Batch limit in tokens of the longer side, padding included.
        max_sentences: Batch limit in sentence pairs. One of the two limits is given.
        max_length: Training pairs with more source or target tokens are left out.
        schedule: What follows the warm-up; `cosine` ends at zero after `max_epochs`.
        gradient_accumulation: Batches added up for one optimizer step.
        patience: Validations without gain before training stops.
        checkpoint_metric: What chooses the best checkpoint.
        average_checkpoints: Translate with the mean of the best n; null is the single best.
        validation_sentences: Lines of the validation set translated at each validation; null is
            all.
    """

    max_epochs: PositiveInt = 20
    max_tokens: PositiveInt | None = None
    max_sentences: PositiveInt | None = None
    max_length: PositiveInt = 200
    optimizer: Literal["adam", "adamw"] = "adam"
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    adam_betas: tuple[Probability, Probability] = (0.9, 0.999)
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    schedule: Literal["constant", "cosine", "inverse_sqrt", "plateau"] = "cosine"
    warmup_steps: Annotated[int, Field(ge=0)] = 400
    max_grad_norm: Annotated[float, Field(gt=0)] | None = 1.0
    gradient_accumulation: PositiveInt = 1
    label_smoothing: Probability = 0.1
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    patience: PositiveInt | None = None
    checkpoint_metric: Literal["chrF2", "BLEU", "loss"] = "chrF2"
    average_checkpoints: Annotated[int, Field(ge=2)] | None = None
    validate_every: PositiveInt = 1
    validation_sentences: PositiveInt | None = None
    num_workers: Annotated[int, Field(ge=0)] = 0
    threads: PositiveInt | None = None
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    tensorboard: bool = False
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 1

    @model_validator(mode="after")
    def _one_batch_limit(self) -> Self:
        if (self.max_tokens is None) == (self.max_sentences is None):
            raise ValueError(
                "one of max_tokens and max_sentences must be given and the other null, "
                f"got {self.max_tokens} and {self.max_sentences}"
            )
        return self

    @model_validator(mode="after")
    def _last_epoch_is_validated(self) -> Self:
        if self.max_epochs % self.validate_every:
            raise ValueError(
                "max_epochs must be a multiple of validate_every, so that the last epoch is "
                f"validated, got {self.max_epochs} and {self.validate_every}"
            )
        return self


class DecodingRecipe(Section):
    """How translations are searched for.

    Attributes:
        length_penalty: alpha of Wu et al. 2016; 0 is none.
        max_length_ratio: Longest translation, in tokens for each source token (10 are added).
        max_target_length: Longest translation, in tokens.
        max_source_length: Longer lines, in tokens, are translated in parts.
        batch_size: Sentences translated at once.
    """

    beam_size: PositiveInt = 5
    length_penalty: Annotated[float, Field(ge=0)] = 1.0
    max_length_ratio: Annotated[float, Field(gt=0)] = 2.0
    max_target_length: PositiveInt = 400
    max_source_length: PositiveInt = 200
    batch_size: PositiveInt = 64


class EvaluationRecipe(Section):
    """Which scores are reported; `bleu_tokenizer: null` follows the target language."""

    metrics: tuple[Literal["BLEU", "chrF2", "TER"], ...] = ("BLEU", "chrF2", "TER")
    bleu_tokenizer: str | None = None


class Recipe(Section):
    """Everything about a training run."""

    data: DataRecipe
    tokenizer: TokenizerRecipe = TokenizerRecipe()
    model: ModelRecipe = ModelRecipe()
    training: TrainingRecipe
    decoding: DecodingRecipe = DecodingRecipe()
    evaluation: EvaluationRecipe = EvaluationRecipe()

    @model_validator(mode="after")
    def _dot_attention_fits(self) -> Self:
        states, decoder = 2 * self.model.encoder.hidden_size, self.model.decoder.hidden_size
        if self.model.attention.kind == "dot" and states != decoder:
            raise ValueError(
                "model.attention.kind 'dot' needs model.decoder.hidden_size to be twice "
                f"model.encoder.hidden_size, got {decoder} and {states // 2}; use 'general'"
            )
        return self

    @model_validator(mode="after")
    def _shared_weights_fit(self) -> Self:
        if self.model.tied_embeddings == "all" and not self.tokenizer.joint:
            raise ValueError(
                "model.tied_embeddings 'all' needs tokenizer.joint true; "
                "use 'output' with two tokenizers"
            )
        return self


def find_recipe(name: str | Path) -> Path:
    """Return the path of a recipe: the file of that name, or the one that comes with nmt.

    Raises:
        RecipeError: There is neither.
    """
    path = Path(name)
    shipped = {file.stem: file for file in sorted(_shipped_recipes().rglob("*.yaml"))}
    # a run folder may be called like its recipe
    if str(name) in shipped and not path.is_file():
        return shipped[str(name)]
    if path.exists():
        return path
    raise RecipeError(
        f"{path}: no such recipe; give a YAML file, or one that comes with nmt: "
        f"{', '.join(shipped)}"
    )


def _shipped_recipes() -> Path:
    """Return the folder of recipes: within an installed package, beside it in a checkout."""
    package = Path(__file__).parent
    installed = package / "_share" / "recipes"
    return installed if installed.is_dir() else package.parent / "recipes"


def load_recipe(path: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe file and apply overrides to it.

    Args:
        path: A YAML 1.2 file.
        overrides: `section.key=value` each, the value in YAML; later ones win.

    Raises:
        RecipeError: The file cannot be read or is not a recipe; names every fault with its line.
    """
    path = Path(path)
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise RecipeError(f"{path}: cannot read the recipe: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise RecipeError(f"{path}: not valid UTF-8 at byte {error.start}") from error
    return parse_recipe(text, name=str(path), overrides=overrides)


def parse_recipe(text: str, *, name: str, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe from YAML text; `name` is what complaints call it.

    Raises:
        RecipeError: As `load_recipe`.
    """
    tree = _read_yaml(text, name)
    overridden = _apply_overrides(tree, overrides)
    try:
        return Recipe.model_validate(_plain(tree))
    except ValidationError as error:
        complaints = [_complaint(detail, name, tree, overridden) for detail in error.errors()]
    raise RecipeError(_together(complaints, name))


def dump_recipe(recipe: Recipe) -> str:
    """Return the recipe as YAML that `parse_recipe` reads back to an equal recipe."""
    stream = io.StringIO()
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.width = 4096
    yaml.dump(recipe.model_dump(mode="json"), stream)
    return stream.getvalue()


def differences(old: Recipe, new: Recipe) -> list[str]:
    """Return one line `key: old value -> new value` for every setting that differs."""
    before, after = dict(_leaves(old.model_dump())), dict(_leaves(new.model_dump()))
    return [
        f"{key}: {before.get(key)!r} -> {after.get(key)!r}"
        for key in before | after
        if before.get(key) != after.get(key)
    ]


def unsaid(section: Section, prefix: str = "") -> list[str]:
    """Return the keys that a recipe leaves to the defaults; a resolved one leaves none."""
    keys = [
        f"{prefix}{key}" for key in type(section).model_fields.keys() - section.model_fields_set
    ]
    for key in section.model_fields_set:
        value = getattr(section, key)
        if isinstance(value, Section):
            keys += unsaid(value, f"{prefix}{key}.")
    return sorted(keys)


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _read_yaml(text: str, name: str) -> CommentedMap:
    try:
        tree = YAML().load(text)
    except DuplicateKeyError as error:
        line = error.problem_mark.line + 1
        key = re.search(r'key "(.*?)"', str(error.problem))
        raise RecipeError(f"{name}:{line}: duplicate key {key[1] if key else ''!r}") from error
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{name}:{mark.line + 1}" if mark else name
        raise RecipeError(f"{place}: not valid YAML: {error.problem or error.context}") from error
    except (YAMLError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise RecipeError(f"{name}: not valid YAML: {reason}") from error
    if not isinstance(tree, CommentedMap):
        raise RecipeError(
            f"{name}: a recipe must be a mapping with the sections data and training, "
            f"got {_shown(tree)}"
        )
    return tree


def _apply_overrides(tree: CommentedMap, overrides: Sequence[str]) -> set[tuple[str, ...]]:
    """Write the overrides into the tree and return the keys that they set."""
    touched: set[tuple[str, ...]] = set()
    replaced: set[tuple[str, ...]] = set()
    for override in overrides:
        key, equals, value = override.partition("=")
        path = tuple(key.strip().split("."))
        if not equals or not all(path):
            raise RecipeError(f"override must be section.key=value, got {override!r}")
        # a SET is one thing: data.train.source=F drops what stood in data.train before
        owner = path[:2]
        is_set = len(path) == 3 and path[0] == "data" and path[1] in _SETS
        if is_set and owner not in replaced:
            _set(tree, owner, CommentedMap(), override)
            replaced.add(owner)
            touched.add(owner)
        _set(tree, path, _read_value(value, override), override)
        touched.add(path)
    return touched


def _read_value(value: str, override: str) -> Any:
    try:
        return YAML().load(value)
    except (YAMLError, ValueError) as error:
        raise RecipeError(f"override {override!r} is not valid YAML; quote its value") from error


def _set(tree: CommentedMap, path: tuple[str, ...], value: Any, override: str) -> None:
    node = tree
    for key in path[:-1]:
        if node.get(key) is None:
            node[key] = CommentedMap()
        node = node[key]
        if not isinstance(node, CommentedMap):
            raise RecipeError(f"override {override!r}: {key!r} holds a value, not a section")
    node[path[-1]] = value


def _plain(node: Any) -> Any:
    """Return the tree in plain types, which strict checking asks for; lists become tuples."""
    if isinstance(node, Mapping):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, CommentedSeq | list):
        return tuple(_plain(value) for value in node)
    if isinstance(node, bool) or node is None:
        return node
    for kind in (int, float, str):
        if isinstance(node, kind):
            return kind(node)
    return node


def _complaint(detail: Any, name: str, tree: CommentedMap, overridden: set[tuple[str, ...]]) -> str:
    path = tuple(map(str, detail["loc"]))
    if path[:1] == ("data",) and path[1:2] and path[1] in _SETS:
        path = path[:2] + path[3:]  # the third part is the kind of set, not a key
    key = ".".join(path)
    place = _place(path, name, tree, overridden)
    value = _shown(detail.get("input"))
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        return f"{place}: unknown key {key!r}{_did_you_mean(path)}"
    if kind == "missing":
        return f"{place}: {key} is missing"
    if kind == "value_error":
        return f"{place}: {key + ': ' if key else ''}{context['error']}"
    if kind in {"model_type", "dict_type"}:
        return f"{place}: {key} must be a section with keys, got {value}"
    if kind == "string_pattern_mismatch":
        return f"{place}: {key} must be a language code such as de or pt-BR, got {value}"
    return f"{place}: {key} must be {_expected(kind, context)}, got {value}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _expected(kind: str, context: Mapping[str, Any]) -> str:
    signs = {"greater_than_equal": ">= {ge}", "greater_than": "> {gt}"}
    signs |= {"less_than_equal": "<= {le}", "less_than": "< {lt}"}
    if kind in signs:
        return signs[kind].format(**context)
    if kind == "literal_error":
        return str(context["expected"])
    if kind == "too_long":
        return f"at most {context['max_length']} long"
    names = {"int": "a whole number", "float": "a number", "bool": "true or false"}
    names |= {"string": "text", "tuple": "a list", "finite_number": "a finite number"}
    return names.get(kind.removesuffix("_type"), kind.replace("_", " "))


def _place(
    path: tuple[str, ...], name: str, tree: CommentedMap, overridden: set[tuple[str, ...]]
) -> str:
    if any(path[: len(key)] == key for key in overridden):
        return "override"
    line, node = None, tree
    for key in path:
        if not isinstance(node, CommentedMap) or key not in node:
            break
        if key in (node.lc.data or {}):
            line = node.lc.key(key)[0] + 1
        node = node[key]
    return name if line is None else f"{name}:{line}"


def _did_you_mean(path: tuple[str, ...]) -> str:
    """Return the likeliest meant key: of the same section first, then of the whole recipe."""
    known = _known_keys(Recipe)
    if ".".join(path) in known:  # the key of another kind of set: it was meant, only not here
        return ""
    siblings = [key for key in known if key.split(".")[:-1] == list(path[:-1])]
    close = difflib.get_close_matches(path[-1], [key.split(".")[-1] for key in siblings], 1, 0.6)
    if close:
        return f"; did you mean {'.'.join((*path[:-1], close[0]))!r}?"
    elsewhere = [key for key in known if key.split(".")[-1] == path[-1]]
    return f"; did you mean {elsewhere[0]!r}?" if elsewhere else ""


def _known_keys(section: type[BaseModel], prefix: str = "") -> list[str]:
    keys = []
    for name, field in section.model_fields.items():
        keys.append(f"{prefix}{name}")
        for part in _sections_in(field.annotation):
            keys += _known_keys(part, f"{prefix}{name}.")
    return keys


def _sections_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type):
        return [annotation] if issubclass(annotation, BaseModel) else []
    parts = getattr(annotation, "__args__", ())
    return [section for part in parts for section in _sections_in(part)]


def _together(complaints: Sequence[str], name: str) -> str:
    if len(complaints) == 1:
        return complaints[0]
    return "\n  ".join([f"{name} has {len(complaints)} errors:", *complaints])
