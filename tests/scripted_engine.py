"""A model that is written down as a plain function, for tests of what stands on encode and step."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache

import torch
from torch import Tensor

from nmt.model.state import DecoderState, EncoderOutput

Ids = tuple[int, ...]
# From the source and the target so far, without BOS, to the log-probability of each token.
Script = Callable[[Ids, Ids], Sequence[float]]

BOS, EOS = 0, 1
PADDING = -1


def random_script(seed: int, *, vocab_size: int, num_levels: int) -> Script:
    """Log-probabilities without rhyme or reason, but the same ones each time.

    They are eighths, so that their sums are exact; the fewer the levels, the more ties. They need
    not be of a distribution: a search only adds and compares.
    """

    @cache
    def script(source: Ids, prefix: Ids) -> list[float]:
        generator = random.Random(f"{seed} {source} {prefix}")
        return [-generator.randrange(num_levels) / 8 for _ in range(vocab_size)]

    return script


def attended_place(source: Ids, prefix: Ids) -> int:
    """Where the scripted engine looks: at a place that tells one prefix from another."""
    return (3 * sum(prefix) + len(prefix)) % len(source)


def attention_weights(source: Ids, prefix: Ids, focus: float) -> list[float]:
    """Where the scripted engine looks, in numbers that sum to 1."""
    if len(source) == 1:
        return [1.0]
    weights = [(1 - focus) / (len(source) - 1)] * len(source)
    weights[attended_place(source, prefix)] = focus
    return weights


class ScriptedEngine:
    """Follows a script; its state is nothing but source and target so far.

    `num_rows` notes how many rows each step had, `encoder_outputs` what the encoder's was.
    """

    # How much of the attention is where `attended_place` says; the others get the rest, each alike.
    focus = 1.0

    device = torch.device("cpu")
    has_attention = True

    def __init__(self, script: Script) -> None:
        self.script = script
        self.num_rows: list[int] = []
        self.encoder_outputs: list[EncoderOutput] = []

    def encode(
        self, source_ids: Tensor, source_lengths: Tensor
    ) -> tuple[EncoderOutput, DecoderState]:
        mask = torch.arange(source_ids.size(1)) < source_lengths.unsqueeze(1)
        states = source_ids.masked_fill(~mask, PADDING)
        nothing = torch.empty(1, len(source_ids), 0, dtype=torch.long)
        # The state knows its source too, which shows whether it still stands beside its own.
        state = DecoderState(nothing, states.unsqueeze(0), feedback=states, coverage=states)
        return EncoderOutput(states, states, mask), state

    def step(
        self, token_ids: Tensor, state: DecoderState, encoder_output: EncoderOutput
    ) -> tuple[Tensor, DecoderState, Tensor]:
        for carried in (state.cell[0], state.feedback, state.coverage):
            assert torch.equal(carried, encoder_output.states)
        self.num_rows.append(len(token_ids))
        self.encoder_outputs.append(encoder_output)
        targets = torch.cat([state.hidden[0], token_ids.unsqueeze(1)], dim=1)  # (N, T+1)
        sources = [
            tuple(ids[mask].tolist())
            for ids, mask in zip(encoder_output.states, encoder_output.mask, strict=True)
        ]
        prefixes = [tuple(target[1:].tolist()) for target in targets]
        rows = list(zip(sources, prefixes, strict=True))
        log_probs = torch.tensor([self.script(*row) for row in rows], dtype=torch.float)
        attention = torch.zeros(encoder_output.mask.shape)
        for row, source_and_prefix in enumerate(rows):
            attention[row, : len(source_and_prefix[0])] = torch.tensor(
                attention_weights(*source_and_prefix, self.focus)
            )
        return log_probs, replace(state, hidden=targets.unsqueeze(0)), attention


def pad_sources(sources: Sequence[Ids]) -> tuple[Tensor, Tensor]:
    """Return padded source ids, (B, S), and their lengths, (B,)."""
    lengths = [len(source) for source in sources]
    padded = [(*source, *[PADDING] * (max(lengths) - len(source))) for source in sources]
    return torch.tensor(padded), torch.tensor(lengths)
