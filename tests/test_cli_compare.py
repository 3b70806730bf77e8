import json
import re
from pathlib import Path
from typing import Any

import pytest

from nmt.cli.main import main
from nmt.evaluation import Segments, evaluate, write_report
from nmt.recipe import parse_recipe

RECIPE = """
data:
  source_lang: de
  target_lang: {target}
  train: {{tsv: train.tsv}}
  validation: {{tsv: validation.tsv}}
training: {{max_sentences: 1}}
evaluation: {{metrics: [BLEU], bleu_tokenizer: {tokenizer}}}
"""
SOURCES = ["ein Hund läuft schnell", "die Katze", "nein"]
REFERENCES = ["a dog runs fast", "the cat", "no"]
FIRST, SECOND = ["a dog runs", "a cat", "no"], ["a dog runs fast", "a cat", "now"]
QUICK = ["--resamples", "20", "--trials", "20"]


def write(path: Path, lines: list[str]) -> str:
    path.write_bytes("".join(f"{line}\n" for line in lines).encode())
    return str(path)


def report(path: Path, hypotheses: list[str], **changes: Any) -> str:
    """Write a report, its references or its signature changed."""
    text = RECIPE.format(
        target=changes.get("target", "en"), tokenizer=changes.get("tokenizer", "null")
    )
    references = changes.get("references", [REFERENCES])
    segments = Segments("test", SOURCES[: len(hypotheses)], references)
    write_report(path, evaluate(hypotheses, segments, parse_recipe(text, name="r"), model="m"))
    return str(path)


def compare(tmp_path: Path, *arguments: str) -> int:
    return main(["compare", *arguments, *QUICK, "--report", str(tmp_path / "out")])


def test_reports_run_folders_and_files_are_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = report(tmp_path / "a", FIRST)
    (tmp_path / "run").mkdir()
    report(tmp_path / "run" / "report", SECOND)
    third = write(tmp_path / "hyp.txt", REFERENCES)
    assert compare(tmp_path, first, str(tmp_path / "run"), third) == 0
    output = capsys.readouterr()
    assert output.err == f"comparison in {tmp_path}/out/index.html\n"
    assert re.search(rf"  100\.00 .* p = \d\.\d{{4}}\*? bootstrap, .*  {third}\n", output.out)
    content = json.loads((tmp_path / "out" / "scores.json").read_bytes())
    assert content["systems"] == [first, str(tmp_path / "run"), third]
    assert content["test_set"] == "test"
    assert [metric["name"] for metric in content["metrics"]] == ["BLEU", "chrF2"]
    names = [grouping["name"] for grouping in content["against"][0]["groupings"]]
    assert names == ["source_length"]
    assert content["sentences"][0]["source"] == SOURCES[0]


def test_plain_files_need_references_and_may_have_sources(tmp_path: Path) -> None:
    files = [write(tmp_path / "a", FIRST), write(tmp_path / "b", SECOND)]
    reference = ["--reference", write(tmp_path / "ref", REFERENCES)]
    assert compare(tmp_path, *files, *reference, "--metric", "TER") == 0
    content = json.loads((tmp_path / "out" / "scores.json").read_bytes())
    assert [metric["name"] for metric in content["metrics"]] == ["TER"]
    assert content["against"][0]["groupings"] == []
    source = ["--source", write(tmp_path / "src", SOURCES), "-l", "de-zh", "--overwrite"]
    assert compare(tmp_path, *files, *reference, *source) == 0
    content = json.loads((tmp_path / "out" / "scores.json").read_bytes())
    assert "|tok:zh|" in content["metrics"][0]["bootstrap_signature"]
    assert content["against"][0]["groupings"]


def test_the_tokenizer_of_the_reports_is_kept(tmp_path: Path) -> None:
    systems = [
        report(tmp_path / name, lines, tokenizer="char")
        for name, lines in (("a", FIRST), ("b", SECOND))
    ]
    assert compare(tmp_path, *systems) == 0
    content = json.loads((tmp_path / "out" / "scores.json").read_bytes())
    assert "|tok:char|" in content["metrics"][0]["bootstrap_signature"]


def refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert compare(tmp_path, *arguments) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.count("\n") == 1
    assert not (tmp_path / "out").exists()
    return output.err.removeprefix("nmt: ").removesuffix("\n")


@pytest.mark.parametrize(
    ("references", "complaint"),
    [
        ([["a dog runs fast", "the cat", "nope"]], "got 'nope' instead of 'no' in line 3"),
        ([REFERENCES, REFERENCES], "got 2 for each sentence instead of 1"),
    ],
)
def test_other_references_are_refused_with_what_differs(
    tmp_path: Path,
    references: list[list[str]],
    complaint: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    first = report(tmp_path / "a", FIRST)
    other = report(tmp_path / "b", SECOND, references=references)
    said = refused(tmp_path, capsys, first, other)
    assert said == f"{other}: references must be those of {first}, {complaint}"


def test_other_signatures_are_refused_with_what_differs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = report(tmp_path / "a", FIRST)
    other = report(tmp_path / "b", SECOND, tokenizer="char")
    assert refused(tmp_path, capsys, first, other) == (
        f"{other}: BLEU must have the signature of {first}, got tok:char instead of tok:13a"
    )


def test_other_numbers_of_lines_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = report(tmp_path / "a", FIRST)
    short = write(tmp_path / "short", SECOND[:2])
    assert refused(tmp_path, capsys, first, short) == (
        f"{short} has 2 hypotheses, {first} has 3 references; every hypothesis must have one"
    )
    source = write(tmp_path / "src", SOURCES[:2])
    whole = write(tmp_path / "whole", SECOND)
    assert refused(tmp_path, capsys, first, whole, "--source", source) == (
        f"{source} has 2 lines, the references have 3; "
        "parallel files must have equal numbers of lines"
    )


def test_what_is_no_system_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = report(tmp_path / "a", FIRST)
    plain = write(tmp_path / "plain", SECOND)
    empty = write(tmp_path / "empty", [])
    (tmp_path / "nothing").mkdir()
    nothing = str(tmp_path / "nothing")
    cases = [
        ((first,), "systems to compare must be at least 2, got 1"),
        ((first, first), f"systems to compare must differ, got {first} twice"),
        ((plain, empty), f"{empty} must have at least one line, got an empty file"),
        ((first, f"{first}/none"), f"{first}/none: cannot be read (no such file or directory)"),
        (
            (first, nothing),
            f"{nothing}: must be a run folder or a report, got a folder without scores.json; "
            "`nmt evaluate` writes it",
        ),
    ]
    for systems, complaint in cases:
        assert refused(tmp_path, capsys, *systems) == complaint
    other = write(tmp_path / "other", FIRST)
    assert refused(tmp_path, capsys, plain, other) == (
        "files of hypotheses must have references; give --reference"
    )


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"[]", "format_version must be 1, got none; write the report anew"),
        (b'{"format_version": 2}', "format_version must be 1, got 2; write the report anew"),
        (b'{"format_version": 1}', "damaged (KeyError('sentences')); write the report anew"),
        (b"{", "damaged (JSONDecodeError("),
    ],
)
def test_reports_that_cannot_be_read_are_refused(
    tmp_path: Path, content: bytes, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    first = report(tmp_path / "a", FIRST)
    (tmp_path / "b").mkdir()
    file = tmp_path / "b" / "scores.json"
    file.write_bytes(content)
    said = refused(tmp_path, capsys, first, str(tmp_path / "b"))
    assert said.startswith(f"{file}: {complaint}")


def test_a_comparison_is_not_replaced_unasked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    systems = [report(tmp_path / name, lines) for name, lines in (("a", FIRST), ("b", SECOND))]
    assert compare(tmp_path, *systems) == 0
    capsys.readouterr()
    assert compare(tmp_path, *systems) == 2
    assert "out: holds a report already (scores.json, index.html)" in capsys.readouterr().err
    assert compare(tmp_path, *systems, "--overwrite") == 0


def test_references_of_unequal_length_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [write(tmp_path / "a", FIRST), write(tmp_path / "b", SECOND)]
    references = ["--reference", write(tmp_path / "ref", REFERENCES), "--reference"]
    for lines in (REFERENCES[:2], [*REFERENCES, "more"]):
        assert compare(tmp_path, *files, *references, write(tmp_path / "ref2", lines)) == 2
        expected = f"nmt: --reference 2 has {len(lines)} lines, the first has 3; "
        assert capsys.readouterr().err.startswith(expected)
        assert not (tmp_path / "out").exists()


def test_equal_scores_are_never_taken_for_different(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With 100 resamples p of equal outputs is 1/101 in sacreBLEU."""
    files = [write(tmp_path / "a", FIRST), write(tmp_path / "b", FIRST)]
    reference = ["--reference", write(tmp_path / "ref", REFERENCES)]
    arguments = [*files, *reference, "--resamples", "100", "--trials", "100"]
    assert main(["compare", *arguments, "--report", str(tmp_path / "out")]) == 0
    found = capsys.readouterr().out
    assert "p = 0.0099 bootstrap" in found
    assert "*" not in found
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert 'class="sure"' not in page


def test_one_sentence_is_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [write(tmp_path / "a", FIRST[:1]), write(tmp_path / "b", SECOND[:1])]
    assert compare(tmp_path, *files, "--reference", write(tmp_path / "ref", REFERENCES[:1])) == 0
    output = capsys.readouterr()
    assert "warning: of one sentence intervals and p mean nothing\n" in output.err
    assert "*" not in output.out


@pytest.mark.parametrize("pair", ["foo", "-de", "en-"])
def test_a_language_pair_is_two(
    pair: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [write(tmp_path / "a", FIRST), write(tmp_path / "b", SECOND)]
    reference = write(tmp_path / "ref", REFERENCES)
    assert compare(tmp_path, *files, "--reference", reference, f"--language-pair={pair}") == 2
    assert capsys.readouterr().err.startswith("nmt: --language-pair must be two languages such as")
