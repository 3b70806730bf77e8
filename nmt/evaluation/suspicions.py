"""What in the texts themselves makes their scores doubtful. Knows lines of text, no scores."""

import re
from collections.abc import Sequence

# Text tokenized by the usual scripts, which a score comparable with others' must not be counted on.
_TOKENIZED = re.compile(r" [.,](?: |$)|&apos;|&quot;|@-@|@@ ")
# Real text has a stray blank before a full stop here and there: one line in a thousand.
_TOKENIZED_SHARE = 0.1


def find_suspicions(
    sources: Sequence[str], references: Sequence[str], hypotheses: Sequence[str]
) -> list[str]:
    """Return what a reader of the scores should be warned of, each with a count.

    Args:
        sources: The lines that were translated.
        references: What people wrote for them.
        hypotheses: What the model wrote for them.
    """
    pairs = list(zip(sources, hypotheses, strict=True))
    num_empty = sum(not hypothesis.strip() for source, hypothesis in pairs if source.strip())
    num_copied = sum(hypothesis == source for source, hypothesis in pairs if source.strip())
    num_tokenized = sum(bool(_TOKENIZED.search(reference)) for reference in references)

    total = len(pairs)
    suspicions = []
    if num_empty:
        suspicions.append(f"{num_empty} of {total} hypotheses are empty")
    if num_copied:
        suspicions.append(f"{num_copied} of {total} hypotheses are equal to their source")
    if num_tokenized > _TOKENIZED_SHARE * total:
        suspicions.append(
            f"{num_tokenized} of {total} references look tokenized (as in `word .` or `&apos;`); "
            "scores on tokenized text cannot be compared with those of others"
        )
    return suspicions
