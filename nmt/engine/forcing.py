"""Forced decoding: how likely an engine holds each token of targets that are given to it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from nmt.batching import pad_ids
from nmt.engine.engine import ScoringEngine

# Log-probabilities in memory at once: 64 MB in float32, and a few times that while they are made.
_MAX_LOG_PROBS = 2**24


@dataclass(frozen=True, slots=True)
class ForcedTarget:
    """A given target as an engine sees it.

    Attributes:
        token_log_probs: Natural log-probability of each token after those before it, EOS last.
        attention: Where each token looked, EOS last, (T, S), on the CPU; S counts the real tokens
            of this source alone. All zero where the engine has no attention.
    """

    token_log_probs: tuple[float, ...]
    attention: Tensor

    @property
    def log_prob(self) -> float:
        """Natural log-probability of the whole target."""
        return math.fsum(self.token_log_probs)


@torch.inference_mode()
def force_targets(
    engine: ScoringEngine,
    source_ids: Tensor,
    source_lengths: Tensor,
    targets: Sequence[Sequence[int]],
    *,
    bos_id: int,
    eos_id: int,
) -> list[ForcedTarget]:
    """Score given targets, each token after the given ones before it (teacher forcing).

    Args:
        engine: The model.
        source_ids: Source tokens, padded, (B, S), int64.
        source_lengths: Real tokens of each source, (B,), int64, on the CPU.
        targets: For each source its target tokens, without BOS and EOS; none is a target too.
        bos_id: What every target starts with.
        eos_id: What every target ends with.

    Returns:
        What the engine says to each target, in order.

    Raises:
        ValueError: There are not as many targets as sources, or a token is not of the vocabulary.
        FloatingPointError: The model gave NaN or infinity.
    """
    if len(targets) != len(source_ids):
        raise ValueError(
            f"targets must be as many as sources, got {len(targets)} and {len(source_ids)}"
        )
    if not targets:
        return []
    _check_ids(targets, engine.vocab_size)
    device = engine.device
    # EOS pads: what stands behind the end of a target has no part in it, but must be a token
    inputs = pad_ids([[bos_id, *target] for target in targets], eos_id).to(device)  # (B, T)
    labels = pad_ids([[*target, eos_id] for target in targets], eos_id).to(device)  # (B, T)
    log_probs, attention = _read(engine, source_ids.to(device), source_lengths, inputs, labels)
    rows = zip(log_probs, attention, targets, source_lengths.tolist(), strict=True)
    return [_forced(row, *of_row) for row, of_row in enumerate(rows)]


def _forced(
    row: int, log_probs: Tensor, attention: Tensor, target: Sequence[int], source_length: int
) -> ForcedTarget:
    """Take out of a row, (T,) and (T, S), what is not padding."""
    log_probs = log_probs[: len(target) + 1]
    if not log_probs.isfinite().all():
        raise FloatingPointError(
            f"sentence {row} of the batch has no log-probability: "
            "the log-probabilities from the model are NaN or infinite"
        )
    attention = attention[: len(target) + 1, :source_length]
    return ForcedTarget(tuple(log_probs.tolist()), attention.clone())  # not all of the batch's


def _read(
    engine: ScoringEngine,
    source_ids: Tensor,
    source_lengths: Tensor,
    inputs: Tensor,
    labels: Tensor,
) -> tuple[Tensor, Tensor]:
    """Return the log-probability of each label, (B, T), and the attention, (B, T, S), on the CPU.

    The targets are read in as few calls as memory allows, mostly in one.
    """
    encoder_output, state = engine.encode(source_ids, source_lengths)
    num_steps = max(1, _MAX_LOG_PROBS // (len(inputs) * engine.vocab_size))
    log_probs, attentions = [], []
    parts = zip(
        torch.split(inputs, num_steps, dim=1), torch.split(labels, num_steps, dim=1), strict=True
    )
    for some, wanted in parts:
        all_log_probs, state, attention = engine.read(some, state, encoder_output)
        log_probs.append(all_log_probs.gather(2, wanted.unsqueeze(2)).squeeze(2))  # (B, some)
        attentions.append(attention)
    return torch.cat(log_probs, dim=1).cpu(), torch.cat(attentions, dim=1).cpu()


def _check_ids(targets: Sequence[Sequence[int]], vocab_size: int) -> None:
    for row, target in enumerate(targets):
        for token_id in target:
            if not 0 <= token_id < vocab_size:
                raise ValueError(
                    f"target {row}: token ids must be from 0 to {vocab_size - 1}, got {token_id}"
                )
