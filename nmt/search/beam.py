"""Beam search over all sentences and beams of a batch at once."""

from dataclasses import dataclass, fields, replace
from itertools import count

import torch
from torch import Tensor

from nmt.engine import Engine
from nmt.search.candidates import IMPOSSIBLE, best_next_tokens, highest
from nmt.search.hypothesis import Hypothesis, Step, best_hypotheses
from nmt.search.options import SearchOptions


@dataclass(frozen=True, slots=True)
class _Beams:
    """The N sentences under search, W beams each: one at first, `beam_size` as soon as can be.

    Attributes:
        sentences: Their places in the batch, (N,), int64.
        max_lengths: How many tokens their hypotheses may have, (N,), int64.
        finished: Scores of their hypotheses so far, best first, then minus infinity, (N, K).
        rows: Where each beam stands in the last step that was kept, (N, W), int64.
        token_ids: The last token of each beam, (N, W), int64.
        log_probs: The log-probability of each beam, minus infinity for a dead one, (N, W).
    """

    sentences: Tensor
    max_lengths: Tensor
    finished: Tensor
    rows: Tensor
    token_ids: Tensor
    log_probs: Tensor

    def select(self, sentences: Tensor) -> "_Beams":
        """Return the beams of some of the N sentences, which are given by place, (any,), int64."""
        return _Beams(*(getattr(self, field.name)[sentences] for field in fields(self)))


@dataclass(frozen=True, slots=True)
class _Candidates:
    """The ways to go on that were kept, best first, W of them for each of the N sentences.

    Attributes:
        origins: The row of the beams that each grew from, (N, W), int64.
        token_ids: What it puts behind, (N, W), int64.
        log_probs: Its log-probability, minus infinity where there was nothing to keep, (N, W).
        scores: The same after the length penalty, (N, W).
        ended: True where it is a hypothesis, (N, W), bool.
    """

    origins: Tensor
    token_ids: Tensor
    log_probs: Tensor
    scores: Tensor
    ended: Tensor


@torch.inference_mode()
def beam_search(
    engine: Engine, source_ids: Tensor, source_lengths: Tensor, options: SearchOptions
) -> list[list[Hypothesis]]:
    """Translate a batch with beam search.

    At each position the `beam_size` best candidates of a sentence are kept. One that ends in EOS is
    a hypothesis and keeps its place, so that the beam narrows by one. A sentence is done when its
    beam is empty, or before that, when no living beam can reach the score of its
    `num_hypotheses`-th hypothesis any more; it then leaves the batch. Of equal candidates the one
    from the higher beam comes first, then the one with the lower token id.

    Args:
        engine: The model.
        source_ids: Source tokens, padded, (B, S), int64.
        source_lengths: Real tokens of each source, (B,), int64, on the CPU.
        options: How to search.

    Returns:
        For each sentence, in order, its hypotheses, best score first: `num_hypotheses` of them, or
        what there is where the limit of length leaves fewer, at least one.

    Raises:
        FloatingPointError: The model gave NaN or infinity.
    """
    if not len(source_ids):
        return []
    beams = _first_beams(source_lengths, options, engine.device)
    penalties = options.penalties(int(beams.max_lengths.max())).to(engine.device)
    encoder_output, state = engine.encode(source_ids.to(engine.device), source_lengths)
    steps: list[Step] = []
    for length in count(1):
        next_log_probs, state, attention = engine.step(
            beams.token_ids.flatten(), state, encoder_output
        )
        candidates = _choose(beams, next_log_probs, length, penalties[length], options)
        steps.append(_step(beams, candidates, attention))
        grown = _grow(beams, candidates)
        unfinished = _unfinished(grown, penalties, options.num_hypotheses)
        if not len(unfinished):
            break
        grown = grown.select(unfinished)
        origins = candidates.origins[unfinished].flatten()  # (N*W,)
        state = state.reorder(origins)
        # The beams of a sentence share its source, so their changing places leaves the encoder's
        # output as it is; only fewer sentences or more beams ask for other rows.
        if grown.token_ids.shape != beams.token_ids.shape:
            encoder_output = encoder_output.select(origins)
        beams = grown
    return best_hypotheses(steps, source_lengths, options.num_hypotheses)


def _first_beams(source_lengths: Tensor, options: SearchOptions, device: torch.device) -> _Beams:
    num_sentences = len(source_lengths)
    sentences = torch.arange(num_sentences, device=device)
    rows = sentences.unsqueeze(1)  # (N, 1)
    return _Beams(
        sentences=sentences,
        max_lengths=options.max_lengths(source_lengths).to(device),
        finished=torch.full((num_sentences, options.beam_size), IMPOSSIBLE, device=device),
        rows=rows,
        token_ids=torch.full_like(rows, options.bos_id),
        log_probs=torch.zeros_like(rows, dtype=torch.float),
    )


def _choose(
    beams: _Beams, next_log_probs: Tensor, length: int, penalty: Tensor, options: SearchOptions
) -> _Candidates:
    """Keep the best candidates of each sentence, as many as its hypotheses leave places for."""
    num_sentences, num_beams = beams.token_ids.shape
    at_limit = (beams.max_lengths == length).repeat_interleave(num_beams)  # (N*W,)
    best, token_ids = best_next_tokens(next_log_probs, at_limit, options.beam_size, options)
    totals = beams.log_probs.unsqueeze(2) + best.view(num_sentences, num_beams, -1)  # (N, W, C)
    log_probs, columns = highest(totals.flatten(1), options.beam_size)
    places = (beams.finished == IMPOSSIBLE).sum(dim=1, keepdim=True)
    ranks = torch.arange(log_probs.size(1), device=log_probs.device)
    kept = (ranks < places) & (log_probs > IMPOSSIBLE)
    log_probs = log_probs.masked_fill(~kept, IMPOSSIBLE)
    token_ids = token_ids.reshape(num_sentences, -1).gather(1, columns)  # (N, W)
    first_rows = torch.arange(num_sentences, device=columns.device).unsqueeze(1) * num_beams
    return _Candidates(
        origins=first_rows + columns // best.size(1),
        token_ids=token_ids,
        log_probs=log_probs,
        scores=log_probs / penalty,
        ended=kept & (token_ids == options.eos_id),
    )


def _step(beams: _Beams, candidates: _Candidates, attention: Tensor) -> Step:
    """Put the candidates on record; the attention is that of the beams, (N*W, S)."""
    origins = candidates.origins.flatten()
    return Step(
        sentences=beams.sentences.repeat_interleave(candidates.origins.size(1)),
        parents=beams.rows.flatten()[origins],
        token_ids=candidates.token_ids.flatten(),
        log_probs=candidates.log_probs.flatten(),
        scores=candidates.scores.flatten(),
        ended=candidates.ended.flatten(),
        attention=attention[origins],
    )


def _grow(beams: _Beams, candidates: _Candidates) -> _Beams:
    """Make beams of the candidates: those that ended are dead, and their scores noted."""
    ended = candidates.ended
    scores = candidates.scores.masked_fill(~ended, IMPOSSIBLE)
    finished = torch.cat([beams.finished, scores], dim=1)
    return replace(
        beams,
        finished=finished.topk(beams.finished.size(1)).values,
        rows=torch.arange(ended.numel(), device=ended.device).view_as(ended),  # (N, W)
        token_ids=candidates.token_ids,
        log_probs=candidates.log_probs.masked_fill(ended, IMPOSSIBLE),
    )


def _unfinished(beams: _Beams, penalties: Tensor, num_hypotheses: int) -> Tensor:
    """Find the sentences to go on with, by their place among the N, (any,), int64.

    A log-probability only falls and, being negative, weighs least after the greatest penalty. So
    no beam can come to a better score than it would have now at the limit of its length.
    """
    attainable = beams.log_probs.amax(dim=1) / penalties[beams.max_lengths]
    return (beams.finished[:, num_hypotheses - 1] < attainable).nonzero().squeeze(1)
