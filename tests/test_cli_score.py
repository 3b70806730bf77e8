"""`nmt score`: pairs and n-best lists in, scores out."""

import json
import math
import re
from pathlib import Path

import pytest
from tiny_run import SOURCES, TARGETS, write_run

from nmt.alignment import pharaoh
from nmt.cli.main import main
from nmt.translator import Scorer, score_record


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("runs") / "run").path


def write(path: Path, lines: list[str]) -> Path:
    path.write_bytes("".join(f"{line}\n" for line in lines).encode())
    return path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write(tmp_path / "source", SOURCES)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return write(tmp_path / "target", TARGETS)


def score(run: Path, *arguments: object) -> int:
    return main(["score", "--model", str(run), *map(str, arguments)])


def pairs() -> list[tuple[str, str]]:
    return list(zip(SOURCES, TARGETS, strict=True))


def test_every_pair_has_a_line_and_the_corpus_a_perplexity(
    run: Path, source: Path, target: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert score(run, "--source", source, "--target", target) == 0
    output = capsys.readouterr()
    scored = list(Scorer.load(run).score(pairs()))
    lines = [f"{one.log_prob:.4f}\t{len(one.token_log_probs)}" for one in scored]
    assert output.out == "".join(f"{line}\n" for line in lines)
    assert lines[2] == "0.0000\t0"
    num_tokens = sum(len(one.token_log_probs) for one in scored)
    perplexity = math.exp(-sum(one.log_prob for one in scored) / num_tokens)
    assert output.err == f"perplexity {perplexity:.4f} of {num_tokens} tokens\n"


def test_objects_and_alignments_are_written_where_asked_for(
    run: Path, source: Path, target: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    links = tmp_path / "links"
    arguments = ["--source", source, "--target", target, "--json", "--alignments", links]
    assert score(run, *arguments, "--batch-size", "2") == 0
    scored = list(Scorer.load(run, batch_size=2).score(pairs()))
    lines = capsys.readouterr().out.split("\n")[:-1]
    assert [json.loads(line) for line in lines] == [score_record(one) for one in scored]
    expected = [pharaoh(one.alignment.words) for one in scored]
    assert links.read_bytes().decode() == "".join(f"{line}\n" for line in expected)
    assert expected[0]


def test_several_models_score_as_one(
    run: Path, source: Path, target: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write_run(tmp_path / "other", "training.seed=8").path
    files = ["--source", source, "--target", target]
    outputs = []
    for arguments in ([], ["--model", other], ["--model", other, "--ensemble", "log"]):
        assert score(run, *files, *arguments) == 0
        outputs.append(capsys.readouterr().out)
    assert len(set(outputs)) == 3
    scored = Scorer.load([run, other], average="log").score(pairs())
    lines = [f"{one.log_prob:.4f}\t{len(one.token_log_probs)}\n" for one in scored]
    assert outputs[2] == "".join(lines)


def test_an_n_best_list_is_put_in_the_order_of_the_model(
    run: Path, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = [
        (0, "a cat"),
        (0, "a"),
        (0, "a ||| dog"),
        (3, "no"),
        (2, ""),
        (1, "the dog runs and runs"),
        (1, "dog"),
    ]
    path = write(tmp_path / "n-best", [f"{index} ||| {text} ||| -1.5" for index, text in entries])
    assert score(run, "--source", source, "--n-best-file", path) == 0
    output = capsys.readouterr()
    assert output.err == ""
    scored = list(Scorer.load(run).score((SOURCES[index], text) for index, text in entries))
    scores = [one.score for one in scored]
    expected = []
    for places in ([0, 1, 2], [3], [4], [5, 6]):
        for place in sorted(places, key=lambda place: -scores[place]):
            index, text = entries[place]
            expected.append(f"{index} ||| {text} ||| {scores[place]:.4f}")
    assert output.out.split("\n")[:-1] == expected
    assert [line.split(" ||| ")[1] for line in expected[:2]] != ["a cat", "a"]


def test_of_equals_the_earlier_stays_first(
    run: Path, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # white space at the ends is nothing to the tokenizer
    path = write(tmp_path / "n-best", ["0 |||  a cat ||| 1", "0 ||| a cat ||| 2"])
    assert score(run, "--source", source, "--n-best-file", path) == 0
    texts = [line.split(" ||| ")[1] for line in capsys.readouterr().out.split("\n")[:-1]]
    assert texts == [" a cat", "a cat"]


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("a cat", " must be INDEX ||| TRANSLATION ||| SCORE, got 'a cat'"),
        ("0 ||| a cat", " must be INDEX ||| TRANSLATION ||| SCORE, got '0 ||| a cat'"),
        ("x ||| a ||| 1", " must be INDEX ||| TRANSLATION ||| SCORE, got 'x ||| a ||| 1'"),
        ("-1 ||| a ||| 1", " must be INDEX ||| TRANSLATION ||| SCORE, got '-1 ||| a ||| 1'"),
        ("5 ||| a ||| 1", ": INDEX must be below 5, the lines of the source, got 5"),
    ],
)
def test_a_line_of_another_form_is_refused(
    run: Path,
    source: Path,
    tmp_path: Path,
    line: str,
    complaint: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = write(tmp_path / "n-best", ["0 ||| a ||| 1", line])
    assert score(run, "--source", source, "--n-best-file", path) == 2
    assert capsys.readouterr() == ("", f"nmt: {path}: line 2{complaint}\n")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "one of --target and --n-best-file must be given"),
        (
            ["--target", "t", "--n-best-file", "n"],
            "one of --target and --n-best-file must be given",
        ),
        (["--target", "nowhere"], r"nowhere: cannot be read \(.*\)"),
        (
            ["--target", "t", "--batch-size", "0"],
            "--batch-size must be a whole number >= 1, got '0'",
        ),
        (["--target", "t", "--ensemble", "log"], "--ensemble needs --model more than once"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    run: Path,
    source: Path,
    arguments: list[str],
    complaint: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert score(run, "--source", source, *arguments) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert re.fullmatch(f"nmt: {complaint}\n", output.err)


@pytest.mark.parametrize("option", ["--json", "--alignments"])
def test_an_n_best_list_is_written_in_one_form_only(
    run: Path, source: Path, tmp_path: Path, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "n-best", ["0 ||| a ||| 1"])
    extra = [option] if option == "--json" else [option, tmp_path / "links"]
    assert score(run, "--source", source, "--n-best-file", path, *extra) == 2
    complaint = "nmt: --n-best-file goes with neither --json nor --alignments\n"
    assert capsys.readouterr() == ("", complaint)


def test_files_of_unequal_length_are_refused(
    run: Path, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = write(tmp_path / "short", TARGETS[:4])
    assert score(run, "--source", source, "--target", target) == 2
    assert capsys.readouterr() == (
        "",
        f"nmt: {source} has 5 lines, {target} has 4; parallel files must have equal numbers of "
        "lines\n",
    )


def test_a_model_without_attention_aligns_nothing(
    source: Path, target: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blind = write_run(tmp_path / "run", "model.attention=null").path
    links = tmp_path / "links"
    files = ["--source", source, "--target", target]
    assert score(blind, *files, "--alignments", links) == 2
    complaint = f"nmt: --alignments needs a model with attention, got {blind}\n"
    assert capsys.readouterr() == ("", complaint)
    assert not links.exists()
    assert score(blind, *files) == 0
