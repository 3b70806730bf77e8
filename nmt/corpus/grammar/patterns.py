"""Patterns of sentences, and the text that they make of picked words."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from nmt.corpus.grammar.lexicon import Lexicon, SentenceRule
from nmt.corpus.grammar.phrases import MODAL_SLOTS, VERB_SLOTS, NounPhrase
from nmt.corpus.grammar.ranking import Entry
from nmt.corpus.pairs import SentencePair

# One word or phrase of a sentence: which of the picked entries, and which of its forms.
Place = tuple[int, int]
_TENSE_SLOTS = ("asks", "asked", "finite", "end", "closing")


@dataclass(frozen=True, slots=True)
class Part:
    """A clause of a sentence.

    Args:
        frame: What its verb stands with.
        tense: Its tense.
        negation: "positive", "not" or "none".
        slots: Its slots by name, each with the number of its entry among all that are picked.
    """

    frame: str
    tense: str
    negation: str
    slots: tuple[tuple[str, int], ...]

    def places_of(self, slot: str) -> list[int]:
        """Return the numbers of a slot's entries."""
        return [number for name, number in self.slots if name == slot]


@dataclass(slots=True)
class Pattern:
    """A kind of sentence, as places among picked entries.

    Args:
        literals: Words that are always there: the entry before all that are picked.
        agreements: Where verbs are, and the subjects that they agree with.
        english: The English sentence.
        german: The German one.
    """

    literals: list[str] = field(default_factory=list)
    agreements: list[tuple[int, int]] = field(default_factory=list)
    english: list[Place] = field(default_factory=list)
    german: list[Place] = field(default_factory=list)

    def render(self, picked: list[Entry]) -> SentencePair:
        """Return the sentences of picked entries, in which the first is left for the literals."""
        picked[0] = self.literals
        for verb, subject in self.agreements:
            picked[verb] = picked[verb][picked[subject].agreement]
        return SentencePair(_spell(self.english, picked), _spell(self.german, picked))


def _spell(places: Sequence[Place], picked: Sequence[Entry]) -> str:
    words = " ".join(filter(None, [picked[number][form] for number, form in places]))
    words = words.replace(" ,", ",")
    return f"{words[0].upper()}{words[1:-2]}{words[-1]}"  # "." or "?" joins the last word


def make_pattern(lexicon: Lexicon, rule: SentenceRule, parts: Sequence[Part]) -> Pattern:
    """Return the pattern of a sentence.

    Args:
        lexicon: Has the orders of clauses, and what tenses put into them.
        rule: The kind of sentence.
        parts: Its clauses, one or two.
    """
    return _PatternMaker(lexicon, rule, dict(zip("ab", parts, strict=False))).make()


class _PatternMaker:
    """What is known while a pattern is made; `parts` are called as in the rules."""

    def __init__(self, lexicon: Lexicon, rule: SentenceRule, parts: dict[str, Part]) -> None:
        self._lexicon = lexicon
        self._rule = rule
        self._parts = parts
        self._num_picked = 1 + sum(len(part.slots) for part in parts.values())
        self._pattern = Pattern()
        self._used: set[tuple[str, str]] = set()
        self._is_german = False

    def make(self) -> Pattern:
        """Return the pattern."""
        for part in self._parts.values():
            subjects = part.places_of("subject") or self._parts["a"].places_of("subject")
            for slot in ("verb", "modal"):
                for place in part.places_of(slot):
                    self._pattern.agreements.append((place, subjects[0]))
        self._pattern.english = self._expand(self._rule.en, "")
        self._is_german, self._used = True, set()
        self._pattern.german = self._expand(self._rule.de, "")
        return self._pattern

    def _expand(self, text: str, clause: str) -> list[Place]:
        """Return the places that a text with slots stands for; `clause` is whose they are."""
        places: list[Place] = []
        for word in text.split():
            if not word.startswith("{"):
                places.append(self._literal(word))
                continue
            owner, _, slot = word[1:-1].rpartition(".")
            places += self._slot(slot, owner or clause)
        return places

    def _literal(self, word: str) -> Place:
        if word not in self._pattern.literals:
            self._pattern.literals.append(word)
        return 0, self._pattern.literals.index(word)

    def _slot(self, slot: str, clause: str) -> list[Place]:
        """Return the places of a slot, of a clause's order or of a part of its tense."""
        if slot == "conjunction":
            return [(self._num_picked, int(self._is_german))]
        if slot == "relative":
            if clause != "a":
                return []
            relative = self._rule.relative
            return self._expand(relative.de if self._is_german else relative.en, "")
        part = self._parts[clause]
        if slot in self._lexicon.clauses:
            return self._expand(self._lexicon.clauses[slot], clause)
        tense = self._lexicon.tenses[part.tense]
        if slot == "verb":
            negated = part.negation != "positive"
            return self._expand(tense.negated if negated else tense.verb, clause)
        if slot in _TENSE_SLOTS:
            return self._expand(getattr(tense, slot), clause)
        if slot == "not":
            return [self._literal("nicht")] if part.negation == "not" else []
        return self._words(slot, clause)

    def _words(self, slot: str, clause: str) -> list[Place]:
        part = self._parts[clause]
        if slot == "gap":
            slot = "dative" if self._parts["b"].frame == "dative" else "accusative"
        if slot in VERB_SLOTS:
            return [(place, VERB_SLOTS.index(slot)) for place in part.places_of("verb")]
        if slot in MODAL_SLOTS:
            return [(place, MODAL_SLOTS.index(slot)) for place in part.places_of("modal")]
        if slot in NounPhrase._fields[3:]:
            form = NounPhrase._fields.index(slot)
            return [(place, form) for place in part.places_of("subject")]
        if (clause, slot) in self._used:
            return []
        self._used.add((clause, slot))
        return [(place, int(self._is_german)) for place in part.places_of(slot)]
