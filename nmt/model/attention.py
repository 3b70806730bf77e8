"""Which source positions a decoder looks at: one energy for each, a softmax, a weighted sum."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from nmt.model.state import EncoderOutput

AttentionKind = Literal["dot", "scaled_dot", "general", "additive"]


class Attention(nn.Module):
    """Attention of any number of queries over the encoder states.

    The energies of query q and encoder state s are, with Luong et al. 2015, section 3.1,

        dot         q . s
        general     q . W s

    with Vaswani et al. 2017, eq. 1, where A is the size of s,

        scaled_dot  q . s / sqrt(A)

    and with Bahdanau et al. 2015, appendix A.1.2,

        additive    v . tanh(U q + W s + b)

    where b is ours; Luong's `concat` is the same without it. W s (+ b) is the same for all steps:
    computed once and called the keys.

    Three settings change any kind (coverage: the additive one only):

    * Heads (Vaswani et al. 2017, section 3.2.2): keys and queries are cut into equal parts, each
      with a softmax of its own; each head's weighted sum is projected to its part of the context.
    * A window (Luong et al. 2015, section 3.2, local-p): with S the sentence's length and N the
      window, p = S sigmoid(v' . tanh(W' q)); positions further from p than N get no attention and
      the others' is multiplied by exp(-(s - p)^2 / (2 (N/2)^2)) (eqs. 9 and 10). The sum may then
      be less than one.
    * Coverage (Tu et al. 2016, the linguistic kind without fertility): u C joins the sum in tanh,
      where C is the attention that the position has had at all steps before.
    """

    def __init__(
        self,
        query_size: int,
        state_size: int,
        *,
        kind: AttentionKind = "general",
        size: int | None = None,
        num_heads: int = 1,
        window: int | None = None,
        coverage: bool = False,
    ) -> None:
        """Take the sizes of queries (H) and encoder states (D).

        Args:
            query_size: H.
            state_size: D; equal to H for `dot` and `scaled_dot`.
            kind: Which energies.
            size: A, the hidden width of `additive` (H where None); None for the others.
            num_heads: Divides the width of the keys and D.
            window: Positions on each side of p, at least 1; None looks at all.
            coverage: Let the energies read the coverage.
        """
        super().__init__()
        self.kind = kind
        self.state_size = state_size
        self.num_heads = num_heads
        self.window = window
        self.key_projection: nn.Module = nn.Identity()
        if kind == "general":
            self.key_projection = nn.Linear(state_size, query_size, bias=False)
        if kind == "additive":
            size = size or query_size
            self.key_projection = nn.Linear(state_size, size)
            self.query_projection = nn.Linear(query_size, size, bias=False)
            # one v for each head
            self.energy = nn.Linear(size // num_heads, num_heads, bias=False)
        if num_heads > 1:
            # one part of the rows for each head
            self.value_projection = nn.Linear(state_size, state_size, bias=False)
        if window is not None:
            self.window_projection = nn.Linear(query_size, query_size, bias=False)
            self.window_centre = nn.Linear(query_size, 1, bias=False)
        self.reads_coverage = coverage
        if coverage:
            self.coverage_projection = nn.Linear(1, size or query_size, bias=False)

    def keys(self, states: Tensor) -> Tensor:
        """Return W s (+ b) for every encoder state, (B, S, A); `states`: (B, S, D)."""
        keys: Tensor = self.key_projection(states)
        return keys

    def forward(
        self, query: Tensor, source: EncoderOutput, coverage: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Weigh the source positions for every query.

        Args:
            query: Decoder outputs, (B, T, H).
            source: The encoded source; every row has at least one real token.
            coverage: Attention of the steps before, (B, S); (B, 0) where it is not read.

        Returns:
            The contexts, (B, T, D), the attention, the heads' mean, (B, T, S): zero at padding and
            summing to one over S, with a window to less, and the coverage behind the last query.
        """
        if not self.reads_coverage:
            return *self._attend(query, source, None), coverage
        contexts, weights = [], []
        for step in range(query.size(1)):  # what a step sees depends on the steps before
            context, attention = self._attend(query[:, step : step + 1], source, coverage)
            coverage = coverage + attention.squeeze(1)
            contexts.append(context)
            weights.append(attention)
        return torch.cat(contexts, dim=1), torch.cat(weights, dim=1), coverage

    def _attend(
        self, query: Tensor, source: EncoderOutput, coverage: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return contexts, (B, T, D), and attention, (B, T, S)."""
        hidden = ~source.mask[:, None, None, :]  # (B, 1, 1, S)
        energies = self._energies(query, source.keys, coverage)  # (B, heads, T, S)
        nearness = None
        if self.window is not None:
            distance = self._distance(query, source.mask)[:, None]  # (B, 1, T, S)
            # p lies between two positions at the least: something always stays in sight
            hidden = hidden | (distance.abs() > self.window)
            nearness = torch.exp(-(distance**2) / (2 * (self.window / 2) ** 2))
        attention = torch.softmax(energies.masked_fill(hidden, float("-inf")), dim=-1)
        if nearness is not None:
            attention = attention * nearness.to(attention)
        if self.num_heads == 1:
            weights = attention.squeeze(1)  # (B, T, S)
            return torch.bmm(weights, source.states), weights
        sums = attention @ source.states[:, None]  # (B, heads, T, D)
        by_head = self.value_projection.weight.view(self.num_heads, -1, self.state_size)
        parts = torch.einsum("bhtd,hpd->bthp", sums, by_head)  # (B, T, heads, D / heads)
        return parts.flatten(2), attention.mean(dim=1)

    def _energies(self, query: Tensor, keys: Tensor, coverage: Tensor | None) -> Tensor:
        """Return the energies of every head, (B, heads, T, S)."""
        if self.kind != "additive":
            scale = math.sqrt(keys.size(-1) // self.num_heads) if self.kind == "scaled_dot" else 1.0
            return self._by_head(query) @ self._by_head(keys).transpose(2, 3) / scale
        projected: Tensor = self.query_projection(query)  # (B, T, A)
        if coverage is not None:
            keys = keys + self.coverage_projection(coverage[:, :, None])
        summed = self._by_head(projected)[:, :, :, None] + self._by_head(keys)[:, :, None]
        hidden = torch.tanh(summed)  # (B, heads, T, S, A / heads)
        return torch.einsum("bhtsa,ha->bhts", hidden, self.energy.weight)

    def _by_head(self, values: Tensor) -> Tensor:
        """Cut vectors into one part a head, (B, heads, T, part); `values`: (B, T, any size)."""
        parts = values.view(*values.shape[:2], self.num_heads, -1)  # (B, T, heads, part)
        return parts.transpose(1, 2)

    def _distance(self, query: Tensor, mask: Tensor) -> Tensor:
        """Return how far every position is from where each query's window stands, (B, T, S)."""
        centre = torch.sigmoid(self.window_centre(torch.tanh(self.window_projection(query))))
        # half precision cannot tell two neighbours in a long sentence
        places = torch.arange(mask.size(1), dtype=torch.float32, device=mask.device)
        lengths = mask.sum(dim=1, dtype=torch.float32)[:, None, None]  # (B, 1, 1)
        return places - lengths * centre  # (B, T, S)
