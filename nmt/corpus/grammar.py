"""Artificial English and German sentences, as many as one likes, drawn from the built-in grammar.

Every kind of sentence is a numbered space, so that a sentence is its kind and a number. A fixed
permutation of a kind's numbers says which of them are for validation; another one, made by the
seed, says in which order they are drawn. So nothing has to be remembered for no sentence to come
twice, and for no two splits to share one.
"""

import random
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from itertools import accumulate

from nmt.corpus.clauses import Clauses, Design
from nmt.corpus.lexicon import ClauseChoices, Lexicon, SentenceRule, load_lexicon
from nmt.corpus.pairs import SentencePair
from nmt.corpus.patterns import Part, Pattern, make_pattern
from nmt.corpus.phrases import Phrases
from nmt.corpus.ranking import FAMILIAR, HELD_OUT, Entry, Permutation, Product, Space
from nmt.errors import DataError

# One in so many of the sentences without anything held out is for validation.
VALIDATION_SHARE = 20

SPLITS = ("train", "validation", "test")


def draw_pairs(
    *, split: str, count: int, seed: int = 1, distance: int | None = None
) -> Iterator[SentencePair]:
    """Return English sentences with their German translations, none of them twice.

    Equal arguments give equal sentences, on every machine.

    Args:
        split: "train", "validation" or "test". Sets of different splits have no sentence in
            common, and every test sentence has a noun beside an adjective or a verb that no other
            split shows together.
        count: How many pairs, at least 1.
        seed: Makes the draw.
        distance: How many phrases of place stand between words that depend on each other; None
            draws sentences of every kind.

    Raises:
        DataError: There are not that many.
    """
    kinds = _kinds(split, distance)
    available = sum(kind.size(split) for kind in kinds)
    if count > available:
        at = "" if distance is None else f" at distance {distance}"
        raise DataError(
            f"the built-in grammar has {available} {split} sentences{at}, got {count} to draw; "
            "draw fewer"
        )
    return _draw(kinds, split, count, seed)


def count_pairs(*, split: str, distance: int | None = None) -> int:
    """Return exactly how many pairs `draw_pairs` can draw, see there."""
    return sum(kind.size(split) for kind in _kinds(split, distance))


def known_words() -> tuple[str, ...]:
    """Return all words that English sentences can have, in lower case and in order."""
    lexicon = load_lexicon()
    words = set(" ".join(lexicon.english_words()).lower().split())
    return tuple(sorted(words))


class Kind:
    """Sentences of one pattern, whose words are chosen alike.

    Args:
        name: Tells this kind from all others; which split a sentence is in depends on it.
        share: How often the kind is drawn.
        space: The choices of its words.
        pattern: Returns its pattern.
    """

    def __init__(
        self, name: str, share: float, space: Space, pattern: Callable[[], Pattern]
    ) -> None:
        self.name = name
        self.share = share
        self._space = space
        self._pattern = pattern

    def size(self, split: str) -> int:
        """Return how many sentences a split has of this kind."""
        if split == "test":
            return self._space.sizes[HELD_OUT]
        familiar = self._space.sizes[FAMILIAR]
        num_validation = familiar // VALIDATION_SHARE
        return num_validation if split == "validation" else familiar - num_validation

    def sentences(self, split: str, seed: int) -> Iterator[SentencePair]:
        """Yield all sentences of a split, in the order that a seed makes."""
        order = Permutation(self.size(split), f"{seed} {split} {self.name}")
        which = HELD_OUT if split == "test" else FAMILIAR
        # Numbers that follow each other have words in common: which split gets them is shuffled.
        assignment = Permutation(self._space.sizes[which], self.name)
        first = self.size("validation") if split == "train" else 0
        pattern = self._pattern()
        for number in range(self.size(split)):
            picked: list[Entry] = [None]
            self._space.pick(assignment(first + order(number)), which, picked)
            yield pattern.render(picked)


def _draw(kinds: list[Kind], split: str, count: int, seed: int) -> Iterator[SentencePair]:
    """Yield sentences of kinds that are chosen by their shares; exhausted ones are left out."""
    generator = random.Random(f"{seed} {split}")
    left = [kind for kind in kinds if kind.size(split)]
    ends = list(accumulate(kind.share for kind in left))
    started: dict[str, Iterator[SentencePair]] = {}
    while count:
        number = min(bisect_right(ends, generator.random() * ends[-1]), len(ends) - 1)
        kind = left[number]
        if kind.name not in started:
            started[kind.name] = kind.sentences(split, seed)
        pair = next(started[kind.name], None)
        if pair is None:
            del left[number]
            ends = list(accumulate(kind.share for kind in left))
            continue
        yield pair
        count -= 1


def _kinds(split: str, distance: int | None) -> list[Kind]:
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {split!r}")
    return _all_kinds() if distance is None else _kinds_at(distance)


@cache
def _grammar() -> "Grammar":
    return Grammar(load_lexicon())


@cache
def _all_kinds() -> list[Kind]:
    return list(_grammar().kinds())


@cache
def _kinds_at(distance: int) -> list[Kind]:
    return list(_grammar().kinds_at(distance))


class Grammar:
    """The kinds of sentences that the rules of a lexicon make.

    Args:
        lexicon: The words and rules.
    """

    def __init__(self, lexicon: Lexicon) -> None:
        self._lexicon = lexicon
        phrases = Phrases(lexicon)
        self._clauses = Clauses(phrases)
        self._conjunctions = phrases.words(lexicon.conjunctions)
        self._space = cache(self._clauses.space)
        self._shared_pattern = cache(self._make_shared_pattern)

    def kinds(self) -> Iterator[Kind]:
        """Yield all kinds of sentences that are drawn where no distance is asked for."""
        for name, rule in self._lexicon.sentences.items():
            yield from self._kinds_of(name, rule)

    def kinds_at(self, distance: int) -> Iterator[Kind]:
        """Yield the kinds of sentences with so many phrases between words that belong together."""
        rules = self._lexicon.distances
        rule = self._lexicon.sentences["statement"]
        shares: dict[Design, float] = {}
        for word, tenses in (("beside", rules.beside), ("place", rules.place)):
            around = " ".join([word] * distance) or "nothing"
            choices = ClauseChoices(
                frames=rules.frames,
                tenses=tenses,
                negation={"positive": 1.0},
                nouns=rules.nouns,
                around={around: 1.0},
            )
            for design, share in self._clauses.designs(choices):
                shares[design] = shares.get(design, 0.0) + share
        for design, share in shares.items():
            yield self._single("statement", rule, design, share)

    def _kinds_of(self, name: str, rule: SentenceRule) -> Iterator[Kind]:
        firsts = list(self._clauses.designs(self._lexicon.choices[rule.a]))
        total = sum(share for _, share in firsts)
        if rule.b is None:
            for design, share in firsts:
                yield self._single(name, rule, design, rule.share * share / total)
            return
        seconds = list(self._clauses.designs(self._lexicon.choices[rule.b]))
        total *= sum(share for _, share in seconds)
        for first, first_share in firsts:
            for second, second_share in seconds:
                share = rule.share * first_share * second_share / total
                yield self._double(name, rule, first, second, share)

    def _single(self, name: str, rule: SentenceRule, design: Design, share: float) -> Kind:
        pattern = partial(self._make_pattern, name, design)
        return Kind(f"{name} {design.name}", share, self._space(design), pattern)

    def _double(
        self, name: str, rule: SentenceRule, first: Design, second: Design, share: float
    ) -> Kind:
        if rule.gap:
            space: Space = self._clauses.relative_space(first, second, rule.gap)
        else:
            spaces = [self._space(first), self._space(second)]
            has_conjunction = "{conjunction}" in rule.en
            space = Product([*spaces, self._conjunctions] if has_conjunction else spaces)
        pattern = partial(self._make_pattern, name, first, second)
        return Kind(f"{name} {first.name} {second.name}", share, space, pattern)

    def _make_pattern(self, name: str, first: Design, second: Design | None = None) -> Pattern:
        rule = self._lexicon.sentences[name]
        runs = [(0, first.core_slots()), (0, first.outer_slots())]
        if second is not None:
            runs += [(1, second.core_slots(rule.gap)), (1, second.outer_slots())]
            if rule.gap:  # see Clauses.relative_space
                runs[1:3] = [runs[2], runs[1]]
        parts = []
        for owner, design in enumerate(filter(None, (first, second))):
            slots = tuple(_numbered(runs, owner))
            parts.append(Part(design.frame, design.tense, design.negation, slots))
        return self._shared_pattern(name, tuple(parts))

    def _make_shared_pattern(self, name: str, parts: tuple[Part, ...]) -> Pattern:
        return make_pattern(self._lexicon, self._lexicon.sentences[name], parts)


def _numbered(runs: Sequence[tuple[int, Sequence[str]]], owner: int) -> Iterator[tuple[str, int]]:
    """Yield the slots of a clause with the numbers of their entries; 0 is the pattern's own."""
    number = 1
    for its_owner, slots in runs:
        for slot in slots:
            if its_owner == owner:
                yield slot, number
            number += 1
