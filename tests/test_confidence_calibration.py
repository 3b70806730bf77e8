import math

import numpy as np
import pytest

from nmt.confidence import CalibrationBin, calibration_bins, expected_calibration_error

CONFIDENCES = np.array([0.75, 0.125, 1.0, 0.9375, 0.0625, 0.75])
QUALITIES = np.array([0.5, 0.125, 0.75, 1.0, 0.0, 0.25])
BINS = [
    CalibrationBin(1, 0.0625, 0.0),
    CalibrationBin(1, 0.125, 0.125),
    CalibrationBin(2, 0.75, 0.375),
    CalibrationBin(2, 0.96875, 0.875),
]
ERROR = (0.0625 + 0 + 2 * 0.375 + 2 * 0.09375) / 6


def test_bins_are_tenths() -> None:
    assert calibration_bins(CONFIDENCES, QUALITIES) == BINS


def test_a_bin_starts_with_its_lower_bound() -> None:
    bounds = np.arange(10) / 10
    assert [one.count for one in calibration_bins(bounds, bounds)] == [1] * 10
    assert [one.count for one in calibration_bins(bounds + 0.099, bounds)] == [1] * 10


def test_the_error_is_the_mean_distance_of_the_bins_by_their_size() -> None:
    assert expected_calibration_error(CONFIDENCES, QUALITIES) == pytest.approx(ERROR)


def test_what_comes_true_on_average_has_no_error() -> None:
    assert expected_calibration_error(np.full(4, 0.25), np.array([0.0, 0.0, 0.0, 1.0])) == 0


def test_no_translations_have_no_error_to_speak_of() -> None:
    with pytest.raises(ValueError, match=r"^confidences must be at least 1, got 0$"):
        expected_calibration_error(np.empty(0), np.empty(0))
    assert calibration_bins(np.empty(0), np.empty(0)) == []


def test_other_numbers_of_confidences_and_qualities_are_refused() -> None:
    message = r"^confidences and qualities must be equally many, got 6 and 5$"
    with pytest.raises(ValueError, match=message):
        calibration_bins(CONFIDENCES, QUALITIES[1:])


@pytest.mark.parametrize("value", [-0.25, 1.5, math.nan])
def test_a_value_outside_its_range_is_refused(value: float) -> None:
    one, wrong = np.array([0.5]), np.array([value])
    with pytest.raises(ValueError, match=rf"^confidences must be in \[0, 1\], got {value}$"):
        calibration_bins(wrong, one)
    with pytest.raises(ValueError, match=rf"^qualities must be in \[0, 1\], got {value}$"):
        calibration_bins(one, wrong)
