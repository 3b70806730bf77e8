import math

import pytest
import torch

from nmt.confidence import FEATURES, features
from nmt.search import Hypothesis


def hypothesis(token_log_probs: tuple[float, ...], attention: list[list[float]]) -> Hypothesis:
    return Hypothesis(
        token_ids=tuple(range(4, 3 + len(attention))),
        log_prob=sum(token_log_probs),
        score=0.0,
        attention=torch.tensor(attention),
        token_log_probs=token_log_probs,
    )


def test_each_feature_is_what_its_formula_says() -> None:
    """Three target tokens look at four source tokens, EOS among both."""
    found = features(
        hypothesis(
            (-0.5, -2.0, -0.25),
            [[0.5, 0.5, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.25, 0.25, 0.25, 0.25]],
        ),
        4,
    )
    expected = {
        "mean_log_prob": -2.75 / 3,
        "lowest_log_prob": -2.0,
        "length_ratio": math.log(3 / 4),
        "length_ratio_squared": math.log(3 / 4) ** 2,
        "source_length": math.log(4),
        # the coverage is 1.75, 0.75, 0.25 and 0.25
        "unattended": (0 + 0.25 + 0.75 + 0.75) / 4,
        "attention_entropy": (math.log(2) + 0 + math.log(4)) / 3,
    }
    assert dict(zip(FEATURES, found, strict=True)) == pytest.approx(expected)


def test_without_attention_the_features_are_numbers_all_the_same() -> None:
    found = dict(zip(FEATURES, features(hypothesis((-1.0,), [[0.0, 0.0]]), 2), strict=True))
    assert (found["unattended"], found["attention_entropy"]) == (1, 0)


@pytest.mark.parametrize("token_log_probs", [(), (-1.0,), (-1.0, -1.0, -1.0)])
def test_a_hypothesis_that_hides_how_sure_it_is_is_refused(
    token_log_probs: tuple[float, ...],
) -> None:
    message = (
        rf"^token_log_probs must be 2, one for each token and EOS, got {len(token_log_probs)}$"
    )
    with pytest.raises(ValueError, match=message):
        features(hypothesis(token_log_probs, [[0.5, 0.5], [0.5, 0.5]]), 2)
