"""The kinds of sentences that a lexicon's rules make, and draws from each of them.

A sentence is its kind and a number. A fixed permutation of a kind's numbers says which of them are
for validation; so no two splits share a sentence, and nothing has to be remembered for it.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from math import gcd

from nmt.corpus.grammar.clauses import FRAMES, Clauses, Design
from nmt.corpus.grammar.lexicon import ClauseChoices, Lexicon, SentenceRule
from nmt.corpus.grammar.patterns import Part, Pattern, make_pattern
from nmt.corpus.grammar.phrases import Phrases
from nmt.corpus.grammar.ranking import (
    FAMILIAR,
    HELD_OUT,
    Entry,
    Permutation,
    Product,
    Space,
    number_from,
)
from nmt.corpus.pairs import SentencePair

# One in so many of the sentences without anything held out is for validation.
VALIDATION_SHARE = 20


class Kind:
    """Sentences of one pattern, whose words are chosen alike.

    Args:
        name: Tells this kind from all others; which split a sentence is in depends on it.
        share: How often the kind is drawn.
        space: The choices of its words.
        make_pattern: Makes its pattern.
    """

    __slots__ = ("_make_pattern", "_space", "name", "share")

    def __init__(
        self, name: str, share: float, space: Space, make_pattern: Callable[[], Pattern]
    ) -> None:
        self.name = name
        self.share = share
        self._space = space
        self._make_pattern = make_pattern

    def size(self, split: str) -> int:
        """Return how many sentences a split has of this kind."""
        if split == "test":
            return self._space.sizes[HELD_OUT]
        familiar = self._space.sizes[FAMILIAR]
        num_validation = familiar // VALIDATION_SHARE
        return num_validation if split == "validation" else familiar - num_validation

    def draw(self, split: str, seed: int) -> "Draw":
        """Return a draw from the sentences of a split, in the order that a seed makes."""
        which = HELD_OUT if split == "test" else FAMILIAR
        # Numbers that follow each other have words in common, so shuffled ones are parted.
        shuffled = Permutation(self._space.sizes[which], self.name)
        first = self.size("validation") if split == "train" else 0
        pick = partial(self._pick, self._make_pattern(), shuffled, which, first)
        return Draw(self.size(split), number_from(f"{seed} {split} {self.name}"), pick)

    def _pick(
        self, pattern: Pattern, shuffled: Permutation, which: int, first: int, number: int
    ) -> SentencePair:
        picked: list[Entry] = [None]
        self._space.pick(shuffled(first + number), which, picked)
        return pattern.render(picked)


class Draw:
    """Members that are picked by number, each once.

    The numbers are taken in steps that have no divisor in common with how many there are.

    Args:
        size: How many there are, at least 1.
        order: Which order, any number.
        pick: Returns a member by its number.
    """

    __slots__ = ("_left", "_number", "_pick", "_size", "_step")

    def __init__(self, size: int, order: int, pick: Callable[[int], SentencePair]) -> None:
        self._size = self._left = size
        self._number = order % size
        self._step = order // size % size
        while gcd(self._step, size) != 1:
            self._step += 1
        self._pick = pick

    def next(self) -> SentencePair | None:
        """Return another member, None if there are no more."""
        if not self._left:
            return None
        self._left -= 1
        self._number = (self._number + self._step) % self._size
        return self._pick(self._number)


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
        if rule.gap:
            seconds = [one for one in seconds if rule.gap in FRAMES[one[0].frame]]
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
