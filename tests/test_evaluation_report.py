import dataclasses
import json
import os
import re
from pathlib import Path

import pytest

from nmt.errors import DataError, NMTError
from nmt.evaluation import (
    Known,
    Report,
    Segments,
    evaluate,
    make_report_folder,
    write_report,
    write_reports,
)
from nmt.evaluation.report import folder_names
from nmt.recipe import parse_recipe

RECIPE = """
data:
  source_lang: de
  target_lang: en
  train: {tsv: train.tsv}
  validation: {tsv: validation.tsv}
training: {max_sentences: 1}
evaluation: {metrics: [BLEU, TER]}
"""
HYPOTHESES = ["one cat", "a", "two <b>&\u2028two"]
SEGMENTS = Segments(
    "data/test.de + data/test.en", ["eine Katze", "ein", "zwei"], [["a cat", "a", "two"]]
)


def make_report(
    segments: Segments = SEGMENTS, hypotheses: list[str] = HYPOTHESES, known: Known | None = None
) -> Report:
    recipe = parse_recipe(RECIPE, name="recipe")
    return evaluate(hypotheses, segments, recipe, model="runs/tiny", known=known)


REPORT = make_report()
NAMES = {"hypotheses.txt", "index.html", "report.md", "scores.json"}


def markdown_of(report: Report, folder: Path) -> str:
    write_report(folder, report)
    return (folder / "report.md").read_bytes().decode("utf-8")


def test_the_scores_are_written_for_programs(tmp_path: Path) -> None:
    write_report(tmp_path, REPORT)
    content = json.loads((tmp_path / "scores.json").read_bytes())
    assert content["format_version"] == 1
    bleu, ter = REPORT.scores
    assert content["scores"] == [
        {
            "name": score.name,
            "value": score.value,
            "signature": score.signature,
            "interval": list(score.interval or ()),
        }
        for score in (bleu, ter)
    ]
    assert [one["hypothesis"] for one in content["sentences"]] == HYPOTHESES


def test_every_key_of_the_scores_is_explained() -> None:
    explained = Path(__file__).parent.parent / "docs" / "scores.md"
    text = explained.read_text(encoding="utf-8")
    fields = [field.name for field in dataclasses.fields(Report)]
    fields += [field.name for field in dataclasses.fields(REPORT.sentences[0])]
    fields += [field.name for field in dataclasses.fields(REPORT.sentences[0].properties)]
    assert [name for name in fields if f"`{name}`" not in text] == []


def test_every_hypothesis_is_one_line(tmp_path: Path) -> None:
    write_report(tmp_path, REPORT)
    lines = (tmp_path / "hypotheses.txt").read_bytes().decode("utf-8").split("\n")
    assert lines == [*HYPOTHESES, ""]


def test_the_markdown_is_short(tmp_path: Path) -> None:
    page = markdown_of(REPORT, tmp_path)
    bleu = REPORT.scores[0]
    assert bleu.interval is not None
    assert page.startswith(
        "# Evaluation of `runs/tiny`\n\n"
        "Test set: `data/test.de + data/test.en`, 3 sentences.\n\n"
        "| metric | score | signature |\n|---|---:|---|\n"
        f"| BLEU | {bleu.value:.2f} ({bleu.interval[0]:.2f} to {bleu.interval[1]:.2f}) | `nrefs:1"
    )
    assert "`nrefs:1\\|case:mixed\\|" in page
    assert "TER counts edits: less is better." in page
    assert "The hypotheses are 2.22 times as long as the references, in characters.\n" in page
    assert "1 of 3 are equal to a reference.\n" in page
    assert "source      eine Katze\nreference   a cat\nhypothesis  one cat\n```\n" in page
    assert "hypothesis  two <b>&\u2028two\n" in page


def test_warnings_stand_in_the_markdown(tmp_path: Path) -> None:
    segments = dataclasses.replace(SEGMENTS, sources=["eins", "", "zwei"])
    page = markdown_of(make_report(segments, ["", "", "zwei"]), tmp_path)
    assert (
        "## Warnings\n\n"
        "- 1 of 3 hypotheses are empty\n"
        "- 1 of 3 hypotheses are equal to their source\n\n"
        "## Some translations"
    ) in page


def test_samples_come_from_the_whole_test_set(tmp_path: Path) -> None:
    lines = [f"line {number}" for number in range(1, 81)]
    page = markdown_of(make_report(Segments("t", lines, [lines]), lines), tmp_path)
    numbers = re.findall(r"^Sentence (\d+):$", page, flags=re.MULTILINE)
    assert numbers == ["1", "11", "21", "31", "41", "51", "61", "71"]


def test_a_line_break_inside_a_sentence_does_not_break_a_sample(tmp_path: Path) -> None:
    segments = dataclasses.replace(SEGMENTS, sources=["a\n```\r\nb", "", "x"])
    assert "source      a ```  b\nreference" in markdown_of(make_report(segments), tmp_path)


def test_blank_references_have_no_length_ratio(tmp_path: Path) -> None:
    segments = dataclasses.replace(SEGMENTS, references=[["", "", ""]])
    assert "times as long" not in markdown_of(make_report(segments), tmp_path)


def test_an_earlier_report_is_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "report"
    write_report(folder, REPORT)
    write_report(folder, make_report(hypotheses=["x", "y", "z"]))
    assert (folder / "hypotheses.txt").read_bytes() == b"x\ny\nz\n"
    assert {path.name for path in folder.iterdir()} == NAMES


def test_several_test_sets_have_a_folder_each_and_a_page_before_them(tmp_path: Path) -> None:
    other = make_report(dataclasses.replace(SEGMENTS, name="more/test.de + x"))
    write_reports(tmp_path, [REPORT, other])
    assert {path.name for path in tmp_path.iterdir()} == {"index.html", "test.de", "test.de-2"}
    assert {path.name for path in (tmp_path / "test.de-2").iterdir()} == NAMES
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert '<a href="test.de/index.html">data/test.de + data/test.en</a>' in page


def test_folders_have_safe_names() -> None:
    names = folder_names(["wmt14 en-de", "/data/a b.txt + c", "..", "wmt14 en-de"])
    assert names == ["wmt14-en-de", "a-b.txt", "set", "wmt14-en-de-4"]


def test_a_file_that_cannot_be_finished_leaves_the_earlier_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_report(tmp_path, REPORT)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def fill_the_disk(file_descriptor: int) -> None:
        raise OSError(28, "No space left on device", file_descriptor)

    monkeypatch.setattr(os, "fsync", fill_the_disk)
    complaint = (
        r"hypotheses\.txt: cannot write: No space left on device; make room and give the same"
    )
    with pytest.raises(NMTError, match=complaint):
        write_report(tmp_path, REPORT)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_hypothesis_of_two_lines_is_a_wrong_call(tmp_path: Path) -> None:
    report = make_report(hypotheses=["x", "y\ny", "z"])
    with pytest.raises(ValueError, match=r"^hypothesis 2 must be one line, got 'y\\ny'$"):
        write_report(tmp_path, report)
    assert list(tmp_path.iterdir()) == []


def test_a_report_folder_is_made_and_left_empty(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "report"
    make_report_folder(folder)
    make_report_folder(folder)
    assert list(folder.iterdir()) == []


def test_an_earlier_report_is_not_replaced_unasked(tmp_path: Path) -> None:
    (tmp_path / "report.md").write_bytes(b"old")
    message = (
        f"{tmp_path}: holds a report already (report.md); "
        "choose another --report, or give --overwrite to replace it"
    )
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        make_report_folder(tmp_path)
    make_report_folder(tmp_path, overwrite=True)


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
