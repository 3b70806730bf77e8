"""Preferred phrases: a bonus for what a hypothesis holds of them."""

from collections.abc import Sequence

import torch
from torch import Tensor

from nmt.search.demands import Demands
from nmt.search.phrases import NO_TOKEN, Phrases, alphabets


class Preferred:
    """The preferred phrases of the sentences of a batch.

    A hypothesis gets the bonus for every token of a phrase that it holds, and a living beam for
    every token of a phrase that it has begun, until a wrong token takes that back.

    Attributes:
        phrases: The preferred phrases of each sentence.
        most: The most bonus that a hypothesis of each sentence can get, (B,).
    """

    def __init__(self, demands: Sequence[Demands], bonus: float, device: torch.device) -> None:
        """Take the demands of each sentence and the bonus for one token, at least 0."""
        preferred = [tuple(dict.fromkeys(one.preferred)) for one in demands]
        self._bonus = bonus
        self.phrases = Phrases.of(preferred, device)
        self._token_ids = alphabets(preferred, device)
        self.most = self._bonuses(self.phrases.lengths)

    def bonuses(self, sentences: Tensor, progress: Tensor) -> Tensor:
        """Tell the bonus of hypotheses that end here, (R,); what is only begun counts nothing."""
        return self._bonuses(self.phrases.select(sentences).without_match(progress))

    def add_bonuses(self, log_probs: Tensor, sentences: Tensor, progress: Tensor) -> Tensor:
        """Return what candidates are ranked by.

        Args:
            log_probs: Of each row with each next token, (R, V).
            sentences: The sentence of each row, (R,), int64.
            progress: Before the next token, (R, P), int64.

        Returns:
            The log-probabilities with the bonuses after the next token, (R, V).
        """
        phrases, token_ids = self.phrases.select(sentences), self._token_ids[sentences]
        after = self._bonuses(phrases.advance(progress, token_ids))  # (R, I)
        ranked = log_probs + self._bonuses(phrases.without_match(progress)).unsqueeze(1)
        rows, columns = (token_ids != NO_TOKEN).nonzero(as_tuple=True)
        tokens = token_ids[rows, columns]
        ranked[rows, tokens] = log_probs[rows, tokens] + after[rows, columns]
        return ranked

    def _bonuses(self, progress: Tensor) -> Tensor:
        """Return the bonus of a progress, (R, P, ...), summed over the phrases, (R, ...)."""
        return self._bonus * progress.sum(dim=1).float()
