"""From pairs to token ids: the same by one process or by several, made once."""

from pathlib import Path

import pytest

from nmt.corpus import Cache, SentencePair
from nmt.corpus import tokens as tokens_module
from nmt.corpus.mapped import MappedPairs, write_pairs
from nmt.corpus.tokens import TokenIds, prepare_tokens
from nmt.recipe import TokenizerRecipe
from nmt.tokenizer import Tokenizer

PAIRS = [SentencePair(f"{'1 ' * (number % 7)}2", f"3{' 4' * (number % 5)}") for number in range(60)]
PAIRS[8] = SentencePair("", "3")
PAIRS[9] = SentencePair("1", "")


@pytest.fixture(scope="module")
def tokenizers() -> tuple[Tokenizer, Tokenizer]:
    """One piece a digit, other ones for each side."""
    settings = TokenizerRecipe(vocab_size=7, model_type="bpe", byte_fallback=False)
    source, target = (Tokenizer.train([text] * 3, settings) for text in ("1 2 1 2", "3 4 3 4"))
    return source, target


@pytest.fixture
def pairs(tmp_path: Path) -> MappedPairs:
    write_pairs(tmp_path / "pairs.arrow", [PAIRS[start : start + 5] for start in range(0, 60, 5)])
    return MappedPairs(tmp_path / "pairs.arrow")


def rows(token_ids: TokenIds) -> list[tuple[list[int], list[int]]]:
    places = range(len(token_ids.source))
    return [
        (token_ids.source[place].tolist(), token_ids.target[place].tolist()) for place in places
    ]


@pytest.mark.parametrize("num_cores", [1, 2])
def test_ids_are_those_of_the_tokenizers_in_order(
    num_cores: int,
    tmp_path: Path,
    pairs: MappedPairs,
    tokenizers: tuple[Tokenizer, Tokenizer],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tokens_module, "_num_cores", lambda: num_cores)
    token_ids = prepare_tokens(Cache(tmp_path), pairs, tokenizers, fingerprint="1", max_length=4)
    source, target = tokenizers
    encoded = [(source.encode(pair.source), target.encode(pair.target)) for pair in PAIRS]
    expected = [both for both in encoded if all(both) and max(map(len, both)) <= 4]
    assert 0 < len(expected) < 58
    assert rows(token_ids) == expected
    assert token_ids.links is None


def test_ids_are_made_once_for_pairs_tokenizers_and_length(
    tmp_path: Path,
    pairs: MappedPairs,
    tokenizers: tuple[Tokenizer, Tokenizer],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written: list[Path] = []
    true_write = tokens_module._write

    def write(encoder: tokens_module.Encoder, folder: Path) -> dict[str, object]:
        written.append(folder)
        return true_write(encoder, folder)

    monkeypatch.setattr(tokens_module, "_write", write)
    monkeypatch.setattr(tokens_module, "_num_cores", lambda: 1)

    def count(fingerprint: str, sides: tuple[Tokenizer, Tokenizer], max_length: int) -> int:
        prepare_tokens(
            Cache(tmp_path), pairs, sides, fingerprint=fingerprint, max_length=max_length
        )
        return len(written)

    assert count("1", tokenizers, 4) == 1
    assert count("1", tokenizers, 4) == 1
    assert count("2", tokenizers, 4) == 2
    assert count("1", tokenizers, 5) == 3
    assert count("1", tokenizers[::-1], 4) == 4


def test_what_asks_for_a_language_stands_before_every_source(
    tmp_path: Path, pairs: MappedPairs, tokenizers: tuple[Tokenizer, Tokenizer]
) -> None:
    def prepare(tag_ids: tuple[int, ...], max_length: int) -> TokenIds:
        return prepare_tokens(
            Cache(tmp_path),
            pairs,
            tokenizers,
            fingerprint="1",
            max_length=max_length,
            tag_ids=tag_ids,
        )

    bare, tagged = prepare((), 3), prepare((7,), 4)
    assert all(source[0] == 7 for source, _ in rows(tagged))
    # the tag takes one of the places that a source may have, and none of a target's
    kept = [(source[1:], target) for source, target in rows(tagged) if len(target) <= 3]
    assert kept == rows(bare)
