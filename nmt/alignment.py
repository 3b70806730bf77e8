"""Which target words come from which source words, told by where the attention was.

Knows attention and the numbers of words; what the words are, others know.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import Tensor

# A source place and a target place each, both counted from 0, in ascending order.
Links = tuple[tuple[int, int], ...]


def piece_links(attention: Tensor) -> Links:
    """Link every target piece with the source piece that has most of its attention.

    EOS takes no part on either side: what ends the source is a place to look at, but no piece. Of
    source pieces with equal attention the first is taken. A target piece all of whose attention is
    on EOS has no link.

    Args:
        attention: Where each target token looked, row t when token t was found, EOS being the last
            of both sides, (T, S), as in `Hypothesis.attention`.

    Returns:
        The places of the pieces that belong together.

    Raises:
        ValueError: There is no attention in it: the model has none.
    """
    if not bool((attention.sum(dim=1) > 0).all()):
        raise ValueError("attention must be above 0 somewhere in each row; the model has none")
    # numpy promises the first of equals
    weights = attention[:-1, :-1].float().cpu().numpy()
    if not weights.size:
        return ()
    best = weights.argmax(axis=1).tolist()
    return _in_order(
        (source, target) for target, source in enumerate(best) if weights[target, source] > 0
    )


def word_links(
    links: Iterable[tuple[int, int]], source_words: Sequence[int], target_words: Sequence[int]
) -> Links:
    """Link two words where any of their pieces are linked.

    Args:
        links: The places of the pieces that belong together.
        source_words: For each source piece the number of its word, from 0 on; below 0 where it is
            of none.
        target_words: The same for the target.

    Returns:
        The numbers of the words that belong together, each two once.
    """
    words = ((source_words[source], target_words[target]) for source, target in links)
    return _in_order(pair for pair in words if min(pair) >= 0)


def pharaoh(links: Iterable[tuple[int, int]]) -> str:
    """Write links as aligners do: `0-0 1-2`, the source first; nothing where there are none."""
    return " ".join(f"{source}-{target}" for source, target in links)


def _in_order(links: Iterable[tuple[int, int]]) -> Links:
    return tuple(sorted(set(links)))
