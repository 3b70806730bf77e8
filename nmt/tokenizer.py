"""SentencePiece: train, load, encode, decode. The SentencePiece model is the vocabulary.

Text becomes integers here and nowhere else; tensors are not known here.
"""

from __future__ import annotations

import io
import re
import struct
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
# Fewer are encoded in less time than it takes to start the threads that would share them.
_FEW_LINES = 16
# Numbers of fields in sentencepiece_model.proto, and of their kinds.
_PIECES, _TRAINER_SPEC = 1, 2  # of ModelProto
_PIECE_TEXT, _PIECE_SCORE, _PIECE_TYPE = 1, 2, 3  # of SentencePiece
_VOCAB_SIZE = 4  # of TrainerSpec
_USER_DEFINED = 4  # of SentencePiece.Type
_SIZED, _FOUR_BYTES = 2, 5


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

    def __reduce__(self) -> tuple[type[Tokenizer], tuple[bytes]]:
        """Go to other processes as the model alone."""
        return Tokenizer, (self.model,)

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
        _check_symbols(own_symbols, key="tokenizer.user_defined_symbols")
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

    def with_pieces(self, pieces: Sequence[str], *, key: str) -> Tokenizer:
        """Return a tokenizer that knows more strings, each of which always stays one piece.

        The pieces that there are keep their ids; the new ones come behind them, in order. Those
        that are pieces already are left out.

        Args:
            pieces: Text without white space.
            key: What complaints call them.

        Raises:
            TokenizerError: One of them cannot be one piece.
        """
        _check_symbols(pieces, key=key)
        new = [piece for piece in pieces if self.id_of(piece) is None]
        # Joined, two messages of Protocol Buffers are one: lists follow each other, and of a single
        # value the last one holds. So no library for them is needed.
        model = self.model + b"".join(map(_serialized_symbol, new))
        size = _field(_VOCAB_SIZE, self.vocab_size + len(new))
        extended = Tokenizer(model + _field(_TRAINER_SPEC, size), name=key)
        for piece in new:
            if extended.id_of(piece) not in extended.encode(piece):
                raise TokenizerError(
                    f"{key} must be text that the tokenizer leaves as it is, got {piece!r}"
                )
        return extended

    @property
    def vocab_size(self) -> int:
        """The number of pieces, specials included."""
        size: int = self._processor.get_piece_size()
        return size

    @property
    def scores(self) -> list[float]:
        """For each id its log-probability, or with BPE minus its place among the merges."""
        return [self._processor.get_score(piece_id) for piece_id in range(self.vocab_size)]

    @property
    def are_text(self) -> list[bool]:
        """For each id whether its piece is text: no special piece, and no byte."""
        processor = self._processor
        return [
            not (
                processor.is_control(piece_id)
                or processor.is_unknown(piece_id)
                or processor.is_byte(piece_id)
            )
            for piece_id in range(self.vocab_size)
        ]

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

    def encode_batch(
        self, lines: Sequence[str], *, num_threads: int | None = None
    ) -> list[list[int]]:
        """Return the ids of every line's pieces, without BOS and EOS.

        Args:
            lines: The texts.
            num_threads: Threads to work with; null is as many as there are cores.
        """
        if len(lines) < _FEW_LINES:
            return [self.encode(line) for line in lines]
        threads = -1 if num_threads is None else num_threads
        batch: list[list[int]] = self._processor.encode(list(lines), num_threads=threads)
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


def tag_ids(tag: str | None, tokenizer: Tokenizer) -> tuple[int, ...]:
    """Return what stands before a source that has a tag: its id, or nothing where it is None.

    Raises:
        TokenizerError: The tag is no piece.
    """
    if tag is None:
        return ()
    piece_id = tokenizer.id_of(tag)
    if piece_id is None:
        raise TokenizerError(
            f"the tokenizer must have the piece {tag!r}, which asks for a language"
        )
    return (piece_id,)


def _cut(line: str) -> list[str]:
    """Return the line in parts that SentencePiece takes whole."""
    size = _LONGEST_TRAINING_LINE // 4  # a character has up to four bytes
    return [line[start : start + size] for start in range(0, len(line), size)]


def _serialized_symbol(piece: str) -> bytes:
    """Return a piece of the kind of user-defined symbols, as in SentencePiece's ModelProto."""
    text = _field(_PIECE_TEXT, piece.encode("utf-8"))
    score = bytes([_PIECE_SCORE << 3 | _FOUR_BYTES]) + struct.pack("<f", 0.0)
    return _field(_PIECES, text + score + _field(_PIECE_TYPE, _USER_DEFINED))


def _field(number: int, value: int | bytes) -> bytes:
    """Return a field of a message of Protocol Buffers: a whole number, or bytes and their size."""
    if isinstance(value, int):
        return bytes([number << 3]) + _varint(value)
    return bytes([number << 3 | _SIZED]) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    """Return a whole number >= 0, seven bits a byte, the lowest first."""
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])


def _check_symbols(symbols: Sequence[str], *, key: str) -> None:
    """Complain about a symbol that SentencePiece would refuse, or take and never use."""
    for place, symbol in enumerate(symbols):
        if symbol in symbols[:place]:
            raise TokenizerError(f"{key} must differ, got {symbol!r} more than once")
        if not symbol or symbol in _SPECIAL_PIECES or _NOT_IN_SYMBOLS.search(symbol):
            raise TokenizerError(
                f"{key} must be text without white space, and no special piece, got {symbol!r}"
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
