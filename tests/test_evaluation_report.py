import dataclasses
import json
import os
import re
from pathlib import Path

import pytest

from nmt.errors import DataError, NMTError
from nmt.evaluation import Evaluation, Score, make_report_folder, write_report

SCORES = [
    Score("BLEU", 37.604, "nrefs:1|case:mixed|tok:13a"),
    Score("chrF2", 60.0, "nrefs:1|nc:6", interval=(59.1, 60.949)),
]
EVALUATION = Evaluation(
    model="runs/tiny",
    test_set="data/test.de + data/test.en",
    sources=["eine Katze", "ein", "zwei"],
    references=["a cat", "a", "two"],
    hypotheses=["one cat", "a", "two <b>&\u2028two"],
    scores=SCORES,
)

PAGE = (
    r"""# Evaluation of `runs/tiny`

Test set: `data/test.de + data/test.en`, 3 sentences.

| metric | score | signature |
|---|---:|---|
| BLEU | 37.60 | `nrefs:1\|case:mixed\|tok:13a` |
| chrF2 | 60.00 (59.10 to 60.95) | `nrefs:1\|nc:6` |

The hypotheses are 2.22 times as long as the references, in characters.

## Some translations

Taken at even distances; `hypotheses.txt` holds all of them.

Sentence 1:

```text
source      eine Katze
reference   a cat
hypothesis  one cat
```

Sentence 2:

```text
source      ein
reference   a
hypothesis  a
```

Sentence 3:

```text
source      zwei
reference   two
hypothesis  two <b>&"""
    + "\u2028"
    + """two
```
"""
)


def page_of(evaluation: Evaluation, folder: Path) -> str:
    write_report(folder, evaluation)
    return (folder / "report.md").read_bytes().decode("utf-8")


def test_the_scores_are_written_for_programs(tmp_path: Path) -> None:
    write_report(tmp_path, EVALUATION)
    assert json.loads((tmp_path / "scores.json").read_bytes()) == [
        {
            "name": "BLEU",
            "value": 37.604,
            "signature": "nrefs:1|case:mixed|tok:13a",
            "interval": None,
        },
        {
            "name": "chrF2",
            "value": 60.0,
            "signature": "nrefs:1|nc:6",
            "interval": [59.1, 60.949],
        },
    ]


def test_every_hypothesis_is_one_line(tmp_path: Path) -> None:
    write_report(tmp_path, EVALUATION)
    lines = (tmp_path / "hypotheses.txt").read_bytes().decode("utf-8").split("\n")
    assert lines == [*EVALUATION.hypotheses, ""]


def test_the_page_is_written_for_people(tmp_path: Path) -> None:
    assert page_of(EVALUATION, tmp_path) == PAGE


def test_the_page_says_which_way_ter_counts(tmp_path: Path) -> None:
    evaluation = dataclasses.replace(EVALUATION, scores=[Score("TER", 41.0, "tok:tercom")])
    assert "| `tok:tercom` |\n\nTER counts edits: less is better." in page_of(evaluation, tmp_path)


def test_warnings_stand_on_the_page(tmp_path: Path) -> None:
    evaluation = dataclasses.replace(
        EVALUATION, sources=["eins", "", "zwei"], hypotheses=["", "", "zwei"]
    )
    warnings = (
        "in characters.\n\n## Warnings\n\n"
        "- 1 of 3 hypotheses are empty\n"
        "- 1 of 3 hypotheses are equal to their source\n\n"
        "## Some translations"
    )
    assert warnings in page_of(evaluation, tmp_path)


def test_samples_come_from_the_whole_test_set(tmp_path: Path) -> None:
    lines = [f"line {number}" for number in range(1, 81)]
    evaluation = Evaluation("m", "t", lines, lines, lines, SCORES)
    numbers = re.findall(r"^Sentence (\d+):$", page_of(evaluation, tmp_path), flags=re.MULTILINE)
    assert numbers == ["1", "11", "21", "31", "41", "51", "61", "71"]


def test_a_line_break_inside_a_sentence_does_not_break_a_sample(tmp_path: Path) -> None:
    evaluation = dataclasses.replace(EVALUATION, sources=["a\n```\r\nb", "", "x"])
    assert "source      a ```  b\nreference" in page_of(evaluation, tmp_path)


def test_blank_references_have_no_length_ratio(tmp_path: Path) -> None:
    page = page_of(dataclasses.replace(EVALUATION, references=["", "", ""]), tmp_path)
    assert "times as long" not in page


def test_an_earlier_report_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "report"
    write_report(folder, EVALUATION)
    write_report(folder, dataclasses.replace(EVALUATION, hypotheses=["x", "y", "z"]))
    assert (folder / "hypotheses.txt").read_bytes() == b"x\ny\nz\n"
    names = {path.name for path in folder.iterdir()}
    assert names == {"hypotheses.txt", "report.md", "scores.json"}


def test_a_file_that_cannot_be_finished_leaves_the_earlier_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_report(tmp_path, EVALUATION)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def fill_the_disk(file_descriptor: int) -> None:
        raise OSError(28, "No space left on device", file_descriptor)

    monkeypatch.setattr(os, "fsync", fill_the_disk)
    complaint = (
        r"hypotheses\.txt: cannot write: No space left on device; make room and give the same"
    )
    with pytest.raises(NMTError, match=complaint):
        write_report(tmp_path, EVALUATION)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_hypothesis_of_two_lines_is_a_wrong_call(tmp_path: Path) -> None:
    evaluation = dataclasses.replace(EVALUATION, hypotheses=["x", "y\ny", "z"])
    with pytest.raises(ValueError, match=r"^hypothesis 2 must be one line, got 'y\\ny'$"):
        write_report(tmp_path, evaluation)
    assert list(tmp_path.iterdir()) == []


def test_texts_of_unequal_number_are_a_wrong_call(tmp_path: Path) -> None:
    evaluation = dataclasses.replace(EVALUATION, sources=["x"])
    with pytest.raises(ValueError, match="zip"):
        write_report(tmp_path, evaluation)
    assert list(tmp_path.iterdir()) == []


def test_a_report_folder_is_made_and_left_empty(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "report"
    make_report_folder(folder)
    make_report_folder(folder)
    assert list(folder.iterdir()) == []


def test_a_file_in_the_way_of_a_report_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "report"
    path.write_bytes(b"")
    message = f"{path}: a report cannot be written there (file exists)"
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        make_report_folder(path)


def test_a_folder_that_takes_no_files_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**options: Path) -> None:
        raise PermissionError(13, "Permission denied", options)

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    message = f"{tmp_path}: a report cannot be written there (permission denied)"
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        make_report_folder(tmp_path)
