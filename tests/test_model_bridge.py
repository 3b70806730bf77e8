"""From the encoder's final states to the decoder's first."""

import math

import plain_model
import pytest
import torch
from small_models import fill
from torch import nn

from nmt.model.bridge import Bridge

B, D, H, L = 2, 6, 4, 3
FINAL = torch.sin(torch.arange(2 * B * D, dtype=torch.float64)).view(2, B, D)


@torch.no_grad()
def test_a_linear_bridge_projects_hidden_and_cell_for_every_layer() -> None:
    bridge = Bridge(D, H, L, kind="linear").double()
    fill(bridge)
    state = bridge(FINAL)
    assert state.hidden.shape == state.cell.shape == (L, B, H)
    assert state.hidden.is_contiguous()
    assert state.cell.is_contiguous()
    to_hidden, to_cell = bridge.projections
    assert isinstance(to_hidden, nn.Linear)
    assert isinstance(to_cell, nn.Linear)
    for row in range(B):
        hidden = [math.tanh(v) for v in plain_model.linear(to_hidden, FINAL[0, row].tolist())]
        cell = plain_model.linear(to_cell, FINAL[1, row].tolist())
        for layer in range(L):
            units = slice(layer * H, (layer + 1) * H)
            assert state.hidden[layer, row].tolist() == pytest.approx(hidden[units])
            assert state.cell[layer, row].tolist() == pytest.approx(cell[units])


def test_a_zero_bridge_starts_from_nothing_and_has_no_weights() -> None:
    bridge = Bridge(D, H, L, kind="zero")
    state = bridge(FINAL)
    assert torch.equal(state.hidden, torch.zeros(L, B, H, dtype=torch.float64))
    assert torch.equal(state.cell, torch.zeros(L, B, H, dtype=torch.float64))
    assert list(bridge.parameters()) == []


def test_a_bridge_is_linear_where_nothing_is_said() -> None:
    assert len(list(Bridge(D, H, L).parameters())) == 4
