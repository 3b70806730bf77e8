"""Masks: how much they drop, what they share, and that they are drawn before they are applied."""

import pytest
import torch
from torch import Tensor

from nmt.model.dropout import Dropout, keep_mask, thin

ONES = torch.ones(20, 30, 40)  # (B, T, any size)


def thinned_by(values: Tensor, probability: float, *, shared_over_time: bool = False) -> Tensor:
    dropout = Dropout(probability, shared_over_time=shared_over_time)
    torch.manual_seed(1)
    thinned: Tensor = dropout(values)
    return thinned


@pytest.mark.parametrize("shared_over_time", [False, True])
@pytest.mark.parametrize("probability", [0.2, 0.7])
def test_as_many_values_are_zero_as_was_asked_and_the_mean_stays(
    probability: float, shared_over_time: bool
) -> None:
    thinned = thinned_by(ONES, probability, shared_over_time=shared_over_time)
    assert float((thinned == 0).float().mean()) == pytest.approx(probability, abs=0.03)
    kept = thinned[thinned != 0]
    expected = torch.full_like(kept, 1 / (1 - probability))
    torch.testing.assert_close(kept, expected, rtol=1e-4, atol=0)
    assert float(thinned.mean()) == pytest.approx(1, abs=0.1)


def test_a_mask_may_be_shared_over_time() -> None:
    shared = thinned_by(ONES, 0.5, shared_over_time=True)
    assert torch.equal(shared, shared[:, :1].expand_as(shared))
    # Sentences and values have masks of their own.
    assert not torch.equal(shared[0], shared[1])
    assert not torch.equal(shared[:, :, 0], shared[:, :, 1])
    single = thinned_by(ONES, 0.5)
    assert not torch.equal(single[:, 0], single[:, 1])


def test_values_are_scaled_not_replaced() -> None:
    values = torch.arange(1.0, 25.0).view(2, 3, 4)
    thinned = thinned_by(values, 0.5)
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
    assert thinned_by(ONES.to(dtype), 0.5).dtype == dtype


def test_nearly_all_may_be_dropped() -> None:
    mask = keep_mask((20, 30, 40), 0.9999999, ONES)
    assert mask.isfinite().all()
    assert int(mask.count_nonzero()) < 10


def test_a_probability_too_small_for_the_draw_drops_nothing() -> None:
    assert torch.equal(keep_mask((50, 40), 1e-6, ONES), torch.ones(50, 40))


# Drawn first, applied later


@pytest.mark.parametrize(("shared_over_time", "steps"), [(False, 30), (True, 1)])
def test_a_mask_is_drawn_for_any_width(shared_over_time: bool, steps: int) -> None:
    dropout = Dropout(0.4, shared_over_time=shared_over_time)
    mask = dropout.draw(ONES.double(), 7)
    assert mask is not None
    assert mask.shape == (20, steps, 7)
    assert mask.dtype == torch.float64
    zero, kept = sorted(set(mask.flatten().tolist()))
    assert (zero, kept) == (0, pytest.approx(1 / 0.6, rel=1e-4))


@pytest.mark.parametrize("shared_over_time", [False, True])
def test_to_thin_is_to_draw_and_to_apply(shared_over_time: bool) -> None:
    dropout = Dropout(0.4, shared_over_time=shared_over_time)
    torch.manual_seed(3)
    expected = dropout(ONES)
    torch.manual_seed(3)
    assert torch.equal(thin(ONES, dropout.draw(ONES, 40)), expected)


def test_no_mask_is_drawn_where_nothing_is_dropped() -> None:
    assert Dropout(0.5).eval().draw(ONES, 7) is None
    assert Dropout(0.0).draw(ONES, 7) is None
    assert thin(ONES, None) is ONES
