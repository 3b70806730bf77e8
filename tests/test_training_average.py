"""The moving average against its formula, and what it leaves as it is."""

import pytest
import torch
from small_models import build
from torch import Tensor

from nmt.model import Seq2Seq
from nmt.training.average import moving_average

BIAS = "output_layer.bias"


def move(model: Seq2Seq, value: float) -> None:
    with torch.no_grad():
        model.output_layer.bias.fill_(value)


@pytest.mark.parametrize(
    ("decay", "expected"),
    [
        # the weights themselves, then a share of 2/11, 3/12 and 4/13 of what was there
        (0.999, [3.0, 2 / 11 * 3 + 9 / 11 * 5, 0.25 * 51 / 11 + 0.75 * 1]),
        # never more than the decay
        (0.2, [3.0, 2 / 11 * 3 + 9 / 11 * 5, 0.2 * 51 / 11 + 0.8 * 1]),
        (0.1, [3.0, 0.1 * 3 + 0.9 * 5, 0.1 * 4.8 + 0.9 * 1]),
    ],
)
def test_each_update_leaves_a_share_of_what_was_there(decay: float, expected: list[float]) -> None:
    model = build()
    average = moving_average(model, decay)
    for value, wanted in zip((3.0, 5.0, 1.0), expected, strict=True):
        move(model, value)
        average.update_parameters(model)
        found: Tensor = average.module.state_dict()[BIAS]
        torch.testing.assert_close(found, torch.full_like(found, wanted))
    assert bool((model.output_layer.bias == 1).all())  # the model's own stay what they are


def test_the_share_grows_to_the_decay_and_no_further() -> None:
    model = build()
    move(model, 0.0)
    average, by_hand = moving_average(model, 0.9), 0.0
    for n in range(200):
        move(model, float(n % 7))
        average.update_parameters(model)
        share = 0.0 if n == 0 else min(0.9, (1 + n) / (10 + n))
        by_hand = share * by_hand + (1 - share) * (n % 7)
    assert average.module.state_dict()[BIAS].tolist() == pytest.approx([by_hand] * 11)


def test_what_is_not_trained_stays_as_it_is_and_what_is_tied_stays_tied() -> None:
    model = build({"tied_embeddings": "output"}).float()
    average = moving_average(model, 0.9)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    for value in (3.0, 5.0, 1.0):
        move(model, value)
        average.update_parameters(model)
    for name, weight in average.module.state_dict().items():
        assert torch.equal(weight, before[name]) == (name != BIAS), name
    tied = average.module.get_parameter("output_layer.weight")
    assert tied is average.module.get_parameter("decoder.embedding.table.weight")
    assert tied is not model.output_layer.weight
    assert not any(weight.requires_grad for weight in average.parameters())
