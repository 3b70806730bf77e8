"""What can be asked of a translator beside what a recipe says."""

from __future__ import annotations

from dataclasses import dataclass

from nmt.recipe import DecodingRecipe
from nmt.risk import Utility
from nmt.search import SamplingOptions, SearchOptions
from nmt.tokenizer import Tokenizer


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """How many translations of a line are wanted, and how they are come by.

    Attributes:
        num_hypotheses: Translations wanted of each line, at least 1: no more than the beam is wide,
            or than are drawn.
        num_groups: In how many groups the beam is searched, a divisor of the beam size.
        diversity_penalty: See `SearchOptions`.
        preference_bonus: Likewise.
        sampling: Draw translations at random in this way instead of searching; None searches.
        utility: Choose, among all that were found or drawn, by minimum Bayes risk: the translation
            of which most of this score is expected; None takes the one with the best score, of
            those that were drawn the first.
    """

    num_hypotheses: int = 1
    num_groups: int = 1
    diversity_penalty: float = 0.0
    preference_bonus: float = 1.0
    sampling: SamplingOptions | None = None
    utility: Utility | None = None

    def num_rows(self, beam_size: int) -> int:
        """Return how many translations of a line are under way at once."""
        return beam_size if self.sampling is None else self.sampling.num_samples

    def __post_init__(self) -> None:
        if self.sampling and not 1 <= self.num_hypotheses <= self.sampling.num_samples:
            raise ValueError(
                f"num_hypotheses must be from 1 to num_samples ({self.sampling.num_samples}), "
                f"got {self.num_hypotheses}"
            )


def search_options(
    decoding: DecodingRecipe, request: Request, tokenizer: Tokenizer
) -> SearchOptions:
    """Put together what the search is told.

    Args:
        decoding: How translations are searched for.
        request: What is asked for beside.
        tokenizer: Of the target; what is no text of a line is never generated.

    Raises:
        ValueError: A value is outside its range.
    """
    num_hypotheses = request.num_hypotheses
    if request.sampling:  # each sample is a search of its own
        num_hypotheses = 1
    elif request.utility:  # all that is found is chosen from
        num_hypotheses = max(num_hypotheses, decoding.beam_size)
    return SearchOptions(
        beam_size=decoding.beam_size,
        num_hypotheses=num_hypotheses,
        length_penalty=decoding.length_penalty,
        max_length_ratio=decoding.max_length_ratio,
        max_target_length=decoding.max_target_length,
        bos_id=tokenizer.bos_id,
        eos_id=tokenizer.eos_id,
        banned_ids=banned_ids(tokenizer),
        normalization=decoding.normalization,
        coverage_penalty=decoding.coverage_penalty,
        min_length_ratio=decoding.min_length_ratio,
        min_target_length=decoding.min_target_length,
        no_repeat_ngram_size=decoding.no_repeat_ngram_size,
        num_groups=request.num_groups,
        diversity_penalty=request.diversity_penalty,
        preference_bonus=request.preference_bonus,
    )


def banned_ids(tokenizer: Tokenizer) -> tuple[int, ...]:
    """Return the tokens that are no text of a line, EOS aside."""
    return (tokenizer.pad_id, tokenizer.unk_id, tokenizer.bos_id, *tokenizer.line_break_ids)
