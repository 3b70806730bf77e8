"""YAML and overrides to a recipe, and a recipe to YAML."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from nmt.errors import RecipeError
from nmt.recipe.complaints import complaints, shown
from nmt.recipe.data import SETS
from nmt.recipe.sections import Recipe
from nmt.shipped import shipped_folder

# What is a line's end to some versions of YAML, and comes back from a plain scalar as another one.
_LINE_ENDS = frozenset("\n\r\x85\u2028\u2029")


# A recipe has two hundred settings; what is far beyond that is no recipe.
_MOST_BYTES = 1_000_000
_MOST_VALUES = 10_000


def find_recipe(name: str | Path) -> Path:
    """Return the path of a recipe: the file of that name, or the one that comes with nmt.

    Raises:
        RecipeError: There is neither.
    """
    path = Path(name)
    shipped = {file.stem: file for file in sorted(shipped_folder("recipes").rglob("*.yaml"))}
    # a run folder may be called like its recipe
    if str(name) in shipped and not path.is_file():
        return shipped[str(name)]
    if path.exists():
        return path
    raise RecipeError(
        f"{path}: no such recipe; give a YAML file, or one that comes with nmt: "
        f"{', '.join(shipped)}"
    )


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
        with path.open("rb") as stream:
            data = stream.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise RecipeError(f"{path}: a recipe must have at most {_MOST_BYTES:,} bytes")
        text = data.decode("utf-8")
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
        plain = _plain(tree, itertools.count())
    except RecursionError as error:
        raise RecipeError(f"{name}: a recipe must not be nested so deeply") from error
    except OverflowError as error:
        raise RecipeError(f"{name}: a recipe must have at most {_MOST_VALUES:,} values") from error
    try:
        return Recipe.model_validate(plain)
    except ValidationError as error:
        raise RecipeError(complaints(error, name, tree, overridden)) from error


def dump_recipe(recipe: Recipe) -> str:
    """Return the recipe as YAML that `parse_recipe` reads back to an equal recipe."""
    stream = io.StringIO()
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.width = 4096
    yaml.dump(_quoted(recipe.model_dump(mode="json")), stream)
    return stream.getvalue()


def _quoted(node: Any) -> Any:
    """Return a tree whose strings are quoted where YAML would take a character for a line's end."""
    if isinstance(node, dict):
        return {key: _quoted(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_quoted(value) for value in node]
    if isinstance(node, str) and not _LINE_ENDS.isdisjoint(node):
        return DoubleQuotedScalarString(node)
    return node


def differences(old: Recipe, new: Recipe) -> list[str]:
    """Return one line `key: old value -> new value` for every setting that differs."""
    before, after = dict(_leaves(old.model_dump())), dict(_leaves(new.model_dump()))
    return [
        f"{key}: {before.get(key)!r} -> {after.get(key)!r}"
        for key in before | after
        if before.get(key) != after.get(key)
    ]


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
    except RecursionError as error:
        raise RecipeError(f"{name}: a recipe must not be nested so deeply") from error
    except (YAMLError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise RecipeError(f"{name}: not valid YAML: {reason}") from error
    if not isinstance(tree, CommentedMap):
        raise RecipeError(
            f"{name}: a recipe must be a mapping with the sections data and training, "
            f"got {shown(tree)}"
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
        is_set = len(path) == 3 and path[0] == "data" and path[1] in SETS
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


def _plain(node: Any, numbers: Iterator[int]) -> Any:
    """Return the tree in plain types, which strict checking asks for; lists become tuples.

    Args:
        node: A tree, whose parts may stand in it many times over.
        numbers: Counts the values.

    Raises:
        OverflowError: There are too many values.
    """
    if next(numbers) > _MOST_VALUES:
        raise OverflowError
    if isinstance(node, Mapping):
        return {str(key): _plain(value, numbers) for key, value in node.items()}
    if isinstance(node, CommentedSeq | list):
        return tuple(_plain(value, numbers) for value in node)
    if isinstance(node, bool) or node is None:
        return node
    for kind in (int, float, str):
        if isinstance(node, kind):
            return kind(node)
    return node
