"""What a search finds, and how it is read back from the steps that the search kept."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import pairwise

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

    def cpu(self) -> "Step":
        """Return the same step on the CPU."""
        return Step(*(getattr(self, field.name).cpu() for field in fields(self)))


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
    steps = [step.cpu() for step in steps]
    found = []
    for sentence, ends in enumerate(_ends(steps, len(source_lengths))):
        if not ends:
            raise FloatingPointError(
                f"sentence {sentence} of the batch has no hypothesis: "
                "the log-probabilities from the model are NaN or infinite, "
                "or the rules leave no token"
            )
        length = int(source_lengths[sentence])
        best = sorted(ends)[:num_hypotheses]
        found.append([_trace(steps[: last + 1], row, length) for _, last, row in best])
    return found


def _ends(steps: Sequence[Step], num_sentences: int) -> list[list[tuple[float, int, int]]]:
    """List where each sentence's hypotheses end, as (-score, step, row): the best sorts first."""
    ends: list[list[tuple[float, int, int]]] = [[] for _ in range(num_sentences)]
    for position, step in enumerate(steps):
        for row in step.ended.nonzero().squeeze(1).tolist():
            ends[int(step.sentences[row])].append((-float(step.scores[row]), position, row))
    return ends


def _trace(steps: Sequence[Step], row: int, source_length: int) -> Hypothesis:
    """Follow the parents of a row of the last step back to the first."""
    score, log_prob = float(steps[-1].scores[row]), float(steps[-1].log_probs[row])
    token_ids, log_probs, attention = [], [], []
    for step in reversed(steps):
        token_ids.append(int(step.token_ids[row]))
        log_probs.append(float(step.log_probs[row]))
        attention.append(step.attention[row, :source_length])
        row = int(step.parents[row])
    return Hypothesis(
        token_ids=tuple(reversed(token_ids[1:])),
        log_prob=log_prob,
        score=score,
        attention=torch.stack(attention[::-1]),
        token_log_probs=tuple(
            after - before for before, after in pairwise([0.0, *log_probs[::-1]])
        ),
    )
