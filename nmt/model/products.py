"""Products of rows with a weight matrix: of many rows at once, and of a few at every step."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

# oneDNN's product, which torch.compile calls too, with the weight in the order of its blocks. Of 64
# rows it is half as fast again as the BLAS behind torch.mm on some processors, on others alike.
_HAS_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(  # type: ignore[no-untyped-call]
    torch.ops.mkldnn, "_linear_pointwise"
)


def multiply(rows: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return W x + b for every row x, (N, M); no gradient goes through it.

    Args:
        rows: The x, (N, K).
        weight: W, (M, K), with strides of any order.
        bias: b, (M,); None is zero.
    """
    if _HAS_ONEDNN and rows.device.type == "cpu" and rows.dtype == torch.float32 and len(rows):
        product: Tensor = torch.ops.mkldnn._linear_pointwise(rows, weight, bias, "none", [], "")
        return product
    return torch.nn.functional.linear(rows, weight, bias)


class RepeatedLinear:
    """A linear map W x + b at every step of a loop over time.

    Left to itself, the gradient of W is one product for each step, of few rows, and as many
    additions of matrices of the size of W. Here every step only keeps its x and the gradient dy of
    what it gave. When the last step has come back, the gradient is one product over all steps,

        dW = sum over steps of dy^T x = [dy_1; ...; dy_T]^T [x_1; ...; x_T]

    An object serves one pass.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        """Take W, (M, K), and b, (M,)."""
        device = weight.device.type
        if torch.is_autocast_enabled(device):
            weight = weight.to(torch.get_autocast_dtype(device))
            bias = None if bias is None else bias.to(weight.dtype)
        self._weight, self._bias = weight.detach(), None if bias is None else bias.detach()
        self._inputs: list[Tensor] = []
        self._gradients: list[Tensor] = []
        # Every step depends on the anchor: its gradient is asked for when all steps have theirs.
        tape = self._inputs, self._gradients
        self._anchor: Tensor = _GradientAfterLoop.apply(weight, bias, *tape)  # type: ignore[no-untyped-call]

    def __call__(self, rows: Tensor) -> Tensor:
        """Return W x + b for the rows of one step, (N, M); `rows`: (N, K)."""
        rows = rows.to(self._weight.dtype)
        if not torch.is_grad_enabled():
            return multiply(rows, self._weight, self._bias)
        once = self._weight, self._bias, self._inputs, self._gradients
        product: Tensor = _Step.apply(rows, self._anchor, *once)  # type: ignore[no-untyped-call]
        return product


class _Step(torch.autograd.Function):
    """One step: its own gradient goes to its rows alone."""

    @staticmethod
    def forward(
        ctx: Any,
        rows: Tensor,
        anchor: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        inputs: list[Tensor],
        gradients: list[Tensor],
    ) -> Tensor:
        ctx.save_for_backward(rows)
        ctx.weight, ctx.inputs, ctx.gradients = weight, inputs, gradients
        return multiply(rows, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None, None, None]:
        (rows,) = ctx.saved_tensors
        ctx.inputs.append(rows)
        ctx.gradients.append(gradient)
        return multiply(gradient, ctx.weight.T), None, None, None, None, None


class _GradientAfterLoop(torch.autograd.Function):
    """Gives an anchor, whose backward pass is the weight's, after that of all steps."""

    @staticmethod
    def forward(
        ctx: Any,
        weight: Tensor,
        bias: Tensor | None,
        inputs: list[Tensor],
        gradients: list[Tensor],
    ) -> Tensor:
        ctx.set_materialize_grads(False)
        ctx.has_bias = bias is not None
        ctx.inputs, ctx.gradients = inputs, gradients
        return weight.new_zeros(())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, _: None) -> tuple[Tensor, Tensor | None, None, None]:
        inputs, gradients = torch.cat(ctx.inputs), torch.cat(ctx.gradients)  # (T*N, K), (T*N, M)
        ctx.inputs.clear()
        ctx.gradients.clear()
        return gradients.T @ inputs, gradients.sum(dim=0) if ctx.has_bias else None, None, None
