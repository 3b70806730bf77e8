"""The three kinds of attention against their equations."""

import math

import plain_model
import pytest
import torch
from small_models import fill
from torch import Tensor

from nmt.model.attention import Attention, AttentionKind

B, T, S, H, D, A = 3, 2, 5, 4, 6, 7
LENGTHS = [5, 1, 3]
KINDS: list[AttentionKind] = ["dot", "general", "additive"]


def state_size(kind: AttentionKind) -> int:
    return H if kind == "dot" else D


def make_attention(kind: AttentionKind, *, size: int | None = None) -> Attention:
    attention = Attention(H, state_size(kind), kind=kind, size=size).double()
    fill(attention)
    return attention


def wave(*shape: int) -> Tensor:
    """Numbers that repeat nowhere."""
    return torch.sin(torch.arange(math.prod(shape), dtype=torch.float64) * 1.3 + 0.1).view(shape)


def source_mask() -> Tensor:
    return torch.arange(S) < torch.tensor(LENGTHS)[:, None]  # (B, S)


@torch.no_grad()
def attend(attention: Attention, states: Tensor) -> tuple[Tensor, Tensor]:
    context, weights = attention(wave(B, T, H), attention.keys(states), states, source_mask())
    return context, weights


@pytest.mark.parametrize("kind", KINDS)
def test_context_and_attention_are_those_of_the_equations(kind: AttentionKind) -> None:
    attention = make_attention(kind, size=A if kind == "additive" else None)
    states, queries = wave(B, S, state_size(kind)), wave(B, T, H)
    context, weights = attend(attention, states)
    assert context.shape == (B, T, state_size(kind))
    for row, length in enumerate(LENGTHS):
        values = states[row, :length].tolist()
        for step in range(T):
            query = queries[row, step].tolist()
            expected_context, expected = plain_model.attend(attention, query, values)
            assert weights[row, step, :length].tolist() == pytest.approx(expected)
            assert context[row, step].tolist() == pytest.approx(expected_context)


@pytest.mark.parametrize("kind", KINDS)
def test_attention_sums_to_one_and_is_zero_at_padding(kind: AttentionKind) -> None:
    states = 50 * wave(B, S, state_size(kind))
    _, weights = attend(make_attention(kind), states)
    assert weights.shape == (B, T, S)
    assert torch.count_nonzero(weights.masked_select(~source_mask()[:, None, :])) == 0
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(B, T, dtype=torch.float64))
    # Where there is one token, it is looked at.
    assert weights[1].tolist() == [[1.0, 0, 0, 0, 0]] * T


@pytest.mark.parametrize("kind", KINDS)
def test_what_stands_at_padding_changes_nothing(kind: AttentionKind) -> None:
    attention = make_attention(kind)
    states = wave(B, S, state_size(kind))
    noisy = torch.where(source_mask()[:, :, None], states, 1000.0)
    for one, other in zip(attend(attention, states), attend(attention, noisy), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("kind", KINDS)
def test_large_energies_stay_finite_and_out_of_padding(kind: AttentionKind) -> None:
    states = 1e6 * wave(B, S, state_size(kind))
    context, weights = attend(make_attention(kind), states)
    assert context.isfinite().all()
    assert weights.isfinite().all()
    assert torch.count_nonzero(weights.masked_select(~source_mask()[:, None, :])) == 0


@pytest.mark.parametrize(
    ("kind", "weights"),
    [
        ("dot", []),
        ("general", ["key_projection.weight"]),
        (
            "additive",
            [
                "key_projection.weight",
                "key_projection.bias",
                "query_projection.weight",
                "energy.weight",
            ],
        ),
    ],
)
def test_the_weights_are_those_of_the_equations(kind: AttentionKind, weights: list[str]) -> None:
    assert [name for name, _ in make_attention(kind).named_parameters()] == weights


def test_the_width_of_the_keys_follows_kind_and_size() -> None:
    states = wave(B, S, D)
    assert make_attention("general").keys(states).shape == (B, S, H)
    assert make_attention("additive").keys(states).shape == (B, S, H)
    assert make_attention("additive", size=A).keys(states).shape == (B, S, A)
    same = wave(B, S, H)
    assert make_attention("dot").keys(same) is same


def test_dot_attention_needs_equal_sizes() -> None:
    complaint = "^dot attention needs equal sizes, got decoder 4 and encoder states 6; use general$"
    with pytest.raises(ValueError, match=complaint):
        Attention(H, D, kind="dot")
