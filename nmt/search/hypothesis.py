"""What a search finds, and how it is read back from the steps that the search kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One finished translation of one sentence, in tokens.

    Attributes:
        token_ids: The target tokens, without BOS and without EOS.
        log_prob: Natural log-probability of the tokens and of EOS after them.
        score: What hypotheses are ranked by: `log_prob` after the penalties and bonuses of the
            search options.
        attention: Where each target token looked, EOS being the last, (T, S), on the CPU; S counts
            the real tokens of this source alone.
        token_log_probs: What each target token adds to `log_prob`, EOS being the last.
    """

    token_ids: tuple[int, ...]
    log_prob: float
    score: float
    attention: Tensor
    token_log_probs: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """The candidates that a search kept at one target position, R of them.

    Attributes:
        sentences: The sentence of the batch that each belongs to, (R,), int64. Candidates of one
            sentence stand together, those in higher places of its beam first.
        parents: The row of the step before that each grew from, (R,), int64; without meaning at the
            first step.
        token_ids: Their last tokens, (R,), int64.
        log_probs: The log-probabilities of all their tokens, (R,).
        scores: What those that ended are ranked by, (R,).
        ended: True where EOS makes the candidate a hypothesis, (R,), bool.
        attention: The attention behind the last token, (R, S).
    """

    sentences: Tensor
    parents: Tensor
    token_ids: Tensor
    log_probs: Tensor
    scores: Tensor
    ended: Tensor
    attention: Tensor


def best_hypotheses(
    steps: Sequence[Step], source_lengths: Tensor, num_hypotheses: int
) -> list[list[Hypothesis]]:
    """Gather the best hypotheses of each sentence.

    Args:
        steps: All steps of one search, from the first on.
        source_lengths: Real tokens of each source, (B,), int64.
        num_hypotheses: How many to give for a sentence at most, at least 1.

    Returns:
        For each sentence its hypotheses, best score first; of equal scores the shorter first, of
        equal lengths the one that stood higher in the beam.

    Raises:
        FloatingPointError: A sentence has no hypothesis: the model gave NaN or infinity, or rules
            forbade all.
    """
    record = _Record(steps)
    found = []
    for sentence, ends in enumerate(record.ends(len(source_lengths))):
        if not ends:
            raise FloatingPointError(
                f"sentence {sentence} of the batch has no hypothesis: "
                "the log-probabilities from the model are NaN or infinite, "
                "or the rules leave no token"
            )
        length = int(source_lengths[sentence])
        best = sorted(ends)[:num_hypotheses]
        found.append([record.trace(-cost, last, row, length) for cost, last, row in best])
    return found


class _Record:
    """All steps of a search as lists: a number is read from a list sooner than from a tensor."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._parents = [step.parents.tolist() for step in steps]
        self._token_ids = [step.token_ids.tolist() for step in steps]
        self._log_probs = [step.log_probs.tolist() for step in steps]
        self._endings = [
            (
                step.ended.nonzero().squeeze(1).tolist(),
                step.sentences[step.ended].tolist(),
                step.scores[step.ended].tolist(),
            )
            for step in steps
        ]
        self._attention = torch.cat([step.attention for step in steps]).cpu()
        sizes = map(len, self._parents)
        self._first_rows = [0, *accumulate(sizes)]  # of each step, in the attention

    def ends(self, num_sentences: int) -> list[list[tuple[float, int, int]]]:
        """List where each sentence's hypotheses end, as (-score, step, row): best first."""
        ends: list[list[tuple[float, int, int]]] = [[] for _ in range(num_sentences)]
        for position, endings in enumerate(self._endings):
            for row, sentence, score in zip(*endings, strict=True):
                ends[sentence].append((-score, position, row))
        return ends

    def trace(self, score: float, last: int, row: int, source_length: int) -> Hypothesis:
        """Follow the parents of a row of the step `last` back to the first."""
        token_ids, log_probs, rows = [], [], []
        for step in range(last, -1, -1):
            token_ids.append(self._token_ids[step][row])
            log_probs.append(self._log_probs[step][row])
            rows.append(self._first_rows[step] + row)
            row = self._parents[step][row]
        return Hypothesis(
            token_ids=tuple(reversed(token_ids[1:])),
            log_prob=log_probs[0],
            score=score,
            attention=self._attention[rows[::-1], :source_length],
            token_log_probs=tuple(
                after - before for before, after in pairwise([0.0, *log_probs[::-1]])
            ),
        )
