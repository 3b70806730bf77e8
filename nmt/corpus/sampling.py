"""Cuts training text into other pieces each time: subword regularization and BPE-dropout.

SentencePiece draws such cuts too, but its draws differ from process to process whatever its seed:
workers, and a run that goes on, would train on other text. Here every draw follows from numbers
that the caller gives.

Pieces do not cross the start of a word, so the words of a sentence are cut one by one, and what was
drawn for a word is kept: in an epoch each word has up to `_NUM_DRAWS` cuts to choose from.
"""

from __future__ import annotations

import math
import sys
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from itertools import accumulate, count, pairwise
from operator import add
from struct import unpack
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from nmt.recipe import TokenizerRecipe
from nmt.tokenizer import Tokenizer

Ids = NDArray[np.integer[Any]]

# Sums of weights, and for each sum a piece: where it starts and its id.
_Choice = tuple[list[float], list[tuple[int, int]]]

# Cuts of a word that are drawn in an epoch: of most words more than there are good ones.
_NUM_DRAWS = 64
# The score of a merge that there is not.
_NEVER = -math.inf
# Cuts that are kept at a time, for all words.
_MAX_KEPT = 100_000


class Rows(Protocol):
    """Sequences of token ids, see `nmt.batching.TokenStore`."""

    def __getitem__(self, index: int) -> Ids:
        """Return one."""
        ...


class PairSampler:
    """Draws how pairs are cut, see `nmt.batching.TokenSampler`."""

    def __init__(
        self,
        source: Rows,
        target: Rows,
        links: Rows | None,
        tokenizers: tuple[Tokenizer, Tokenizer],
        recipe: TokenizerRecipe,
    ) -> None:
        """Take the pairs as they are usually cut.

        Args:
            source: Source tokens.
            target: Target tokens.
            links: Which of them belong together, see `nmt.batching.BatchDataset`.
            tokenizers: Those of source and target.
            recipe: How they were trained; tags are among its symbols.
        """
        self._stores = (source, target)
        self._links = links
        self._samplers = [WordSampler(tokenizer, recipe) for tokenizer in tokenizers]

    def sample(
        self, indices: Sequence[int], key: tuple[int, int, int]
    ) -> tuple[list[list[int]], list[list[int]], list[list[int]] | None]:
        """Return sources, targets and links of pairs: always the same for a key.

        Args:
            indices: Places of the pairs.
            key: Seed, epoch and number of the batch.
        """
        generator = np.random.default_rng(key)
        sources, targets = (
            sampler.cut([store[index] for index in indices], generator, epoch_key=key[:2])
            for sampler, store in zip(self._samplers, self._stores, strict=True)
        )
        links = None
        if self._links is not None:
            links = [
                _moved(self._links[index], source, target)
                for index, source, target in zip(indices, sources, targets, strict=True)
            ]
        return [_flat(words) for words in sources], [_flat(words) for words in targets], links


# A sentence as words, each before and after the draw.
Words = list[tuple[Sequence[int], Sequence[int]]]


class WordSampler:
    """Draws how the words of sentences are cut."""

    def __init__(self, tokenizer: Tokenizer, recipe: TokenizerRecipe) -> None:
        """Read the pieces of a tokenizer.

        Args:
            tokenizer: Unigram or BPE.
            recipe: How it was trained. For a unigram model `sampling_alpha` is how much likelier
                the likely cuts are (Kudo 2018); for a BPE model it is the share of merges that are
                left out (Provilkov et al. 2020).
        """
        assert recipe.sampling_alpha is not None
        pieces = tokenizer.pieces(range(tokenizer.vocab_size))
        symbols = set(recipe.user_defined_symbols)
        is_plain = np.array(tokenizer.are_text) & ~np.array([piece in symbols for piece in pieces])
        self._pieces = pieces
        self._starts_word = ~is_plain | np.array([piece.startswith("\u2581") for piece in pieces])
        self._is_plain = is_plain
        plain = {piece: place for place, piece in enumerate(pieces) if is_plain[place]}
        make = BpeCutter if recipe.model_type == "bpe" else UnigramCutter
        self._cutter: UnigramCutter | BpeCutter = make(
            plain, tokenizer.scores, recipe.sampling_alpha
        )
        # for each word what drawing needs, and what was drawn so far
        self._kept: dict[Sequence[int], tuple[Any, dict[int, Sequence[int]]]] = {}
        self._num_kept = 0
        self._epoch_key: tuple[int, ...] = ()

    def cut(
        self,
        sentences: Sequence[Ids],
        generator: np.random.Generator,
        *,
        epoch_key: tuple[int, ...],
    ) -> list[Words]:
        """Return sentences as words, each as it was and as it was drawn."""
        if epoch_key != self._epoch_key:
            self._forget(epoch_key)
        if not sum(map(len, sentences)):
            return [[] for _ in sentences]
        flat = np.concatenate(sentences)
        is_start = self._starts_word[flat]
        # what follows a piece that stays as it is does not belong to it
        is_start[1:] |= ~self._is_plain[flat[:-1]]
        ends = np.cumsum([len(sentence) for sentence in sentences])
        is_start[0] = True
        is_start[ends[ends < len(flat)]] = True
        starts = np.flatnonzero(is_start)
        bounds = [*starts.tolist(), len(flat)]
        draws = generator.integers(_NUM_DRAWS, size=len(starts)).tolist()
        token_ids = flat.tolist()
        words: Words = []
        for number, draw in enumerate(draws):
            word = tuple(token_ids[bounds[number] : bounds[number + 1]])
            words.append((word, self._drawn(word, draw)))
        cuts = [0, *np.searchsorted(starts, ends).tolist()]
        return [words[start:end] for start, end in pairwise(cuts)]

    def _drawn(self, word: tuple[int, ...], draw: int) -> Sequence[int]:
        """Return one of the cuts of a word; the same one for a seed and an epoch."""
        kept = self._kept.get(word)
        if kept is None:
            kept = self._kept[word] = (self._prepared(word), {})
        prepared, drawn = kept
        if prepared is None:
            return word
        found = drawn.get(draw)
        if found is None:
            uniforms = uniform_numbers(repr((*self._epoch_key, word, draw)).encode())
            found = drawn[draw] = self._cutter.draw(prepared, uniforms) or word
            self._num_kept += 1
            if self._num_kept > _MAX_KEPT:
                self._forget(self._epoch_key)
        return found

    def _prepared(self, word: tuple[int, ...]) -> Any:
        """Return what drawing the cuts of a word needs; None where there is but one."""
        text = "".join(self._pieces[token_id] for token_id in word)
        if len(text) == 1 or not self._is_plain[word[0]]:
            return None
        return self._cutter.prepare(text)

    def _forget(self, epoch_key: tuple[int, ...]) -> None:
        self._kept.clear()
        self._num_kept = 0
        self._epoch_key = epoch_key


class UnigramCutter:
    """Draws a cut by its probability to the power of alpha, among all cuts that there are.

    Forward filtering, backward sampling: the sum over all cuts of each beginning of the text, then
    the pieces from the last one on.
    """

    def __init__(self, pieces: Mapping[str, int], scores: Sequence[float], alpha: float) -> None:
        """Take the id of each piece, the log-probability of each id, and alpha, at least 0."""
        self._pieces = pieces
        self._scores = scores
        self._alpha = alpha
        self._longest = max(map(len, pieces))

    def prepare(self, text: str) -> list[_Choice]:
        """Return what may end at each place of a text, all that drawing needs."""
        totals = [0.0]
        choices: list[_Choice] = [([], [])]
        for end in range(1, len(text) + 1):
            into = [
                (start, piece_id, totals[start] + self._alpha * self._scores[piece_id])
                for start in range(max(0, end - self._longest), end)
                if totals[start] > -math.inf
                and (piece_id := self._pieces.get(text[start:end])) is not None
            ]
            highest = max((weight for _, _, weight in into), default=0.0)
            sums = list(accumulate(math.exp(weight - highest) for _, _, weight in into))
            totals.append(highest + math.log(sums[-1]) if into else -math.inf)
            choices.append((sums, [(start, piece_id) for start, piece_id, _ in into]))
        return choices

    def draw(self, prepared: list[_Choice], uniforms: Iterator[float]) -> Sequence[int]:
        """Return the pieces of a cut; none where there is no cut."""
        drawn = []
        place = len(prepared) - 1
        while place:
            sums, pieces = prepared[place]
            if not pieces:
                return ()
            chosen = bisect_right(sums, next(uniforms) * sums[-1], hi=len(sums) - 1)
            place, piece_id = pieces[chosen]
            drawn.append(piece_id)
        return tuple(reversed(drawn))


class BpeCutter:
    """Merges characters as BPE does, leaving merges out at random."""

    def __init__(self, pieces: Mapping[str, int], scores: Sequence[float], alpha: float) -> None:
        """Take what decides about merges.

        Args:
            pieces: The id of each piece.
            scores: The higher that of an id, the earlier two pieces are merged into it.
            alpha: The probability that a merge is left out, each time that it could be made.
        """
        self._pieces = pieces
        self._merges = {piece: scores[piece_id] for piece, piece_id in pieces.items()}
        self._alpha = alpha

    def prepare(self, text: str) -> tuple[list[str], list[float], int, Sequence[int]]:
        """Return what drawing the cuts of a text needs.

        Returns:
            Its characters; the score of the merge of each with the next; how many merges there are
            when none is left out, and the pieces that come of these.
        """
        parts = list(text)
        merges = [self._merges.get(both, _NEVER) for both in map(add, text, text[1:])]
        whole, left = parts.copy(), merges.copy()
        while (best := max(left, default=_NEVER)) != _NEVER:
            self._merge(whole, left, left.index(best))
        return parts, merges, len(parts) - len(whole), self._ids(whole)

    def draw(
        self,
        prepared: tuple[list[str], list[float], int, Sequence[int]],
        uniforms: Iterator[float],
    ) -> Sequence[int]:
        """Return the pieces of a cut; none where a character is no piece."""
        first_parts, first_merges, num_merges, whole = prepared
        num_made = self._num_before_left_out(next(uniforms))
        if num_made >= num_merges:
            return whole
        parts, merges = first_parts.copy(), first_merges.copy()
        for _ in range(num_made):
            self._merge(parts, merges, merges.index(max(merges)))
        others = merges.copy()
        others[others.index(max(others))] = _NEVER
        place = self._choose(others, uniforms)
        while place is not None:
            self._merge(parts, merges, place)
            place = self._choose(merges.copy(), uniforms)
        return self._ids(parts)

    def _num_before_left_out(self, uniform: float) -> int:
        """Return how many merges are made before one is left out for the first time.

        Each is left out by itself, so that this number is of a geometric distribution.
        """
        if not 0 < self._alpha < 1:
            return 0 if self._alpha else sys.maxsize
        return int(math.log1p(-uniform) / math.log1p(-self._alpha))

    def _merge(self, parts: list[str], merges: list[float], place: int) -> None:
        """Merge a part with the next one, in place."""
        parts[place] += parts.pop(place + 1)
        del merges[place]
        if place:
            merges[place - 1] = self._merges.get(parts[place - 1] + parts[place], _NEVER)
        if place < len(merges):
            merges[place] = self._merges.get(parts[place] + parts[place + 1], _NEVER)

    def _choose(self, merges: list[float], uniforms: Iterator[float]) -> int | None:
        """Return the place of the best merge that is not left out; those left out are taken off."""
        while (best := max(merges, default=_NEVER)) != _NEVER:
            place = merges.index(best)
            if next(uniforms) >= self._alpha:
                return place
            merges[place] = _NEVER
        return None

    def _ids(self, parts: Sequence[str]) -> Sequence[int]:
        found = [self._pieces.get(part) for part in parts]
        return () if None in found else tuple(one for one in found if one is not None)


def uniform_numbers(key: bytes) -> Iterator[float]:
    """Yield numbers from 0 up to 1 that look random: for a key the same ones in every process."""
    for counter in count():
        digest = blake2b(key, digest_size=64, salt=counter.to_bytes(8, "little")).digest()
        for number in unpack("<16I", digest):
            yield number / 2**32


def _flat(words: Words) -> list[int]:
    return [token_id for _, drawn in words for token_id in drawn]


def _moved(links: Ids, source: Words, target: Words) -> list[int]:
    """Return links between the pieces of words as links between the pieces that were drawn."""
    old = links.tolist()
    (old_sources, new_sources), (old_targets, new_targets) = (_places(source), _places(target))
    words = {
        (old_sources[i], old_targets[j]): None for i, j in zip(old[::2], old[1::2], strict=True)
    }
    return [
        place
        for source_word, target_word in words
        for source_place in new_sources[source_word]
        for target_place in new_targets[target_word]
        for place in (source_place, target_place)
    ]


def _places(words: Words) -> tuple[list[int], list[range]]:
    """Return of each piece before the draw its word, and of each word its places after it."""
    numbers: list[int] = []
    places: list[range] = []
    end = 0
    for number, (before, after) in enumerate(words):
        numbers += [number] * len(before)
        places.append(range(end, end + len(after)))
        end += len(after)
    return numbers, places
