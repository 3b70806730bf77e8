"""What the laid-out parts of a model are made of."""

import pytest
import torch
from torch import Tensor

from nmt.engine.units import add_products, in_floats, in_int8
from nmt.model.products import has_int8


def products(size: int) -> tuple[list[Tensor], Tensor, Tensor]:
    """Return two weights, (4 size, size), sums, (2, 3, 4 size), and rows, (2, 3, size)."""
    generator = torch.Generator().manual_seed(size)
    weights = [torch.randn(4 * size, size, generator=generator) for _ in range(2)]
    sums = torch.randn(2, 3, 4 * size, generator=generator)
    return weights, sums, torch.rand(2, 3, size, generator=generator) * 2 - 1


@pytest.mark.parametrize("size", [2, 128, 129])
def test_every_direction_adds_its_own_product(size: int) -> None:
    weights, sums, rows = products(size)
    each = zip(sums.double(), rows.double(), weights, strict=True)
    expected = torch.stack([sum_ + own @ weight.double().T for sum_, own, weight in each])
    add_products(weights, in_floats)(sums, rows)
    torch.testing.assert_close(sums.double(), expected, atol=1e-4, rtol=1e-5)


@pytest.mark.skipif(not has_int8(), reason="no integer products here")
@pytest.mark.parametrize(("size", "is_rounded"), [(128, False), (129, True)])
def test_small_weights_stay_floats(size: int, is_rounded: bool) -> None:
    weights, sums, rows = products(size)
    floats = sums.clone()
    add_products(weights, in_floats)(floats, rows)
    add_products(weights, in_int8)(sums, rows)
    assert torch.equal(sums, floats) != is_rounded
    torch.testing.assert_close(sums, floats, atol=0.5, rtol=0)
