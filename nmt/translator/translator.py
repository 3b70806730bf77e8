"""The translator: lines in, translations out, as many and in the same order."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import repeat

from nmt.bleu import tokenizer_for
from nmt.confidence import ConfidenceModel
from nmt.engine import Average, Engine
from nmt.errors import DataError, NMTError
from nmt.placeholders import Kept
from nmt.recipe import DecodingRecipe, Recipe
from nmt.risk import rank_candidates, weights_of
from nmt.search import Hypothesis
from nmt.shortlist import Shortlist
from nmt.tokenizer import Tokenizer
from nmt.translator.cutting import target_gap
from nmt.translator.decoding import Request, search_options
from nmt.translator.demands import Demander, PartDemands
from nmt.translator.keeping import Keeper
from nmt.translator.limiting import shortlisted
from nmt.translator.loading import Loaded, Runs, first_recipe, load
from nmt.translator.marks import Mark, length_mark
from nmt.translator.parts import Found, LineSearch, Part
from nmt.translator.results import (
    NOTHING,
    Background,
    TranslatedHypothesis,
    TranslatedPart,
    Translation,
    best_choices,
    join,
)
from nmt.translator.segments import Segmenter
from nmt.translator.wishes import Wishes

# Lines are sorted by length among so many batches: enough that sentences of a batch are alike.
_BATCHES_PER_WINDOW = 16
# Lines of a window have no more characters than these, the last one aside.
WINDOW_CHARACTERS = 1 << 20

_LINE_BREAK = re.compile(r"[\n\r]+")


class Translator:
    """Translates lines of text with a trained model."""

    def __init__(
        self,
        source_tokenizer: Tokenizer,
        target_tokenizer: Tokenizer,
        engine: Engine,
        decoding: DecodingRecipe,
        *,
        request: Request | None = None,
        wishes: Wishes | None = None,
        confidence_model: ConfidenceModel | None = None,
        shortlist: Shortlist | None = None,
        bleu_tokenizer: str = "13a",
        tag_ids: Sequence[int] = (),
        languages: tuple[str, str] = ("", ""),
    ) -> None:
        """Put the parts together; `Translator.load` takes them from a run folder.

        Args:
            source_tokenizer: Of the language to translate from.
            target_tokenizer: Of the language to translate into.
            engine: The model.
            decoding: How translations are searched for.
            request: How many are wanted and how they are come by; None is the best one, by search.
            wishes: What they shall hold and what not; None is nothing.
            confidence_model: Tells how good a translation may be expected to be.
            shortlist: The target tokens to search over, for a `FoldedEngine`; None is all.
            bleu_tokenizer: What BLEU counts as words where it is the utility.
            tag_ids: What stands before every source: which language is asked for.
            languages: The codes of source and target: how sentences end, and what stands between.

        Raises:
            NMTError: The beam is wider than the vocabulary, what is asked for needs attention and
                the model has none, or wishes cannot be met.
            ValueError: A value is outside its range.
        """
        self._request = request or Request()
        self._options = search_options(decoding, self._request, target_tokenizer)
        _check_engine(engine, target_tokenizer, decoding)
        self._source_tokenizer = source_tokenizer
        self._target_tokenizer = target_tokenizer
        self._max_source_length = decoding.max_source_length
        self._batch_size = decoding.batch_size
        self._bleu_tokenizer = bleu_tokenizer
        self._languages = languages
        self._segmenter = Segmenter(source_tokenizer, languages[0], decoding)
        tokenizers, has_attention = (source_tokenizer, target_tokenizer), engine.has_attention
        self._background = Background(*tokenizers, has_attention, confidence_model, len(tag_ids))
        self._tag_ids = list(tag_ids)
        self._keeper = Keeper(tokenizers, has_attention, decoding.protect_numbers)
        self._has_wishes = bool(wishes and (wishes.terms or wishes.avoided))
        self._demander = Demander(wishes or Wishes(), tokenizers, self._options)
        self._search = LineSearch(
            engine if shortlist is None else shortlisted(engine, shortlist, decoding.beam_size),
            self._options,
            self._request.sampling,
            self._demander,
            keep_repeats=decoding.keep_repeats,
        )

    @classmethod
    def load(
        cls,
        run: Runs,
        *,
        device: str = "cpu",
        beam_size: int | None = None,
        length_penalty: float | None = None,
        batch_size: int | None = None,
        split_sentences: bool | None = None,
        num_hypotheses: int = 1,
        average: Average = "linear",
        int8: bool = False,
        shortlist: bool = False,
        decoding: DecodingRecipe | None = None,
        request: Request | None = None,
        wishes: Wishes | None = None,
        target_lang: str | None = None,
    ) -> Translator:
        """Read a translator from a run folder, or from several as an ensemble.

        Args:
            run: Run folders, exported files or names on the hub, `hub:owner/name`; one or several.
            device: Where to compute: `cpu`, `cuda`, `mps`, or `auto` for the fastest there is.
            beam_size: In the place of what `decoding` says, as are the next three; None leaves it.
            length_penalty: How much longer translations are favoured, at least 0.
            batch_size: Sentences translated at once, at least 1.
            split_sentences: Translate each sentence of a line by itself.
            num_hypotheses: Translations wanted of each line, from 1 to `beam_size`.
            average: How an ensemble's probabilities become one, `linear` or `log`.
            int8: Round the weights to 8 bits: faster, a little less exact.
            shortlist: Search over the run's shortlist of target tokens: likewise.
            decoding: How translations are searched for; None is as in the first run's recipe.
            request: How many are wanted and how they are come by, in the place of `num_hypotheses`.
            wishes: What they shall hold and what not.
            target_lang: The language to translate into; None is the recipe's.

        Raises:
            NMTError: A run cannot be used, there is no such device, or it cannot do what is asked.
            ValueError: A value is outside its range.
        """
        asked = request or Request(num_hypotheses=num_hypotheses)
        how = (decoding or first_recipe(run).decoding).changed(
            beam_size=beam_size,
            length_penalty=length_penalty,
            batch_size=batch_size,
            split_sentences=split_sentences,
        )
        fast = {"int8": int8, "shortlist": shortlist, "one_row": asked.num_rows(how.beam_size) == 1}
        loaded = load(run, device=device, average=average, **fast)
        return cls._of(loaded, how, asked, wishes, target_lang)

    @classmethod
    def _of(
        cls,
        loaded: Loaded,
        decoding: DecodingRecipe,
        request: Request,
        wishes: Wishes | None,
        target_lang: str | None,
    ) -> Translator:
        return cls(
            *loaded.tokenizers,
            loaded.engine,
            decoding,
            request=request,
            wishes=wishes,
            confidence_model=loaded.confidence_model,
            shortlist=loaded.shortlist,
            bleu_tokenizer=_bleu_tokenizer(loaded.recipe, request, target_lang),
            tag_ids=loaded.tag_ids(target_lang),
            languages=(
                loaded.recipe.data.direction[0],
                target_lang or loaded.recipe.data.direction[1],
            ),
        )

    @property
    def max_source_length(self) -> int:
        """Longest line, in tokens, that is translated as one."""
        return self._max_source_length

    @property
    def window_size(self) -> int:
        """How many lines are read before the first of them is translated."""
        return self._batch_size * _BATCHES_PER_WINDOW

    @property
    def batch_size(self) -> int:
        """How many lines, or parts of them, are translated at once."""
        return self._batch_size

    @property
    def background(self) -> Background:
        """What its translations need to tell more of themselves."""
        return self._background

    @property
    def has_attention(self) -> bool:
        """Whether translations have an alignment."""
        return self._background.has_attention

    @property
    def has_confidence(self) -> bool:
        """Whether translations have a confidence."""
        return self._background.confidence_model is not None

    def translate(self, lines: Iterable[str]) -> list[str]:
        """Translate lines of text.

        Args:
            lines: The lines; a line end behind them is no part of them.

        Returns:
            One translation for each line, in order; an empty one for a blank line.
        """
        return [translation.text for translation in self.translate_detailed(lines)]

    def translate_detailed(
        self,
        lines: Iterable[str],
        *,
        prefixes: Iterable[str] | None = None,
        numbers: range | None = None,
    ) -> Iterator[Translation]:
        """Translate lines of text as they come, see `translate`; with scores and alternatives.

        A stream may be endless: `window_size` lines are read at a time.

        Args:
            lines: The lines.
            prefixes: For each line what its translation starts with, blank where that is open; the
                last word of it may go on. That of a line in parts is the first part's.
            numbers: Those of the lines in complaints, as long as there are lines; None counts
                from 1.

        Raises:
            DataError: What is asked of a line cannot be, or there are not as many prefixes as
                lines; the lines before it are given out first.
        """
        if isinstance(lines, str):
            raise TypeError(f"lines must be a list of lines or the like, got one string: {lines!r}")
        numbers = range(1, sys.maxsize) if numbers is None else numbers
        bare = _bare(lines, numbers)
        pairs = zip(bare, repeat("")) if prefixes is None else _paired(bare, prefixes, numbers)
        return self._translate_windows(pairs, numbers)

    def _translate_windows(
        self, pairs: Iterator[tuple[str, str]], numbers: range
    ) -> Iterator[Translation]:
        refusal: DataError | None = None
        num_before = 0
        while not refusal:
            window, refusal = _read_window(pairs, self.window_size)
            if not window and not refusal:
                return
            kept = [self._keeper.keep(line) for line, _ in window]
            encoded = self._source_tokenizer.encode_batch([one.text for one in kept])
            lines_in_parts: list[list[Part]] = []
            for one, (_, prefix), token_ids in zip(kept, window, encoded, strict=True):
                try:
                    lines_in_parts.append(self._parts(one, prefix, token_ids))
                except DataError as error:
                    refusal = DataError(
                        f"line {numbers[num_before + len(lines_in_parts)]}: {error}"
                    )
                    break
            every = [part for parts in lines_in_parts for part in parts]
            found = iter(self._search.find(every, batch_size=self._batch_size))
            for parts in lines_in_parts:
                yield self._translation([(part, next(found)) for part in parts])
            num_before += len(window)
        raise refusal

    def _parts(self, kept: Kept, prefix: str, token_ids: list[int]) -> list[Part]:
        """Cut a line into what can be translated; a blank one into nothing."""
        has_prefix = bool(prefix.strip())
        if not token_ids:
            if has_prefix:
                raise DataError(f"a blank line must have a blank prefix, got {prefix!r}")
            return []
        segments = self._segmenter.segments(kept.text, token_ids)
        bare = [segment.token_ids for segment in segments]
        asked: Sequence[PartDemands | None] = [None] * len(bare)
        if self._has_wishes or has_prefix:
            asked = self._asked(kept.text, bare, prefix)
        return [
            Part([*self._tag_ids, *segment.token_ids], one, segment, kept)
            for one, segment in zip(asked, segments, strict=True)
        ]

    def _asked(
        self, line: str, bare: Sequence[Sequence[int]], prefix: str
    ) -> Sequence[PartDemands]:
        """Tell what is asked of each part of a line, and see that there is room for it."""
        asked = self._demander.demands(line, bare, prefix)
        for part, one in zip(bare, asked, strict=True):
            self._demander.check_room(len(self._tag_ids) + len(part) + 1, one)
        return asked

    def _translation(self, found: Sequence[tuple[Part, Found]]) -> Translation:
        """Join the hypotheses of the parts of a line to the best ones of the line."""
        parts = [
            [self._detokenize(part, hypothesis) for hypothesis in one.hypotheses]
            for part, one in found
        ]
        if not found:
            return Translation(NOTHING.text, NOTHING.score, (NOTHING,), num_parts=0)
        joined = self._join_samples(parts) if self._request.sampling else self._join_best(parts)
        if self._request.utility:
            joined = self._by_expected_utility(joined)
        best = tuple(joined[: self._request.num_hypotheses])
        return Translation(
            best[0].text, best[0].score, best, len(parts), self._marks(found, best[0])
        )

    def _marks(
        self, found: Sequence[tuple[Part, Found]], best: TranslatedHypothesis
    ) -> tuple[Mark, ...]:
        """Tell what looks wrong with the best translation of a line."""
        marks: set[Mark | None] = {
            length_mark(len(part.hypothesis.token_ids) + 1, len(part.source_ids) + 1, self._options)
            for part in best.parts
        }
        if any(part.segment.is_cut for part, _ in found):
            marks.add("cut")
        if any(part.kept.num_left for part, _ in found):
            marks.add("unprotected")
        if any(part.has_lost for part in best.parts):
            marks.add("lost")
        if any(one.has_repeats for _, one in found):
            marks.add("repeats")
        return tuple(sorted(mark for mark in marks if mark is not None))

    def _join_best(
        self, parts: Sequence[Sequence[TranslatedHypothesis]]
    ) -> list[TranslatedHypothesis]:
        """Return the best ways to put hypotheses of all parts together, best first."""
        scores = [[hypothesis.score for hypothesis in hypotheses] for hypotheses in parts]
        return [
            join([of_part[choice] for of_part, choice in zip(parts, choices, strict=True)])
            for choices in best_choices(scores, self._options.num_hypotheses)
        ]

    @staticmethod
    def _join_samples(
        parts: Sequence[Sequence[TranslatedHypothesis]],
    ) -> list[TranslatedHypothesis]:
        """Put the first samples of all parts together, the second ones, and so on."""
        return [join(of_line) for of_line in zip(*parts, strict=True)]

    def _by_expected_utility(
        self, candidates: Sequence[TranslatedHypothesis]
    ) -> list[TranslatedHypothesis]:
        """Rank candidates anew by minimum Bayes risk; equal texts become one."""
        utility = self._request.utility
        assert utility is not None
        weights = None
        if not self._request.sampling:
            weights = [weights_of([candidate.log_prob for candidate in candidates])]
        [ranking] = rank_candidates(
            [[candidate.text for candidate in candidates]],
            weights=weights,
            utility=utility,
            bleu_tokenizer=self._bleu_tokenizer,
        )
        return [
            replace(candidates[place], score=ranking.expected_utilities[place])
            for place in ranking.order
        ]

    def _detokenize(self, part: Part, hypothesis: Hypothesis) -> TranslatedHypothesis:
        text, has_lost = self._keeper.restore(hypothesis, part.source_ids, part.kept)
        # A line must stay a line, whatever a tokenizer makes of tokens that are each allowed.
        text = _LINE_BREAK.sub(" ", text)
        return TranslatedHypothesis(
            text,
            hypothesis.log_prob,
            hypothesis.score,
            hypothesis.token_log_probs,
            (
                TranslatedPart(
                    part.source_ids,
                    hypothesis,
                    self._background,
                    source_gap=part.segment.gap,
                    gap=target_gap(part.segment.gap, self._languages),
                    has_lost=has_lost,
                ),
            ),
        )


def _bare(lines: Iterable[str], numbers: range) -> Iterator[str]:
    """Yield lines without the ends that an open file gives with them.

    Raises:
        DataError: A line is no text.
    """
    for place, line in enumerate(lines):
        try:
            line.encode()
        except UnicodeEncodeError as error:
            raise DataError(
                f"line {numbers[place]} must be text that UTF-8 can hold, got "
                f"{line[error.start]!r} as its character {error.start + 1}"
            ) from error
        yield line.removesuffix("\n").removesuffix("\r")


def _paired(
    lines: Iterable[str], prefixes: Iterable[str], numbers: range
) -> Iterator[tuple[str, str]]:
    """Yield each line with its prefix.

    Raises:
        DataError: There are more of the one than of the other.
    """
    rest = iter(prefixes)
    count = 0
    for line in lines:
        prefix = next(rest, None)
        if prefix is None:
            raise DataError(
                f"line {numbers[count]} must have a prefix, perhaps a blank one, got none"
            )
        yield line, prefix
        count += 1
    if next(rest, None) is not None:
        raise DataError(f"prefixes must be as many as the {count} lines, got more")


def _read_window(
    pairs: Iterator[tuple[str, str]], size: int
) -> tuple[list[tuple[str, str]], DataError | None]:
    """Return the next pairs, `size` at most, and what went wrong behind the last of them."""
    window: list[tuple[str, str]] = []
    num_characters = 0
    try:
        while len(window) < size and num_characters < WINDOW_CHARACTERS:
            pair = next(pairs, None)
            if pair is None:
                break
            window.append(pair)  # one by one: what came before an error is kept
            num_characters += len(pair[0])
    except DataError as error:
        return window, error
    return window, None


def _bleu_tokenizer(recipe: Recipe, request: Request, target_lang: str | None) -> str:
    """Return what tells the words of BLEU as a utility: the same as in the run's evaluation."""
    if request.utility != "BLEU":
        return "13a"
    asked = recipe.evaluation.bleu_tokenizer
    return tokenizer_for(target_lang or recipe.data.direction[1]) if asked is None else asked


def _check_engine(engine: Engine, tokenizer: Tokenizer, decoding: DecodingRecipe) -> None:
    """See that a model can be searched as asked.

    Raises:
        NMTError: It cannot.
        ValueError: A size is below 1.
    """
    for name in ("max_source_length", "batch_size"):
        if getattr(decoding, name) < 1:
            raise ValueError(f"{name} must be >= 1, got {getattr(decoding, name)}")
    if decoding.beam_size > tokenizer.vocab_size:
        raise NMTError(
            f"beam_size must be <= {tokenizer.vocab_size}, the pieces of the target tokenizer, "
            f"got {decoding.beam_size}"
        )
    if decoding.coverage_penalty and not engine.has_attention:
        raise NMTError(
            f"coverage_penalty must be 0 for a model without attention, "
            f"got {decoding.coverage_penalty}"
        )
