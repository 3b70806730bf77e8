"""From what the decoder has found at a step to what the output layer reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from nmt.model.products import RepeatedLinear

ReadoutKind = Literal["attentional", "maxout", "direct", "hidden"]


class Readout(nn.Module):
    """Brings the top hidden state h, the context c and the token y read at this step together.

        attentional  tanh(W [h; c])                             (Luong et al. 2015, eq. 5)
        maxout       the larger of each two of U h + V y + C c  (Bahdanau et al. 2015, A.2.2)
        direct       [h; c]                                     (Chen et al. 2018)
        hidden       h                                          (Wu et al. 2016)

    Biases are ours. Without attention there is no c. Bahdanau's appendix has the hidden state of
    the step before where his eq. 4 has that of this step; here it is this step's.
    """

    def __init__(
        self,
        kind: ReadoutKind,
        *,
        hidden_size: int,
        context_size: int,
        embedding_size: int,
        size: int,
    ) -> None:
        """Take the sizes.

        Args:
            kind: What is made of h, c and y.
            hidden_size: H.
            context_size: D, 0 without attention.
            embedding_size: E.
            size: Width of what `attentional` and `maxout` give.
        """
        super().__init__()
        self.kind = kind
        self.passes_hidden_on = kind in ("direct", "hidden")
        width = hidden_size + context_size
        if kind == "attentional":
            self.projection = nn.Linear(width, size)
        if kind == "maxout":
            self.projection = nn.Linear(width + embedding_size, 2 * size)
        self.size = {"direct": width, "hidden": hidden_size}.get(kind, size)

    def one_step(self) -> Callable[[Tensor], Tensor]:
        """Return the projection for a loop over steps: its gradient is taken once for all."""
        project = RepeatedLinear(self.projection.weight, self.projection.bias)
        return lambda values: project(values.squeeze(1))[:, None]

    def forward(
        self,
        hidden: Tensor,
        context: Tensor | None,
        embedded: Tensor,
        *,
        project: Callable[[Tensor], Tensor] | None = None,
    ) -> Tensor:
        """Return what the output layer reads, (B, T, size).

        Args:
            hidden: Output of the top layer, (B, T, H).
            context: Of this step, (B, T, D); None without attention.
            embedded: The token vectors that this step has read, (B, T, E).
            project: What `one_step` gave, where this is a step of a loop; None is the projection.
        """
        if self.kind == "hidden":
            return hidden
        found = [hidden] if context is None else [hidden, context]
        if self.kind == "direct":
            return torch.cat(found, dim=-1)
        if self.kind == "attentional":
            return torch.tanh((project or self.projection)(torch.cat(found, dim=-1)))
        pairs: Tensor = self.projection(torch.cat([*found, embedded], dim=-1))
        return pairs.view(*pairs.shape[:2], -1, 2).amax(dim=-1)  # (B, T, size)
