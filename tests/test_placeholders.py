"""What is kept of a line, and what training puts symbols in the place of."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nmt.placeholders import Teaching, keep, symbols, without_invented

A, B, C = symbols(3)


@pytest.mark.parametrize(
    ("line", "originals"),
    [
        ("Hello {name}, you have {count} mails.", ["{name}", "{count}"]),
        ("Hello {{ name }} and {{name}}", ["{{name}}"]),
        ("${path} or {0} or {}", ["${path}", "{0}", "{}"]),
        (
            "%s of %1$d, %-5.2f, %(name)s, %@ and %%",
            ["%s", "%1$d", "%-5.2f", "%(name)s", "%@", "%%"],
        ),
        ("100% sure, 50%d and %some", []),
        (
            'See <b>this</b> and <a href="x y">that</a><br/>',
            ["<b>", "</b>", '<a href="x y">', "</a>", "<br/>"],
        ),
        ("1 < 2 and 3 > 2", []),
        (
            "Go to https://a.example/b?c=d_(e), or www.example.org.",
            ["https://a.example/b?c=d_(e", "www.example.org"],
        ),
        ("Write to jane.doe+x@mail.example.org.", ["jane.doe+x@mail.example.org"]),
        ("@home, a@b", []),
        (f"a {B} b", [B]),
        ("In 1999 it cost 3.50", []),
    ],
)
def test_what_is_not_to_be_translated_is_found(line: str, originals: list[str]) -> None:
    kept = keep(line, num_symbols=9, numbers=False)
    assert list(kept.originals.values()) == originals
    assert list(kept.originals) == list(symbols(len(originals)))
    assert kept.num_left == 0


def test_numbers_are_kept_where_that_is_asked_for() -> None:
    line = "In 1999 a4 cost 3.50 or 1,000 at 12:30, 5%"
    kept = keep(line, num_symbols=9, numbers=True)
    assert list(kept.originals.values()) == ["1999", "3.50", "1,000", "12:30", "5"]


def test_what_there_is_no_symbol_for_stays() -> None:
    kept = keep("{a} {b} {c}", num_symbols=2, numbers=False)
    assert (kept.text, kept.num_left) == (f"{A} {B} {{c}}", 1)
    assert keep("{a} {b}", num_symbols=0, numbers=False).text == "{a} {b}"


def test_what_was_invented_is_left_out() -> None:
    assert without_invented(f"{A} <b>x{B}</b>", {A: "{a}"}) == f"{A} x"


@given(st.text(st.sampled_from("ab1 <>/{}%$s@.:(),\ue000\ue001") | st.characters(codec="utf-8")))
@example("http://" + "." * 100_000)
@example("a" * 100_000)
@example("1,1" * 50_000 + "a")
@example("<a" * 50_000)
@example("{" * 100_000)
@example("%1" * 50_000)
def test_a_line_comes_back_from_what_was_kept(line: str) -> None:
    kept = keep(line, num_symbols=4, numbers=True)
    table = {ord(symbol): original for symbol, original in kept.originals.items()}
    if not kept.num_left:
        assert kept.text.translate(table) == line
    assert len(kept.originals) <= 4


SIDES = (
    "Yesterday Mary sent 3 mails to a@b.example and 12 to Anna, 12!",
    "Gestern hat Mary 3 Mails an a@b.example und 12 an Anne geschickt.",
)


def test_what_is_alike_on_both_sides_becomes_symbols() -> None:
    source, target = Teaching(5, 1.0, 1).teach(SIDES)
    used = [one for one in symbols(5) if one in source]
    assert len(used) == 3
    mary, three, mail = (one for one in source if one in used)
    # not 12, which stands twice on one side, nor what has another form or stands first
    assert source == f"Yesterday {mary} sent {three} mails to {mail} and 12 to Anna, 12!"
    assert target == f"Gestern hat {mary} {three} Mails an {mail} und 12 an Anne geschickt."


def test_symbols_may_be_fewer_than_what_is_alike_and_each_is_used_at_some_time() -> None:
    found = [Teaching(2, 1.0, seed).teach(SIDES) for seed in range(20)]
    assert all({A, B} <= set(source) and {A, B} <= set(target) for source, target in found)
    assert len(set(found)) > 2
    assert any(C in Teaching(9, 1.0, seed).teach(SIDES)[0] for seed in range(20))


def test_a_share_of_the_pairs_is_changed_always_the_same_ones() -> None:
    pairs = [(f"It is {number} now", f"Jetzt ist {number} da") for number in range(1000)]
    found = [Teaching(3, 0.25, 1).teach(pair) for pair in pairs]
    assert found == [Teaching(3, 0.25, 1).teach(pair) for pair in pairs]
    changed = sum(one != pair for one, pair in zip(found, pairs, strict=True))
    assert 200 < changed < 300
    assert found != [Teaching(3, 0.25, 2).teach(pair) for pair in pairs]
    assert [Teaching(3, 0.0, 1).teach(pair) for pair in pairs] == pairs
