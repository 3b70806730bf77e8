"""Searches that follow one path a row and never look back: greedy search and sampling."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from nmt.engine import Engine
from nmt.search.beam import beam_search
from nmt.search.candidates import IMPOSSIBLE, highest
from nmt.search.demands import Demands
from nmt.search.guide import Guide
from nmt.search.hypothesis import Hypothesis, Step, best_hypotheses
from nmt.search.options import SamplingOptions, SearchOptions
from nmt.search.sampling import draw, keep_likely, uniform_numbers

# From the log-probabilities with each next token, (R, V), the sentences of the rows, (R,), and the
# length to the tokens, (R,).
Choice = Callable[[Tensor, Tensor, int], Tensor]


@torch.inference_mode()
def greedy_search(
    engine: Engine,
    source_ids: Tensor,
    source_lengths: Tensor,
    options: SearchOptions,
    demands: Sequence[Demands] | None = None,
) -> list[list[Hypothesis]]:
    """Translate a batch greedily: what `beam_search` finds with a beam of one, sooner.

    Where phrases are required or preferred it is `beam_search` that finds it.

    Args:
        engine: The model.
        source_ids: Source tokens, padded, (B, S), int64.
        source_lengths: Real tokens of each source, (B,), int64, on the CPU.
        options: How to search; the beam size must be 1.
        demands: What is asked of each sentence, B of them; None is nothing.

    Returns:
        For each sentence, in order, its one hypothesis.

    Raises:
        ValueError: The beam size is not 1, or there are demands that cannot be met.
        FloatingPointError: The model gave NaN or infinity.
    """
    if options.beam_size != 1:
        raise ValueError(f"beam_size must be 1 in greedy search, got {options.beam_size}")
    if demands is not None and any(one.required or one.preferred for one in demands):
        return beam_search(engine, source_ids, source_lengths, options, demands)
    if not len(source_ids):
        return []

    def best(totals: Tensor, sentences: Tensor, length: int) -> Tensor:
        return highest(totals, 1)[1].squeeze(1)

    guide = Guide(options, source_lengths, demands, engine.device)
    return _follow(engine, source_ids, source_lengths, options, guide, 1, best)


@torch.inference_mode()
def sample(
    engine: Engine,
    source_ids: Tensor,
    source_lengths: Tensor,
    options: SearchOptions,
    sampling: SamplingOptions,
    demands: Sequence[Demands] | None = None,
) -> list[list[Hypothesis]]:
    """Draw translations of a batch at random, token by token, as probable as the model says.

    The random numbers of a sentence hang on the seed and on its own tokens alone, and those of one
    sample not on how many are drawn. So neither the batch nor the order changes what is drawn, but
    for rounding in the model.

    Args:
        engine: The model.
        source_ids: Source tokens, padded, (B, S), int64.
        source_lengths: Real tokens of each source, (B,), int64, on the CPU.
        options: Lengths, rules and penalties; the sizes of the beam are not heeded.
        sampling: How to draw.
        demands: What is asked of each sentence, B of them; None is nothing. No phrases may be
            required or preferred.

    Returns:
        For each sentence, in order, its samples as they were drawn; the same may come again. Their
        log-probabilities are those of the model, whatever the temperature.

    Raises:
        ValueError: There are demands that cannot be met.
        FloatingPointError: The model gave NaN or infinity.
    """
    if demands is not None and any(one.required or one.preferred for one in demands):
        raise ValueError("demands must not hold required or preferred phrases in sampling")
    if not len(source_ids):
        return []
    num_samples = sampling.num_samples
    if demands is not None and len(demands) == len(source_ids):
        demands = [one for one in demands for _ in range(num_samples)]
    repeated_lengths = source_lengths.repeat_interleave(num_samples)
    guide = Guide(options, repeated_lengths, demands, engine.device)
    numbers = uniform_numbers(source_ids, source_lengths, sampling, guide.max_length)
    numbers = numbers.to(engine.device)

    def drawn(totals: Tensor, sentences: Tensor, length: int) -> Tensor:
        return draw(keep_likely(totals, sampling), numbers[sentences, length - 1])

    found = _follow(engine, source_ids, source_lengths, options, guide, num_samples, drawn)
    return [
        [one for [one] in found[start : start + num_samples]]
        for start in range(0, len(found), num_samples)
    ]


def _follow(
    engine: Engine,
    source_ids: Tensor,
    source_lengths: Tensor,
    options: SearchOptions,
    guide: Guide,
    times: int,
    choice: Choice,
) -> list[list[Hypothesis]]:
    """Follow one path for each sentence, or `times` paths as if they were sentences."""
    device = engine.device
    sentences = rows = torch.arange(len(source_ids) * times, device=device)
    token_ids = torch.full_like(rows, options.bos_id)
    log_probs = torch.zeros_like(rows, dtype=torch.float)
    memory = guide.first_memory(sentences)
    encoder_output, state = engine.encode(source_ids.to(device), source_lengths)
    if times > 1:
        encoder_output, state = encoder_output.repeat(times), state.repeat(times)
    steps: list[Step] = []
    for length in range(1, guide.max_length + 1):
        next_log_probs, state, attention = engine.step(token_ids, state, encoder_output)
        totals = guide.extend(log_probs, next_log_probs, sentences, memory, length).log_probs
        token_ids = choice(totals, sentences, length)  # (R,)
        log_probs = totals.gather(1, token_ids.unsqueeze(1)).squeeze(1)
        memory = guide.remember(memory, sentences, token_ids, attention)
        possible = log_probs > IMPOSSIBLE
        ended = possible & (token_ids == options.eos_id)
        scores = guide.scores(log_probs, sentences, memory, length)
        steps.append(Step(sentences, rows, token_ids, log_probs, scores, ended, attention))
        rows = (possible & ~ended).nonzero().squeeze(1)
        if not len(rows):
            break
        if len(rows) < len(sentences):
            state, encoder_output = state.select(rows), encoder_output.select(rows)
            sentences, token_ids, log_probs = sentences[rows], token_ids[rows], log_probs[rows]
            memory = memory.select(rows)
    return best_hypotheses(steps, source_lengths.repeat_interleave(times), num_hypotheses=1)
