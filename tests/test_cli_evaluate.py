import json
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tiny_run import SOURCES, TARGETS, write_run

from nmt.cli.main import main
from nmt.confidence import dump_confidence, expected_calibration_error
from nmt.corpus import load_pairs
from nmt.evaluation import Segments, compute_scores, evaluate
from nmt.run_folder import RunFolder
from nmt.translator import Translator, learn_confidence, sentence_qualities

METRICS = ("BLEU", "chrF2", "chrF++", "TER")
FILES = {"scores.json", "hypotheses.txt", "report.md", "index.html"}


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
    segments = Segments("t", SOURCES, [TARGETS])
    report = evaluate(hypotheses, segments, run.recipe, model="m")
    output = capsys.readouterr()
    assert output.out == "".join(f"{score}\n" for score in report.scores)
    assert output.err.endswith(f"report in {run.report / 'index.html'}\n")

    assert reports(run.report) == FILES
    written = (run.report / "hypotheses.txt").read_bytes().decode()
    assert written == "".join(f"{hypothesis}\n" for hypothesis in hypotheses)
    content = json.loads((run.report / "scores.json").read_bytes())
    values = [entry["value"] for entry in content["scores"]]
    assert run.scores() == content["scores"]
    shown = [one for one in content["sentences"] if one["attention"]]
    assert shown
    assert all(len(one["alternatives"]) == 2 for one in shown)  # the recipe's beam
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
    assert capsys.readouterr().err.endswith(f"report in {report / 'index.html'}\n")
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
    assert reports(run.path / "report-mine.de") == FILES


def test_the_beam_size_can_be_chosen(run: RunFolder) -> None:
    found = []
    for beam_size in (1, 2):
        arguments = ["--beam-size", str(beam_size), "--overwrite"]
        assert main(["evaluate", "--model", str(run.path), *arguments]) == 0
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
        "num_hypotheses": 3,
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
    said = capsys.readouterr().err
    assert said.startswith(
        "confidence learned from 40 validation sentences: expected calibration error "
        f"{learned.error:.3f}\n"
    )
    assert said.endswith(
        f"confidence: expected calibration error {error:.3f}\n"
        f"report in {run.report / 'index.html'}\n"
    )
    content = json.loads((run.report / "scores.json").read_bytes())
    assert content["calibration"]["error"] == pytest.approx(error)


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


def test_several_test_sets_and_references_make_one_report_with_a_folder_each(
    tmp_path: Path, run: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--report", str(tmp_path / "report")]
    for name, source, *targets in (("a", "nein", "no", "not"), ("b", "ein Hund", "a dog", "dog")):
        arguments += ["--source", str(write_lines(tmp_path / f"{name}.de", [source]))]
        for number, target in enumerate(targets):
            file = write_lines(tmp_path / f"{name}{number}.en", [target])
            arguments += ["--reference", str(file)]
    assert main(["evaluate", "--model", str(run.path), *arguments]) == 0
    assert reports(tmp_path / "report") == {"a.de", "b.de", "index.html"}
    content = json.loads((tmp_path / "report" / "b.de" / "scores.json").read_bytes())
    assert content["sentences"][0]["references"] == ["a dog", "dog"]
    assert f"{tmp_path}/b.de + {tmp_path}/b0.en + {tmp_path}/b1.en:\nBLEU = " in (
        capsys.readouterr().out
    )
    # a report in a folder below counts too
    (tmp_path / "report" / "index.html").unlink()
    assert main(["evaluate", "--model", str(run.path), *arguments]) == 2
    assert f"nmt: {tmp_path}/report/a.de: holds a report already" in capsys.readouterr().err


def test_metrics_and_the_tokenizer_of_bleu_can_be_chosen(
    run: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--metric", "BLEU", "--metric", "chrF++", "--bleu-tokenizer", "char"]
    assert main(["evaluate", "--model", str(run.path), *arguments]) == 0
    bleu, chrf = capsys.readouterr().out.splitlines()
    assert bleu.startswith("BLEU = ")
    assert "|tok:char|" in bleu
    assert chrf.startswith("chrF++ = ")
    assert "|nw:2|" in chrf


def test_a_set_of_sacrebleus_is_asked_for_by_name(
    tmp_path: Path, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def find(name: str, direction: str) -> Segments:
        asked.append((name, direction))
        return Segments(f"{name} {direction}", ["nein", "ein Hund"], [["no", "a dog"]])

    monkeypatch.setattr("nmt.evaluation.segments_of_sacrebleu", find)
    assert main(["evaluate", "--model", str(run.path), "-t", "wmt14"]) == 0
    assert reports(run.path / "report-wmt14-de-en") == FILES
    named = ["-t", "wmt15", "-l", "fi-en"]
    assert main(["evaluate", "--model", str(run.path), *named]) == 0
    assert asked == [("wmt14", "de-en"), ("wmt15", "fi-en")]


def test_the_training_data_explains_where_it_is_here(tmp_path: Path, test_set: Path) -> None:
    run = write_run(
        tmp_path / "run",
        f"data.test.tsv={test_set}",
        f"data.train.tsv={test_set}",
        f"data.validation.tsv={test_set}",
        "data.cleaning.held_out=false",
        "data.cleaning.min_pairs=1",
    )
    arguments = ["evaluate", "--model", str(run.path), "--overwrite"]
    assert main(arguments) == 0
    content = json.loads((run.report / "scores.json").read_bytes())
    assert content["seen"]["count"] == 4  # all but the blank one
    assert main([*arguments, "--without-training-data"]) == 0
    content = json.loads((run.report / "scores.json").read_bytes())
    assert content["seen"] is None
    assert content["left_out"][0] == "what the training data explains: it was not asked for"


def test_a_run_far_from_its_data_is_evaluated_and_says_so(run: RunFolder) -> None:
    assert main(["evaluate", "--model", str(run.path)]) == 0
    content = json.loads((run.report / "scores.json").read_bytes())
    assert content["left_out"][0].startswith(
        "what the training data explains: train.tsv: cannot be read"
    )


def test_a_report_is_not_replaced_unasked(
    run: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "--model", str(run.path)]) == 0
    before = {path.name: path.read_bytes() for path in run.report.iterdir()}
    capsys.readouterr()
    assert main(["evaluate", "--model", str(run.path), "--beam-size", "1"]) == 2
    output = capsys.readouterr()
    assert output.err.startswith(f"nmt: {run.report}: holds a report already (scores.json, ")
    assert output.err.endswith("choose another --report, or give --overwrite to replace it\n")
    assert output.err.count("\n") == 1
    assert {path.name: path.read_bytes() for path in run.report.iterdir()} == before
    assert main(["evaluate", "--model", str(run.path), "--beam-size", "1", "--overwrite"]) == 0


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["-l", "de-en"], "--language-pair belongs to --test-set, got it alone"),
        (
            ["-t", "wtm14"],
            "test set must be one of sacreBLEU's, got 'wtm14'; did you mean 'wmt14'?",
        ),
        (
            ["--source", "a", "--source", "b", "--reference", "c"],
            "--reference must be given equally often for each --source, got 1 for 2",
        ),
        (
            ["--metric", "METEOR"],
            "metric must be one of 'BLEU', 'chrF2', 'chrF++', 'TER', got 'METEOR'",
        ),
    ],
)
def test_what_cannot_be_asked_for_is_refused(
    run: RunFolder, arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "--model", str(run.path), *arguments]) == 2
    assert capsys.readouterr() == ("", f"nmt: {complaint}\n")
    assert not run.report.exists()


def test_comet_is_refused_where_it_or_its_model_is_not_here(
    tmp_path: Path,
    run: RunFolder,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    wanted = ["evaluate", "--model", str(run.path), "--metric", "COMET"]
    monkeypatch.setitem(sys.modules, "comet", None)  # as if it were not installed
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(wanted) == 2
    assert capsys.readouterr().err == (
        "nmt: metric COMET needs the package unbabel-comet; pip install unbabel-comet, "
        "without constraints.txt\n"
    )
    monkeypatch.setattr("importlib.util.find_spec", lambda name: ModuleSpec(name, None))
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda *_: None)
    assert main(wanted) == 2
    assert capsys.readouterr().err == (
        "nmt: metric COMET needs a model on this machine, got none; "
        "hf download Unbabel/wmt22-comet-da, or set NMT_COMET_MODEL to a checkpoint\n"
    )
    monkeypatch.setenv("NMT_COMET_MODEL", str(tmp_path / "none.ckpt"))
    assert main(wanted) == 2
    assert capsys.readouterr().err == (
        "nmt: NMT_COMET_MODEL must name a file with a COMET model, "
        f"got '{tmp_path / 'none.ckpt'}'\n"
    )


def test_comet_may_be_the_only_metric(
    tmp_path: Path,
    run: RunFolder,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def predict(samples: list[dict[str, str]], **options: object) -> SimpleNamespace:
        return SimpleNamespace(system_score=len(samples) / 8)

    fake = SimpleNamespace(
        load_from_checkpoint=lambda path, local_files_only: SimpleNamespace(predict=predict),
        __spec__=object(),
    )
    checkpoint = write_lines(tmp_path / "a.ckpt", [])
    monkeypatch.setitem(sys.modules, "comet", fake)
    monkeypatch.setenv("NMT_COMET_MODEL", str(checkpoint))
    monkeypatch.setattr("importlib.metadata.version", lambda name: "9")
    assert main(["evaluate", "--model", str(run.path), "--metric", "COMET"]) == 0
    assert capsys.readouterr().out == "COMET = 62.50  nrefs:1|model:a.ckpt|version:9\n"


def test_bad_files_are_refused_before_translating(
    tmp_path: Path, run: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_lines(tmp_path / "a.de", ["nein", "ein Hund"])
    empty = write_lines(tmp_path / "empty", [])
    short = write_lines(tmp_path / "short", ["no"])
    foreign = write_lines(tmp_path / "foreign", ["собака бежит", "через большой парк"])
    for reference, complaint in (
        (empty, f"{empty} must have at least one line, got an empty file"),
        (short, f"{source} has 2 lines, {short} has 1; parallel files must have equal numbers"),
        (foreign, f"{source} + {foreign}: references must be in the script that the model writes"),
    ):
        files = ["--source", str(source), "--reference", str(reference)]
        assert main(["evaluate", "--model", str(run.path), *files]) == 2
        said = capsys.readouterr().err
        assert said.startswith(f"nmt: {complaint}")
        assert said.count("\n") == 1


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
