"""What is kept as it is and not translated, and the symbols that stand in its place. Text only.

A symbol is a single character for private use, which text hardly ever has; where it has one, that
is kept as well. A tokenizer that knows the symbols cuts each as one piece.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from random import Random

_FIRST = 0xE000
MOST_SYMBOLS = 1000
_SYMBOL = rf"[{chr(_FIRST)}-{chr(_FIRST + MOST_SYMBOLS - 1)}]"

_KEPT = rf"""
    (?:https?://|ftp://|www\.)[^\s<>"'{{}}]*[^\s<>"'{{}}.,;:!?)\]…]     # URLs
  | (?<![\w.+-])[\w.+-]{{1,64}}@[\w-]+(?:\.[\w-]+)+                    # e-mail addresses
  | </?[A-Za-z][^<>\r\n]*>                                             # tags
  | \$?\{{\{{?[^\s{{}}]*\}}\}}?                                        # {{name}}, ${{name}}
  | %\(\w+\)[a-z](?!\w)                                                # %(name)s
  | (?<!\d)%(?:\d+\$)?[-+\#0]*\d*(?:\.\d+)?(?:[diouxXeEfFgGcrs@](?!\w)|%)  # %s, %1$d
  | {_SYMBOL}
"""
_NUMBER = r"(?<![\w.,])\d+(?:[.,:/]\d+)*(?!\w)"
# A word with a capital that does not stand first.
_NAME = r"(?<=\s)[^\W\d_]\w+"

_ALWAYS = re.compile(_KEPT, re.VERBOSE)
_WITH_NUMBERS = re.compile(f"{_KEPT}|{_NUMBER}", re.VERBOSE)
_TAUGHT = re.compile(f"{_KEPT}|{_NUMBER}|{_NAME}", re.VERBOSE)


def symbols(count: int) -> tuple[str, ...]:
    """Return the first symbols, at most `MOST_SYMBOLS`."""
    return tuple(chr(_FIRST + number) for number in range(count))


@dataclass(frozen=True, slots=True)
class Kept:
    """A line with symbols in the place of what is kept.

    Attributes:
        text: The line.
        originals: What each symbol stands for.
        num_left: How much that should be kept is still there, for want of symbols.
    """

    text: str
    originals: Mapping[str, str] = field(default_factory=dict)
    num_left: int = 0


def keep(line: str, *, num_symbols: int, numbers: bool) -> Kept:
    """Put symbols in the place of URLs, e-mail addresses, tags and placeholders.

    Args:
        line: The line.
        num_symbols: How many symbols there are; what comes behind so many stays as it is.
        numbers: Keep numbers, too.
    """
    originals: dict[str, str] = {}
    num_left = 0

    def replaced(match: re.Match[str]) -> str:
        nonlocal num_left
        if len(originals) == num_symbols:
            num_left += 1
            return match[0]
        symbol = chr(_FIRST + len(originals))
        originals[symbol] = match[0]
        return symbol

    text = (_WITH_NUMBERS if numbers else _ALWAYS).sub(replaced, line)
    return Kept(text, originals, num_left)


def without_invented(text: str, known: Mapping[str, str]) -> str:
    """Return a text without what would have been kept, but for the known symbols."""

    def replaced(match: re.Match[str]) -> str:
        return match[0] if match[0] in known else ""

    return _ALWAYS.sub(replaced, text)


@dataclass(frozen=True, slots=True)
class Teaching:
    """How symbols are put into training pairs.

    Args:
        num_symbols: How many symbols there are; those that are used are drawn at random, so that
            each is learned.
        share: How many of the pairs are changed.
        seed: Another seed changes others.
    """

    num_symbols: int
    share: float
    seed: int

    def teach(self, sides: tuple[str, str]) -> tuple[str, str]:
        """Put symbols in the place of what is alike in a sentence and its translation.

        That is what is kept, and numbers and names: each where it stands once on both sides. What
        becomes of a pair hangs on its text and the seed alone.

        Args:
            sides: The sentence and its translation.

        Returns:
            Both, with symbols.
        """
        random = Random(f"{self.seed}\t{sides[0]}\t{sides[1]}")
        if random.random() >= self.share:
            return sides
        source, target = (list(_taught(side)) for side in sides)
        alike = [one for one in source if source.count(one) == target.count(one) == 1]
        drawn = random.sample(symbols(self.num_symbols), min(self.num_symbols, len(alike)))
        chosen = dict(zip(random.sample(alike, len(drawn)), drawn, strict=True))

        def replaced(match: re.Match[str]) -> str:
            return chosen.get(match[0], match[0])

        first, second = (_TAUGHT.sub(replaced, side) for side in sides)
        return first, second


def _taught(text: str) -> Iterator[str]:
    """Yield what could be kept of a text; nothing with white space in it, so words stay words."""
    for match in _TAUGHT.finditer(text):
        found = match[0]
        is_name = found[0].isupper() or not found.isalpha()
        if is_name and not re.search(r"\s", found):
            yield found
