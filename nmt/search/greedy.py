"""Greedy search: the best token at each position, and never back."""

from itertools import count

import torch
from torch import Tensor

from nmt.engine import Engine
from nmt.search.candidates import IMPOSSIBLE, best_next_tokens
from nmt.search.hypothesis import Hypothesis, Step, best_hypotheses
from nmt.search.options import SearchOptions


@torch.inference_mode()
def greedy_search(
    engine: Engine, source_ids: Tensor, source_lengths: Tensor, options: SearchOptions
) -> list[list[Hypothesis]]:
    """Translate a batch greedily: what `beam_search` finds with a beam of one, sooner.

    Args:
        engine: The model.
        source_ids: Source tokens, padded, (B, S), int64.
        source_lengths: Real tokens of each source, (B,), int64, on the CPU.
        options: How to search; the beam size must be 1.

    Returns:
        For each sentence, in order, its one hypothesis.

    Raises:
        ValueError: The beam size is not 1.
        FloatingPointError: The model gave NaN or infinity.
    """
    if options.beam_size != 1:
        raise ValueError(f"beam_size must be 1 in greedy search, got {options.beam_size}")
    if not len(source_ids):
        return []
    device = engine.device
    max_lengths = options.max_lengths(source_lengths).to(device)
    penalties = options.penalties(int(max_lengths.max())).to(device)
    sentences = rows = torch.arange(len(source_ids), device=device)
    token_ids = torch.full_like(rows, options.bos_id)
    log_probs = torch.zeros_like(rows, dtype=torch.float)
    encoder_output, state = engine.encode(source_ids.to(device), source_lengths)
    steps: list[Step] = []
    for length in count(1):
        next_log_probs, state, attention = engine.step(token_ids, state, encoder_output)
        at_limit = max_lengths[sentences] == length
        best, candidates = best_next_tokens(next_log_probs, at_limit, 1, options)
        best, columns = best.max(dim=1)  # of equals the first
        token_ids = candidates.gather(1, columns.unsqueeze(1)).squeeze(1)  # (N,)
        log_probs = log_probs + best
        possible = log_probs > IMPOSSIBLE
        ended = possible & (token_ids == options.eos_id)
        scores = log_probs / penalties[length]
        steps.append(Step(sentences, rows, token_ids, log_probs, scores, ended, attention))
        rows = (possible & ~ended).nonzero().squeeze(1)
        if not len(rows):
            break
        if len(rows) < len(sentences):
            state, encoder_output = state.select(rows), encoder_output.select(rows)
            sentences, token_ids, log_probs = sentences[rows], token_ids[rows], log_probs[rows]
    return best_hypotheses(steps, source_lengths, num_hypotheses=1)
