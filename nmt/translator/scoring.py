"""Given translations: how likely a model holds them, and which words it takes for which."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from nmt.engine import Average, ForcedTarget, force_targets
from nmt.recipe import DecodingRecipe
from nmt.search import Hypothesis
from nmt.search.penalties import coverage_penalties, length_penalties
from nmt.translator.decoding import Request, search_options
from nmt.translator.loading import Loaded, Runs, load
from nmt.translator.parts import source_batch
from nmt.translator.results import NOTHING, Background, TranslatedHypothesis, TranslatedPart

# Pairs are sorted by length among so many batches.
_BATCHES_PER_WINDOW = 16


class Scorer:
    """Scores pairs of lines with a trained model; no line is cut, however long."""

    def __init__(
        self, loaded: Loaded, decoding: DecodingRecipe, *, target_lang: str | None = None
    ) -> None:
        """Put the parts together; `Scorer.load` takes them from a run folder.

        Args:
            loaded: Tokenizers and engine.
            decoding: Makes a log-probability a score; and how many pairs are read at once.
            target_lang: As for `Translator.load`.

        Raises:
            ValueError: A value is outside its range.
        """
        if decoding.batch_size < 1:
            raise ValueError(f"batch_size must be >= 1, got {decoding.batch_size}")
        self._tag_ids = list(loaded.tag_ids(target_lang))
        self._source_tokenizer, self._target_tokenizer = loaded.tokenizers
        self._engine = loaded.engine
        self._batch_size = decoding.batch_size
        self._options = search_options(decoding, Request(), self._target_tokenizer)
        self._background = Background(
            *loaded.tokenizers,
            loaded.engine.has_attention,
            loaded.confidence_model,
            num_tags=len(self._tag_ids),
        )

    @classmethod
    def load(
        cls,
        runs: Runs,
        *,
        device: str = "cpu",
        average: Average = "linear",
        batch_size: int | None = None,
        target_lang: str | None = None,
    ) -> Scorer:
        """Read a scorer from a run folder, or from several as an ensemble.

        Args:
            runs: The run folder or folders.
            device: As for `Translator.load`.
            average: Likewise.
            batch_size: Pairs scored at once; None is what the run's recipe says.
            target_lang: As for `Translator.load`.

        Raises:
            NMTError: A run folder cannot be used, or there is no such device.
        """
        loaded = load(runs, device=device, average=average)
        decoding = loaded.recipe.decoding.changed(batch_size=batch_size)
        return cls(loaded, decoding, target_lang=target_lang)

    @property
    def has_attention(self) -> bool:
        """Whether what is scored has an alignment."""
        return self._background.has_attention

    @property
    def has_confidence(self) -> bool:
        """Whether what is scored has a confidence."""
        return self._background.confidence_model is not None

    def score(self, pairs: Iterable[tuple[str, str]]) -> Iterator[TranslatedHypothesis]:
        """Score pairs of a line and its translation as they come.

        Args:
            pairs: Each a line and its translation; either may be blank. Where both are, there is
                nothing to score: 0 of no tokens.

        Yields:
            Each translation with its log-probability, and the score that a search would rank it by.
        """
        stream = iter(pairs)
        while window := list(islice(stream, self._batch_size * _BATCHES_PER_WINDOW)):
            yield from self._score_window(window)

    def _score_window(self, pairs: Sequence[tuple[str, str]]) -> list[TranslatedHypothesis]:
        sources = self._source_tokenizer.encode_batch([source for source, _ in pairs])
        targets = self._target_tokenizer.encode_batch([target for _, target in pairs])
        order = sorted(
            (place for place in range(len(pairs)) if sources[place] or targets[place]),
            key=lambda place: (len(sources[place]), len(targets[place])),
            reverse=True,
        )
        tagged = [[*self._tag_ids, *source] for source in sources]
        scored: dict[int, TranslatedHypothesis] = {}
        for start in range(0, len(order), self._batch_size):
            places = order[start : start + self._batch_size]
            forced = self._force(
                [tagged[place] for place in places], [targets[place] for place in places]
            )
            for place, one in zip(places, forced, strict=True):
                scored[place] = self._result(
                    pairs[place][1], tagged[place], tuple(targets[place]), one
                )
        return [scored.get(place, NOTHING) for place in range(len(pairs))]

    def _force(
        self, sources: Sequence[list[int]], targets: Sequence[list[int]]
    ) -> list[ForcedTarget]:
        source_ids, source_lengths = source_batch(sources)
        bos_id, eos_id = self._target_tokenizer.bos_id, self._target_tokenizer.eos_id
        return force_targets(
            self._engine, source_ids, source_lengths, targets, bos_id=bos_id, eos_id=eos_id
        )

    def _result(
        self, text: str, source: Sequence[int], target: tuple[int, ...], forced: ForcedTarget
    ) -> TranslatedHypothesis:
        length = len(forced.token_log_probs)
        score = forced.log_prob / float(length_penalties(self._options, length)[length])
        if self._options.coverage_penalty:
            coverage = forced.attention.sum(dim=0, keepdim=True)  # (1, S)
            score += float(coverage_penalties(coverage, self._options.coverage_penalty))
        hypothesis = Hypothesis(
            target, forced.log_prob, score, forced.attention, forced.token_log_probs
        )
        part = TranslatedPart(source, hypothesis, self._background)
        return TranslatedHypothesis(text, forced.log_prob, score, forced.token_log_probs, (part,))
