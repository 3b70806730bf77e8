"""Which source positions a decoder output looks at: dot, general and additive attention."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

AttentionKind = Literal["dot", "general", "additive"]


class Attention(nn.Module):
    """Global attention of any number of queries over the encoder states.

    The energies of query q and encoder state s are, with Luong et al. 2015, eq. 8:

        dot       q . s
        general   q . W s

    and with Bahdanau et al. 2015, appendix A.1.2:

        additive  v . tanh(U q + W s + b)

    where b is ours. W s (+ b) is the same for all steps: computed once and called the keys.
    """

    def __init__(
        self,
        query_size: int,
        state_size: int,
        *,
        kind: AttentionKind = "general",
        size: int | None = None,
    ) -> None:
        """Take the sizes of queries (H) and encoder states (D).

        Args:
            query_size: H.
            state_size: D; equal to H for `dot`.
            kind: Which energies.
            size: A, the hidden width of `additive` (H where None); None for the others.
        """
        super().__init__()
        if kind == "dot" and query_size != state_size:
            raise ValueError(
                f"dot attention needs equal sizes, got decoder {query_size} and encoder states "
                f"{state_size}; use general"
            )
        self.kind = kind
        self.key_projection: nn.Module = nn.Identity()
        if kind == "general":
            self.key_projection = nn.Linear(state_size, query_size, bias=False)
        if kind == "additive":
            size = size or query_size
            self.key_projection = nn.Linear(state_size, size)
            self.query_projection = nn.Linear(query_size, size, bias=False)
            self.energy = nn.Linear(size, 1, bias=False)

    def keys(self, states: Tensor) -> Tensor:
        """Return W s (+ b) for every encoder state, (B, S, A); `states`: (B, S, D)."""
        keys: Tensor = self.key_projection(states)
        return keys

    def forward(
        self, query: Tensor, keys: Tensor, values: Tensor, source_mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Weigh the source positions for every query.

        Args:
            query: Decoder outputs, (B, T, H).
            keys: What `keys` made of the encoder states, (B, S, A).
            values: Encoder states, (B, S, D).
            source_mask: True at real tokens, (B, S), bool. Every row has at least one True.

        Returns:
            The contexts, (B, T, D), and the attention, (B, T, S): zero at padding, and summing to
            one over S.
        """
        energies = self._energies(query, keys)
        energies = energies.masked_fill(~source_mask[:, None, :], float("-inf"))
        attention = torch.softmax(energies, dim=-1)
        return torch.bmm(attention, values), attention

    def _energies(self, query: Tensor, keys: Tensor) -> Tensor:
        if self.kind != "additive":
            return torch.bmm(query, keys.transpose(1, 2))  # (B, T, S)
        projected: Tensor = self.query_projection(query)  # (B, T, A)
        hidden = torch.tanh(projected[:, :, None, :] + keys[:, None, :, :])  # (B, T, S, A)
        energies: Tensor = self.energy(hidden).squeeze(-1)  # (B, T, S)
        return energies
