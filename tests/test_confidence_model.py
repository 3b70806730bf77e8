import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from nmt.confidence import (
    FEATURES,
    ConfidenceModel,
    dump_confidence,
    features,
    fit_confidence,
    held_out_confidences,
    load_confidence,
)
from nmt.errors import CheckpointError
from nmt.search import Hypothesis

NUM_FEATURES = len(FEATURES)
MODEL = ConfidenceModel(
    means=(-0.1, 1 / 3, 0.0, 1e-9, 2.0, -5.5, 0.7),
    scales=(1.0, 0.5, 3.0, 1e-3, 2.0, 1.5, 0.25),
    weights=(0.3, -0.2, 0.0, 1e-12, 0.1, 0.7, -0.4),
    intercept=0.1,
)


def draw_rows(count: int) -> NDArray[np.float64]:
    """Features of as many translations, from minus one to one; two of them tell the same."""
    rows = np.random.default_rng(1).uniform(-1, 1, size=(count, NUM_FEATURES))
    rows[:, 3] = 2 * rows[:, 2]
    rows[:, 5] = 0.3  # and one tells nothing
    return rows


def known_function(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    odds = 0.4 + 1.5 * rows[:, 0] - 0.8 * rows[:, 1] + 0.5 * rows[:, 2]
    quality: NDArray[np.float64] = 1 / (1 + np.exp(-odds))
    return quality


def test_a_known_function_is_recovered() -> None:
    rows = draw_rows(400)
    fitted = fit_confidence(rows[:300], known_function(rows[:300]))
    np.testing.assert_allclose(fitted.predict(rows[300:]), known_function(rows[300:]), atol=2e-3)
    assert fitted.weights[5] == pytest.approx(0, abs=1e-9)


def test_an_expectation_is_learned_from_what_came_true_by_chance() -> None:
    rows = draw_rows(20_000)
    expected = known_function(rows)
    came_true = np.random.default_rng(2).binomial(1, expected).astype(float)
    fitted = fit_confidence(rows, came_true)
    np.testing.assert_allclose(fitted.predict(rows), expected, atol=0.03)


@pytest.mark.parametrize("quality", [0.0, 0.25, 1.0])
def test_what_is_always_the_same_is_expected(quality: float) -> None:
    rows = draw_rows(50)
    fitted = fit_confidence(rows, np.full(50, quality))
    # the ridge pulls certainty back a little
    np.testing.assert_allclose(fitted.predict(rows), np.full(50, quality), atol=0.01)


def test_one_translation_is_enough_to_learn_from() -> None:
    rows = draw_rows(1)
    assert fit_confidence(rows, np.array([0.75])).predict(rows) == pytest.approx(0.75, abs=1e-3)


def test_what_is_unlike_all_seen_is_taken_for_four_deviations_off() -> None:
    model = replace(MODEL, weights=(1.0,) + (0.0,) * (NUM_FEATURES - 1))
    rows = np.tile(np.array(MODEL.means), (4, 1))
    rows[:, 0] += [-1000.0, -4.0, 3.0, 1000.0]
    odds = np.array([-4, -4, 3, 4]) + 0.1
    np.testing.assert_allclose(model.predict(rows), 1 / (1 + np.exp(-odds)))


def test_the_confidence_of_a_hypothesis_follows_from_its_features() -> None:
    hypothesis = Hypothesis((4,), -3.0, -3.0, torch.tensor([[0.5, 0.5], [0.25, 0.75]]), (-1.0, -2))
    found = features(hypothesis, 2)
    odds = MODEL.intercept
    rows = zip(MODEL.means, MODEL.scales, MODEL.weights, found, strict=True)
    for mean, scale, weight, value in rows:
        odds += weight * max(-4, min(4, (value - mean) / scale))
    assert MODEL.confidence(hypothesis, 2) == pytest.approx(1 / (1 + math.exp(-odds)))


def test_what_is_held_out_is_not_learned_from() -> None:
    rows, qualities = draw_rows(23), np.linspace(0, 1, 23)
    found = held_out_confidences(rows, qualities)
    for place in range(23):
        others = [other for other in range(23) if other % 5 != place % 5]
        expected = fit_confidence(rows[others], qualities[others]).predict(rows[[place]])
        assert found[place] == pytest.approx(float(expected[0]))


@pytest.mark.parametrize(("num_rows", "num_qualities"), [(0, 0), (3, 2)])
def test_other_numbers_of_rows_and_qualities_are_refused(num_rows: int, num_qualities: int) -> None:
    message = (
        "^rows and qualities must be equally many and at least 1, "
        f"got {num_rows} and {num_qualities}$"
    )
    with pytest.raises(ValueError, match=message):
        fit_confidence(draw_rows(num_rows), np.zeros(num_qualities))


@pytest.mark.parametrize("quality", [-0.5, 37.5, math.nan])
def test_a_quality_outside_its_range_is_refused(quality: float) -> None:
    with pytest.raises(ValueError, match=rf"^qualities must be in \[0, 1\], got {quality}$"):
        fit_confidence(draw_rows(2), np.array([0.5, quality]))


# The file


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8", newline="\n")
    return path


def test_a_model_comes_back_as_it_was(tmp_path: Path) -> None:
    file = write(tmp_path / "confidence.json", dump_confidence(MODEL))
    assert load_confidence(file) == MODEL
    rows = draw_rows(60)
    fitted = fit_confidence(rows, known_function(rows))
    assert load_confidence(write(file, dump_confidence(fitted))) == fitted


def test_the_file_says_what_it_is(tmp_path: Path) -> None:
    file = json.loads(dump_confidence(MODEL))
    assert (file["format_version"], file["quality"]) == (1, "sentence chrF2 / 100")
    assert list(file["features"]) == list(FEATURES)
    assert file["features"]["lowest_log_prob"] == {"mean": 1 / 3, "scale": 0.5, "weight": -0.2}


def test_the_order_of_the_features_in_the_file_does_not_matter(tmp_path: Path) -> None:
    file = json.loads(dump_confidence(MODEL))
    file["features"] = dict(reversed(file["features"].items()))
    assert load_confidence(write(tmp_path / "confidence.json", json.dumps(file))) == MODEL


def test_a_run_may_be_without(tmp_path: Path) -> None:
    assert load_confidence(tmp_path / "confidence.json") is None


def changed(**changes: object) -> str:
    return json.dumps({**json.loads(dump_confidence(MODEL)), **changes})


def with_entry(name: str, **entry: object) -> str:
    entries = json.loads(dump_confidence(MODEL))["features"]
    return changed(features={**entries, name: {"mean": 0.0, "scale": 1.0, "weight": 0.0, **entry}})


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", r"invalid JSON: EOF while parsing"),
        (dump_confidence(MODEL)[:-20], r"invalid JSON: EOF while parsing"),
        ("[]", r"input should be an object"),
        ("{}", r"format_version: field required"),
        (changed(format_version=2), r"format_version: input should be 1"),
        (changed(quality="BLEU"), r"quality: input should be 'sentence chrF2 / 100'"),
        (changed(intercept="0.5"), r"intercept: input should be a valid number"),
        (changed(intercept=math.nan), r"intercept: input should be a finite number"),
        (changed(temperature=1), r"temperature: extra inputs are not permitted"),
        (changed(features={}), r"feature 'attention_entropy' is missing"),
        (with_entry("fluency"), r"feature 'fluency' is unknown"),
        (
            with_entry("source_length", scale=0.0),
            r"features\.source_length\.scale: input should be gr",
        ),
        (
            with_entry("source_length", mean=None),
            r"features\.source_length\.mean: input should be a v",
        ),
    ],
)
def test_a_damaged_or_foreign_file_is_refused(text: str, complaint: str, tmp_path: Path) -> None:
    file = write(tmp_path / "confidence.json", text)
    message = rf"confidence\.json: {complaint}.*; damaged or of another version, delete it"
    with pytest.raises(CheckpointError, match=message):
        load_confidence(file)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "confidence.json"
    file.write_bytes(b"\xff\xfe{}")
    with pytest.raises(CheckpointError, match=r"confidence\.json: invalid JSON: .*; damaged or of"):
        load_confidence(file)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r": cannot read: Is a directory$"):
        load_confidence(tmp_path)
