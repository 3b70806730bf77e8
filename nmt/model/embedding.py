"""Token ids to vectors."""

from __future__ import annotations

from torch import Tensor, nn

from nmt.model.dropout import Dropout, keep_mask


class Embedding(nn.Module):
    """A table of token vectors with dropout of values and of whole tokens."""

    def __init__(self, table: nn.Embedding, *, dropout: Dropout, word_dropout: float = 0.0) -> None:
        """Take the table, which other parts may share.

        Args:
            table: The vectors, (V, E).
            dropout: Thins the values.
            word_dropout: Probability that a token's whole vector is zero, in [0, 1).
        """
        super().__init__()
        if not 0 <= word_dropout < 1:
            raise ValueError(f"word_dropout must be in [0, 1), got {word_dropout}")
        self.table = table
        self.dropout = dropout
        self.word_dropout = word_dropout

    def forward(self, token_ids: Tensor) -> Tensor:
        """Return the tokens' vectors, (B, T, E); `token_ids`: (B, T), int64."""
        vectors: Tensor = self.table(token_ids)  # (B, T, E)
        if self.training and self.word_dropout > 0:
            vectors = vectors * keep_mask((*token_ids.shape, 1), self.word_dropout, vectors)
        thinned: Tensor = self.dropout(vectors)
        return thinned


def embedding_table(vocab_size: int, size: int, *, pad_id: int) -> nn.Embedding:
    """Return a table drawn from N(0, 1/E): the scale at which it also serves as output layer."""
    table = nn.Embedding(vocab_size, size, padding_idx=pad_id)
    nn.init.normal_(table.weight, std=size**-0.5)
    nn.init.zeros_(table.weight[pad_id])
    return table
