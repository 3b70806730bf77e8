"""Pictures: where their points stand, worked out by hand from the size of the frame."""

import re

import pytest

from nmt.evaluation.plots import Line, calibration_plot, line_plot


def test_what_came_true_stands_over_what_was_foretold() -> None:
    # the frame is 272 wide from 38 and 148 high from 160 upwards; areas go with the counts
    picture = calibration_plot([(0.25, 0.5, 4), (1, 0, 1)], label="chrF2 & more")
    assert re.findall(r'cx="(.*?)" cy="(.*?)" r="(.*?)"', picture) == [
        ("106", "86", "7.5"),
        ("310", "160", "5"),
    ]
    assert '<line class="diagonal" x1="38" y1="160" x2="310" y2="12"/>' in picture
    assert 'aria-label="chrF2 &amp; more"' in picture


@pytest.mark.parametrize(
    ("values", "points"),
    [
        ([1, 2, 3], "38,160 174,86 310,12"),
        ([1, None, 3], "38,160 310,12"),
    ],
)
def test_a_line_goes_by_its_values(values: list[float | None], points: str) -> None:
    picture = line_plot([1, 2, 3], [Line("BLEU", "first", values)], marked=[2], label="curves")
    assert f'<polyline class="first" points="{points}"/>' in picture
    assert '<line class="chosen" x1="174" x2="174" y1="12" y2="160"/>' in picture
