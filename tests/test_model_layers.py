"""Dropout masks, and LSTM layers against their equations."""

import math

import plain_model
import pytest
import torch
from small_models import fill
from torch import Tensor

from nmt.model.layers import Dropout, keep_mask, one_layer_lstm

ONES = torch.ones(20, 30, 40)  # (B, T, any size)


def thin(values: Tensor, probability: float, *, shared_over_time: bool = False) -> Tensor:
    dropout = Dropout(probability, shared_over_time=shared_over_time)
    torch.manual_seed(1)
    thinned: Tensor = dropout(values)
    return thinned


@pytest.mark.parametrize("shared_over_time", [False, True])
@pytest.mark.parametrize("probability", [0.2, 0.7])
def test_as_many_values_are_zero_as_was_asked_and_the_mean_stays(
    probability: float, shared_over_time: bool
) -> None:
    thinned = thin(ONES, probability, shared_over_time=shared_over_time)
    assert float((thinned == 0).float().mean()) == pytest.approx(probability, abs=0.03)
    kept = thinned[thinned != 0]
    torch.testing.assert_close(kept, torch.full_like(kept, 1 / (1 - probability)))
    assert float(thinned.mean()) == pytest.approx(1, abs=0.1)


def test_a_mask_may_be_shared_over_time() -> None:
    shared = thin(ONES, 0.5, shared_over_time=True)
    assert torch.equal(shared, shared[:, :1].expand_as(shared))
    # Sentences and values have masks of their own.
    assert not torch.equal(shared[0], shared[1])
    assert not torch.equal(shared[:, :, 0], shared[:, :, 1])
    single = thin(ONES, 0.5)
    assert not torch.equal(single[:, 0], single[:, 1])


def test_values_are_scaled_not_replaced() -> None:
    values = torch.arange(1.0, 25.0).view(2, 3, 4)
    thinned = thin(values, 0.5)
    kept = thinned != 0
    assert 0 < int(kept.sum()) < 24
    torch.testing.assert_close(thinned[kept], 2 * values[kept])


def test_nothing_is_dropped_where_nothing_is_trained() -> None:
    dropout = Dropout(0.5).eval()
    assert dropout(ONES) is ONES
    dropout.train()
    assert dropout(ONES) is not ONES
    assert Dropout(0.0)(ONES) is ONES


@pytest.mark.parametrize("probability", [-0.1, 1, 1.5, float("nan")])
def test_a_probability_out_of_range_is_refused(probability: float) -> None:
    with pytest.raises(ValueError, match=rf"^dropout must be in \[0, 1\), got {probability}$"):
        Dropout(probability)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_a_mask_has_the_type_of_what_it_thins(dtype: torch.dtype) -> None:
    mask = keep_mask((2, 3), 0.5, torch.zeros(7, dtype=dtype))
    assert mask.shape == (2, 3)
    assert mask.dtype == dtype
    assert thin(ONES.to(dtype), 0.5).dtype == dtype


# LSTM layers


@torch.no_grad()
@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_forget_gates_start_open_and_the_other_biases_at_zero(bidirectional: bool) -> None:
    size = 4
    lstm = one_layer_lstm(3, size, bidirectional=bidirectional)
    suffixes = ["", "_reverse"] if bidirectional else [""]
    assert len(list(lstm.parameters())) == 4 * len(suffixes)
    for suffix in suffixes:
        sums = getattr(lstm, f"bias_ih_l0{suffix}") + getattr(lstm, f"bias_hh_l0{suffix}")
        assert sums.tolist() == [0.0] * size + [1.0] * size + [0.0] * 2 * size


@torch.no_grad()
@pytest.mark.parametrize("bidirectional", [False, True])
def test_weights_start_within_the_bound_of_the_hidden_size(bidirectional: bool) -> None:
    lstm = one_layer_lstm(400, 25, bidirectional=bidirectional)
    for name, weight in lstm.named_parameters():
        if "weight" in name:
            assert float(weight.abs().max()) == pytest.approx(0.2, abs=0.001)
            assert float(weight.abs().max()) <= 0.2
            assert float(weight.std()) == pytest.approx(0.2 / math.sqrt(3), rel=0.05)


@torch.no_grad()
def test_a_step_is_that_of_the_equations() -> None:
    lstm = one_layer_lstm(3, 2).double()
    fill(lstm)
    values, hidden, cell = [0.3, -1.2, 2.0], [0.5, -0.4], [1.5, -2.5]
    states = (torch.tensor([[hidden]]).double(), torch.tensor([[cell]]).double())
    outputs, (new_hidden, new_cell) = lstm(torch.tensor([[values]]).double(), states)
    expected = plain_model.lstm_step(lstm, values, hidden, cell)
    assert new_hidden[0, 0].tolist() == outputs[0, 0].tolist() == pytest.approx(expected[0])
    assert new_cell[0, 0].tolist() == pytest.approx(expected[1])
