"""Text in, text out: one line for each line. Knows nothing of how the model was trained."""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path

import torch

from nmt.batching import pad_ids
from nmt.engine import Engine, ModelEngine
from nmt.errors import NMTError
from nmt.run_folder import load_run
from nmt.search import Hypothesis, SearchOptions, beam_search, greedy_search
from nmt.tokenizer import Tokenizer

# Lines are sorted by length among so many batches: enough that sentences of a batch are alike.
_BATCHES_PER_WINDOW = 16

_LINE_BREAK = re.compile(r"[\n\r]+")
# The end of a sentence, perhaps in quotes or brackets. These marks need a space behind them ...
_SENTENCE_END = re.compile(r"[.!?…؟।][\"'”’»)\]]*$")
# ... and these do not.
_WIDE_SENTENCE_END = re.compile(r"[。！？][」』”’）]*$")
_WORD_START = "\u2581"
# A piece of byte fallback that goes on with the character of the piece before.
_CHARACTER_CONTINUED = re.compile(r"<0x[89AB][0-9A-F]>")


@dataclass(frozen=True, slots=True)
class TranslatedHypothesis:
    """One way to translate a line.

    Attributes:
        text: Detokenized, without a line break.
        log_prob: Natural log-probability of its tokens, EOS included.
        score: What the ways to translate a line are ranked by: `log_prob` after the length penalty.
    """

    text: str
    log_prob: float
    score: float


@dataclass(frozen=True, slots=True)
class Translation:
    """What became of a line.

    Attributes:
        text: The best translation; empty for a blank line.
        score: The score of it; 0, the highest there is, for a blank line.
        hypotheses: The best translations, the best first; an empty one for a blank line.
        num_parts: How many parts the line was translated in: 0 where it is blank, more than 1 where
            it is longer than `max_source_length`. The log-probabilities and the scores of parts
            add up.
    """

    text: str
    score: float
    hypotheses: tuple[TranslatedHypothesis, ...]
    num_parts: int


class Translator:
    """Translates lines of text with a trained model."""

    def __init__(
        self,
        source_tokenizer: Tokenizer,
        target_tokenizer: Tokenizer,
        engine: Engine,
        *,
        beam_size: int,
        length_penalty: float,
        max_length_ratio: float,
        max_target_length: int,
        max_source_length: int,
        batch_size: int,
        num_hypotheses: int = 1,
    ) -> None:
        """Put the parts together; `Translator.load` takes them from a run folder.

        Args:
            source_tokenizer: Of the language to translate from.
            target_tokenizer: Of the language to translate into.
            engine: The model.
            beam_size: Partial hypotheses kept for each sentence; 1 is greedy search.
            length_penalty: α of Wu et al. 2016, at least 0, which is none.
            max_length_ratio: Longest translation in tokens for each source token; 10 are added.
            max_target_length: Longest translation in tokens, EOS included.
            max_source_length: Longest line in tokens, EOS not included, that is translated as one;
                a longer one is translated in parts.
            batch_size: Sentences translated at once, at least 1.
            num_hypotheses: Translations wanted of each line, from 1 to `beam_size`.

        Raises:
            ValueError: A value is outside its range.
        """
        for name, value in (("max_source_length", max_source_length), ("batch_size", batch_size)):
            if value < 1:
                raise ValueError(f"{name} must be >= 1, got {value}")
        self._source_tokenizer = source_tokenizer
        self._target_tokenizer = target_tokenizer
        self._engine = engine
        self._max_source_length = max_source_length
        self._batch_size = batch_size
        self._options = SearchOptions(
            beam_size=beam_size,
            num_hypotheses=num_hypotheses,
            length_penalty=length_penalty,
            max_length_ratio=max_length_ratio,
            max_target_length=max_target_length,
            bos_id=target_tokenizer.bos_id,
            eos_id=target_tokenizer.eos_id,
            banned_ids=(
                target_tokenizer.pad_id,
                target_tokenizer.unk_id,
                target_tokenizer.bos_id,
                *target_tokenizer.line_break_ids,
            ),
        )

    @classmethod
    def load(
        cls,
        run: str | Path,
        *,
        device: str = "cpu",
        beam_size: int | None = None,
        length_penalty: float | None = None,
        batch_size: int | None = None,
        num_hypotheses: int = 1,
    ) -> Translator:
        """Read a translator from a run folder.

        Args:
            run: The run folder.
            device: Where to compute: `cpu`, `cuda`, `mps`, or `auto` for the fastest there is.
            beam_size: As in the constructor; None is what the run's recipe says.
            length_penalty: Likewise.
            batch_size: Likewise.
            num_hypotheses: As in the constructor.

        Raises:
            NMTError: The run folder cannot be used, or there is no such device.
            ValueError: A value is outside its range.
        """
        trained = load_run(run, device=choose_device(device))
        decoding = trained.recipe.decoding
        return cls(
            trained.source_tokenizer,
            trained.target_tokenizer,
            ModelEngine(trained.model),
            beam_size=decoding.beam_size if beam_size is None else beam_size,
            length_penalty=decoding.length_penalty if length_penalty is None else length_penalty,
            max_length_ratio=decoding.max_length_ratio,
            max_target_length=decoding.max_target_length,
            max_source_length=decoding.max_source_length,
            batch_size=decoding.batch_size if batch_size is None else batch_size,
            num_hypotheses=num_hypotheses,
        )

    @property
    def max_source_length(self) -> int:
        """Longest line, in tokens, that is translated as one."""
        return self._max_source_length

    @property
    def window_size(self) -> int:
        """How many lines are read before the first of them is translated."""
        return self._batch_size * _BATCHES_PER_WINDOW

    def translate(self, lines: Iterable[str]) -> list[str]:
        """Translate lines of text.

        Args:
            lines: The lines; a line end behind them is no part of them.

        Returns:
            One translation for each line, in order; an empty one for a blank line.
        """
        return [translation.text for translation in self.translate_detailed(lines)]

    def translate_detailed(self, lines: Iterable[str]) -> Iterator[Translation]:
        """Translate lines of text as they come, see `translate`; with scores and alternatives.

        A stream may be endless: `window_size` lines are read at a time.
        """
        if isinstance(lines, str):
            raise TypeError(f"lines must be a list of lines or the like, got one string: {lines!r}")
        return self._translate_windows(iter(lines))

    def _translate_windows(self, lines: Iterator[str]) -> Iterator[Translation]:
        # an open file gives its lines with their ends
        lines = (line.removesuffix("\n").removesuffix("\r") for line in lines)
        while window := list(islice(lines, self.window_size)):
            lines_in_parts = [
                self._parts(token_ids) for token_ids in self._source_tokenizer.encode_batch(window)
            ]
            found = iter(self._search([part for parts in lines_in_parts for part in parts]))
            for parts in lines_in_parts:
                yield self._translation([next(found) for _ in parts])

    def _parts(self, token_ids: list[int]) -> list[list[int]]:
        """Cut a line into what can be translated; a blank one into nothing."""
        if not token_ids:
            return []
        pieces = self._source_tokenizer.pieces(token_ids)
        cuts = [0, *cut_points(pieces, self._max_source_length), len(pieces)]
        return [token_ids[start:end] for start, end in pairwise(cuts)]

    def _search(self, sources: Sequence[list[int]]) -> list[list[Hypothesis]]:
        """Find the hypotheses of each source; those of like length share a batch."""
        order = sorted(range(len(sources)), key=lambda place: len(sources[place]), reverse=True)
        found: dict[int, list[Hypothesis]] = {}
        for start in range(0, len(order), self._batch_size):
            places = order[start : start + self._batch_size]
            hypotheses = self._search_batch([sources[place] for place in places])
            found.update(zip(places, hypotheses, strict=True))
        return [found[place] for place in range(len(sources))]

    def _search_batch(self, sources: Sequence[list[int]]) -> list[list[Hypothesis]]:
        with_eos = [[*source, self._source_tokenizer.eos_id] for source in sources]
        source_ids = pad_ids(with_eos, self._source_tokenizer.pad_id)
        source_lengths = torch.tensor([len(source) for source in with_eos])
        search = greedy_search if self._options.beam_size == 1 else beam_search
        return search(self._engine, source_ids, source_lengths, self._options)

    def _translation(self, parts: Sequence[Sequence[Hypothesis]]) -> Translation:
        """Join the hypotheses of the parts of a line to the best ones of the line."""
        best = [TranslatedHypothesis("", 0.0, 0.0)]
        for hypotheses in parts:
            continued = [
                _join(before, self._detokenize(hypothesis))
                for before in best
                for hypothesis in hypotheses
            ]
            best = heapq.nlargest(
                self._options.num_hypotheses, continued, key=lambda hypothesis: hypothesis.score
            )
        return Translation(best[0].text, best[0].score, tuple(best), num_parts=len(parts))

    def _detokenize(self, hypothesis: Hypothesis) -> TranslatedHypothesis:
        text = self._target_tokenizer.decode(hypothesis.token_ids)
        # A line must stay a line, whatever a tokenizer makes of tokens that are each allowed.
        text = _LINE_BREAK.sub(" ", text)
        return TranslatedHypothesis(text, hypothesis.log_prob, hypothesis.score)


def choose_device(wanted: str) -> str:
    """Return the name of a device that is there, for `auto` the fastest.

    Args:
        wanted: `auto`, `cuda`, `mps` or `cpu`.

    Raises:
        NMTError: There is no such device here.
    """
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    here = [name for name, is_available in available.items() if is_available]
    if wanted == "auto":
        return here[0]
    if wanted not in here:
        raise NMTError(
            f"device must be auto or one that is here ({', '.join(here)}), got {wanted!r}"
        )
    return wanted


def cut_points(pieces: Sequence[str], max_length: int) -> list[int]:
    """Say where to cut a long line, so that no part is longer than allowed.

    A part ends at the last end of a sentence within its reach; where there is none, before the last
    start of a word; where there is none either, between two characters.

    Args:
        pieces: The line as SentencePiece cuts it.
        max_length: The most pieces that a part may have, at least 1.

    Returns:
        The places of the pieces that start a new part, ascending; none for a short line.
    """
    cuts: list[int] = []
    start = 0
    while len(pieces) - start > max_length:
        start = _best_cut(pieces, start, start + max_length)
        cuts.append(start)
    return cuts


def _best_cut(pieces: Sequence[str], start: int, end: int) -> int:
    for is_good in (_follows_a_sentence, _starts_a_word, _starts_a_character):
        for cut in range(end, start, -1):
            if is_good(pieces, cut):
                return cut
    return end


def _follows_a_sentence(pieces: Sequence[str], cut: int) -> bool:
    # Punctuation that ends a sentence takes a few pieces at most.
    before = "".join(pieces[max(0, cut - 4) : cut])
    if _WIDE_SENTENCE_END.search(before):
        return True
    return _starts_a_word(pieces, cut) and _SENTENCE_END.search(before) is not None


def _starts_a_word(pieces: Sequence[str], cut: int) -> bool:
    return pieces[cut].startswith(_WORD_START)


def _starts_a_character(pieces: Sequence[str], cut: int) -> bool:
    return not _CHARACTER_CONTINUED.fullmatch(pieces[cut])


def _join(before: TranslatedHypothesis, after: TranslatedHypothesis) -> TranslatedHypothesis:
    return TranslatedHypothesis(
        text=" ".join(filter(None, (before.text, after.text))),
        log_prob=before.log_prob + after.log_prob,
        score=before.score + after.score,
    )
