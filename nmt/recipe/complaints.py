"""What is wrong with a recipe, in words: the key, its line, what it must be, what was meant."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from nmt.recipe.data import SETS
from nmt.recipe.sections import Recipe

# Keys, and places in lists from 0 on.
Path = tuple[str | int, ...]


def complaints(
    error: ValidationError, name: str, tree: CommentedMap, overridden: set[tuple[str, ...]]
) -> str:
    """Put all that is wrong with a recipe into words.

    Args:
        error: What is wrong.
        name: What the recipe is called.
        tree: The recipe as it was read, lines included.
        overridden: The keys that were not read but given.

    Returns:
        One line, or one for each fault below a line that counts them.
    """
    faults = [_complaint(detail, name, tree, overridden) for detail in error.errors()]
    if len(faults) == 1:
        return faults[0]
    return "\n  ".join([f"{name} has {len(faults)} errors:", *faults])


def _complaint(detail: Any, name: str, tree: CommentedMap, overridden: set[tuple[str, ...]]) -> str:
    path = _without_kinds(tuple(detail["loc"]))
    place = _place(path, name, tree, overridden)
    key = ".".join(map(str, path))
    value = shown(detail.get("input"))
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        return f"{place}: unknown key {key!r}{_did_you_mean(path, key)}"
    if kind == "missing":
        return f"{place}: {key} is missing"
    if kind == "value_error":
        return f"{place}: {key + ': ' if key else ''}{context['error']}"
    if kind == "too_short":
        return f"{place}: {key} must have at least one entry, got {value}"
    if kind in {"model_type", "dict_type"}:
        return f"{place}: {key} must be a section with keys, got {value}"
    if kind == "string_pattern_mismatch":
        return f"{place}: {key} must be a language code such as de or pt-BR, got {value}"
    return f"{place}: {key} must be {_expected(kind, context)}, got {value}"


def _without_kinds(path: Path) -> Path:
    """Leave out what pydantic puts between the keys of a set: of which form and kind it is."""
    if path[:1] != ("data",) or path[1:2] == () or path[1] not in SETS:
        return path
    rest = path[2:]
    if path[1] == "train":
        is_list, rest = rest[:1] == ("list",), rest[1:]
        if is_list:
            return (*path[:2], *rest[:1], *rest[2:])
    return (*path[:2], *rest[1:])


def shown(value: Any) -> str:
    """Return a value as it is shown in a complaint: not too long."""
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


def _place(path: Path, name: str, tree: CommentedMap, overridden: set[tuple[str, ...]]) -> str:
    if any(path[: len(key)] == key for key in overridden):
        return "override"
    line: int | None = None
    node: Any = tree
    for key in path:
        if isinstance(node, CommentedSeq) and isinstance(key, int):
            line = node.lc.item(key)[0] + 1
        elif not isinstance(node, CommentedMap) or key not in node:
            break
        elif key in (node.lc.data or {}):
            line = node.lc.key(key)[0] + 1
        node = node[key]
    return name if line is None else f"{name}:{line}"


def _did_you_mean(path: Path, key: str) -> str:
    """Return the likeliest meant key: of the same section first, then of the whole recipe."""
    known = _known_keys(Recipe)
    names = [part for part in path if isinstance(part, str)]
    if ".".join(names) in known:  # the key of another kind of set: it was meant, only not here
        return ""
    siblings = [one for one in known if one.split(".")[:-1] == names[:-1]]
    close = difflib.get_close_matches(names[-1], [one.split(".")[-1] for one in siblings], 1, 0.6)
    if close:
        return f"; did you mean {key.removesuffix(names[-1]) + close[0]!r}?"
    elsewhere = [one for one in known if one.split(".")[-1] == names[-1]]
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
