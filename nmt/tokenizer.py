"""SentencePiece: train, load, encode, decode. The SentencePiece model is the vocabulary.

Text becomes integers here and nowhere else; tensors are not known here.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Sequence
from itertools import takewhile
from pathlib import Path

import sentencepiece

from nmt.errors import TokenizerError
from nmt.placeholders import MOST_SYMBOLS, symbols
from nmt.recipe import TokenizerRecipe

PAD_ID, UNK_ID, BOS_ID, EOS_ID = range(4)
_SPECIAL_PIECES = frozenset({"<pad>", "<unk>", "<s>", "</s>"})
_WORD_START = "\u2581"
_LINE_BREAK = re.compile(r"[\n\r]")
# what never comes out as one piece: white space is written as U+2581 before symbols are looked for
_NOT_IN_SYMBOLS = re.compile(r"[\s\0]")
# in bytes; SentencePiece leaves a longer training line out, and says so only in its log
_LONGEST_TRAINING_LINE = 4192
_ERROR_LOG_LEVEL = 2


class Tokenizer:
    """A trained SentencePiece model."""

    pad_id = PAD_ID
    unk_id = UNK_ID
    bos_id = BOS_ID
    eos_id = EOS_ID

    def __init__(self, model: bytes, *, name: str = "tokenizer") -> None:
        """Take a serialized SentencePiece model; `name` is what complaints call it.

        Raises:
            TokenizerError: The bytes are no such model, or its special ids are not ours.
        """
        self.model = model
        try:
            if not model:  # SentencePiece would take it for no model at all
                raise ValueError("no bytes")
            self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        except (RuntimeError, ValueError) as error:
            raise TokenizerError(f"{name}: not a SentencePiece model, or a damaged one") from error
        found = tuple(
            getattr(self._processor, f"{kind}_id")() for kind in ("pad", "unk", "bos", "eos")
        )
        if found != (PAD_ID, UNK_ID, BOS_ID, EOS_ID):
            raise TokenizerError(
                f"{name}: pad, unk, bos and eos must have the ids 0, 1, 2 and 3, got {found}"
            )

    @classmethod
    def load(cls, path: str | Path) -> Tokenizer:
        """Read a SentencePiece model file.

        Raises:
            TokenizerError: The file cannot be read or is no SentencePiece model.
        """
        try:
            model = Path(path).read_bytes()
        except OSError as error:
            raise TokenizerError(f"{path}: cannot read: {error.strerror}") from error
        return cls(model, name=str(path))

    @classmethod
    def train(cls, lines: Iterable[str], recipe: TokenizerRecipe, *, seed: int = 1) -> Tokenizer:
        """Train SentencePiece on text.

        Args:
            lines: Sentences, both sides' where the tokenizer is joint.
            recipe: How.
            seed: Makes repeated training give the same model.

        Raises:
            TokenizerError: The vocabulary size does not fit the text (names the bounds), or a
                user-defined symbol cannot be one piece.
        """
        own_symbols = [*recipe.user_defined_symbols, *symbols(recipe.placeholders)]
        _check_symbols(own_symbols)
        sentencepiece.set_random_generator_seed(seed)
        stream = io.BytesIO()
        # SentencePiece leaves a line with U+2585 out: it is its own sign for the unknown
        kept = (line.replace("\u2585", " ") for line in lines)
        try:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=(part for line in kept for part in _cut(line)),
                model_writer=stream,
                vocab_size=recipe.vocab_size,
                model_type=recipe.model_type,
                character_coverage=recipe.character_coverage,
                byte_fallback=recipe.byte_fallback,
                normalization_rule_name=recipe.normalization_rule_name,
                user_defined_symbols=own_symbols,
                pad_id=PAD_ID,
                unk_id=UNK_ID,
                bos_id=BOS_ID,
                eos_id=EOS_ID,
                num_threads=1,
                minloglevel=_ERROR_LOG_LEVEL,
            )
        except RuntimeError as error:
            raise TokenizerError(_why_untrained(str(error), recipe.vocab_size)) from error
        return cls(stream.getvalue())

    @property
    def vocab_size(self) -> int:
        """The number of pieces, specials included."""
        size: int = self._processor.get_piece_size()
        return size

    @property
    def num_placeholders(self) -> int:
        """How many of the symbols for what is not translated are pieces, the first ones on."""
        known = takewhile(lambda symbol: self.id_of(symbol) is not None, symbols(MOST_SYMBOLS))
        return sum(1 for _ in known)

    @property
    def line_break_ids(self) -> tuple[int, ...]:
        """The ids of pieces whose text holds a line break: a translation must not."""
        pieces = ((piece_id, self._surface(piece_id)) for piece_id in range(self.vocab_size))
        return tuple(piece_id for piece_id, text in pieces if _LINE_BREAK.search(text))

    def _surface(self, piece_id: int) -> str:
        piece: str = self._processor.id_to_piece(piece_id)
        if self._processor.is_byte(piece_id):
            return chr(int(piece[1:-1], 16))  # of <0x0A>, say
        return piece

    def encode(self, text: str) -> list[int]:
        """Return the ids of the text's pieces, without BOS and EOS."""
        token_ids: list[int] = self._processor.encode(text)
        return token_ids

    def encode_batch(self, lines: Sequence[str]) -> list[list[int]]:
        """Return the ids of every line's pieces, without BOS and EOS."""
        batch: list[list[int]] = self._processor.encode(list(lines))
        return batch

    def decode(self, token_ids: Sequence[int]) -> str:
        """Return the text of the ids; padding, BOS and EOS are left out, unknown is U+2047."""
        text: str = self._processor.decode(list(token_ids))
        return text

    def pieces(self, token_ids: Sequence[int]) -> list[str]:
        """Return the pieces as SentencePiece writes them."""
        pieces: list[str] = self._processor.id_to_piece(list(token_ids))
        return pieces

    def id_of(self, piece: str) -> int | None:
        """Return the id of a piece as SentencePiece writes it; None where it is no piece."""
        piece_id: int = self._processor.piece_to_id(piece)
        return None if piece_id == self.unk_id else piece_id

    def word_numbers(self, token_ids: Sequence[int]) -> list[int]:
        """Return for each id in which word its piece is, from 0 on; white space parts words.

        A piece that is nothing but white space counts to the word behind it, at the end to the one
        before it, and where there is no word it has the number -1.
        """
        numbers = []
        number, is_parted = -1, True
        for piece in self.pieces(token_ids):
            is_parted = is_parted or piece.startswith(_WORD_START)
            numbers.append(number + is_parted)
            if piece != _WORD_START:
                number, is_parted = numbers[-1], False
        return [min(one, number) for one in numbers]


def _cut(line: str) -> list[str]:
    """Return the line in parts that SentencePiece takes whole."""
    size = _LONGEST_TRAINING_LINE // 4  # a character has up to four bytes
    return [line[start : start + size] for start in range(0, len(line), size)]


def _check_symbols(symbols: Sequence[str]) -> None:
    """Complain about a symbol that SentencePiece would refuse, or take and never use."""
    for place, symbol in enumerate(symbols):
        if symbol in symbols[:place]:
            raise TokenizerError(
                f"tokenizer.user_defined_symbols must differ, got {symbol!r} more than once"
            )
        if not symbol or symbol in _SPECIAL_PIECES or _NOT_IN_SYMBOLS.search(symbol):
            raise TokenizerError(
                "tokenizer.user_defined_symbols must be text without white space, and no special "
                f"piece, got {symbol!r}"
            )


def _why_untrained(reason: str, vocab_size: int) -> str:
    """Return what to do about one of SentencePiece's complaints."""
    too_high = re.search(r"value <= (\d+)", reason)
    too_low = re.search(r"smaller than required_chars\. \d+ vs (\d+)", reason)
    if too_high:
        return (
            f"tokenizer.vocab_size must be <= {too_high[1]} for this text, got {vocab_size}; "
            "lower it or bring more text"
        )
    if too_low:
        return (
            f"tokenizer.vocab_size must be >= {too_low[1]} to hold the special pieces and every "
            f"character of this text, got {vocab_size}; raise it or lower "
            "tokenizer.character_coverage"
        )
    if "insert_id(" in reason:
        return (
            "tokenizer.vocab_size must be >= 4 to hold the special pieces, "
            f"got {vocab_size}; raise it"
        )
    if "sentences_.empty()" in reason or "all_chars_count" in reason:
        return "the tokenizer's training text is empty; check the training corpus"
    return f"SentencePiece cannot be trained: {' '.join(reason.split())}"
