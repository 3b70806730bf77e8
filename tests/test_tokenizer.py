"""SentencePiece models: training, both ways between text and ids, and what can go wrong."""

import io
import re
from pathlib import Path

import pytest
import sentencepiece
from hypothesis import given
from hypothesis import strategies as st

from nmt import placeholders
from nmt.errors import TokenizerError
from nmt.recipe import TokenizerRecipe
from nmt.tokenizer import Tokenizer

WORDS = re.findall(
    r"\w+",
    """bird bluish cat child children dog flower flowers garden gardens house houses night
    red reddish river run running sing singing small smallest street tree walk walking window""",
)
LINES = [f"the {first} and the {second}" for first in WORDS for second in reversed(WORDS)]
TEXT = "the smallest flower and the reddish windows"
MODEL_TYPES = ["unigram", "bpe"]


def train(lines: list[str] | None = None, /, **options: object) -> Tokenizer:
    recipe = TokenizerRecipe.model_validate({"vocab_size": 300, **options})
    return Tokenizer.train(LINES if lines is None else lines, recipe)


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train()


def assert_untrainable(
    complaint: str, lines: list[str] | None = None, /, **options: object
) -> None:
    with pytest.raises(TokenizerError, match=f"^{re.escape(complaint)}$"):
        train(lines, **options)


# Text to ids and back


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_text_becomes_ids_and_text_again(model_type: str) -> None:
    tokenizer = train(model_type=model_type, vocab_size=310)
    assert tokenizer.vocab_size == 310
    token_ids = tokenizer.encode(TEXT)
    assert all(3 < token_id < 310 for token_id in token_ids)
    assert "".join(tokenizer.pieces(token_ids)) == "▁" + TEXT.replace(" ", "▁")
    assert tokenizer.decode(token_ids) == TEXT


def test_the_model_types_cut_differently() -> None:
    unigram, bpe = (train(model_type=model_type) for model_type in MODEL_TYPES)
    assert unigram.pieces(unigram.encode(TEXT)) != bpe.pieces(bpe.encode(TEXT))


def test_a_larger_vocabulary_has_longer_pieces() -> None:
    small, large = train(vocab_size=290), train(vocab_size=305)
    assert len(small.encode(TEXT)) > len(large.encode(TEXT))


def test_a_batch_is_encoded_line_by_line(tokenizer: Tokenizer) -> None:
    few = [TEXT, "", "a\u2028b\rc", "😀"]
    for lines in (few, few * 10):  # the tokenizer's threads are for many
        assert tokenizer.encode_batch(lines) == [tokenizer.encode(line) for line in lines]
    assert tokenizer.encode_batch([]) == []


def test_every_piece_knows_its_word(tokenizer: Tokenizer) -> None:
    token_ids = tokenizer.encode("der hund sieht den hund")
    pieces = tokenizer.pieces(token_ids)
    assert len(pieces) > 5
    words: dict[int, str] = {}
    for number, piece in zip(tokenizer.word_numbers(token_ids), pieces, strict=True):
        words[number] = words.get(number, "") + piece
    expected = ["\u2581der", "\u2581hund", "\u2581sieht", "\u2581den", "\u2581hund"]
    assert words == dict(enumerate(expected))


@pytest.mark.parametrize(
    ("pieces", "numbers"),
    [
        (["d", "e", "▁", "n"], [0, 0, 1, 1]),
        (["▁", "d", "▁", "▁dog"], [0, 0, 1, 1]),
        (["▁", "▁dog", "▁", "▁"], [0, 0, 0, 0]),
        (["▁", "▁"], [-1, -1]),
        ([], []),
    ],
)
def test_a_word_is_what_white_space_parts_however_it_was_generated(
    pieces: list[str], numbers: list[int], tokenizer: Tokenizer
) -> None:
    every = {piece: number for number, piece in enumerate(tokenizer.pieces(range(300)))}
    token_ids = [every[piece] for piece in pieces]
    assert tokenizer.word_numbers(token_ids) == numbers
    assert len(set(numbers) - {-1}) == len(tokenizer.decode(token_ids).split())


def test_nothing_stays_nothing(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode("") == tokenizer.encode("  ") == []
    assert tokenizer.decode([]) == ""
    assert tokenizer.pieces([]) == []


@pytest.fixture(scope="module")
def byte_tokenizer() -> Tokenizer:
    return train(normalization_rule_name="identity")


@given(text=st.text())
def test_with_byte_fallback_nothing_is_unknown(byte_tokenizer: Tokenizer, text: str) -> None:
    token_ids = byte_tokenizer.encode(text)
    assert not set(token_ids) & {0, 1, 2, 3}
    # SentencePiece drops spaces at both ends and repeated ones, and reads U+2581 as a space.
    assert byte_tokenizer.decode(token_ids) == " ".join(
        part for part in re.split("[ ▁]", text) if part
    )


@pytest.mark.parametrize("model_type", MODEL_TYPES)
@pytest.mark.parametrize("text", ["😀", "☃ ქართული", "a\0b\x01", "👩‍👩‍👧"])
def test_byte_fallback_spells_what_was_never_seen(text: str, model_type: str) -> None:
    tokenizer = train(model_type=model_type, normalization_rule_name="identity")
    token_ids = tokenizer.encode(text)
    assert any(re.fullmatch("<0x[0-9A-F]{2}>", piece) for piece in tokenizer.pieces(token_ids))
    assert tokenizer.decode(token_ids) == text


def test_without_byte_fallback_the_unseen_is_unknown() -> None:
    tokenizer = train(byte_fallback=False, vocab_size=45)
    assert tokenizer.pieces(tokenizer.encode("a 😀")) == ["▁", "a", "▁", "<unk>"]
    assert tokenizer.encode("😀")[-1] == tokenizer.unk_id
    assert tokenizer.decode(tokenizer.encode("a 😀 d")) == "a  ⁇  d"


def test_the_special_ids_come_first(tokenizer: Tokenizer) -> None:
    specials = [tokenizer.pad_id, tokenizer.unk_id, tokenizer.bos_id, tokenizer.eos_id]
    assert specials == [0, 1, 2, 3]
    assert tokenizer.pieces(specials) == ["<pad>", "<unk>", "<s>", "</s>"]


def test_special_ids_have_no_text(tokenizer: Tokenizer) -> None:
    token_ids = tokenizer.encode(TEXT)
    assert tokenizer.decode([tokenizer.bos_id, *token_ids, tokenizer.eos_id, 0, 0]) == TEXT


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_no_text_is_read_as_a_special_id(model_type: str) -> None:
    tokenizer = train(model_type=model_type)
    text = "<pad> <s> </s> <unk> <0x0A>"
    token_ids = tokenizer.encode(text)
    assert min(token_ids) > 3
    assert tokenizer.decode(token_ids) == text


# What each setting of a recipe does


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_user_defined_symbols_stay_one_piece(model_type: str) -> None:
    symbols = ["<name>", "½", "ab"]
    tokenizer = train(model_type=model_type, user_defined_symbols=tuple(symbols))
    for symbol in symbols:
        pieces = tokenizer.pieces(tokenizer.encode(f"x{symbol}y {symbol}"))
        assert pieces.count(symbol) == 2
    plain = train(model_type=model_type)
    assert "ab" not in plain.pieces(plain.encode("xaby"))


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_symbols_of_placeholders_stay_one_piece_and_are_counted(model_type: str) -> None:
    assert train(model_type=model_type).num_placeholders == 0
    tokenizer = train(model_type=model_type, placeholders=3)
    assert tokenizer.num_placeholders == 3
    first, second, third = placeholders.symbols(3)
    text = f"x{first}y {second}{third}"
    pieces = tokenizer.pieces(tokenizer.encode(text))
    assert [one for one in pieces if one in text and len(one) == 1 and one > "\ud7ff"] == [
        first,
        second,
        third,
    ]
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_character_coverage_leaves_rare_characters_to_bytes() -> None:
    lines = [*LINES, "qxz"]
    every, most = train(lines), train(lines, character_coverage=0.999)
    assert every.pieces(every.encode("q")) == ["▁", "q"]
    assert most.pieces(most.encode("q")) == ["▁", "<0x71>"]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("nmt_nfkc", "A 1⁄2 b c"),
        ("nfkc", "A 1⁄2 b\u200bc"),
        ("nmt_nfkc_cf", "a 1⁄2 b c"),
        ("nfkc_cf", "a 1⁄2 b\u200bc"),
        ("identity", "\uff21 ½ b\u200bc"),
    ],
)
def test_the_normalization_rule_decides_what_is_the_same(rule: str, expected: str) -> None:
    tokenizer = train(normalization_rule_name=rule)
    assert tokenizer.decode(tokenizer.encode("\uff21 ½ b\u200bc")) == expected


# Line breaks


def ids_with_a_line_break(tokenizer: Tokenizer) -> tuple[int, ...]:
    return tuple(
        token_id
        for token_id in range(tokenizer.vocab_size)
        if re.search("[\n\r]", tokenizer.decode([token_id]))
    )


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_the_two_line_break_bytes_are_found(model_type: str) -> None:
    tokenizer = train(model_type=model_type)
    assert tokenizer.pieces(tokenizer.line_break_ids) == ["<0x0A>", "<0x0D>"]
    assert tokenizer.line_break_ids == ids_with_a_line_break(tokenizer)


def test_pieces_that_hold_a_line_break_are_found() -> None:
    lines = [line.replace(" and", ".\r. and") for line in LINES]
    tokenizer = train(lines, normalization_rule_name="identity", model_type="bpe")
    pieces = tokenizer.pieces(tokenizer.line_break_ids)
    assert {"<0x0A>", "<0x0D>", "\r", ".\r."} <= set(pieces)
    assert tokenizer.line_break_ids == ids_with_a_line_break(tokenizer)


def test_without_byte_fallback_there_may_be_no_line_break() -> None:
    assert train(byte_fallback=False, vocab_size=45).line_break_ids == ()


# Training


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_training_says_nothing(model_type: str, capfd: pytest.CaptureFixture[str]) -> None:
    train(model_type=model_type)
    assert_untrainable(
        "the tokenizer's training text is empty; check the training corpus",
        [],
        model_type=model_type,
    )
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_the_same_text_and_seed_give_the_same_model(model_type: str) -> None:
    recipe = TokenizerRecipe.model_validate({"vocab_size": 300, "model_type": model_type})
    first = Tokenizer.train(LINES, recipe, seed=7)
    sentencepiece.set_random_generator_seed(99)
    assert Tokenizer.train(iter(LINES), recipe, seed=7).model == first.model


@pytest.mark.parametrize("model_type", MODEL_TYPES)
@pytest.mark.parametrize("odd", ["\0", "\r", "\u2028", "\x85", "\x0c", "\ufeff", "▅", "\n"])
def test_odd_characters_in_the_text_do_not_stop_training(odd: str, model_type: str) -> None:
    lines = [f"q{odd}{line}{odd}z" for line in LINES]
    tokenizer = train(lines, model_type=model_type)
    # What stands around the odd one was learnt.
    assert not any(piece.startswith("<") for piece in tokenizer.pieces(tokenizer.encode("q z")))


@pytest.mark.parametrize(("character", "size"), [("a", 1), ("é", 2), ("ქ", 3), ("😀", 4)])
def test_a_long_line_is_not_left_out(character: str, size: int) -> None:
    assert len(character.encode()) == size
    # One byte more than SentencePiece takes.
    line = "q" + character * (4192 // size)
    tokenizer = train([*LINES, line], byte_fallback=False, vocab_size=45)
    assert tokenizer.unk_id not in tokenizer.encode(f"q{character}")


@pytest.mark.parametrize("model_type", MODEL_TYPES)
@pytest.mark.parametrize("byte_fallback", [True, False])
def test_the_lower_bound_of_the_vocabulary_is_said_and_true(
    byte_fallback: bool, model_type: str
) -> None:
    options = {"byte_fallback": byte_fallback, "model_type": model_type}
    # Pieces of the text itself: its 20 letters and the sign for a space; 256 are bytes.
    lowest = 4 + 21 + 256 * byte_fallback
    assert len(set("".join(LINES))) == 21
    complaint = (
        f"tokenizer.vocab_size must be >= {lowest} to hold the special pieces and every character "
        f"of this text, got {lowest - 1}; raise it or lower tokenizer.character_coverage"
    )
    assert_untrainable(complaint, vocab_size=lowest - 1, **options)
    assert train(vocab_size=lowest, **options).vocab_size == lowest


@pytest.mark.parametrize("model_type", MODEL_TYPES)
@pytest.mark.parametrize("byte_fallback", [True, False])
def test_the_upper_bound_of_the_vocabulary_is_said_and_true(
    byte_fallback: bool, model_type: str
) -> None:
    options = {"byte_fallback": byte_fallback, "model_type": model_type}
    with pytest.raises(TokenizerError, match=", got 9999;") as caught:
        train(vocab_size=9999, **options)
    found = re.search(r"<= (\d+) for", str(caught.value))
    assert found is not None
    highest = int(found[1])
    complaint = (
        f"tokenizer.vocab_size must be <= {highest} for this text, got {highest + 1}; "
        "lower it or bring more text"
    )
    assert_untrainable(complaint, vocab_size=highest + 1, **options)
    assert train(vocab_size=highest, **options).vocab_size == highest


@pytest.mark.parametrize("vocab_size", [1, 3])
def test_the_special_pieces_need_room_too(vocab_size: int) -> None:
    assert_untrainable(
        f"tokenizer.vocab_size must be >= 4 to hold the special pieces, got {vocab_size}; raise it",
        vocab_size=vocab_size,
    )


@pytest.mark.parametrize("lines", [[], [""], ["", "   "], ["\u200b"]])
def test_text_to_train_on_must_not_be_empty(lines: list[str]) -> None:
    assert_untrainable("the tokenizer's training text is empty; check the training corpus", lines)


@pytest.mark.parametrize(
    "symbol", ["", " ", "a b", "a\n", "\u2028", "a\0", "<pad>", "<s>", "<unk>"]
)
def test_a_symbol_that_cannot_be_one_piece_is_refused(symbol: str) -> None:
    assert_untrainable(
        "tokenizer.user_defined_symbols must be text without white space, and no special piece, "
        f"got {symbol!r}",
        user_defined_symbols=("<a>", symbol),
    )


def test_symbols_must_differ() -> None:
    assert_untrainable(
        "tokenizer.user_defined_symbols must differ, got '<a>' more than once",
        user_defined_symbols=("<a>", "<b>", "<a>"),
    )


def test_what_sentencepiece_refuses_for_another_reason_is_passed_on() -> None:
    assert_untrainable(
        "SentencePiece cannot be trained: INTERNAL: <0x41> is already defined. "
        "duplicated symbols are not allowed.",
        user_defined_symbols=("<0x41>",),
    )


# Model files


def test_a_model_file_is_read(tokenizer: Tokenizer, tmp_path: Path) -> None:
    path = tmp_path / "source.model"
    path.write_bytes(tokenizer.model)
    loaded = Tokenizer.load(path)
    assert loaded.model == tokenizer.model
    assert loaded.vocab_size == 300
    assert loaded.encode(TEXT) == Tokenizer.load(str(path)).encode(TEXT) == tokenizer.encode(TEXT)


def test_a_missing_model_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "missing.model"
    with pytest.raises(TokenizerError, match=f"^{re.escape(str(path))}: cannot read: No such file"):
        Tokenizer.load(path)


@pytest.mark.parametrize("kept", [0, 1, 100, -1])
def test_a_damaged_model_file_is_named(tokenizer: Tokenizer, tmp_path: Path, kept: int) -> None:
    path = tmp_path / "source.model"
    path.write_bytes(tokenizer.model[:kept])
    complaint = f"{path}: not a SentencePiece model, or a damaged one"
    with pytest.raises(TokenizerError, match=f"^{re.escape(complaint)}$"):
        Tokenizer.load(path)


def test_a_model_with_other_special_ids_is_refused() -> None:
    stream = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(LINES), model_writer=stream, vocab_size=45, minloglevel=2
    )
    complaint = (
        "other.model: pad, unk, bos and eos must have the ids 0, 1, 2 and 3, got (-1, 0, 1, 2)"
    )
    with pytest.raises(TokenizerError, match=f"^{re.escape(complaint)}$"):
        Tokenizer(stream.getvalue(), name="other.model")
