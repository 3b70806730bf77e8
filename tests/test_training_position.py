"""What a training must know to go on: its count, and where its generators stand."""

import io
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from toy import toy_recipe

from nmt.batching import BatchDataset, LengthBuckets
from nmt.training.position import Position, random_states, set_random_states


def draw() -> list[float]:
    """Draw from every generator, normal numbers too: of these some are kept for the next time."""
    return [
        random.random(),
        random.gauss(0, 1),
        float(np.random.rand()),
        float(np.random.randn()),
        float(torch.rand(())),
        float(torch.randn(())),
    ]


def test_generators_go_on_from_where_they_were() -> None:
    draw()
    buffer = io.BytesIO()
    torch.save(random_states(), buffer)
    expected = [draw(), draw()]
    buffer.seek(0)
    states: dict[str, Any] = torch.load(buffer, weights_only=True)
    for _ in range(2):
        set_random_states(states)
        assert [draw(), draw()] == expected
    assert draw() not in expected


def test_a_position_is_taken_over() -> None:
    position = Position()
    state = {"epoch": 1, "batch": 2, "step": 3, "num_skipped": 4, "skipped_in_row": 5}
    position.load_state_dict(state)
    assert position == Position(1, 2, 3, 4, 5)
    assert position.state_dict() == state


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"batch": -1}, "batch must be a count, got -1"),
        ({"step": True}, "step must be a count, got True"),
        ({"epoch": 1.0}, r"epoch must be a count, got 1\.0"),
        ({"place": 1}, "position must have epoch, batch, step, num_skipped, skipped_in_row"),
    ],
)
def test_a_position_that_is_none_is_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Position().load_state_dict({**Position().state_dict(), **changed})


@pytest.mark.parametrize("start", [0, 1, 4, 5])
def test_batches_begin_where_they_are_told_to(start: int) -> None:
    training = toy_recipe(Path()).training
    ids = [[4] * length for length in range(1, 11)]
    dataset = BatchDataset(ids, ids, pad_id=0, bos_id=1, eos_id=2)
    whole, rest = (
        LengthBuckets(dataset, max_sentences=2, seed=training.seed, epoch=3, start=place)
        for place in (0, start)
    )
    assert list(rest) == list(whole)[start:]
    assert len(rest) == len(whole) == 5
