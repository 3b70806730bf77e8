"""Token vectors: how they start, and how they are thinned."""

import pytest
import torch

from nmt.model.dropout import Dropout
from nmt.model.embedding import Embedding, embedding_table


def embedding(*, dropout: float = 0.0, word_dropout: float = 0.0) -> Embedding:
    torch.manual_seed(1)
    table = embedding_table(50, 40, pad_id=0)
    return Embedding(table, dropout=Dropout(dropout), word_dropout=word_dropout)


TOKEN_IDS = torch.arange(1000).view(20, 50) % 49 + 1  # (B, T), no padding


@pytest.mark.parametrize(("size", "pad_id"), [(16, 0), (100, 7)])
def test_vectors_start_about_as_long_as_one_and_padding_at_zero(size: int, pad_id: int) -> None:
    torch.manual_seed(1)
    weight = embedding_table(500, size, pad_id=pad_id).weight.detach()
    assert weight.shape == (500, size)
    assert weight[pad_id].eq(0).all()
    others = torch.cat((weight[:pad_id], weight[pad_id + 1 :]))
    assert float(others.std()) == pytest.approx(size**-0.5, rel=0.03)
    assert float(others.mean()) == pytest.approx(0, abs=0.02)


def test_a_token_has_its_row_of_the_table() -> None:
    layer = embedding(dropout=0.5, word_dropout=0.5).eval()
    vectors = layer(TOKEN_IDS)
    assert vectors.shape == (20, 50, 40)
    assert torch.equal(vectors, layer.table.weight[TOKEN_IDS])


def test_word_dropout_takes_whole_tokens() -> None:
    layer = embedding(word_dropout=0.3)
    vectors = layer(TOKEN_IDS)
    dropped = vectors.eq(0).all(dim=-1)  # (B, T)
    assert float(dropped.float().mean()) == pytest.approx(0.3, abs=0.05)
    expected = layer.table.weight[TOKEN_IDS[~dropped]] / 0.7
    torch.testing.assert_close(vectors[~dropped], expected)
    assert not torch.equal(dropped[0], dropped[1])
    assert not torch.equal(dropped[:, 0], dropped[:, 1])


def test_dropout_takes_single_values() -> None:
    vectors = embedding(dropout=0.3)(TOKEN_IDS)
    assert float(vectors.eq(0).float().mean()) == pytest.approx(0.3, abs=0.02)
    assert not vectors.eq(0).all(dim=-1).any()


def test_both_dropouts_may_work_together() -> None:
    vectors = embedding(dropout=0.5, word_dropout=0.5)(TOKEN_IDS)
    assert float(vectors.eq(0).float().mean()) == pytest.approx(0.75, abs=0.03)


@pytest.mark.parametrize("probability", [-0.1, 1, 1.5, float("nan")])
def test_a_word_dropout_out_of_range_is_refused(probability: float) -> None:
    with pytest.raises(ValueError, match=rf"^word_dropout must be in \[0, 1\), got {probability}$"):
        embedding(word_dropout=probability)


def test_looking_up_padding_teaches_nothing() -> None:
    layer = embedding()
    layer(torch.tensor([[5, 0, 0]])).sum().backward()
    gradient = layer.table.weight.grad
    assert gradient is not None
    assert gradient.any(dim=-1).nonzero().tolist() == [[5]]
