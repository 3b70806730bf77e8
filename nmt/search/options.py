"""What a search is asked for: its breadth, its lengths, its penalties. Knows no sentence."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

# A short source may need more tokens than any sensible ratio of its length allows.
EXTRA_LENGTH = 10

Normalization = Literal["wu", "plain"]
NORMALIZATIONS: tuple[Normalization, ...] = ("wu", "plain")


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchOptions:
    """How to search for the best translations.

    Attributes:
        beam_size: Partial hypotheses kept for each sentence, at least 1.
        num_hypotheses: Hypotheses returned for each sentence, from 1 to `beam_size`.
        length_penalty: α, at least 0: how much longer hypotheses are favoured; 0 is not at all.
        max_length_ratio: Tokens that a hypothesis may have for each token of its source, above 0.
        max_target_length: Tokens that any hypothesis may have, EOS included, at least 1.
        bos_id: What every target starts with.
        eos_id: What every target ends with.
        banned_ids: Tokens that are never generated.
        normalization: How α makes the length penalty that a log-probability is divided by, where
            the length counts EOS: `wu` is ((5 + length) / 6)^α (Wu et al. 2016, eq. 14), `plain` is
            length^α, which with α = 1 makes the score the mean of a token.
        coverage_penalty: β of Wu et al. 2016, eq. 14, at least 0: how much it costs where source
            tokens are looked at too little; 0 is nothing.
        min_length_ratio: Tokens that a hypothesis must have for each token of its source, at least
            0; both count EOS.
        min_target_length: Tokens that any hypothesis must have, EOS included, at least 1.
        no_repeat_ngram_size: So many tokens never follow each other twice in a hypothesis, at least
            1; None lets them. Paulus et al. (2018) take 3. Tokens of a forced prefix and of
            required phrases are let through.
        num_groups: G of Vijayakumar et al. 2018: in how many groups the beam is searched, a divisor
            of `beam_size`; 1 is the plain beam search.
        diversity_penalty: λ of the same: what it costs a group, in log-probability, to choose a
            token that an earlier group chose at the same position, once for each beam that chose
            it, at least 0.
        preference_bonus: What each token of a preferred phrase adds to what hypotheses are ranked
            by, in log-probability, at least 0.

    Raises:
        ValueError: A value is outside its range.
    """

    beam_size: int
    num_hypotheses: int
    length_penalty: float
    max_length_ratio: float
    max_target_length: int
    bos_id: int
    eos_id: int
    banned_ids: tuple[int, ...] = ()
    normalization: Normalization = "wu"
    coverage_penalty: float = 0.0
    min_length_ratio: float = 0.0
    min_target_length: int = 1
    no_repeat_ngram_size: int | None = None
    num_groups: int = 1
    diversity_penalty: float = 0.0
    preference_bonus: float = 1.0

    def __post_init__(self) -> None:
        _check_at_least_one("beam_size", self.beam_size)
        if not 1 <= self.num_hypotheses <= self.beam_size:
            raise ValueError(
                f"num_hypotheses must be from 1 to beam_size ({self.beam_size}), "
                f"got {self.num_hypotheses}"
            )
        if self.normalization not in NORMALIZATIONS:
            raise ValueError(
                f"normalization must be one of {', '.join(NORMALIZATIONS)}, "
                f"got {self.normalization!r}"
            )
        for name in (
            "length_penalty",
            "coverage_penalty",
            "min_length_ratio",
            "diversity_penalty",
            "preference_bonus",
        ):
            _check_not_negative(name, getattr(self, name))
        # Written so that NaN fails too.
        if not 0 < self.max_length_ratio < float("inf"):
            raise ValueError(f"max_length_ratio must be > 0, got {self.max_length_ratio}")
        _check_at_least_one("max_target_length", self.max_target_length)
        _check_at_least_one("min_target_length", self.min_target_length)
        if self.no_repeat_ngram_size is not None:
            _check_at_least_one("no_repeat_ngram_size", self.no_repeat_ngram_size)
        if self.num_groups < 1 or self.beam_size % self.num_groups:
            raise ValueError(
                f"num_groups must divide beam_size ({self.beam_size}), got {self.num_groups}"
            )
        if self.eos_id in self.banned_ids:
            raise ValueError(f"banned_ids must not hold eos_id ({self.eos_id})")

    @property
    def group_size(self) -> int:
        """Partial hypotheses kept for each group of a sentence."""
        return self.beam_size // self.num_groups

    @property
    def hypotheses_per_group(self) -> int:
        """Hypotheses that each group looks for."""
        return min(self.num_hypotheses, self.group_size)

    def max_lengths(self, source_lengths: Tensor) -> Tensor:
        """Tell how many tokens a hypothesis of each sentence may have, EOS included.

        It is ceil(`max_length_ratio` · source length) + 10, and never more than
        `max_target_length`. A hypothesis that gets there is ended with EOS, whose log-probability
        counts as at any other place.

        Args:
            source_lengths: Tokens of each source, (B,), int64.

        Returns:
            The limits, (B,), int64.
        """
        allowed = torch.ceil(source_lengths * self.max_length_ratio).long() + EXTRA_LENGTH
        return allowed.clamp(max=self.max_target_length)

    def min_lengths(self, source_lengths: Tensor) -> Tensor:
        """Tell how many tokens a hypothesis of each sentence must have, EOS included.

        It is ceil(`min_length_ratio` · source length), at least `min_target_length`, and never more
        than the hypothesis may have.

        Args:
            source_lengths: Tokens of each source, (B,), int64.

        Returns:
            The minima, (B,), int64.
        """
        wanted = torch.ceil(source_lengths * self.min_length_ratio).long()
        return wanted.clamp(min=self.min_target_length).minimum(self.max_lengths(source_lengths))


@dataclass(frozen=True, kw_only=True, slots=True)
class SamplingOptions:
    """How to draw translations at random.

    Attributes:
        num_samples: How many to draw for each sentence, at least 1.
        seed: Other seeds draw other translations, at least 0.
        temperature: What log-probabilities are divided by before drawing, above 0: 1 draws as the
            model says, less makes likely tokens likelier.
        top_k: Draw among so many most probable tokens only (Fan et al. 2018), at least 1; None
            among all.
        top_p: Draw among the fewest most probable tokens whose probabilities sum to this at least
            (the nucleus of Holtzman et al. 2020), after `temperature` and `top_k`, above 0 and at
            most 1; None among all.

    Raises:
        ValueError: A value is outside its range.
    """

    num_samples: int = 1
    seed: int = 0
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None

    def __post_init__(self) -> None:
        _check_at_least_one("num_samples", self.num_samples)
        if self.seed < 0:
            raise ValueError(f"seed must be >= 0, got {self.seed}")
        if not 0 < self.temperature < float("inf"):
            raise ValueError(f"temperature must be > 0, got {self.temperature}")
        if self.top_k is not None:
            _check_at_least_one("top_k", self.top_k)
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError(f"top_p must be in (0, 1], got {self.top_p}")


def _check_at_least_one(name: str, value: int) -> None:
    if value < 1:
        raise ValueError(f"{name} must be >= 1, got {value}")


def _check_not_negative(name: str, value: float) -> None:
    # Written so that NaN fails too.
    if not 0 <= value < float("inf"):
        raise ValueError(f"{name} must be >= 0, got {value}")
