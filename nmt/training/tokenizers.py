"""The tokenizers of a run: trained once for its data, on so many of its sentences."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import sentencepiece

from nmt.corpus import SentencePair
from nmt.corpus.cache import Facts
from nmt.recipe import Recipe
from nmt.tokenizer import Tokenizer
from nmt.training.data import Corpora

_log = logging.getLogger(__name__)

# What of a recipe's section has no part in the training of a tokenizer.
_OF_NO_EFFECT = {"sampling_alpha"}


def prepare_tokenizers(corpora: Corpora, recipe: Recipe) -> tuple[Tokenizer, Tokenizer]:
    """Return a source and a target tokenizer, trained anew where that has not been done before.

    Raises:
        DataError: The cache cannot be written.
        TokenizerError: The vocabulary size does not fit the text.
    """
    settings = recipe.tokenizer_with_tags
    key = {
        "sets": [[one.fingerprint, one.weight] for one in corpora.training_sets],
        "tokenizer": settings.model_dump(mode="json", exclude=_OF_NO_EFFECT),
        "seed": recipe.training.seed,
        "sentencepiece": sentencepiece.__version__,
    }

    def build(folder: Path) -> Facts:
        _log.info("training the tokenizer")
        shares = [(len(one.pairs), one.weight) for one in corpora.training_sets]
        tokenizers = train_tokenizers(corpora.train, recipe, shares=shares)
        for name, tokenizer in zip(_NAMES, tokenizers, strict=True):
            (folder / name).write_bytes(tokenizer.model)
        return {}

    folder, _ = corpora.cache.obtain("tokenizer", key, build)
    source = Tokenizer.load(folder / _NAMES[0])
    return source, source if settings.joint else Tokenizer.load(folder / _NAMES[1])


_NAMES = ("source.model", "target.model")


def train_tokenizers(
    pairs: Sequence[SentencePair],
    recipe: Recipe,
    *,
    shares: Sequence[tuple[int, float]] | None = None,
) -> tuple[Tokenizer, Tokenizer]:
    """Return a source and a target tokenizer, the same one twice where the recipe joins them.

    Args:
        pairs: Training sets, one behind the other.
        recipe: How, and with which seed.
        shares: How many pairs each set has, and its weight; None is one set.

    Raises:
        TokenizerError: The vocabulary size does not fit the text.
    """
    settings, seed = recipe.tokenizer_with_tags, recipe.training.seed
    limit = settings.sample_sentences
    if limit is not None and settings.joint:
        limit = max(1, limit // 2)  # a pair has two sentences
    places = _sample(shares or [(len(pairs), 1.0)], limit, seed=seed)
    if len(places) < len(pairs):
        _log.info("training the tokenizer on %d of %d pairs", len(places), len(pairs))
    if settings.joint:
        both = (line for place in places for line in _sides(pairs[place]))
        tokenizer = Tokenizer.train(both, settings, seed=seed)
        return tokenizer, tokenizer
    return (
        Tokenizer.train((pairs[place].source for place in places), settings, seed=seed),
        Tokenizer.train((pairs[place].target for place in places), settings, seed=seed),
    )


def _sides(pair: SentencePair) -> tuple[str, str]:
    return pair.source, pair.target


def _sample(shares: Sequence[tuple[int, float]], limit: int | None, *, seed: int) -> Sequence[int]:
    """Return at most so many places, in order: one at random in each of equal stretches.

    Sets are drawn from by size and weight, but none more than once over.
    """
    total = sum(size for size, _ in shares)
    if limit is None or limit >= total:
        return range(total)
    whole = sum(size * weight for size, weight in shares)
    generator = np.random.default_rng(seed)
    places: list[int] = []
    start = 0
    for size, weight in shares:
        count = min(size, max(1, round(limit * size * weight / whole)))
        bounds = np.arange(count + 1) * size // count + start
        places += generator.integers(bounds[:-1], bounds[1:]).tolist()
        start += size
    return places
