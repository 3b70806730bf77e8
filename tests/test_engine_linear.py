import pytest
import torch
from torch import Tensor

from nmt.engine.linear import float_linear, int8_linear


def example(num_rows: int, *, has_bias: bool) -> tuple[Tensor, Tensor, Tensor | None]:
    generator = torch.Generator().manual_seed(1)
    rows = 2 * torch.rand(num_rows, 48, generator=generator) - 1
    weight = torch.randn(33, 48, generator=generator)
    bias = torch.randn(33, generator=generator) if has_bias else None
    return rows, weight, bias


@pytest.mark.parametrize("num_rows", [1, 5, 70])
@pytest.mark.parametrize("has_bias", [False, True])
def test_float_maps_are_those_of_their_weights(num_rows: int, has_bias: bool) -> None:
    rows, weight, bias = example(num_rows, has_bias=has_bias)
    expected = torch.nn.functional.linear(rows, weight, bias)
    torch.testing.assert_close(float_linear(weight, bias)(rows), expected, rtol=1e-4, atol=1e-4)


def test_doubles_are_multiplied_as_doubles() -> None:
    rows, weight, bias = example(3, has_bias=False)
    product = float_linear(weight.double(), bias)(rows.double())
    assert torch.equal(product, rows.double() @ weight.double().T)


@pytest.mark.parametrize("num_rows", [1, 5, 70])
@pytest.mark.parametrize("has_bias", [False, True])
@pytest.mark.parametrize("bound", [1.0, 3.0])
def test_integer_maps_are_exact_in_what_they_round_to(
    num_rows: int, has_bias: bool, bound: float
) -> None:
    rows, weight, bias = example(num_rows, has_bias=has_bias)
    rows *= bound
    scales = weight.abs().amax(dim=1, keepdim=True) / 127
    rounded = (weight / scales).round().double() * scales
    integers = (rows.double() * 127 / bound + 0.5).floor() * bound / 127
    expected = torch.nn.functional.linear(
        integers, rounded, None if bias is None else bias.double()
    )
    found = int8_linear(weight, bias, bound=bound)(rows)
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-4)


def test_the_ends_of_the_range_are_kept() -> None:
    weight = torch.tensor([[127.0]])
    found = int8_linear(weight, None, bound=1)(torch.tensor([[1.0], [-1.0], [0.0]]))
    torch.testing.assert_close(found, torch.tensor([[127.0], [-127.0], [0.0]]))


def test_a_row_does_not_change_with_the_rows_beside_it() -> None:
    rows, weight, bias = example(9, has_bias=True)
    multiply = int8_linear(weight, bias, bound=1)
    alone = torch.cat([multiply(row[None]) for row in rows])
    assert torch.equal(multiply(rows), alone)


def test_a_row_of_zero_weights_gives_the_bias() -> None:
    found = int8_linear(torch.zeros(2, 8), torch.tensor([3.0, -4.0]), bound=1)(torch.ones(1, 8))
    assert found.tolist() == [[3.0, -4.0]]


def test_rows_without_a_bound_stay_floats() -> None:
    rows, weight, bias = example(3, has_bias=True)
    expected = torch.nn.functional.linear(100 * rows, weight, bias)
    found = int8_linear(weight, bias, bound=None)(100 * rows)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-3)
