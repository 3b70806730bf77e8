"""Which target tokens the translation of a source may need: a few of the whole vocabulary.

To score every token of the vocabulary is the larger part of a decoding step, and nearly all of them
could be ruled out by a look at the source. For every source token the shortlist keeps the target
tokens that it was most often translated by, as IBM Model 1 sees the training pairs (Brown et al.
1993, section 4.1); a batch is scored over those of its own tokens and over the most frequent ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor

from nmt.errors import CheckpointError

_FORMAT_VERSION = "1"
NUM_ITERATIONS = 5
# Pairs of a source and a target token of one sentence pair that are looked at, at most: 8 bytes
# each, some times over. Of a longer corpus every so many pairs are left out.
MAX_LINKS = 2**23


@dataclass(frozen=True, slots=True)
class Shortlist:
    """The target tokens that may be needed.

    Attributes:
        candidates: Those of every source token, likeliest first, EOS where there are no more,
            (V of the source, any), int32.
        always: Those that any translation may need, EOS among them, (any,), int32.
        vocab_size: V of the target.
    """

    candidates: Tensor
    always: Tensor
    vocab_size: int

    def allowed(self, source_ids: Tensor) -> Tensor:
        """Tell which target tokens the sentences of a batch may need, (B, V), bool.

        Args:
            source_ids: Their tokens, padded, (B, S), int64.
        """
        allowed = torch.zeros(len(source_ids), self.vocab_size, dtype=torch.bool)
        allowed[:, self.always.long()] = True
        return allowed.scatter_(1, self.candidates[source_ids].flatten(1).long(), True)


def learn_shortlist(
    source: Sequence[Sequence[int]],
    target: Sequence[Sequence[int]],
    *,
    vocab_sizes: tuple[int, int],
    eos_id: int,
    pad_id: int,
    special_ids: Sequence[int] = (),
    is_joint: bool,
    num_candidates: int = 50,
    num_always: int = 100,
) -> Shortlist:
    """Learn a shortlist from pairs of token ids, without BOS and EOS.

    Args:
        source: Source token ids.
        target: Target token ids.
        vocab_sizes: Of source and target.
        eos_id: The end of a target.
        pad_id: What fills sources up; it needs no token, so that padding changes nothing.
        special_ids: Other tokens that are always on the list, such as BOS.
        is_joint: Both sides have the same tokens: each is then a candidate for itself, as names and
            numbers are.
        num_candidates: Most candidates of a source token.
        num_always: So many of the most frequent target tokens are always on the list.
    """
    step = _every_so_many(source, target)
    links = _Links([*source[::step]], [*target[::step]], vocab_sizes[1])
    tokens, likely = links.source_tokens, links.probabilities()
    order = np.lexsort((links.target_tokens, -likely, tokens))
    tokens = tokens[order]
    ranks = np.arange(len(tokens)) - np.searchsorted(tokens, tokens)
    kept = ranks < num_candidates
    own = int(is_joint)
    candidates = np.full((vocab_sizes[0], num_candidates + own), eos_id, dtype=np.int32)
    if is_joint:
        candidates[:, 0] = np.arange(vocab_sizes[0])
        candidates[pad_id, 0] = eos_id
    candidates[tokens[kept], ranks[kept] + own] = links.target_tokens[order][kept]
    counts = np.bincount(links.all_targets, minlength=vocab_sizes[1])
    frequent = np.argsort(-counts, kind="stable")[:num_always]
    always = np.unique([*frequent, *special_ids, eos_id]).astype(np.int32)
    return Shortlist(torch.from_numpy(candidates), torch.from_numpy(always), vocab_sizes[1])


def dump_shortlist(shortlist: Shortlist) -> bytes:
    """Return the content of a run folder's `shortlist.safetensors`."""
    tensors = {"candidates": shortlist.candidates, "always": shortlist.always}
    content: bytes = safetensors.torch.save(tensors, {"format_version": _FORMAT_VERSION})
    return content


def load_shortlist(path: Path, *, vocab_sizes: tuple[int, int]) -> Shortlist | None:
    """Read the shortlist of a run; None where there is no such file.

    Args:
        path: Of the file.
        vocab_sizes: Of source and target.

    Raises:
        CheckpointError: The file is damaged, of another version, or not of these vocabularies.
    """
    if not path.exists():
        return None
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            version = (file.metadata() or {}).get("format_version")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, OSError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"{path}: damaged or not safetensors ({reason})") from error
    if version != _FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: format_version must be {_FORMAT_VERSION!r}, got {version!r}"
        )
    candidates, always = (tensors.get(name, torch.empty(0)) for name in ("candidates", "always"))
    are_ids = all(
        ids.dtype == torch.int32 and ids.numel() and ids.min() >= 0 and ids.max() < vocab_sizes[1]
        for ids in (candidates, always)
    )
    if not are_ids or candidates.dim() != 2 or len(candidates) != vocab_sizes[0]:
        raise CheckpointError(
            f"{path}: must hold target tokens for each of {vocab_sizes[0]} source tokens; damaged, "
            "or of another run"
        )
    return Shortlist(candidates, always.flatten(), vocab_sizes[1])


def _every_so_many(source: Sequence[Sequence[int]], target: Sequence[Sequence[int]]) -> int:
    """Return how far apart the pairs must stand so that there are not too many links."""
    num_links = sum(len(one) * len(other) for one, other in zip(source, target, strict=True))
    return max(1, -(-num_links // MAX_LINKS))


class _Links:
    """Every source token of a pair with every target token of it.

    Attributes:
        source_tokens: Of each two tokens that ever meet, the source token, (U,), int64.
        target_tokens: And the target token.
        all_targets: The target tokens of all pairs, (any,), int64.
    """

    def __init__(
        self,
        source: Sequence[Sequence[int]],
        target: Sequence[Sequence[int]],
        target_vocab_size: int,
    ) -> None:
        """Take some pairs at least; each token of a source counts once."""
        sources = [np.unique(np.asarray(ids, dtype=np.int64)) for ids in source]
        widths = np.repeat([len(ids) for ids in sources], [len(ids) for ids in target])
        ends = np.cumsum([len(ids) for ids in sources])
        firsts = np.repeat(ends - [len(ids) for ids in sources], [len(ids) for ids in target])
        self.all_targets = np.concatenate([np.asarray(ids, dtype=np.int64) for ids in target])
        # target token by target token, each with all tokens of its source side by side
        self._starts = np.cumsum(widths) - widths  # (target tokens,)
        self._widths = widths
        places = np.arange(int(widths.sum())) + np.repeat(firsts - self._starts, widths)
        met = np.concatenate(sources)[places] * target_vocab_size
        met += np.repeat(self.all_targets, widths)
        unique, self._which = np.unique(met, return_inverse=True)
        self.source_tokens, self.target_tokens = np.divmod(unique, target_vocab_size)

    def probabilities(self) -> NDArray[np.float64]:
        """Return t(target token | source token) for all that meet, (U,).

        Each step of expectation and maximisation shares a target token out among the tokens of its
        source by t, and makes t of the shares that each two tokens have got (Brown et al. 1993,
        eqs. 13 to 17, without the empty word).
        """
        likely = np.ones(len(self.source_tokens))
        for _ in range(NUM_ITERATIONS):
            shares = likely[self._which]
            shares /= np.repeat(np.add.reduceat(shares, self._starts), self._widths)
            counts = np.bincount(self._which, weights=shares, minlength=len(likely))
            likely = counts / np.bincount(self.source_tokens, weights=counts)[self.source_tokens]
        return likely
