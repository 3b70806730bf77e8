"""What a sweep tries: values of settings to whole recipes with names for their folders.

Knows recipes; not where or how they are trained.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from nmt.errors import RecipeError
from nmt.recipe import Recipe

BASELINE = "baseline"

# What runs must have in common to be compared, and why it is no setting of a sweep.
_FIXED = {
    "data.test": "a sweep never looks at the test set",
    "data.validation": "all runs are compared on one validation set",
    "data.source_lang": "all runs translate in one direction",
    "data.target_lang": "all runs translate in one direction",
    "data.reverse": "all runs translate in one direction",
    "evaluation": "all runs are scored alike",
    "training.seed": "the seeds are those of --seeds",
    "training.device": "the devices are those of --devices",
    "training.threads": "runs at a time share the threads, see --jobs",
}
# A name may have parts added, such as what a file is called while it is written.
_LONGEST_NAME = 150
_DIGITS_OF_HASH = 8
_UNSAFE = re.compile(r"[^A-Za-z0-9._=,+-]+")


@dataclass(frozen=True, slots=True)
class Axis:
    """A setting and the values to try.

    Attributes:
        key: The setting, `section.key`.
        values: In plain types, at least one.
    """

    key: str
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Setting:
    """A row of the grid.

    Attributes:
        name: What its folder is called; hangs on what differs from the baseline alone, so that it
            stays the same in another grid.
        values: What differs from the baseline, by key.
        recipe: The whole of it, without a test set.
    """

    name: str
    values: Mapping[str, Any]
    recipe: Recipe

    def with_seed(self, seed: int) -> Recipe:
        """Return the recipe of one of its runs."""
        return self.recipe.changed(training=self.recipe.training.changed(seed=seed))


def read_axis(text: str) -> Axis:
    """Read `section.key=value,value,...`: the values are a YAML list without its brackets.

    Raises:
        RecipeError: It is not that, or the setting is none for a sweep.
    """
    key, equals, values = text.partition("=")
    key = key.strip()
    if not equals or not all(key.split(".")):
        raise RecipeError(f"--set must be section.key=value,value,..., got {text!r}")
    for fixed, reason in _FIXED.items():
        if f"{key}.".startswith(f"{fixed}."):
            raise RecipeError(f"--set {key}: {reason}")
    if key == "training":
        raise RecipeError(
            "--set training: settings of training are changed one by one, such as "
            "training.learning_rate=0.001,0.002"
        )
    if key.startswith("data.train."):
        raise RecipeError(
            f"--set {key}: sets of a corpus are changed as a whole, such as "
            "'data.train={source: FILE, target: FILE},{source: FILE, target: FILE}'"
        )
    try:
        found = YAML(typ="safe", pure=True).load(f"[{values}]")
    except (YAMLError, ValueError) as error:
        raise RecipeError(
            f"--set {text!r}: the values must be a YAML list without its brackets; quote them"
        ) from error
    if not isinstance(found, list) or not found:
        raise RecipeError(f"--set {key} must have at least one value, got {values!r}")
    return Axis(key, tuple(found))


def expand(
    read: Callable[[Sequence[str]], Recipe], axes: Sequence[Axis], *, one_at_a_time: bool = False
) -> list[Setting]:
    """Return all rows of a grid, each once: the recipe as it is first, then those of the values.

    Args:
        read: Reads the recipe and applies overrides to it.
        axes: What to try.
        one_at_a_time: Each value alone against the recipe, and not each with all others.

    Raises:
        RecipeError: The recipe is at fault, or what a value makes of it.
    """
    keys = [axis.key for axis in axes]
    twice = [key for number, key in enumerate(keys) if key in keys[:number]]
    if twice:
        raise RecipeError(f"--set {twice[0]} must be given once, with all its values")
    baseline = _without_test(read([]))
    # A value that is the recipe's own makes the baseline, or a row that is there already.
    rows = {baseline.model_dump_json(): Setting(BASELINE, {}, baseline)}
    for values in _choices(axes, one_at_a_time=one_at_a_time):
        setting = _setting(read, values, baseline)
        rows.setdefault(setting.recipe.model_dump_json(), setting)
    return list(rows.values())


def label(values: Mapping[str, Any]) -> str:
    """Return how a setting with these values is called in a table."""
    return ", ".join(f"{key}={_shown(value)}" for key, value in values.items()) or BASELINE


def _choices(axes: Sequence[Axis], *, one_at_a_time: bool) -> Iterator[dict[str, Any]]:
    if one_at_a_time:
        for axis in axes:
            for value in axis.values:
                yield {axis.key: value}
        return
    for chosen in itertools.product(*(axis.values for axis in axes)):
        yield {axis.key: value for axis, value in zip(axes, chosen, strict=True)}


def _setting(
    read: Callable[[Sequence[str]], Recipe], values: Mapping[str, Any], baseline: Recipe
) -> Setting:
    overrides = [f"{key}={json.dumps(value, default=str)}" for key, value in values.items()]
    try:
        recipe = _without_test(read(overrides))
    except RecipeError as error:
        raise RecipeError(f"--set {label(values)}: {error}") from error
    before, after = (one.model_dump(mode="json") for one in (baseline, recipe))
    # also by way of a whole section
    for fixed, reason in _FIXED.items():
        if _value_at(after, fixed) != _value_at(before, fixed):
            raise RecipeError(f"--set {label(values)}: {fixed} must be the recipe's: {reason}")
    different = {}
    for key in sorted(values):
        value = _value_at(after, key)
        if value != _value_at(before, key):
            # of a section what was asked for, without all its defaults
            different[key] = values[key] if isinstance(value, dict) else value
    return Setting(_name(different), different, recipe)


def _without_test(recipe: Recipe) -> Recipe:
    data = recipe.data.model_copy(update={"test": None})
    return recipe.changed(data=data, training=recipe.training.changed(seed=1))


def _value_at(tree: Any, key: str) -> Any:
    for part in key.split("."):
        tree = tree.get(part) if isinstance(tree, dict) else None
    return tree


def _name(values: Mapping[str, Any]) -> str:
    """Return a name that any file system takes and no other values have."""
    text = ",".join(f"{key}={_shown(value)}" for key, value in values.items()) or BASELINE
    safe = _UNSAFE.sub("", text)
    if safe == text and len(text) <= _LONGEST_NAME and not text.endswith("."):
        return text
    digest = hashlib.sha256(text.encode("utf-8")).hexdigest()[:_DIGITS_OF_HASH]
    return f"{safe[: _LONGEST_NAME - len(digest) - 1]}-{digest}"


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str, separators=(",", ":"))
