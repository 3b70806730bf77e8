import math

import pytest

from nmt.recipe import TrainingRecipe
from nmt.training.schedules import rate_factor


def factors(recipe: dict[str, object], steps: list[int], *, total_steps: int = 12) -> list[float]:
    factor = rate_factor(TrainingRecipe(max_sentences=8, **recipe), total_steps=total_steps)  # type: ignore[arg-type]
    return [factor(step) for step in steps]


@pytest.mark.parametrize("schedule", ["constant", "plateau", "cosine", "inverse_sqrt"])
def test_the_rate_rises_in_a_straight_line(schedule: str) -> None:
    rising = factors({"schedule": schedule, "warmup_steps": 4}, [0, 1, 2, 3])
    assert rising == [0.25, 0.5, 0.75, 1.0]


@pytest.mark.parametrize("schedule", ["constant", "plateau"])
def test_then_it_stays(schedule: str) -> None:
    assert factors({"schedule": schedule, "warmup_steps": 4}, [4, 11, 1000]) == [1.0, 1.0, 1.0]


def test_then_it_falls_along_half_a_cosine_to_zero() -> None:
    falling = factors({"schedule": "cosine", "warmup_steps": 4}, [4, 6, 8, 10, 12])
    root = math.sqrt(2)
    assert falling == pytest.approx([1.0, (2 + root) / 4, 0.5, (2 - root) / 4, 0.0])


def test_a_cosine_does_not_rise_again_after_the_last_step() -> None:
    assert factors({"schedule": "cosine", "warmup_steps": 4}, [13, 20]) == [0.0, 0.0]


def test_then_it_falls_with_the_root_of_the_step() -> None:
    falling = factors({"schedule": "inverse_sqrt", "warmup_steps": 4}, [4, 9, 16, 64])
    assert falling == pytest.approx([1.0, 2 / 3, 1 / 2, 1 / 4])


@pytest.mark.parametrize(
    ("schedule", "later"),
    [("constant", 1.0), ("plateau", 1.0), ("cosine", 0.5), ("inverse_sqrt", 1 / math.sqrt(6))],
)
def test_without_warm_up_it_starts_at_the_full_rate(schedule: str, later: float) -> None:
    assert factors({"schedule": schedule, "warmup_steps": 0}, [0, 6]) == pytest.approx([1, later])


def test_a_cosine_needs_steps_after_the_warm_up() -> None:
    with pytest.raises(ValueError, match=r"^warmup_steps must be < 12, all steps .*, got 12$"):
        factors({"schedule": "cosine", "warmup_steps": 12}, [])
