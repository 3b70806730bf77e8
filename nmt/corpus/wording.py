"""How complaints quote what stands in a corpus: in one line, and not too much of it."""

from collections.abc import Iterable
from itertools import islice

_MAX_NAMES = 20


def clipped(text: str, limit: int = 40) -> str:
    """Return a text, or its beginning where it is long."""
    return text if len(text) <= limit else text[:limit] + "…"


def shortened(text: str) -> str:
    """Return the beginning of a text, in quotes."""
    return repr(clipped(text))


def listed(names: Iterable[str]) -> str:
    """Return names in quotes, parted by commas; past some there is no help in more."""
    rest = iter(names)
    first = [shortened(name) for name in islice(rest, _MAX_NAMES)]
    return ", ".join([*first, *("…" for _ in islice(rest, 1))]) or "nothing"
