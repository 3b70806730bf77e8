"""Beam search over all sentences and beams of a batch at once."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from nmt.engine import Engine, Source, State
from nmt.search.allocation import Extensions
from nmt.search.candidates import IMPOSSIBLE
from nmt.search.demands import Demands
from nmt.search.groups import choose_in_turn, join_groups, repeat_for_groups
from nmt.search.guide import Guide
from nmt.search.hypothesis import Hypothesis, Step, best_hypotheses
from nmt.search.options import SearchOptions


@dataclass(frozen=True, slots=True)
class _Beams:
    """The N sentences under search, W beams each: one at first, all of them as soon as can be.

    Attributes:
        sentences: Their places in the batch, (N,), int64.
        finished: Scores of their hypotheses so far, best first, then minus infinity, (N, K).
        rows: Where each beam stands in the last step that was kept, (N, W), int64.
        token_ids: The last token of each beam, (N, W), int64.
        log_probs: The log-probability of each beam, minus infinity for a dead one, (N, W).
    """

    sentences: Tensor
    finished: Tensor
    rows: Tensor
    token_ids: Tensor
    log_probs: Tensor

    def select(self, sentences: Tensor) -> "_Beams":
        """Return the beams of some of the N sentences, which are given by place, (any,), int64."""
        return _Beams(*(getattr(self, field.name)[sentences] for field in fields(self)))

    @property
    def row_sentences(self) -> Tensor:
        """The sentence of each beam, (N*W,), int64."""
        return self.sentences.repeat_interleave(self.token_ids.size(1))


@dataclass(frozen=True, slots=True)
class _Candidates:
    """The ways to go on that were kept, W of them for each of the N sentences.

    Attributes:
        origins: The row of the beams that each grew from, (N, W), int64.
        token_ids: What it puts behind, (N, W), int64.
        log_probs: Its log-probability, minus infinity where there was nothing to keep, (N, W).
        ended: True where it is a hypothesis, (N, W), bool.
    """

    origins: Tensor
    token_ids: Tensor
    log_probs: Tensor
    ended: Tensor


@torch.inference_mode()
def beam_search(
    engine: Engine,
    source_ids: Tensor,
    source_lengths: Tensor,
    options: SearchOptions,
    demands: Sequence[Demands] | None = None,
) -> list[list[Hypothesis]]:
    """Translate a batch with beam search.

    At each position the `beam_size` best candidates of a sentence are kept. One that ends in EOS is
    a hypothesis and keeps its place, so that the beam narrows by one. A sentence is done when its
    beam is empty, or before that, when no living beam can reach the score of its
    `num_hypotheses`-th hypothesis any more; it then leaves the batch. Of equal candidates the one
    from the higher beam comes first, then the one with the lower token id.

    What else steers the search stands beside this module: rules and demands in `guide.py`, banks
    for required phrases in `allocation.py`, and in `groups.py` how a sentence is searched by
    several groups of beams, each of them as if it were a sentence of its own.

    Args:
        engine: The model.
        source_ids: Source tokens, padded, (B, S), int64.
        source_lengths: Real tokens of each source, (B,), int64, on the CPU.
        options: How to search.
        demands: What is asked of each sentence, B of them; None is nothing.

    Returns:
        For each sentence, in order, its hypotheses, best score first: `num_hypotheses` of them, or
        what there is where the limit of length leaves fewer or groups find the same, at least one.

    Raises:
        ValueError: There are demands that cannot be met.
        FloatingPointError: The model gave NaN or infinity.
    """
    if not len(source_ids):
        return []
    lengths, demands = repeat_for_groups(source_lengths, demands, options.num_groups)
    guide = Guide(options, lengths, demands, engine.device)
    encoder_output, state = engine.encode(source_ids.to(engine.device), source_lengths)
    if options.num_groups > 1:
        encoder_output = encoder_output.repeat(options.num_groups)
        state = state.repeat(options.num_groups)
    steps = _search(engine, encoder_output, state, guide, options)
    found = best_hypotheses(steps, lengths, options.hypotheses_per_group)
    return join_groups(found, options.num_groups, options.num_hypotheses)


def _search(
    engine: Engine, encoder_output: Source, state: State, guide: Guide, options: SearchOptions
) -> list[Step]:
    """Search until every sentence is done; return all that was kept on the way."""
    beams = _first_beams(len(state), options, engine.device)
    memory = guide.first_memory(beams.sentences)
    steps: list[Step] = []
    for length in range(1, guide.max_length + 1):
        next_log_probs, state, attention = engine.step(
            beams.token_ids.flatten(), state, encoder_output
        )
        extensions = guide.extend(
            beams.log_probs.flatten(), next_log_probs, beams.row_sentences, memory, length
        )
        candidates = _choose(beams, extensions, options)
        origins = candidates.origins.flatten()
        sentences, attention = beams.row_sentences[origins], attention[origins]
        memory = guide.remember(
            memory.select(origins), sentences, candidates.token_ids.flatten(), attention
        )
        scores = guide.scores(candidates.log_probs.flatten(), sentences, memory, length)
        steps.append(_step(beams, candidates, sentences, scores, attention))
        grown = _grow(beams, candidates, scores)
        unfinished = _unfinished(grown, guide, length, options)
        if not len(unfinished):
            break
        grown = grown.select(unfinished)
        origins = candidates.origins[unfinished].flatten()  # (N*W,)
        state, memory = state.reorder(origins), memory.select(grown.rows.flatten())
        # The beams of a sentence share its source, so their changing places leaves the encoder's
        # output as it is; only fewer sentences or more beams ask for other rows.
        if grown.token_ids.shape != beams.token_ids.shape:
            encoder_output = encoder_output.select(origins)
        beams = grown
    return steps


def _first_beams(num_sentences: int, options: SearchOptions, device: torch.device) -> _Beams:
    sentences = torch.arange(num_sentences, device=device)
    rows = sentences.unsqueeze(1)  # (N, 1)
    return _Beams(
        sentences=sentences,
        finished=torch.full((num_sentences, options.group_size), IMPOSSIBLE, device=device),
        rows=rows,
        token_ids=torch.full_like(rows, options.bos_id),
        log_probs=torch.zeros_like(rows, dtype=torch.float),
    )


def _choose(beams: _Beams, extensions: Extensions, options: SearchOptions) -> _Candidates:
    """Keep the best candidates of each sentence, as many as its hypotheses leave places for."""
    num_sentences, num_beams = beams.token_ids.shape
    vocab_size = extensions.log_probs.size(1)
    places = (beams.finished == IMPOSSIBLE).sum(dim=1, keepdim=True)
    columns, kept = choose_in_turn(extensions, places, options)  # (N, W)
    log_probs = extensions.log_probs.view(num_sentences, -1).gather(1, columns)
    token_ids = columns % vocab_size
    first_rows = torch.arange(num_sentences, device=columns.device).unsqueeze(1) * num_beams
    return _Candidates(
        origins=first_rows + columns // vocab_size,
        token_ids=token_ids,
        log_probs=log_probs.masked_fill(~kept, IMPOSSIBLE),
        ended=kept & (token_ids == options.eos_id),
    )


def _step(
    beams: _Beams, candidates: _Candidates, sentences: Tensor, scores: Tensor, attention: Tensor
) -> Step:
    """Put the candidates on record; what is not in them has a row for each, (N*W, ...)."""
    return Step(
        sentences=sentences,
        parents=beams.rows.flatten()[candidates.origins.flatten()],
        token_ids=candidates.token_ids.flatten(),
        log_probs=candidates.log_probs.flatten(),
        scores=scores,
        ended=candidates.ended.flatten(),
        attention=attention,
    )


def _grow(beams: _Beams, candidates: _Candidates, scores: Tensor) -> _Beams:
    """Make beams of the candidates: those that ended are dead, and their scores noted."""
    ended = candidates.ended
    scores = scores.view_as(ended).masked_fill(~ended, IMPOSSIBLE)  # (N, W)
    finished = torch.cat([beams.finished, scores], dim=1)
    return replace(
        beams,
        finished=finished.topk(beams.finished.size(1)).values,
        rows=torch.arange(ended.numel(), device=ended.device).view_as(ended),  # (N, W)
        token_ids=candidates.token_ids,
        log_probs=candidates.log_probs.masked_fill(ended, IMPOSSIBLE),
    )


def _unfinished(beams: _Beams, guide: Guide, length: int, options: SearchOptions) -> Tensor:
    """Find the sentences to go on with, by their place among the N, (any,), int64.

    The groups of one sentence go on together: what one of them chooses bears on the others.
    """
    attainable = guide.attainable_scores(beams.log_probs.amax(dim=1), beams.sentences, length)
    unfinished = beams.finished[:, options.hypotheses_per_group - 1] < attainable
    if options.num_groups > 1:
        together = unfinished.view(-1, options.num_groups).any(dim=1)
        unfinished = together.repeat_interleave(options.num_groups)
    return unfinished.nonzero().squeeze(1)
