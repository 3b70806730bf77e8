"""What was kept comes back: none lost, none invented."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_translator import SENTENCES, CopyEngine, make_translator

from nmt.placeholders import Kept, keep, symbols
from nmt.recipe import TokenizerRecipe
from nmt.search import Hypothesis
from nmt.tokenizer import Tokenizer
from nmt.translator.keeping import Keeper

TOKENIZER = Tokenizer.train(SENTENCES, TokenizerRecipe(vocab_size=285, placeholders=3))
A, B, C = symbols(3)
KEPT = Kept(f"{A} x {B}", {A: "{a}", B: "<b>"})
SOURCE_IDS = TOKENIZER.encode(KEPT.text)


def restored(
    target: str,
    looks: dict[str, int] | None = None,
    *,
    kept: Kept = KEPT,
    has_attention: bool = True,
) -> tuple[str, bool]:
    """Restore a translation; `looks`: which target token looked most at a symbol of the source."""
    ids = TOKENIZER.encode(target)
    source_ids = TOKENIZER.encode(kept.text)
    attention = torch.zeros(len(ids) + 1, len(source_ids) + 1)
    for symbol, number in (looks or {}).items():
        attention[number, source_ids.index(TOKENIZER.id_of(symbol) or 0)] = 0.75
    hypothesis = Hypothesis(tuple(ids), 0.0, 0.0, attention)
    keeper = Keeper((TOKENIZER, TOKENIZER), has_attention, numbers=False)
    return keeper.restore(hypothesis, source_ids, kept)


def test_symbols_become_what_they_stand_for() -> None:
    assert restored(f"{B} a, {A}.") == ("<b> a, {a}.", False)
    assert restored(f"a{A}a {B}") == ("a{a}a <b>", False)


def test_what_is_written_twice_or_not_known_is_left_out() -> None:
    assert restored(f"{A} and {A} {C} {B}") == ("{a} and <b>", False)
    last = TOKENIZER.encode(f"{A} and {A} {B}").index(TOKENIZER.id_of(A) or 0, 3)
    assert restored(f"{A} and {A} {B}", {A: last}) == ("and {a} <b>", False)
    assert restored(f"{A} {{x}} %s {B} </b>")[0].split() == ["{a}", "<b>"]


def test_what_was_lost_goes_before_the_word_that_looked_at_it() -> None:
    ids = TOKENIZER.encode("Two dogs run")
    second = TOKENIZER.word_numbers(ids).index(1)
    assert restored("Two dogs run", {A: second, B: len(ids)}) == ("Two {a} dogs run <b>", True)
    assert restored("Two dogs run", {A: second + 1, B: second}) == ("Two {a} <b> dogs run", True)
    assert restored("Two dogs run", {A: 0, B: 0}) == ("{a} <b> Two dogs run", True)
    assert restored("Two dogs run", has_attention=False) == ("Two dogs run {a} <b>", True)
    assert restored("") == ("{a} <b>", True)


def test_where_there_were_too_few_symbols_nothing_is_taken_for_invented() -> None:
    kept = keep("{a} {b} {c} {d}", num_symbols=3, numbers=False)
    assert restored(f"{A} {C} {{d}} {B}", kept=kept) == ("{a} {c} {d} {b}", False)


def test_a_model_without_symbols_leaves_all_as_it_is() -> None:
    line = "Go {there}, %s"
    [translation] = make_translator(CopyEngine()).translate_detailed([line])
    assert (translation.text, translation.marks) == (line, ("unprotected",))
    [other] = make_translator(CopyEngine()).translate_detailed(["Go 3"])
    assert other.marks == ()


@pytest.mark.parametrize("longest", [6, 1000])
def test_lines_come_back_with_all_that_was_kept(longest: int) -> None:
    lines = ["A {name} rides.", "", "<b>Two</b>  dogs: https://x.example/ⅳ", "The cat", "{x y}"]
    translator = make_translator(CopyEngine(), tokenizer=TOKENIZER, max_source_length=longest)
    found = [translation.text for translation in translator.translate_detailed(lines)]
    wanted = ["A {name} rides.", "", "<b>Two</b> dogs: https://x.example/ⅳ", "The cat", "{x y}"]
    assert ["".join(one.split()) for one in found] == ["".join(one.split()) for one in wanted]
    if longest == 1000:
        assert found == wanted


class Forgetful(CopyEngine):
    """Says `a` where it hears a symbol."""

    def step(self, token_ids, state, encoder_output):  # type: ignore[no-untyped-def]
        heard = encoder_output.states
        deaf = replace(encoder_output, states=heard.where((heard < 4) | (heard > 6), 20))
        return super().step(token_ids, state, deaf)


pieces = st.sampled_from(
    [*SENTENCES, "{a}", "{b}", "<i>", "</i>", "%1$d", "a@b.example", "7", "ab"]
)


@settings(max_examples=40, deadline=None)
@given(parts=st.lists(pieces, max_size=5), is_forgetful=st.booleans())
def test_none_is_lost_and_none_invented(parts: list[str], is_forgetful: bool) -> None:
    line = " ".join(parts)
    kept = keep(line, num_symbols=3, numbers=False)
    engine = Forgetful() if is_forgetful else CopyEngine()
    translator = make_translator(engine, tokenizer=TOKENIZER, beam_size=1)
    [translation] = translator.translate_detailed([line])
    if kept.num_left:
        assert "unprotected" in translation.marks
    else:
        found = keep(translation.text, num_symbols=9, numbers=False)
        assert sorted(found.originals.values()) == sorted(kept.originals.values())
        assert ("lost" in translation.marks) == (is_forgetful and bool(kept.originals))
