import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_run import SOURCES, TARGETS, write_run

from nmt.cli.main import main
from nmt.confidence import (
    calibration_bins,
    dump_confidence,
    expected_calibration_error,
    reliability_plot,
)
from nmt.corpus import load_pairs
from nmt.evaluation import compute_scores
from nmt.run_folder import RunFolder
from nmt.translator import Translator, learn_confidence, sentence_qualities

METRICS = ["BLEU", "chrF2", "TER"]


def write_lines(path: Path, lines: list[str]) -> Path:
    path.write_bytes("".join(f"{line}\n" for line in lines).encode())
    return path


@pytest.fixture(scope="module")
def test_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    lines = [f"{source}\t{target}" for source, target in zip(SOURCES, TARGETS, strict=True)]
    return write_lines(folder / "test.tsv", lines)


@pytest.fixture
def run(tmp_path: Path, test_set: Path) -> RunFolder:
    # weights with which a greater beam finds something else
    return write_run(tmp_path / "run", f"data.test.tsv={test_set}", "training.seed=12")


def reports(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_test_set_of_the_recipe_is_evaluated(
    run: RunFolder, test_set: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "--model", str(run.path)]) == 0

    hypotheses = Translator.load(run.path).translate(SOURCES)
    scores = compute_scores(hypotheses, TARGETS, metrics=METRICS, target_lang="en")
    assert any(hypotheses)
    output = capsys.readouterr()
    assert output.out == "".join(f"{score}\n" for score in scores)
    assert output.err == f"report in {run.report}\n"

    assert reports(run.report) == {"scores.json", "hypotheses.txt", "report.md"}
    written = (run.report / "hypotheses.txt").read_bytes().decode()
    assert written == "".join(f"{hypothesis}\n" for hypothesis in hypotheses)
    values = [entry["value"] for entry in json.loads((run.report / "scores.json").read_bytes())]
    assert values == [score.value for score in scores]
    page = (run.report / "report.md").read_bytes().decode()
    assert page.startswith(
        f"# Evaluation of `{run.path}`\n\nTest set: `{test_set}`, 5 sentences.\n"
    )


def test_a_reversed_recipe_has_a_reversed_test_set(tmp_path: Path, test_set: Path) -> None:
    run = write_run(tmp_path / "run", f"data.test.tsv={test_set}", "data.reverse=true")
    assert main(["evaluate", "--model", str(run.path)]) == 0
    page = (run.report / "report.md").read_bytes().decode()
    assert "source      a cat\nreference   eine Katze\n" in page


def test_files_take_the_place_of_the_test_set(
    tmp_path: Path, run: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_lines(tmp_path / "mine.de", ["nein", "ein Hund"])
    reference = write_lines(tmp_path / "mine.en", ["no", "a dog"])
    report = tmp_path / "elsewhere" / "report"
    arguments = ["--source", str(source), "--reference", str(reference), "--report", str(report)]
    assert main(["evaluate", "--model", str(run.path), *arguments]) == 0
    assert capsys.readouterr().err == f"report in {report}\n"
    page = (report / "report.md").read_bytes().decode()
    assert f"Test set: `{source} + {reference}`, 2 sentences." in page
    assert "source      nein\nreference   no\n" in page
    assert not run.report.exists()


def test_files_leave_the_report_of_the_test_set_alone(tmp_path: Path, run: RunFolder) -> None:
    source = write_lines(tmp_path / "mine.de", ["nein"])
    reference = write_lines(tmp_path / "mine.en", ["no"])
    files = ["--source", str(source), "--reference", str(reference)]
    assert main(["evaluate", "--model", str(run.path), *files]) == 0
    assert not run.report.exists()
    assert reports(run.path / "report-mine.de") == {"scores.json", "hypotheses.txt", "report.md"}


def test_the_beam_size_can_be_chosen(run: RunFolder) -> None:
    found = []
    for beam_size in (1, 2):
        assert main(["evaluate", "--model", str(run.path), "--beam-size", str(beam_size)]) == 0
        hypotheses = (run.report / "hypotheses.txt").read_bytes().decode().split("\n")[:-1]
        assert hypotheses == Translator.load(run.path, beam_size=beam_size).translate(SOURCES)
        found.append(hypotheses)
    assert found[0] != found[1]


def test_options_reach_the_translator(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, object] = {}
    load = Translator.load

    def remember(path: Path, **options: object) -> Translator:
        given.update(options, path=path, threads=torch.get_num_threads())
        return load(path)

    monkeypatch.setattr(Translator, "load", remember)
    threads = torch.get_num_threads()
    arguments = ["--beam-size", "3", "--batch-size", "4", "--device", "cpu", "--threads", "2"]
    arguments += ["--length-penalty", "0.5"]
    try:
        assert main(["evaluate", "--model", str(run.path), *arguments]) == 0
    finally:
        torch.set_num_threads(threads)
    assert given == {
        "path": run.path,
        "beam_size": 3,
        "length_penalty": 0.5,
        "batch_size": 4,
        "device": "cpu",
        "threads": 2,
        "target_lang": None,
    }


def learnable_run(path: Path, test_set: Path, num_pairs: int) -> RunFolder:
    """A run whose validation set is what it says itself, every second time."""
    run = write_run(path / "run", f"data.test.tsv={test_set}")
    words = [word for line in SOURCES for word in line.split()]
    sources = [words[place % len(words)] for place in range(num_pairs)]
    texts = Translator.load(run.path).translate(sources)
    lines = [
        f"{source}\t{text if place % 2 else 'q'}"
        for place, (source, text) in enumerate(zip(sources, texts, strict=True))
    ]
    validation = write_lines(path / "validation.tsv", lines)
    return write_run(
        path / "learnable", f"data.test.tsv={test_set}", f"data.validation.tsv={validation}"
    )


def test_a_confidence_can_be_learned_for_a_run_without(
    tmp_path: Path, test_set: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = learnable_run(tmp_path, test_set, 40)
    assert main(["evaluate", "--model", str(run.path), "--fit-confidence"]) == 0
    translator = Translator.load(run.path)
    assert translator.has_confidence
    learned = learn_confidence(translator, load_pairs(run.recipe.data.validation))
    assert learned is not None
    assert run.confidence_file.read_text(encoding="utf-8") == dump_confidence(learned.model)

    found = [one for one in translator.translate_detailed(SOURCES) if one.confidence is not None]
    references = [target for target in TARGETS if target]
    confidences = np.array([one.confidence for one in found])
    qualities = sentence_qualities([one.text for one in found], references)
    error = expected_calibration_error(confidences, qualities)
    assert capsys.readouterr().err == (
        "confidence learned from 40 validation sentences: expected calibration error "
        f"{learned.error:.3f}\n"
        f"confidence: expected calibration error {error:.3f}\n"
        f"report in {run.report}\n"
    )
    picture = (run.report / "calibration.png").read_bytes()
    assert picture == reliability_plot(confidences, qualities)
    numbers = json.loads((run.report / "calibration.json").read_text(encoding="utf-8"))
    assert numbers["expected_calibration_error"] == error
    assert numbers["bins"] == [asdict(one) for one in calibration_bins(confidences, qualities)]
    assert sum(one["count"] for one in numbers["bins"]) == len(found)


def test_too_few_pairs_teach_no_confidence(
    tmp_path: Path, test_set: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = learnable_run(tmp_path, test_set, 15)
    assert main(["evaluate", "--model", str(run.path), "--fit-confidence"]) == 2
    assert capsys.readouterr() == (
        "",
        f"nmt: {run.recipe_file}: data.validation must have at least 16 pairs that are not too "
        "long to learn a confidence from, got 15 in all\n",
    )
    assert not run.confidence_file.exists()


@pytest.mark.parametrize("given", ["--source", "--reference"])
def test_one_file_without_the_other_is_refused(
    run: RunFolder, given: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "--model", str(run.path), given, "mine.txt"]) == 2
    assert capsys.readouterr() == (
        "",
        f"nmt: --source and --reference must be given together, got {given} alone\n",
    )


def test_a_recipe_without_a_test_set_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_run(tmp_path / "run")
    assert main(["evaluate", "--model", str(run.path)]) == 2
    complaint = f"nmt: {run.recipe_file} has no data.test; give --source and --reference\n"
    assert capsys.readouterr() == ("", complaint)


def test_a_folder_that_is_no_run_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "--model", str(tmp_path / "nothing")]) == 2
    assert capsys.readouterr() == ("", f"nmt: {tmp_path / 'nothing'}: no such run folder\n")


@pytest.mark.parametrize("fault", ["report", "test set", "metric"])
def test_what_can_go_wrong_goes_wrong_before_translating(
    tmp_path: Path, test_set: Path, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Translator, lines: list[str]) -> None:
        raise AssertionError(f"{self} was asked to translate {lines}")

    monkeypatch.setattr(Translator, "translate_detailed", refuse)
    overrides = [f"data.test.tsv={test_set}"]
    if fault == "test set":
        overrides = [f"data.test.tsv={tmp_path}/nothing.tsv"]
    if fault == "metric":
        overrides.append("evaluation.bleu_tokenizer=13b")
    run = write_run(tmp_path / "run", *overrides)
    if fault == "report":
        run.report.write_bytes(b"in the way")
    assert main(["evaluate", "--model", str(run.path)]) == 2


@pytest.mark.parametrize(
    ("size", "complaint"),
    [
        ("0", "--beam-size must be a whole number >= 1, got '0'"),
        ("35", "beam_size must be <= 34, the pieces of the target tokenizer, got 35"),
    ],
)
def test_a_beam_that_cannot_be_is_refused(
    run: RunFolder, size: str, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "--model", str(run.path), "--beam-size", size]) == 2
    assert capsys.readouterr() == ("", f"nmt: {complaint}\n")


def test_a_device_that_is_not_here_is_refused(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main(["evaluate", "--model", str(run.path), "--device", "cuda"]) == 2
    complaint = capsys.readouterr().err
    assert complaint.startswith("nmt: device must be auto or one that is here (")
    assert complaint.endswith("cpu), got 'cuda'\n")


def test_nothing_is_left_behind_where_the_model_cannot_be_loaded(
    run: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    run.weights_file.unlink()
    assert main(["evaluate", "--model", str(run.path)]) == 2
    complaint = f"nmt: {run.path}: model.safetensors is missing; not a whole run folder\n"
    assert capsys.readouterr() == ("", complaint)
    assert not run.report.exists()
