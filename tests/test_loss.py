"""The loss against the equations of its docstring."""

import math

import pytest
import torch

from nmt.loss import smoothed_cross_entropy

LOGITS = [[2.0, -1.0, 0.5, 0.0], [0.1, 0.2, -3.0, 4.0], [1.0, 1.0, 1.0, 1.0]]
LABELS = [0, 2, 3]


def probabilities(row: list[float]) -> list[float]:
    powers = [math.exp(logit) for logit in row]
    return [power / sum(powers) for power in powers]


def target(label: int, size: int, smoothing: float) -> list[float]:
    """What the model is asked to give: the label, and a little of every token."""
    return [smoothing / size + (1 - smoothing) * (token == label) for token in range(size)]


def plain_loss(smoothing: float) -> float:
    return -sum(
        wanted * math.log(probability)
        for row, label in zip(LOGITS, LABELS, strict=True)
        for wanted, probability in zip(
            target(label, len(row), smoothing), probabilities(row), strict=True
        )
    )


def loss_of(logits: torch.Tensor, label_smoothing: float) -> torch.Tensor:
    return smoothed_cross_entropy(logits, torch.tensor(LABELS), label_smoothing=label_smoothing)


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1, 0.5])
def test_the_loss_is_the_sum_over_tokens_of_the_smoothed_cross_entropy(
    label_smoothing: float,
) -> None:
    loss = loss_of(torch.tensor(LOGITS), label_smoothing)
    assert loss.shape == ()
    assert float(loss) == pytest.approx(plain_loss(label_smoothing))


def test_of_equal_logits_every_smoothing_costs_the_same() -> None:
    logits = torch.zeros(1, 4)
    for label_smoothing in (0.0, 0.3):
        loss = smoothed_cross_entropy(logits, torch.tensor([2]), label_smoothing=label_smoothing)
        assert float(loss) == pytest.approx(math.log(4))


def test_without_smoothing_it_is_the_negative_log_likelihood() -> None:
    expected = -sum(
        math.log(probabilities(row)[label]) for row, label in zip(LOGITS, LABELS, strict=True)
    )
    assert float(loss_of(torch.tensor(LOGITS), 0.0)) == pytest.approx(expected)


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_the_gradient_is_what_is_given_less_what_is_wanted(label_smoothing: float) -> None:
    logits = torch.tensor(LOGITS, requires_grad=True)
    (gradients,) = torch.autograd.grad(loss_of(logits, label_smoothing), logits)
    for gradient, row, label in zip(gradients.tolist(), LOGITS, LABELS, strict=True):
        given, wanted = probabilities(row), target(label, len(row), label_smoothing)
        expected = [g - w for g, w in zip(given, wanted, strict=True)]
        assert gradient == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_logits_of_half_precision_are_scored_in_full(dtype: torch.dtype) -> None:
    logits = torch.tensor(LOGITS, dtype=dtype)
    loss = loss_of(logits, 0.1)
    assert loss.dtype == torch.float32
    assert float(loss) == float(loss_of(logits.float(), 0.1))


def test_many_tokens_do_not_overflow_half_precision() -> None:
    logits = torch.zeros(50_000, 4, dtype=torch.float16)
    labels = torch.zeros(50_000, dtype=torch.int64)
    loss = smoothed_cross_entropy(logits, labels, label_smoothing=0.1)
    assert float(loss) == pytest.approx(50_000 * math.log(4))


def test_no_token_costs_nothing() -> None:
    nothing = torch.zeros(0, dtype=torch.int64)
    assert float(smoothed_cross_entropy(torch.zeros(0, 4), nothing, label_smoothing=0.1)) == 0
