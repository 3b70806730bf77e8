"""What a search is asked for, and what follows from it for lengths: the limit and the penalty."""

from dataclasses import dataclass

import torch
from torch import Tensor

# A short source may need more tokens than any sensible ratio of its length allows.
EXTRA_LENGTH = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchOptions:
    """How to search for the best translations.

    Attributes:
        beam_size: Partial hypotheses kept for each sentence, at least 1.
        num_hypotheses: Hypotheses returned for each sentence, from 1 to `beam_size`.
        length_penalty: α of Wu et al. 2016, at least 0; the score of a hypothesis is its
            log-probability divided by ((5 + length) / 6)^α. The length counts EOS.
        max_length_ratio: Tokens that a hypothesis may have for each token of its source, above 0.
        max_target_length: Tokens that any hypothesis may have, EOS included, at least 1.
        bos_id: What every target starts with.
        eos_id: What every target ends with.
        banned_ids: Tokens that are never generated.

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

    def __post_init__(self) -> None:
        if self.beam_size < 1:
            raise ValueError(f"beam_size must be >= 1, got {self.beam_size}")
        if not 1 <= self.num_hypotheses <= self.beam_size:
            raise ValueError(
                f"num_hypotheses must be from 1 to beam_size ({self.beam_size}), "
                f"got {self.num_hypotheses}"
            )
        # Written so that NaN fails too.
        if not 0 <= self.length_penalty < float("inf"):
            raise ValueError(f"length_penalty must be >= 0, got {self.length_penalty}")
        if not 0 < self.max_length_ratio < float("inf"):
            raise ValueError(f"max_length_ratio must be > 0, got {self.max_length_ratio}")
        if self.max_target_length < 1:
            raise ValueError(f"max_target_length must be >= 1, got {self.max_target_length}")
        if self.eos_id in self.banned_ids:
            raise ValueError(f"banned_ids must not hold eos_id ({self.eos_id})")

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

    def penalties(self, max_length: int) -> Tensor:
        """Tell what the log-probability of a hypothesis is divided by.

        It is lp(length) = ((5 + length) / 6)^α of Wu et al. 2016, where the length counts EOS.

        Args:
            max_length: The greatest length asked for.

        Returns:
            The penalty of each length from 0 on, (max_length + 1,).
        """
        # In double precision, so that a length has one penalty however many others are asked for.
        lengths = torch.arange(max_length + 1, dtype=torch.double)
        return (((5 + lengths) / 6) ** self.length_penalty).float()
