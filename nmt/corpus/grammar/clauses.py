"""Clauses as numbered choices: all frames, tenses, negations and surroundings that rules allow."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import groupby, product
from typing import Self

from nmt.corpus.grammar.lexicon import Case, ClauseChoices, Verb
from nmt.corpus.grammar.phrases import Names, Phrases, Words
from nmt.corpus.grammar.ranking import Choice, Product, Space, Union

# What a frame puts into a clause, in the order in which it is picked.
FRAMES: dict[str, tuple[str, ...]] = {
    "intransitive": ("verb", "subject"),
    "phrase": ("verb", "subject", "phrase"),
    "transitive": ("verb", "subject", "object"),
    "dative": ("verb", "subject", "object"),
    "ditransitive": ("verb", "subject", "receiver", "object"),
    "that": ("verb", "subject"),
    "be": ("verb", "subject", "degree", "adjective"),
    "there": ("verb", "subject"),
}
# The frames of "to be", which has tenses of its own.
_BE_FRAMES = ("be", "there")
_BE_TENSES = ("is", "was")

# Adverbs of the present may not stand beside these.
_PAST_TENSES = ("perfect", "was")


@dataclass(frozen=True, slots=True)
class Design:
    """All about a clause but its words.

    Args:
        frame: What the verb stands with, a key of `FRAMES`.
        group: Which of the frame's groups of verbs.
        tense: A tense of the lexicon.
        negation: "positive", "not" or "none".
        subject: The shape of the subject.
        object: The shape of the object, or of the phrase that belongs to the verb.
        around: What else there is, a word each.
        places: The shape of phrases of place.
    """

    frame: str
    group: int
    tense: str
    negation: str
    subject: str
    object: str
    around: tuple[str, ...]
    places: str

    @property
    def name(self) -> str:
        """Tells this design from all others."""
        counts = [f"{len(list(same))} {word}" for word, same in groupby(self.around)]
        nouns = (self.subject, self.object)
        parts = (self.frame, self.group, self.tense, self.negation, *nouns, *counts, self.places)
        return "/".join(map(str, parts))

    def core_slots(self, gap: str | None = None) -> tuple[str, ...]:
        """Return what is picked for the verb and its parts, in order; the gap is not."""
        slots = tuple(slot for slot in FRAMES[self.frame] if slot != gap)
        return (*slots, "manner") if "manner" in self.around else slots

    def outer_slots(self) -> tuple[str, ...]:
        """Return what is picked for what is around those, in order."""
        modal = ("modal",) if self.tense == "modal" else ()
        return modal + tuple(word for word in self.around if word != "manner")


@dataclass(frozen=True, slots=True)
class Core:
    """What the verb and its parts depend on in a design.

    Args:
        subject: The shape of the subject.
        object: The shape of the object, or of the phrase that belongs to the verb.
        modal: Whether a modal verb is there.
        manner: Whether an adverb of manner is there.
        gap: "subject" or "object" where a relative pronoun stands for it, else "".
    """

    subject: str
    object: str
    modal: bool
    manner: bool
    gap: str

    @classmethod
    def of(cls, design: Design, gap: str = "") -> Self:
        """Return the core of a design."""
        is_modal, has_manner = design.tense == "modal", "manner" in design.around
        return cls(design.subject, design.object, is_modal, has_manner, gap)


class Clauses:
    """All clauses of a lexicon.

    Args:
        phrases: The phrases to make them of.
    """

    def __init__(self, phrases: Phrases) -> None:
        self._phrases = phrases
        self._lexicon = phrases.lexicon
        times = self._lexicon.times
        self._times = phrases.words(times)
        self._past_times = phrases.words([time for time in times if not time.now])
        self._often = phrases.words(self._lexicon.frequencies)
        self._degrees = Choice([Words("", ""), *phrases.words(self._lexicon.degrees).entries])
        self._all_nouns = tuple(noun.en for noun in self._lexicon.nouns)
        self._people = {noun.en for noun in self._lexicon.nouns if noun.noun_class == "person"}
        self._verb_groups = cache(self._group_verbs)
        self._core = cache(self._make_core)
        self._relative_cores = cache(self._make_relative_cores)
        self._held_out = cache(self._select_held_out)

    def designs(self, choices: ClauseChoices) -> Iterator[tuple[Design, float]]:
        """Yield the designs of clauses that choices allow, with their shares."""
        for frame, frame_share in choices.frames.items():
            tenses = {
                tense: share
                for tense, share in choices.tenses.items()
                if (tense in _BE_TENSES) == (frame in _BE_FRAMES)
            }
            groups = self._verb_groups(frame)
            num_verbs = sum(map(len, groups))
            for number, group in enumerate(groups):
                share = frame_share * len(group) / num_verbs
                for tense, tense_share in tenses.items():
                    shared = share * tense_share / sum(tenses.values())
                    for design, its_share in self._variants(choices, frame, number, tense):
                        yield design, shared * its_share

    def _variants(
        self, choices: ClauseChoices, frame: str, group: int, tense: str
    ) -> Iterator[tuple[Design, float]]:
        """Yield the designs of a frame and a tense; their shares add up to one."""
        found: dict[Design, float] = {}
        options = product(choices.negation.items(), choices.nouns, choices.around.items())
        for (negation, share), (subject, thing, noun_share), (words, words_share) in options:
            around = () if words == "nothing" else tuple(words.split())
            has_places = "place" in around or "beside" in around
            shape = _object_shape(frame, thing, _article(frame, negation, around))
            if shape is None:
                continue
            place_shapes = self._place_shapes(negation) if has_places else {"": 1.0}
            for places, places_share in place_shapes.items():
                design = Design(frame, group, tense, negation, subject, shape, around, places)
                if _is_sound(design):
                    product_share = share * noun_share * words_share * places_share
                    found[design] = found.get(design, 0.0) + product_share
        total = sum(found.values())
        for design, share in found.items():
            yield design, share / total

    def _place_shapes(self, negation: str) -> dict[str, float]:
        """Return the shapes of phrases of place, with their shares.

        In a negated clause they are definite: "not in a house" may be "nicht in einem Haus", but
        "in keinem Haus" too.
        """
        shapes = self._lexicon.place_shapes
        if negation == "positive":
            return shapes
        return {shape.replace("plain", "definite"): share for shape, share in shapes.items()}

    def _group_verbs(self, frame: str) -> tuple[tuple[Verb | None, ...], ...]:
        """Return the verbs of a frame, those together that go with about as many nouns."""
        if frame in _BE_FRAMES:
            return ((None,),)
        groups: dict[int, list[Verb]] = {}
        for verb in self._lexicon.verbs:
            if frame in verb.frames:
                size = len(self._phrases.names(verb.subject))
                if "object" in FRAMES[frame]:
                    size *= len(self._phrases.names(verb.object))
                groups.setdefault(size.bit_length() // 2, []).append(verb)
        return tuple(tuple(groups[size]) for size in sorted(groups))

    def space(self, design: Design) -> Space:
        """Return the clauses of a design; they pick its slots."""
        core = Core.of(design)
        cores = [
            self._core(design.frame, verb, self._subjects(verb), (), core)
            for verb in self._verb_groups(design.frame)[design.group]
        ]
        around = self._around(design)
        return Product([Union(cores), *around]) if around else Union(cores)

    def relative_space(self, design: Design, relative: Design, gap: str) -> Space:
        """Return the clauses of a design, with relative clauses of another at their subjects.

        They pick the slots of the first design's core, of the second one's, of what is around the
        first, and of what is around the second.

        Args:
            design: The clause outside.
            relative: The clause inside.
            gap: What the relative pronoun stands for, "subject" or "object".
        """
        outside = (design.frame, design.group, Core.of(design))
        cores = self._relative_cores(
            *outside, relative.frame, relative.group, Core.of(relative, gap)
        )
        return Product([cores, *self._around(design), *self._around(relative)])

    def _make_relative_cores(
        self,
        frame: str,
        group: int,
        outside: Core,
        relative_frame: str,
        relative_group: int,
        inside: Core,
    ) -> Space:
        cores = []
        for verb in self._verb_groups(frame)[group]:
            for other in self._verb_groups(relative_frame)[relative_group]:
                nouns = self._antecedents(verb, other, inside.gap)
                held_out = self._held_out(other, nouns)
                subjects = self._subjects(other)
                parts = [
                    self._core(frame, verb, nouns, held_out, outside),
                    self._core(relative_frame, other, subjects, (), inside),
                ]
                cores.append(Product(parts))
        return Union(cores)

    def _antecedents(self, verb: Verb | None, other: Verb | None, gap: str) -> Names:
        """Return the nouns that suit a verb as its subject, and another one as its gap."""
        assert other is not None  # "to be" takes no relative pronoun
        fitting = set(self._phrases.names(other.subject if gap == "subject" else other.object))
        return tuple(noun for noun in self._subjects(verb) if noun in fitting)

    def _subjects(self, verb: Verb | None) -> Names:
        return self._all_nouns if verb is None else self._phrases.names(verb.subject)

    def _around(self, design: Design) -> list[Space]:
        """Return the choices of what is around the core of a clause, in the order of its slots."""
        spaces: list[Space] = []
        if design.tense == "modal":
            is_positive = design.negation == "positive"
            spaces.append(self._phrases.modals if is_positive else self._phrases.negated_modals)
        for word, same in groupby(design.around):
            if word == "time":
                is_past = design.tense in _PAST_TENSES
                spaces.append(self._past_times if is_past else self._times)
            elif word == "often":
                spaces.append(self._often)
            elif word != "manner":
                spaces.append(self._phrases.places(len(list(same)), design.places))
        return spaces

    def _make_core(
        self, frame: str, verb: Verb | None, subjects: Names, held_out: Names, core: Core
    ) -> Space:
        """Return a verb and the parts it asks for.

        Args:
            frame: What the verb stands with.
            verb: The verb, None being "to be".
            subjects: The nouns that can be its subject.
            held_out: Those of them that are held out for another reason than this verb.
            core: What the parts are like.
        """
        if frame == "be":
            return self._being(subjects, held_out, core.subject)
        if verb is None:
            subject = self._phrases.nouns(subjects, held_out, core.subject, "accusative")
            return Product([self._phrases.verb(None), subject])
        if (core.modal and not verb.modal) or (core.manner and not verb.how):
            return Union([])
        parts: list[Space] = [self._phrases.verb(verb)]
        if core.gap != "subject":
            parts.append(self._subject(verb, subjects, held_out, core.subject))
        parts += self._complements(frame, verb, core)
        if core.manner:
            manners = [one for one in self._lexicon.manners if one.en in verb.how]
            parts.append(self._phrases.words(manners))
        return Product(parts)

    def _being(self, subjects: Names, held_out: Names, shape: str) -> Space:
        verb, degrees = self._phrases.verb(None), self._degrees
        if shape == "pronoun":
            predicates = self._phrases.predicates(None)
            return Product([verb, self._phrases.pronouns, degrees, predicates])
        parts = []
        for noun in subjects:
            phrases = self._phrases.noun(noun, noun in held_out, shape, "nominative")
            parts.append(Product([verb, phrases, degrees, self._phrases.predicates(noun)]))
        return Union(parts)

    def _subject(self, verb: Verb, subjects: Names, held_out: Names, shape: str) -> Space:
        if shape == "pronoun":
            return self._phrases.pronouns if self._people.intersection(subjects) else Union([])
        held_out = (*held_out, *self._held_out(verb, subjects))
        return self._phrases.nouns(subjects, held_out, shape, "nominative")

    def _complements(self, frame: str, verb: Verb, core: Core) -> list[Space]:
        """Return what stands with a verb besides its subject."""
        parts: list[Space] = []
        if "receiver" in FRAMES[frame]:
            is_free = core.object.partition(" ")[0] not in ("definite", "none")
            shape: str = "plain" if is_free else "definite"
            parts.append(self._objects(verb, verb.receiver, shape, "dative"))
        if "object" in FRAMES[frame] and core.gap != "object":
            parts.append(self._objects(verb, verb.object, core.object, verb.case))
        if frame == "phrase":
            parts.append(self._phrases.belonging(verb.phrases, core.object))
        return parts

    def _objects(self, verb: Verb, names: Names, shape: str, case: Case) -> Space:
        nouns = self._phrases.names(names)
        return self._phrases.nouns(nouns, self._held_out(verb, nouns), shape, case)

    def _select_held_out(self, verb: Verb | None, nouns: Names) -> Names:
        """Return those nouns that only test sentences have with a verb."""
        if verb is None:
            return ()
        return tuple(noun for noun in nouns if (noun, verb.en) in self._phrases.held_out_verbs)


def _article(frame: str, negation: str, around: Names) -> str:
    """Return the shape that objects, or the phrase of a verb, must have, "" being any.

    Before indefinite ones "kein" could stand instead of "nicht", and adverbs of manner would stand
    before indefinite objects.
    """
    if negation == "none":
        return "none"
    is_before_manner = "manner" in around and frame != "phrase"
    return "definite" if negation == "not" or is_before_manner else ""


def _object_shape(frame: str, shape: str, article: str) -> str | None:
    """Return the shape of an object, "" where a frame has none, None where it cannot be."""
    if "object" not in FRAMES[frame]:
        if article == "none":
            return None
        if frame != "phrase":
            return ""
    first, space, adjective = shape.partition(" ")
    if not article:
        return shape
    return f"{article}{space}{adjective}" if first == "plain" else None


def _is_sound(design: Design) -> bool:
    """Whether the parts of a design go together."""
    around = set(design.around)
    if design.negation != "positive" and not around <= {"time", "place"}:
        return False
    if "often" in around and design.tense == "modal":
        return False
    if "beside" in around and design.subject == "pronoun":
        return False
    if "manner" in around and design.frame == "be":
        return False
    if "place" not in around:
        return True
    # A place behind an object could be its own; "nicht" would stand before it or behind it.
    is_unclear = design.negation == "not" and "object" in FRAMES[design.frame]
    return not is_unclear and design.frame not in ("phrase", "be")
