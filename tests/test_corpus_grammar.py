"""Drawn sentences: right, never twice, apart by split, and the same everywhere."""

import itertools
import os
import re
import subprocess
import sys
import tracemalloc
from collections import Counter
from pathlib import Path

import pytest
from grammar_forms import SPLITS, everything, lexicon_for, read_forms

from nmt.corpus.grammar import count_pairs, draw_pairs, known_words
from nmt.corpus.grammar.draw import mix
from nmt.corpus.grammar.english import verb_forms
from nmt.corpus.grammar.kinds import Grammar
from nmt.corpus.grammar.lexicon import load_lexicon
from nmt.corpus.grammar.phrases import adjectives_by_noun, held_out_adjectives, held_out_verbs
from nmt.errors import DataError

FORMS = read_forms()
ROOT = Path(__file__).parent.parent
PAIRS = [
    (rule, source, target)
    for rule, pairs in FORMS["sentences"].items()
    for source, target in pairs.items()
]


def test_the_hand_written_sentences_are_of_every_rule() -> None:
    assert set(FORMS["sentences"]) == set(load_lexicon().sentences)
    assert len(PAIRS) >= 60


# Each of these lists a small grammar with the words of one sentence, so that all of what it has is
# seen: the sentence itself, and that nothing is there twice.
@pytest.mark.parametrize(("rule", "source", "target"), PAIRS, ids=[pair[1] for pair in PAIRS])
def test_a_sentence_is_translated_as_a_person_would(rule: str, source: str, target: str) -> None:
    pairs = list(everything(lexicon_for(source, rule)))
    translations = {pair.source: pair.target for pair in pairs}
    assert translations[source] == target
    assert len(translations) == len(pairs)


@pytest.mark.parametrize(
    ("rule", "source"),
    [(rule, source) for rule, sources in FORMS["nonsense"].items() for source in sources],
)
def test_words_that_do_not_go_together_stay_apart(rule: str, source: str) -> None:
    assert source not in {pair.source for pair in everything(lexicon_for(source, rule))}


def test_all_of_a_small_grammar_is_drawn_once_and_parted_into_splits() -> None:
    sentence = "The big dog sees because she cannot help"
    lexicon = lexicon_for(sentence, "statement", "reason", "whom")
    kinds = list(Grammar(lexicon).kinds())
    drawn = {}
    for split in SPLITS:
        count = sum(kind.size(split) for kind in kinds)
        pairs = list(mix(kinds, split=split, count=count, seed=3))
        drawn[split] = {pair.source for pair in pairs}
        assert len(drawn[split]) == len(pairs) == count > 20
    assert len(set.union(*drawn.values())) == sum(map(len, drawn.values()))
    assert drawn["train"] | drawn["validation"] | drawn["test"] == {
        pair.source for pair in everything(lexicon)
    }
    share = len(drawn["validation"]) / len(drawn["train"] | drawn["validation"])
    assert 0.04 < share <= 0.05


def test_draws_have_no_sentence_twice_and_none_of_another_split() -> None:
    drawn: dict[str, set[str]] = {split: set() for split in SPLITS}
    for split in SPLITS:
        for distance in (None, 0, 1, 2):
            for seed in (1, 2):
                draw = draw_pairs(split=split, count=1500, seed=seed, distance=distance)
                sources = [pair.source for pair in draw]
                assert len(set(sources)) == len(sources) == 1500
                drawn[split].update(sources)
    for one, other in itertools.combinations(SPLITS, 2):
        assert not drawn[one] & drawn[other]


NOUNS = {noun.en: noun for noun in load_lexicon().nouns}
SINGULARS = {noun.en_plural: noun.en for noun in NOUNS.values() if not noun.mass}
HELD_OUT_ADJECTIVES = held_out_adjectives(load_lexicon())
HELD_OUT_VERBS = held_out_verbs(load_lexicon())
VERB_FORMS = {
    verb.en: "|".join(verb_forms(verb.en, third=verb.third, past=verb.past))
    for verb in load_lexicon().verbs
}


def words_of(source: str) -> list[str]:
    """The words of a sentence, nouns in the singular."""
    return [SINGULARS.get(word, word) for word in re.findall("[a-z]+", source.lower())]


def nouns_described(words: list[str]) -> set[tuple[str, str]]:
    """Pairs of neighbours, those of noun and adjective among them."""
    return {(noun, word) for word, noun in itertools.pairwise(words)}


def held_out_in(source: str) -> set[tuple[str, str]]:
    """The held-out pairs of a simple sentence, found by its words alone."""
    words = words_of(source)
    found = nouns_described(words)
    text = " ".join(words)
    if match := re.fullmatch(r"(?:the|an?) (\w+) (?:is|was) (?:very |too )?(\w+)", text):
        found.add((match[1], match[2]))
    found &= HELD_OUT_ADJECTIVES
    for verb, forms in VERB_FORMS.items():
        match = re.fullmatch(rf"(?:the|an?) (\w+) (?:has )?(?:{forms})(?: (.*))?", text)
        things = match[2].split() if match and match[2] else []
        if match and (not things or things[0] in {"the", "a", "an", *NOUNS}):
            found |= {(noun, verb) for noun in (match[1], *things)} & HELD_OUT_VERBS
    return found


# Three or four words after the article, so that subject, verb and object are plain to see.
SIMPLE = re.compile(r"(The|A|An) \w+( has| is| was)? \w+( (the|a|an) \w+)?\.")


@pytest.mark.parametrize("split", SPLITS)
def test_only_test_sentences_have_pairs_that_are_held_out(split: str) -> None:
    draws = [
        draw_pairs(split=split, count=5000, seed=4),
        draw_pairs(split=split, count=3000, seed=4, distance=0),  # short ones
    ]
    sources = [pair.source for draw in draws for pair in draw]
    simple = [source for source in sources if SIMPLE.fullmatch(source)]
    assert len(simple) > 150
    if split == "test":
        for source in simple:
            assert held_out_in(source), source
    else:
        for source in simple:
            assert not held_out_in(source), source
        for source in sources:
            for part in source.split(","):
                assert not nouns_described(words_of(part)) & HELD_OUT_ADJECTIVES, source


def test_every_word_keeps_most_of_its_partners_in_training() -> None:
    lexicon = load_lexicon()
    pairs = {
        (noun, one.en) for noun, fitting in adjectives_by_noun(lexicon).items() for one in fitting
    }
    verb_pairs = {
        (noun.en, verb.en)
        for verb in lexicon.verbs
        for noun in lexicon.nouns_of(verb.subject + verb.object + verb.receiver)
    }
    for every, held_out in [
        (pairs, held_out_adjectives(lexicon)),
        (verb_pairs, held_out_verbs(lexicon)),
    ]:
        assert held_out < every
        assert 0.1 < len(held_out) / len(every) < 0.15
        for side in (0, 1):
            partners = Counter(pair[side] for pair in every)
            lost = Counter(pair[side] for pair in held_out)
            for word, count in partners.items():
                assert lost[word] <= count / 3, word


@pytest.mark.parametrize("distance", [0, 1, 2, 7, 60])
def test_a_distance_is_the_number_of_phrases_in_between(distance: int) -> None:
    lexicon = load_lexicon()
    prepositions = "|".join(place.en for place in lexicon.places)
    auxiliaries = {"has", "have", *(form.split()[0] for one in lexicon.modals for form in one.en)}
    num_inside = 0
    for pair in draw_pairs(split="train", count=200, seed=5, distance=distance):
        source = re.sub(r"\b(turns?|turned) on\b", "wear", pair.source)
        before, *phrases = re.split(rf"\b(?:{prepositions})\b", source)
        assert len(phrases) == distance
        # either the verb is still to come, or German closes its bracket behind the phrases
        if set(before.split()) & auxiliaries:
            num_inside += 1
            assert pair.target.split()[-1].islower()
        elif distance:
            assert len(before.split()) <= 3
            assert len(phrases[-1].split()) >= 2
    assert 20 < num_inside < 180


def test_a_draw_is_a_mixture() -> None:
    pairs = list(draw_pairs(split="train", count=20000))
    lengths = [len(pair.source.split()) for pair in pairs]
    assert sum(length <= 5 for length in lengths) > 2000
    assert sum(4 <= length <= 16 for length in lengths) > 18000
    for pattern in [
        "^Today ", r"\?$", " because ", "^Although .*,", " knows? that ", " who ", " whom ",
        "^There (is|are) ", " not ", " (has|have) ", " must ", " (two|twelve) ", "^(He|She|They) ",
        "^I ", " very ", " (gives|give|given) ", " stands? up",
    ]:  # fmt: skip
        assert sum(bool(re.search(pattern, pair.source)) for pair in pairs) >= 40, pattern
    verbs: Counter[str] = Counter()
    for verb in load_lexicon().verbs:
        forms = "|".join(verb_forms(verb.en, third=verb.third, past=verb.past))
        verbs[verb.en] = sum(bool(re.search(rf"\b({forms})\b", pair.source)) for pair in pairs)
    assert min(verbs.values()) > 50


def test_there_is_more_than_enough_and_asking_for_still_more_is_refused_at_once() -> None:
    assert count_pairs(split="train") > 20_000_000
    assert count_pairs(split="train", distance=1) > count_pairs(split="train", distance=0) > 100_000
    available = count_pairs(split="validation", distance=0)
    with pytest.raises(
        DataError, match=f"has {available} validation sentences at distance 0, got {available + 1}"
    ):
        draw_pairs(split="validation", count=available + 1, distance=0)
    with pytest.raises(ValueError, match="split must be one of train, validation, test, got 'dev'"):
        draw_pairs(split="dev", count=1)


def test_a_draw_takes_no_memory_for_what_was_drawn() -> None:
    list(draw_pairs(split="train", count=20000, distance=0))  # what is made once
    peaks = []
    for count in (2000, 20000):
        tracemalloc.start()
        for _ in draw_pairs(split="train", count=count, distance=0):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 1_000_000


def test_the_known_words_are_those_of_the_sentences() -> None:
    known = known_words()
    assert list(known) == sorted(set(known))
    assert {"dog", "dogs", "children", "stood", "the", "wants", "whom", "i", "front"} <= set(known)
    drawn = set()
    for split in ("train", "test"):
        for pair in draw_pairs(split=split, count=20000):
            drawn.update(re.findall("[a-z]+", pair.source.lower()))
    assert drawn == set(known)


def test_a_draw_is_the_same_in_every_process() -> None:
    code = """
from nmt.corpus.grammar import draw_pairs
for split in ("train", "test"):
    for pair in draw_pairs(split=split, count=300, seed=6):
        print(ascii(pair))
for pair in draw_pairs(split="train", count=30, distance=3):
    print(ascii(pair))
"""
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "7"},
        capture_output=True,
        check=True,
        encoding="utf-8",
    )
    here = [
        *draw_pairs(split="train", count=300, seed=6),
        *draw_pairs(split="test", count=300, seed=6),
        *draw_pairs(split="train", count=30, distance=3),
    ]
    assert result.stdout == "".join(f"{pair!a}\n" for pair in here)


def test_seeds_draw_different_sentences() -> None:
    one, other = (
        {pair.source for pair in draw_pairs(split="train", count=2000, seed=seed)}
        for seed in (1, 2)
    )
    assert len(one & other) < 200
