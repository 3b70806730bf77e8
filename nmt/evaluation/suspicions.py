"""What in the texts themselves makes their scores doubtful. Knows lines of text, no scores."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from nmt.evaluation.segments import Segments
from nmt.evaluation.words import count_scripts, parts_of

Kind = Literal["one_sentence", "tokenized", "empty", "copied", "repeated", "script", "seen"]

# Text tokenized by the usual scripts, which a score comparable with others' must not be counted on.
_TOKENIZED = re.compile(r" [.,](?: |$)|&apos;|&quot;|@-@|@@ ")
# Real text has a stray blank before a full stop here and there: one line in a thousand.
_TOKENIZED_SHARE = 0.1
# A name in letters of its own is no other language.
_SCRIPT_SHARE = 0.1
# Words said anew at once: one word three times, two to four words twice.
_MOST_REPEATED = 4

_MESSAGES: dict[Kind, str] = {
    "one_sentence": "sentence is all there is: intervals mean nothing, and scores very little",
    "empty": "hypotheses are empty",
    "copied": "hypotheses are equal to their source",
    "repeated": "hypotheses say the same words again and again, where no reference does",
    "script": "hypotheses are in another script than their references",
    "tokenized": (
        "references look tokenized (as in `word .` or `&apos;`); scores on tokenized text cannot "
        "be compared with those of others"
    ),
}


@dataclass(frozen=True, slots=True)
class Suspicion:
    """Something that a reader of the scores should be warned of.

    Args:
        kind: What it is, for programs.
        count: How many sentences it is about.
        total: How many there are.
        message: It, in words.
    """

    kind: Kind
    count: int
    total: int
    message: str


def find_suspicions(
    segments: Segments, hypotheses: Sequence[str], *, target_lang: str
) -> list[Suspicion]:
    """Return what a reader of the scores should be warned of, each with a count.

    Args:
        segments: What was translated, and what people wrote for it.
        hypotheses: What the model wrote for it.
        target_lang: The language translated into.
    """
    total = len(hypotheses)
    written = zip(*segments.references, strict=True)
    references = [[line or "" for line in lines] for lines in written]
    translated = list(zip(segments.sources, hypotheses, strict=True))
    held = list(zip(hypotheses, references, strict=True))
    counts: dict[Kind, int] = {
        "one_sentence": int(total == 1),
        "empty": sum(not text.strip() for source, text in translated if source.strip()),
        "copied": sum(text == source for source, text in translated if source.strip()),
        "repeated": sum(_stutters(text, known, target_lang) for text, known in held),
        "script": sum(_is_other_script(text, known) for text, known in held),
        "tokenized": sum(any(map(_TOKENIZED.search, known)) for known in references),
    }
    least = {"script": round(_SCRIPT_SHARE * total), "tokenized": int(_TOKENIZED_SHARE * total) + 1}
    return [
        Suspicion(kind, count, total, f"{count} of {total} {_MESSAGES[kind]}")
        for kind, count in counts.items()
        if count >= max(1, least.get(kind, 1))
    ]


def _stutters(hypothesis: str, references: Sequence[str], lang: str) -> bool:
    return repeats(hypothesis, lang) and not any(repeats(line, lang) for line in references)


def repeats(text: str, lang: str) -> bool:
    """Tell whether a text says a word three times, or a few words twice, at once."""
    words = [part.casefold() for part in parts_of(text, lang) if not part.isspace()]
    for size in range(1, _MOST_REPEATED + 1):
        times = 3 if size == 1 else 2
        for start in range(len(words) - size * times + 1):
            ngram = words[start : start + size]
            # dots in a row, and digits, are no stutter
            if all(word.isalpha() for word in ngram) and all(
                words[start + turn * size : start + (turn + 1) * size] == ngram
                for turn in range(1, times)
            ):
                return True
    return False


def _is_other_script(hypothesis: str, references: Sequence[str]) -> bool:
    written = count_scripts([hypothesis])
    known = count_scripts(references)
    return bool(written and known) and written.keys().isdisjoint(known)
