"""Options that read their own value, and say in the house's words what it must be."""

import math
from collections.abc import Callable
from typing import Any, Literal, get_args

import typer

from nmt.errors import NMTError

Bounds = Literal[">= 0", "> 0", "in (0, 1]"]


def whole_number(option: str, about: str, *, least: int = 1, panel: str | None = None) -> Any:
    """Return what typer wants of an option that takes a whole number.

    Args:
        option: Its name, with the dashes.
        about: What the help says of it.
        least: The least number that it takes.
        panel: The heading in the help that it stands under.
    """

    def read(text: str) -> int | None:
        value = int(text)
        return value if value >= least else None

    return _declare(option, about, panel, f"a whole number >= {least}", f"N >= {least}", read)


def number(option: str, about: str, *, bounds: Bounds = ">= 0", panel: str) -> Any:
    """Return what typer wants of an option that takes a finite number, see `whole_number`."""

    def read(text: str) -> float | None:
        value = float(text)
        # written so that NaN fails too
        is_within = {">= 0": value >= 0, "> 0": value > 0, "in (0, 1]": 0 < value <= 1}
        return value if is_within[bounds] and value < math.inf else None

    return _declare(option, about, panel, f"a number {bounds}", f"X {bounds}", read)


def choice(option: str, about: str, choices: Any, *, panel: str | None = None) -> Any:
    """Return what typer wants of an option that takes one of some words, see `whole_number`.

    Args:
        option: Its name, with the dashes.
        about: What the help says of it.
        choices: The words, a `Literal`.
        panel: The heading in the help that it stands under.
    """
    words: tuple[str, ...] = get_args(choices)

    def read(text: str) -> str | None:
        return text if text in words else None

    *others, last = words
    must_be = f"{', '.join(others)} or {last}"
    return _declare(option, about, panel, must_be, "|".join(words), read)


def _declare(
    option: str,
    about: str,
    panel: str | None,
    must_be: str,
    sign: str,
    read: Callable[[str], object],
) -> Any:
    """Return the option; `sign`: what stands for its value, `read`: gives None or fails at a fault.

    What typer itself says of a wrong value changes with its release, and is not in our words.
    """

    def parse(text: str) -> object:
        try:
            value = read(text)
        except ValueError:
            value = None
        if value is None:
            raise NMTError(f"{option} must be {must_be}, got {text!r}")
        return value

    return typer.Option(option, parser=parse, metavar=sign, help=about, rich_help_panel=panel)
