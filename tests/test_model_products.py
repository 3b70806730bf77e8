"""Products against PyTorch's own; a loop's one gradient against the sum of its steps' gradients."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import linear

from nmt.model.products import RepeatedLinear, fixed_linear, has_int8, int8_linear, multiply

NEEDS_INT8 = pytest.mark.skipif(not has_int8(), reason="PyTorch has no 8-bit products here")
TYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])


def matrix(rows: int, columns: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.sin(1.7 * torch.arange(rows * columns).view(rows, columns)).to(dtype)


@TYPES
@pytest.mark.parametrize("num_rows", [0, 1, 3, 64])
@pytest.mark.parametrize("has_bias", [False, True])
def test_rows_are_multiplied(dtype: torch.dtype, num_rows: int, has_bias: bool) -> None:
    rows, weight = matrix(num_rows, 5, dtype), matrix(7, 5, dtype)
    bias = matrix(7, 1, dtype)[:, 0] if has_bias else None
    torch.testing.assert_close(multiply(rows, weight, bias), linear(rows, weight, bias))
    turned = weight.T.contiguous().T
    torch.testing.assert_close(multiply(rows, turned, bias), linear(rows, weight, bias))


@TYPES
@pytest.mark.parametrize("num_rows", [1, 5, 70])
@pytest.mark.parametrize("has_bias", [False, True])
def test_a_weight_that_stays_multiplies_rows(
    dtype: torch.dtype, num_rows: int, has_bias: bool
) -> None:
    rows, weight = matrix(num_rows, 48, dtype), matrix(33, 48, dtype)
    bias = matrix(33, 1, dtype)[:, 0] if has_bias else None
    expected = linear(rows, weight, bias)
    torch.testing.assert_close(fixed_linear(weight, bias)(rows), expected)
    turned = weight.T.contiguous().T
    torch.testing.assert_close(fixed_linear(turned, bias)(rows), expected)


@NEEDS_INT8
@pytest.mark.parametrize("num_rows", [1, 5, 70])
@pytest.mark.parametrize("has_bias", [False, True])
@pytest.mark.parametrize("bound", [1.0, 3.0])
def test_integer_products_are_exact_in_what_they_round_to(
    num_rows: int, has_bias: bool, bound: float
) -> None:
    rows, weight = bound * matrix(num_rows, 48).float(), 2 * matrix(33, 48).cos().float()
    bias = matrix(33, 1).float()[:, 0] if has_bias else None
    scales = weight.abs().amax(dim=1, keepdim=True) / 127
    rounded = (weight / scales).round().double() * scales
    integers = (rows.double() * 127 / bound + 0.5).floor() * bound / 127
    expected = linear(integers, rounded, None if bias is None else bias.double())
    found = int8_linear(weight, bias, bound=bound)(rows)
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-4)


@NEEDS_INT8
def test_the_ends_of_the_range_of_integers_are_kept() -> None:
    found = int8_linear(torch.tensor([[127.0]]), bound=1)(torch.tensor([[1.0], [-1.0], [0.0]]))
    torch.testing.assert_close(found, torch.tensor([[127.0], [-127.0], [0.0]]))


@NEEDS_INT8
def test_a_row_of_integers_does_not_change_with_the_rows_beside_it() -> None:
    rows, weight = matrix(9, 48).float(), matrix(33, 48).float()
    product = int8_linear(weight, bound=1)
    assert torch.equal(product(rows), torch.cat([product(row[None]) for row in rows]))


@NEEDS_INT8
def test_zero_weights_of_integers_give_the_bias() -> None:
    found = int8_linear(torch.zeros(2, 8), torch.tensor([3.0, -4.0]), bound=1)(torch.ones(1, 8))
    assert found.tolist() == [[3.0, -4.0]]


def run_loop(weight: Tensor, bias: Tensor | None, rows: Tensor, *, is_one_product: bool) -> Tensor:
    """Feed what comes out of a map back into it, fewer rows at every step."""
    repeated = RepeatedLinear(weight, bias)
    total = rows.new_zeros(())
    for num_rows in (4, 3, 3, 1):
        rows = rows[:num_rows]
        rows = torch.tanh(repeated(rows) if is_one_product else linear(rows, weight, bias))
        total = total + (rows * torch.arange(1, rows.size(1) + 1)).sum()
    return total


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("has_bias", [False, True])
def test_a_loop_learns_what_its_steps_would(dtype: torch.dtype, has_bias: bool) -> None:
    learns = [matrix(4, 5, dtype), matrix(5, 5, dtype)]
    learns += [matrix(5, 1, dtype)[:, 0]] if has_bias else []
    rows, weight, *rest = [values.requires_grad_() for values in learns]
    bias = rest[0] if rest else None
    found = run_loop(weight, bias, rows, is_one_product=True)
    expected = run_loop(weight, bias, rows, is_one_product=False)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(
        torch.autograd.grad(found, learns), torch.autograd.grad(expected, learns)
    )


def test_a_loop_comes_back_twice_where_it_is_asked_twice() -> None:
    weight = matrix(5, 5).requires_grad_()
    loss = run_loop(weight, None, matrix(4, 5), is_one_product=True)
    first = torch.autograd.grad(loss, weight, retain_graph=True)
    torch.testing.assert_close(torch.autograd.grad(loss, weight), first)


def test_a_pass_that_stops_before_the_weight_adds_nothing_to_the_next() -> None:
    weight, rows = matrix(5, 5).requires_grad_(), matrix(4, 5).requires_grad_()
    loss = run_loop(weight, None, rows, is_one_product=True)
    torch.autograd.grad(loss, rows, retain_graph=True)
    expected = run_loop(weight, None, rows, is_one_product=False)
    torch.testing.assert_close(
        torch.autograd.grad(loss, weight), torch.autograd.grad(expected, weight)
    )


def test_a_frozen_weight_lets_the_gradient_through() -> None:
    weight, rows = matrix(5, 5), matrix(4, 5).requires_grad_()
    found = run_loop(weight, None, rows, is_one_product=True)
    expected = run_loop(weight, None, rows, is_one_product=False)
    torch.testing.assert_close(
        torch.autograd.grad(found, rows), torch.autograd.grad(expected, rows)
    )


@torch.no_grad()
def test_a_loop_computes_the_same_where_nothing_is_learned() -> None:
    weight, bias, rows = matrix(5, 5).requires_grad_(), matrix(5, 1)[:, 0], matrix(4, 5)
    found = run_loop(weight, bias, rows, is_one_product=True)
    torch.testing.assert_close(found, run_loop(weight, bias, rows, is_one_product=False))


def test_half_precision_is_that_of_autocast() -> None:
    weight = matrix(5, 5, torch.float32).requires_grad_()
    rows = matrix(4, 5, torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        repeated = RepeatedLinear(weight)
        product = repeated(rows)
        expected = linear(rows, weight)
    assert product.dtype == torch.bfloat16
    torch.testing.assert_close(product, expected)
    (gradient,) = torch.autograd.grad(product.sum(), weight)
    torch.testing.assert_close(gradient, *torch.autograd.grad(expected.sum(), weight))
    assert gradient.dtype == torch.float32
