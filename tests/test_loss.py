"""The losses against the equations of their docstrings."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, kl_div, linear

from nmt.loss import alignment_loss, coverage_loss, r_drop_loss, smoothed_cross_entropy

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


def loss_of(logits: Tensor, label_smoothing: float, labels: Tensor | None = None) -> Tensor:
    """The loss of readouts that an output layer of ones on the diagonal makes into logits."""
    size = logits.size(1)
    return smoothed_cross_entropy(
        logits,
        torch.tensor(LABELS) if labels is None else labels,
        weight=torch.eye(size, dtype=logits.dtype),
        bias=torch.zeros(size, dtype=logits.dtype),
        label_smoothing=label_smoothing,
    )


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
        loss = loss_of(logits, label_smoothing, torch.tensor([2]))
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
    loss = loss_of(logits, 0.1, labels)
    assert float(loss) == pytest.approx(50_000 * math.log(4))


def test_no_token_costs_nothing() -> None:
    nothing = torch.zeros(0, dtype=torch.int64)
    assert float(loss_of(torch.zeros(0, 4), 0.1, nothing)) == 0


def plain_loss_of(
    readouts: Tensor, labels: Tensor, weight: Tensor, bias: Tensor, label_smoothing: float
) -> Tensor:
    """PyTorch's own, by way of logits."""
    return cross_entropy(
        linear(readouts, weight, bias), labels, label_smoothing=label_smoothing, reduction="sum"
    )


@pytest.mark.parametrize("most_logits", [2**24, 40, 1])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_loss_and_gradients_are_those_of_the_logits_in_any_number_of_parts(
    label_smoothing: float, most_logits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nmt.loss._MOST_LOGITS", most_logits)
    wave = torch.sin(1.7 * torch.arange(9 * 5 + 13 * 5 + 13, dtype=torch.float64))
    parts = torch.split(wave, [45, 65, 13])
    readouts, weight, bias = (part.clone().requires_grad_() for part in parts)
    labels = torch.arange(9) % 13
    rows, table = readouts.view(9, 5), 3 * weight.view(13, 5)
    loss = smoothed_cross_entropy(
        rows, labels, weight=table, bias=bias, label_smoothing=label_smoothing
    )
    expected = plain_loss_of(rows, labels, table, bias, label_smoothing)
    torch.testing.assert_close(loss, expected)
    learns = readouts, weight, bias
    found = torch.autograd.grad(loss / 7, learns, retain_graph=True)
    torch.testing.assert_close(found, torch.autograd.grad(expected / 7, learns))


def test_a_wide_vocabulary_has_the_loss_and_gradients_of_its_logits() -> None:
    wave = torch.sin(1.7 * torch.arange(40 * 6 + 3001 * 6, dtype=torch.float64)).float()
    readouts, weight = wave[:240].view(40, 6), 3 * wave[240:].view(3001, 6)
    learns = readouts.requires_grad_(), weight.requires_grad_(), torch.zeros(3001).requires_grad_()
    labels = 70 * torch.arange(40)
    loss = smoothed_cross_entropy(
        readouts, labels, weight=weight, bias=learns[2], label_smoothing=0.1
    )
    expected = plain_loss_of(readouts, labels, weight, learns[2], 0.1)
    torch.testing.assert_close(loss, expected)
    found = torch.autograd.grad(loss, learns)
    # a softmax that reads again what it has written over would be far off
    torch.testing.assert_close(found, torch.autograd.grad(expected, learns), rtol=1e-4, atol=1e-5)


def test_the_logits_of_a_sure_model_cost_what_they_should() -> None:
    logits = torch.tensor([[0.0, -2000.0, 1000.0]], requires_grad=True)
    loss = loss_of(logits, 0.0, torch.tensor([1]))
    assert loss.item() == 3000
    (gradient,) = torch.autograd.grad(loss, logits)
    assert gradient.tolist() == [[0, -1, 1]]


def test_a_token_that_is_ruled_out_takes_nothing_from_the_others() -> None:
    bias = torch.tensor([0.0, float("-inf"), 0.0])
    readouts = torch.zeros(1, 3, requires_grad=True)
    loss = smoothed_cross_entropy(
        readouts, torch.tensor([2]), weight=torch.eye(3), bias=bias, label_smoothing=0.0
    )
    assert loss.item() == pytest.approx(math.log(2))
    (gradient,) = torch.autograd.grad(loss, readouts)
    assert gradient.tolist() == [[0.5, 0, -0.5]]


def test_the_gradient_is_asked_for_once() -> None:
    loss = loss_of(torch.tensor(LOGITS, requires_grad=True), 0.1)
    loss.backward(retain_graph=True)  # type: ignore[no-untyped-call]
    with pytest.raises(RuntimeError, match="gives its gradient once, got a second backward pass"):
        loss.backward()  # type: ignore[no-untyped-call]


def test_autocast_makes_the_products_alone_less_precise() -> None:
    readouts = torch.tensor(LOGITS, requires_grad=True)
    weight, bias = torch.eye(4, requires_grad=True), torch.zeros(4, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = smoothed_cross_entropy(
            readouts, torch.tensor(LABELS), weight=weight, bias=bias, label_smoothing=0.1
        )
    learns = readouts, weight, bias
    gradients = torch.autograd.grad(loss, learns)
    assert {gradient.dtype for gradient in (loss, *gradients)} == {torch.float32}
    expected = plain_loss_of(readouts, torch.tensor(LABELS), weight, bias, 0.1)
    torch.testing.assert_close(loss, expected, rtol=1e-2, atol=0)
    torch.testing.assert_close(
        gradients, torch.autograd.grad(expected, learns), rtol=2e-2, atol=1e-2
    )


# Mixed cross-entropy


def mixed_of(logits: Tensor, labels: Tensor, label_smoothing: float, own_share: float) -> Tensor:
    size = logits.size(1)
    return smoothed_cross_entropy(
        logits,
        labels,
        weight=torch.eye(size, dtype=logits.dtype),
        bias=torch.zeros(size, dtype=logits.dtype),
        label_smoothing=label_smoothing,
        own_share=own_share,
    )


def test_a_share_of_the_likeliest_token_is_wanted_worked_out_by_hand() -> None:
    # p = (1/4, 3/4): the label is the unlikelier one, then the likelier
    logits = torch.tensor([[0.0, math.log(3)]], requires_grad=True)
    loss = mixed_of(logits, torch.tensor([0]), 0.0, 0.4)
    assert loss.item() == pytest.approx(-0.6 * math.log(1 / 4) - 0.4 * math.log(3 / 4))
    (gradient,) = torch.autograd.grad(loss, logits)
    assert gradient[0].tolist() == pytest.approx([1 / 4 - 0.6, 3 / 4 - 0.4])
    loss = mixed_of(logits, torch.tensor([1]), 0.0, 0.4)
    assert loss.item() == pytest.approx(-math.log(3 / 4))
    (gradient,) = torch.autograd.grad(loss, logits)
    assert gradient[0].tolist() == pytest.approx([1 / 4, 3 / 4 - 1])


def plain_mixed(
    readouts: Tensor, labels: Tensor, weight: Tensor, bias: Tensor, smoothing: float, share: float
) -> Tensor:
    """By PyTorch's own cross-entropy against probabilities."""
    logits = linear(readouts, weight, bias)
    size = logits.size(1)
    one_hot = torch.eye(size, dtype=logits.dtype)
    wanted = (1 - share) * one_hot[labels] + share * one_hot[logits.argmax(dim=1)]
    return cross_entropy(
        logits, (1 - smoothing) * wanted + smoothing / size * torch.ones(size), reduction="sum"
    )


@pytest.mark.parametrize("most_logits", [2**24, 40, 1])
@pytest.mark.parametrize(("label_smoothing", "own_share"), [(0.0, 0.5), (0.1, 0.2)])
def test_a_mixed_loss_and_its_gradients_are_those_of_the_logits_in_any_number_of_parts(
    label_smoothing: float, own_share: float, most_logits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nmt.loss._MOST_LOGITS", most_logits)
    wave = torch.sin(1.7 * torch.arange(9 * 5 + 13 * 5 + 13, dtype=torch.float64))
    parts = torch.split(wave, [45, 65, 13])
    readouts, weight, bias = (part.clone().requires_grad_() for part in parts)
    rows, table, labels = readouts.view(9, 5), 3 * weight.view(13, 5), torch.arange(9) % 13
    labels[4] = int(linear(rows, table, bias)[4].argmax())  # one that is right already
    loss = smoothed_cross_entropy(
        rows, labels, weight=table, bias=bias, label_smoothing=label_smoothing, own_share=own_share
    )
    expected = plain_mixed(rows, labels, table, bias, label_smoothing, own_share)
    torch.testing.assert_close(loss, expected)
    learns = readouts, weight, bias
    found = torch.autograd.grad(loss / 7, learns, retain_graph=True)
    torch.testing.assert_close(found, torch.autograd.grad(expected / 7, learns))


def test_each_pass_of_r_drop_wants_what_it_holds_likeliest_itself() -> None:
    passes = torch.tensor([LOGITS, LOGITS[::-1]], dtype=torch.float64).requires_grad_()
    labels, unit = torch.tensor(LABELS), torch.eye(4, dtype=torch.float64)
    zeros = torch.zeros(4, dtype=torch.float64)
    sizes = {"label_smoothing": 0.1, "alpha": 5.0}
    loss = r_drop_loss(passes, labels, weight=unit, bias=zeros, own_share=0.3, **sizes)
    plain = plain_r_drop(passes, labels, unit, zeros, **sizes)
    for one in passes:
        mixed = plain_mixed(one, labels, unit, zeros, 0.1, 0.3)
        plain = plain + (mixed - plain_loss_of(one, labels, unit, zeros, 0.1)) / 2
    torch.testing.assert_close(loss, plain)
    found = torch.autograd.grad(loss, passes, retain_graph=True)
    torch.testing.assert_close(found, torch.autograd.grad(plain, passes))


# R-Drop


def r_drop_of(passes: Tensor, labels: Tensor, label_smoothing: float, alpha: float) -> Tensor:
    """The loss of readouts, (2, N, V), that an output layer of ones makes into logits."""
    size = passes.size(2)
    return r_drop_loss(
        passes,
        labels,
        weight=torch.eye(size, dtype=passes.dtype),
        bias=torch.zeros(size, dtype=passes.dtype),
        label_smoothing=label_smoothing,
        alpha=alpha,
    )


def test_r_drop_is_half_of_the_papers_sum_for_a_token_worked_out_by_hand() -> None:
    # p = (1/2, 1/2) and q = (3/4, 1/4)
    passes = torch.tensor([[[0.0, 0.0]], [[math.log(3), 0.0]]], requires_grad=True)
    loss = r_drop_of(passes, torch.tensor([0]), 0.0, 3.0)
    likelihoods = -math.log(1 / 2) - math.log(3 / 4)
    p_to_q = 1 / 2 * math.log(2 / 3) + 1 / 2 * math.log(2)
    q_to_p = 3 / 4 * math.log(3 / 2) + 1 / 4 * math.log(1 / 2)
    assert loss.item() == pytest.approx((likelihoods + 3.0 * (p_to_q + q_to_p) / 2) / 2)
    # the logits differ by -log 3 and 0, under p by half of that in the mean
    (gradient,) = torch.autograd.grad(loss, passes)
    by_first = (1 / 2 - 1) / 2 + 3 / 4 * (1 / 2 * (-math.log(3) / 2) + 1 / 2 - 3 / 4)
    assert gradient[0, 0].tolist() == pytest.approx([by_first, -by_first])


def plain_r_drop(
    passes: Tensor,
    labels: Tensor,
    weight: Tensor,
    bias: Tensor,
    *,
    label_smoothing: float,
    alpha: float,
) -> Tensor:
    """By PyTorch's own divergence of log-probabilities."""
    p, q = torch.log_softmax(linear(passes, weight, bias), dim=2)
    both = kl_div(p, q, reduction="sum", log_target=True) + kl_div(
        q, p, reduction="sum", log_target=True
    )
    of_labels = [
        plain_loss_of(one, labels, weight, bias, label_smoothing=label_smoothing) for one in passes
    ]
    return (of_labels[0] + of_labels[1]) / 2 + alpha / 4 * both


@pytest.mark.parametrize("most_logits", [2**24, 60, 1])
@pytest.mark.parametrize(("label_smoothing", "alpha"), [(0.0, 1.0), (0.1, 5.0)])
def test_r_drop_and_its_gradients_are_those_of_the_logits_in_any_number_of_parts(
    label_smoothing: float, alpha: float, most_logits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nmt.loss._MOST_LOGITS", most_logits)
    wave = torch.sin(1.7 * torch.arange(2 * 9 * 5 + 13 * 5 + 13, dtype=torch.float64))
    parts = torch.split(wave, [90, 65, 13])
    readouts, weight, bias = (part.clone().requires_grad_() for part in parts)
    passes, labels = readouts.view(2, 9, 5), torch.arange(9) % 13
    sizes = {"label_smoothing": label_smoothing, "alpha": alpha}
    loss = r_drop_loss(passes, labels, weight=3 * weight.view(13, 5), bias=bias, **sizes)
    expected = plain_r_drop(passes, labels, 3 * weight.view(13, 5), bias, **sizes)
    torch.testing.assert_close(loss, expected)
    learns = readouts, weight, bias
    found = torch.autograd.grad(loss / 7, learns, retain_graph=True)
    torch.testing.assert_close(found, torch.autograd.grad(expected / 7, learns))


@pytest.mark.parametrize("shift", [0.0, 300.0])
def test_passes_that_agree_cost_what_one_of_them_does(shift: float) -> None:
    one = torch.tensor(LOGITS)
    passes = torch.stack((one, one + shift)).requires_grad_()
    loss = r_drop_of(passes, torch.tensor(LABELS), 0.1, 5.0)
    assert loss.item() == pytest.approx(plain_loss(0.1), rel=1e-4)
    (gradient,) = torch.autograd.grad(loss, passes)
    logits = one.clone().requires_grad_()
    (expected,) = torch.autograd.grad(loss_of(logits, 0.1), logits)
    torch.testing.assert_close(gradient, torch.stack((expected, expected)) / 2, rtol=0, atol=1e-4)


def test_r_drop_of_half_precision_is_scored_in_full() -> None:
    passes = torch.tensor([LOGITS, LOGITS[::-1]], dtype=torch.bfloat16)
    loss = r_drop_of(passes, torch.tensor(LABELS), 0.1, 5.0)
    assert loss.dtype == torch.float32
    assert float(loss) == float(r_drop_of(passes.float(), torch.tensor(LABELS), 0.1, 5.0))


# Losses on the attention

# Two sentences, three steps over three places; the second has two tokens and a place of padding.
ATTENTION = torch.tensor(
    [
        [[0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [1.0, 0.0, 0.0]],
        [[0.75, 0.25, 0.0], [0.125, 0.875, 0.0], [0.5, 0.5, 0.0]],
    ]
)
TARGET_MASK = torch.tensor([[True, True, True], [True, True, False]])


def test_looking_twice_costs_what_was_looked_at_before() -> None:
    # step 2: min(.25, .5) + min(.5, .25) + min(.25, .25); step 3: min(1, .75)
    first = (0.25 + 0.25 + 0.25) + 0.75
    # step 2: min(.125, .75) + min(.875, .25); step 3 is padding
    second = 0.125 + 0.25
    loss = coverage_loss(ATTENTION, TARGET_MASK)
    assert loss.shape == ()
    assert float(loss) == pytest.approx(first + second)
    assert float(coverage_loss(ATTENTION[:, :1], TARGET_MASK[:, :1])) == 0


def test_looking_elsewhere_costs_nothing() -> None:
    assert float(coverage_loss(torch.eye(4)[None], torch.ones(1, 4) > 0)) == 0


def test_the_attention_is_drawn_to_its_links() -> None:
    alignment = torch.zeros(2, 3, 3, dtype=torch.bool)
    alignment[0, 0, 0] = True
    alignment[0, 1, [0, 1]] = True  # two links share one; the third token has none
    alignment[1, 1, 1] = True
    loss = alignment_loss(ATTENTION, alignment)
    assert loss.shape == ()
    expected = math.log(0.5) + (math.log(0.25) + math.log(0.5)) / 2 + math.log(0.875)
    assert float(loss) == pytest.approx(-expected)
    assert float(alignment_loss(ATTENTION, torch.zeros_like(alignment))) == 0


def test_an_attention_of_zero_at_a_link_costs_much_but_not_infinitely_much() -> None:
    attention = ATTENTION.clone().requires_grad_()
    alignment = torch.zeros(2, 3, 3, dtype=torch.bool)
    alignment[0, 2, 2] = True
    loss = alignment_loss(attention, alignment)
    assert float(loss.detach()) == pytest.approx(-math.log(1e-9))
    (gradient,) = torch.autograd.grad(loss, attention)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_attention_of_half_precision_is_scored_in_full(dtype: torch.dtype) -> None:
    attention = ATTENTION.to(dtype)
    alignment = attention > 0
    found = [coverage_loss(attention, TARGET_MASK), alignment_loss(attention, alignment)]
    full = attention.float()
    expected = [coverage_loss(full, TARGET_MASK), alignment_loss(full, alignment)]
    assert [loss.dtype for loss in found] == [torch.float32] * 2
    assert found == expected
