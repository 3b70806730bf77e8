"""What the output layer reads, against the equations."""

import pytest
import torch
from plain_model import linear, part, tanh
from small_models import fill, weights_of
from torch import Tensor

from nmt.model.readout import Readout, ReadoutKind

B, T, H, D, E, SIZE = 2, 3, 4, 6, 5, 7


def wave(size: int) -> Tensor:
    return torch.sin(size * torch.arange(B * T * size, dtype=torch.float64)).view(B, T, size)


HIDDEN, CONTEXT, EMBEDDED = wave(H), wave(D), wave(E)


def make_readout(kind: ReadoutKind, *, context_size: int = D) -> Readout:
    readout = Readout(
        kind, hidden_size=H, context_size=context_size, embedding_size=E, size=SIZE
    ).double()
    fill(readout)
    return readout


def expected(readout: Readout, kind: ReadoutKind, values: list[list[float]]) -> list[float]:
    """From hidden state, context and token to the readout, as the papers have it."""
    hidden, context, embedded = values
    weights = part(weights_of(readout), "projection")
    if kind == "hidden":
        return hidden
    if kind == "direct":
        return hidden + context
    if kind == "attentional":
        return tanh(linear(weights, hidden + context))
    wide = linear(weights, hidden + context + embedded)
    return [max(wide[2 * place], wide[2 * place + 1]) for place in range(SIZE)]


@pytest.mark.parametrize(
    ("kind", "size", "size_alone"),
    [("attentional", SIZE, SIZE), ("maxout", SIZE, SIZE), ("direct", H + D, H), ("hidden", H, H)],
)
@torch.no_grad()
def test_a_readout_is_that_of_the_equations(kind: ReadoutKind, size: int, size_alone: int) -> None:
    readout, alone = make_readout(kind), make_readout(kind, context_size=0)
    found, found_alone = readout(HIDDEN, CONTEXT, EMBEDDED), alone(HIDDEN, None, EMBEDDED)
    assert found.shape == (B, T, readout.size) == (B, T, size)
    assert found_alone.shape == (B, T, alone.size) == (B, T, size_alone)
    for row in range(B):
        for step in range(T):
            values = [read[row, step].tolist() for read in (HIDDEN, CONTEXT, EMBEDDED)]
            assert found[row, step].tolist() == pytest.approx(expected(readout, kind, values))
            values[1] = []
            assert found_alone[row, step].tolist() == pytest.approx(expected(alone, kind, values))


@pytest.mark.parametrize("kind", ["direct", "hidden"])
def test_what_is_read_as_it_is_needs_no_weights(kind: ReadoutKind) -> None:
    assert list(make_readout(kind).parameters()) == []
