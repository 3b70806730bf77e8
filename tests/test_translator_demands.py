"""From words to tokens and back: whatever is found, the text holds what it should and no other."""

from collections.abc import Mapping, Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_engine import Ids, ScriptedEngine, random_script

from nmt.errors import DataError
from nmt.recipe import DecodingRecipe, TokenizerRecipe
from nmt.search import Demands, Hypothesis, SearchOptions
from nmt.tokenizer import Tokenizer
from nmt.translator import Phrase, Request, Term, Translator, Wishes
from nmt.translator.decoding import search_options
from nmt.translator.demands import Demander, PartDemands
from nmt.translator.wishes import stands_in

# "Hund" is one piece, and "Hunde" that piece and "e".
DOGS = Tokenizer.train(
    [
        "der Hund bellt",
        "die Hunde bellen laut",
        "ein Hund und ein Hut",
        "Hunde sind laut , Hund .",
    ],
    TokenizerRecipe(vocab_size=34, model_type="bpe", byte_fallback=False),
)
HUND, E = DOGS.encode("Hunde")
[LAUT_1, LAUT_2] = DOGS.encode("laut")
DECODING = DecodingRecipe(beam_size=3, max_target_length=20, length_penalty=0.0)


def ids(text: str) -> Ids:
    return tuple(DOGS.encode(text))


def wishes(
    *, terms: Mapping[str, str] | None = None, avoided: Sequence[str] = (), required: bool = True
) -> Wishes:
    return Wishes(
        terms=tuple(
            Term(source, Phrase(target, f"g: {source}")) for source, target in (terms or {}).items()
        ),
        are_terms_required=required,
        avoided=tuple(Phrase(phrase, f"a: {phrase}") for phrase in avoided),
    )


def options(decoding: DecodingRecipe = DECODING) -> SearchOptions:
    return search_options(decoding, Request(), DOGS)


def demander(wished: Wishes, decoding: DecodingRecipe = DECODING) -> Demander:
    return Demander(wished, (DOGS, DOGS), options(decoding))


def hypothesis(token_ids: Ids) -> Hypothesis:
    return Hypothesis(token_ids, -1.0, -1.0, torch.zeros(1, 1))


def translator(engine: ScriptedEngine, wished: Wishes, beam_size: int = 3) -> Translator:
    decoding = DECODING.model_copy(update={"beam_size": beam_size})
    return Translator(DOGS, DOGS, engine, decoding, wishes=wished)


def likes(*chain: int) -> ScriptedEngine:
    """An engine that wants to say one thing, and knows no other way to end."""

    def script(source: Ids, prefix: Ids) -> list[float]:
        scores = [-8.0 - token / 100 for token in range(DOGS.vocab_size)]
        place = len(prefix)
        scores[chain[place] if place < len(chain) else DOGS.eos_id] = -0.1
        return scores

    return ScriptedEngine(script)


# What is asked


def test_terms_of_the_line_are_required_and_others_not() -> None:
    asker = demander(wishes(terms={"dog": "Hund", "cat": "Hut"}))
    [part] = asker.demands("a dog", [ids("x")], "")
    assert part.demands == Demands(required=((HUND,),))
    assert part.required == ((Phrase("Hund", "g: dog"), (HUND,)),)


def test_terms_may_be_preferred_instead() -> None:
    asker = demander(wishes(terms={"dog": "Hund"}, required=False))
    [part] = asker.demands("a dog", [ids("x")], "")
    assert part == PartDemands(Demands(preferred=((HUND,),)))


def test_the_prefix_is_that_of_the_first_part() -> None:
    asker = demander(wishes())
    parts = asker.demands("x y", [ids("laut"), ids("Hut")], " ein  Hund ")
    assert [part.demands for part in parts] == [Demands(prefix=ids("ein Hund")), Demands()]


def test_nothing_is_avoided_before_it_came() -> None:
    [part] = demander(wishes(avoided=["Hund"])).demands("x", [ids("laut")], "")
    assert part.demands == Demands()


def test_each_part_has_the_terms_that_stand_in_it() -> None:
    asker = demander(wishes(terms={"Hund": "laut", "Hut bellt": "Hut", "ein Hut": "Hund"}))
    line = "ein Hund und ein Hut bellt laut"
    # the last term is cut in two, and the one before it overlaps: leftmost is longest here
    cut = [ids("ein Hund und"), ids("ein Hut"), ids("bellt laut")]
    found = [part.demands.required for part in asker.demands(line, cut, "")]
    assert found == [(ids("laut"),), (ids("Hund"),), ()]
    cut = [ids("ein Hund und ein"), ids("Hut bellt laut")]
    found = [part.demands.required for part in asker.demands(line, cut, "")]
    assert found == [(ids("laut"),), (ids("Hund"),)]


def test_a_word_within_another_that_is_asked_for_too_is_spelled_apart() -> None:
    asker = demander(wishes(terms={"dog": "Hund", "dogs": "Hunde"}))
    [part] = asker.demands("a dog and dogs", [ids("laut")], "")
    one, other = part.demands.required
    assert other == (HUND, E)
    assert one != (HUND,)
    assert DOGS.decode(one) == "Hund"


def test_a_word_that_the_prefix_goes_on_with_is_spelled_apart() -> None:
    [part] = demander(wishes(terms={"dog": "Hund"})).demands("a dog", [ids("laut")], "Hunde")
    assert part.demands.prefix == (HUND, E)
    assert part.demands.required[0] != (HUND,)


def test_a_word_that_cannot_be_spelled_apart_is_refused() -> None:
    characters = Tokenizer.train(["ab ba"], TokenizerRecipe(vocab_size=7, byte_fallback=False))
    asker = Demander(
        wishes(terms={"x": "a", "y": "ab"}),
        (DOGS, characters),
        search_options(DECODING, Request(), characters),
    )
    with pytest.raises(DataError, match=r"^g: x: 'a' cannot be told from a part of another word"):
        asker.demands("x y", [ids("x y")], "")


# What is asked when what came was not it


def test_what_is_as_wanted_stays() -> None:
    part = PartDemands(Demands(required=((HUND,),)), ((Phrase("Hund", "g"), (HUND,)),))
    asker = demander(wishes(avoided=["laut"]))
    assert asker.sharpen(part, [hypothesis(ids("ein Hund bellt"))]) is part


def test_a_longer_word_than_required_is_avoided() -> None:
    part = PartDemands(Demands(required=((HUND,),)), ((Phrase("Hund", "g"), (HUND,)),))
    asker = demander(wishes())
    sharper = asker.sharpen(part, [hypothesis(ids("die Hunde bellen")), hypothesis(ids("Hund"))])
    assert sharper.demands.avoided == ((HUND, E),)
    assert sharper.demands.required == part.demands.required


@pytest.mark.parametrize(
    ("found", "avoided"),
    [
        (ids("ein Hund bellt"), (HUND,)),
        ((*ids("die Hunde ,"), *ids("Hund")), (HUND,)),
        # other tokens that are the same text
        (tuple(map(DOGS.id_of, ["▁Hu", "nd"])), tuple(map(DOGS.id_of, ["▁Hu", "nd"]))),
    ],
)
def test_what_made_an_avoided_phrase_is_avoided(found: Ids, avoided: Ids) -> None:
    asker = demander(wishes(avoided=["Hund"]))
    sharper = asker.sharpen(PartDemands(Demands()), [hypothesis(found)])
    assert sharper.demands.avoided == (avoided,)


@pytest.mark.parametrize(
    ("found", "behind"), [("Hunde Hund bellt", ids("bellt")[0]), ("Hunde Hund", DOGS.eos_id)]
)
def test_what_a_wanted_word_begins_with_is_avoided_with_what_came_behind(
    found: str, behind: int
) -> None:
    part = PartDemands(Demands(required=((HUND, E),)), ((Phrase("Hunde", "g"), (HUND, E)),))
    sharper = demander(wishes(avoided=["Hund"])).sharpen(part, [hypothesis(ids(found))])
    assert sharper.demands.avoided == ((HUND, behind),)


# What comes of it


@pytest.mark.parametrize("beam_size", [1, 3])
def test_a_required_word_does_not_become_another(beam_size: int) -> None:
    wished = wishes(terms={"dog": "Hund"})
    engine = likes(HUND, E, *ids("bellen"))
    [found] = translator(engine, Wishes(), beam_size).translate(["dog"])
    assert found == "Hunde bellen"
    [found] = translator(engine, wished, beam_size).translate(["dog"])
    assert stands_in(found, "Hund")


@pytest.mark.parametrize("beam_size", [1, 3])
def test_an_avoided_word_does_not_come_but_a_longer_one_may(beam_size: int) -> None:
    wished = wishes(avoided=["Hund"])
    assert translator(likes(HUND, E), wished, beam_size).translate(["x"]) == ["Hunde"]
    [found] = translator(likes(HUND), wished, beam_size).translate(["x"])
    assert not stands_in(found, "Hund")


words = st.sampled_from(["Hund", "Hunde", "Hut", "laut", "ein Hund", "Hund bellt", "d", "e", "n"])


@settings(max_examples=15)
@given(
    terms=st.dictionaries(st.sampled_from(["r", "s", "t"]), words, max_size=3),
    avoided=st.lists(words, max_size=2),
    prefix=st.sampled_from(["", "", "Hu", "ein Hunde"]),
    beam_size=st.integers(1, 4),
    seed=st.integers(0, 99),
)
def test_every_text_holds_what_it_should_and_nothing_that_it_should_not(
    terms: dict[str, str], avoided: list[str], prefix: str, beam_size: int, seed: int
) -> None:
    """Against an engine without rhyme or reason, which says all kinds of things."""
    engine = ScriptedEngine(random_script(seed, vocab_size=DOGS.vocab_size, num_levels=30))
    decoding = DECODING.model_copy(update={"beam_size": beam_size, "max_target_length": 30})
    if any(stands_in(target, phrase) for target in terms.values() for phrase in avoided):
        with pytest.raises(DataError, match="must not hold"):
            Translator(DOGS, DOGS, engine, decoding, wishes=wishes(terms=terms, avoided=avoided))
        return
    translator = Translator(
        DOGS,
        DOGS,
        engine,
        decoding,
        wishes=wishes(terms=terms, avoided=avoided),
        request=Request(num_hypotheses=beam_size),
    )
    line = f"bellt {' '.join(terms)} laut"
    if any(stands_in(prefix, phrase) for phrase in avoided):
        return
    [translation] = translator.translate_detailed([line], prefixes=[prefix])
    for one in translation.hypotheses:
        assert one.text.startswith(prefix)
        assert all(stands_in(one.text, target) for target in terms.values()), one.text
        assert not any(stands_in(one.text, phrase) for phrase in avoided), one.text


# What cannot be


@pytest.mark.parametrize("phrase", ["Katze", "Hund☃", "⁇"])
def test_what_the_tokenizer_cannot_write_is_refused(phrase: str) -> None:
    complaint = rf"^{{}} must be text that the model's tokenizer can write, got '{phrase}', which "
    with pytest.raises(DataError, match=complaint.format("g: dog")):
        demander(wishes(terms={"dog": phrase}))
    with pytest.raises(DataError, match=complaint.format(f"a: {phrase}")):
        demander(wishes(avoided=[phrase]))
    with pytest.raises(DataError, match=complaint.format("the prefix")):
        demander(wishes()).demands("x", [ids("x")], phrase)


def test_what_holds_an_avoided_phrase_is_refused() -> None:
    complaint = r"^{} must not hold 'laut', which a: laut avoids, got 'Hund laut'$"
    with pytest.raises(DataError, match=complaint.format("g: dog")):
        demander(wishes(terms={"dog": "Hund laut"}, avoided=["Hut", "laut"]))
    with pytest.raises(DataError, match=complaint.format("the prefix")):
        demander(wishes(avoided=["laut"])).demands("x", [ids("x")], "Hund laut")


def test_what_is_longer_than_any_translation_is_refused() -> None:
    short = DECODING.model_copy(update={"max_target_length": 3})
    complaint = (
        r"^g: y must have at most 2 tokens, .* without EOS, got 3 of 'Hund laut'; raise the "
        "maximum length$"
    )
    demander(wishes(terms={"x": "Hunde"}), short)
    with pytest.raises(DataError, match=complaint):
        demander(wishes(terms={"y": "Hund laut"}), short)


@pytest.mark.parametrize(
    ("prefix", "terms", "complaint"),
    [
        (
            "laut laut",
            {},
            "prefix must have less than 4 tokens, which is the limit with EOS, got 4",
        ),
        ("laut", {"x": "laut"}, None),
        (
            "laut",
            {"x": "Hunde"},
            "required phrases must fit in 4 tokens with prefix and EOS, got 5",
        ),
        ("", {"x": "laut", "y": "Hund"}, None),
        ("", {"x": "laut", "y": "Hunde"}, "required phrases must fit in 4 tokens .*, got 5"),
    ],
)
def test_what_a_line_has_no_room_for_is_refused(
    prefix: str, terms: dict[str, str], complaint: str | None
) -> None:
    short = DECODING.model_copy(update={"max_target_length": 4})
    asker = demander(wishes(terms=terms), short)
    [part] = asker.demands("x y", [ids("x y")], prefix)
    if complaint is None:
        asker.check_room(3, part)
    else:
        advice = "; ask for less or raise the maximum length"
        with pytest.raises(DataError, match=f"^{complaint}{advice}$"):
            asker.check_room(3, part)
