import re

import pytest
from sweeping import SIGNATURES, result

from nmt.sweep.record import Failure, Row
from nmt.sweep.table import Spread, summarize, table

BASELINE = Row(
    name="baseline",
    values={},
    results=(result(1, 30.0, 50.0, 2.0), result(2, 33.0, 51.0, 1.5)),
)
# Better where both have a seed, by 1 and by 0.25; the third seed makes its mean less.
BETTER = Row(
    name="b",
    values={"model.bridge": "zero"},
    results=(result(1, 31.0), result(2, 33.25), result(3, 20.0, 47.0, 2.75)),
)
FAILED = Row(
    name="c",
    values={"data.train": {"tsv": "a|b"}},
    failures=(Failure(seed=1, reason="no such file"),),
)


def cells(text: str, row: int) -> list[str]:
    line = text.split("\n")[row]
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_means_spreads_and_differences_are_those_worked_out_by_hand() -> None:
    baseline, better, failed = summarize([BASELINE, BETTER, FAILED])
    assert baseline.spreads["BLEU"] == Spread(31.5, 30.0, 33.0, None)
    assert baseline.spreads["loss"] == Spread(1.75, 1.5, 2.0, None)
    # by seed 31, 33.25 and 20; the first two are 1 and 0.25 above those of the baseline
    assert better.spreads["BLEU"] == Spread(84.25 / 3, 20.0, 33.25, 0.625)
    # by seed 2, 2 and 2.75; the first two are 0 and 0.5 above those of the baseline
    assert better.spreads["loss"] == Spread(2.25, 2.0, 2.75, 0.25)
    assert (better.seconds, better.num_weights) == (90.0, 1234567)
    assert (failed.spreads, failed.seconds, failed.num_weights) == ({}, None, None)


def test_without_a_common_seed_there_is_no_difference() -> None:
    other = Row(name="d", values={"model.bridge": "mean"}, results=(result(3, 40.0),))
    _, found = summarize([BASELINE, other])
    assert found.spreads["BLEU"] == Spread(40.0, 40.0, 40.0, None)


def test_the_table_shows_the_numbers_and_the_best_of_them() -> None:
    text = table(summarize([BASELINE, BETTER, FAILED]))
    heads = ["setting", "seeds", "BLEU", "difference", "chrF2", "difference", "loss", "difference"]
    assert cells(text, 0) == [*heads, "minutes", "weights"]
    assert cells(text, 2) == [
        *("baseline", "2", "**31.50** (30.00–33.00)", "–", "**50.50** (50.00–51.00)", "–"),
        *("**1.7500** (1.5000–2.0000)", "–", "1.5", "1,234,567"),
    ]
    assert cells(text, 3) == [
        *("model.bridge=zero", "3", "28.08 (20.00–33.25)", "+0.62"),
        *("49.00 (47.00–50.00)", "-0.50", "2.2500 (2.0000–2.7500)", "+0.2500"),
        *("1.5", "1,234,567"),
    ]
    assert cells(text, 4) == [
        *(r'data.train={"tsv":"a\|b"}', "0, 1 failed", "–", "–", "–", "–", "–", "–", "–", "–")
    ]
    assert len({line.count("|") for line in text.split("\n")[:4]}) == 1


def test_below_the_table_stand_signatures_and_what_has_failed() -> None:
    text = table(summarize([BASELINE, BETTER, FAILED]))
    assert "Validation set, 1,014 sentences" in text
    for name, signature in SIGNATURES.items():
        assert text.count(f"\n- {name}: {signature}\n") == 1
    assert text.endswith('\nFailed:\n\n- data.train={"tsv":"a|b"}, seed 1: no such file\n')


def test_a_single_run_is_neither_a_spread_nor_the_best() -> None:
    text = table(summarize([Row(name="baseline", values={}, results=(result(1, 30.0),))]))
    assert cells(text, 2)[:4] == ["baseline", "1", "30.00", "–"]
    assert "Failed" not in text


@pytest.mark.parametrize(
    "values",
    [
        {"tokenizer.vocab_size": 8000},
        {"tokenizer": {"vocab_size": 8000}},
        {"data.train": {"tsv": "a"}},
        {"data.cleaning.deduplicate": False},
        {"data": {"train": {"tsv": "a"}}},
        {"finetune": {"run": "runs/a"}},
        {"model.bridge": "zero", "finetune.add_pieces": ["a"]},
    ],
)
def test_losses_of_different_tokenizers_are_not_held_against_each_other(
    values: dict[str, object],
) -> None:
    other = BETTER.model_copy(update={"values": values, "name": "d"})
    _, alike, different = summaries = summarize([BASELINE, BETTER, other])
    assert different.spreads["loss"] == Spread(2.25, 2.0, 2.75, None)
    assert different.spreads["BLEU"].difference == 0.625
    assert alike.spreads["loss"].difference == 0.25
    text = table(summaries)
    assert "Losses of different tokenizers cannot" in text
    assert [cells(text, row)[6:8] for row in (2, 3, 4)] == [
        ["1.7500 (1.5000–2.0000)", "–"],
        ["2.2500 (2.0000–2.7500)", "+0.2500"],
        ["2.2500 (2.0000–2.7500)", "–"],
    ]
    assert cells(text, 2)[2] == "**31.50** (30.00–33.00)"


@pytest.mark.parametrize("key", ["model.bridge", "finetune.freeze", "training.r_drop"])
def test_losses_of_one_tokenizer_are_compared(key: str) -> None:
    other = BETTER.model_copy(update={"values": {key: 1}})
    text = table(summarize([BASELINE, other, FAILED]))
    assert "Losses of different tokenizers" not in text
    assert cells(text, 2)[6].startswith("**1.7500**")


def test_before_any_run_has_ended_there_is_a_table_of_nothing() -> None:
    text = table(summarize([Row(name="baseline", values={})]))
    assert cells(text, 2) == ["baseline", "0", *["–"] * 8]
    assert len(text.split("\n")) == 5


def test_where_all_runs_have_failed_the_reasons_follow_the_table() -> None:
    failed = Row(name="baseline", values={}, failures=FAILED.failures)
    text = table(summarize([failed]))
    assert text.split("\n")[3:] == ["", "Failed:", "", "- baseline, seed 1: no such file", ""]
