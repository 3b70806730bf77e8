import json
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_run import write_run

from nmt.cli.main import main
from nmt.run_folder import RunFolder


def info(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> dict[str, list[str]]:
    """What `nmt info` says, line by line under each label."""
    assert main(["info", str(run.path)]) == 0
    said: dict[str, list[str]] = {}
    for line in capsys.readouterr().out.split("\n")[:-1]:
        label = line[:12].strip()
        if label:
            said[label] = []
        said[[*said][-1]].append(line[12:])
    return said


# Two embeddings and the bias of the output layer; encoder; attention; bridge; the decoder's two
# layers and its readout. An LSTM has four gates, each with two biases.
NUM_WEIGHTS = (
    (2 * 34 * 8 + 34)
    + 2 * 4 * (4 * (8 + 4) + 2 * 4)
    + 8 * 8
    + 2 * 2 * (8 * 8 + 8)
    + (4 * (8 * (8 + 8) + 2 * 8) + 4 * (8 * (16 + 8) + 2 * 8) + (16 * 8 + 8))
)
SIGNATURES = {"chrF2": "nrefs:1|nc:6", "BLEU": "nrefs:1|tok:13a"}
ENTRIES: list[dict[str, object]] = [
    {"epoch": 1, "step": 500, "loss": 3.0, "chrF2": 30.0, "BLEU": 9.0},
    {"epoch": 2, "step": 1000, "loss": 2.5, "chrF2": 41.26, "BLEU": 9.0},
    {"epoch": 3, "step": 1500, "loss": 2.7, "chrF2": 40.0, "BLEU": 8.0},
]


def write_metrics(run: RunFolder, *entries: dict[str, object]) -> None:
    lines = [
        json.dumps({"seconds": 5400.0, "signatures": SIGNATURES, **entry}) for entry in entries
    ]
    run.metrics_file.write_bytes("".join(f"{line}\n" for line in lines).encode())


def test_a_fresh_run_is_described(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(tmp_path / "run")
    said = info(run, capsys)
    files = said.pop("files")
    assert said == {
        "run folder": [str(run.path)],
        "languages": ["de to en"],
        "data": ["training: train.tsv", "validation: validation.tsv"],
        "tokenizer": ["unigram, 34 pieces for both languages"],
        "model": [
            "embeddings of 8, target and output layer tied",
            "encoder: 1 bidirectional LSTM layer of 4 a direction",
            "attention: general, asked by the bottom decoder layer",
            "decoder: 2 LSTM layers of 8",
        ],
        "weights": [f"{NUM_WEIGHTS:,}"],
        "training": ["no validation yet, 0 of 30 epochs"],
        "scores": ["none: no test set was translated yet; see nmt evaluate"],
        "versions": ["nmt 0.1.0, torch 2.13.0, python 3.11.7"],
    }
    assert [line[10:] for line in files] == [
        "model.safetensors",
        "recipe.yaml",
        "source.model",
        "target.model",
        "versions.json",
    ]


def test_weights_that_are_shared_count_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """34 pieces of 8 numbers each: once, twice or three times in the model."""
    counts = []
    for tied in ("all", "output", "null"):
        run = write_run(tmp_path / tied, f"model.tied_embeddings={tied}")
        [count] = info(run, capsys)["weights"]
        counts.append(int(count.replace(",", "")))
    assert [counts[1] - counts[0], counts[2] - counts[1]] == [34 * 8, 34 * 8]


@pytest.mark.parametrize(
    ("tied", "words"),
    [("all", ", all tied"), ("output", ", target and output layer tied"), ("null", "")],
)
def test_it_says_which_embeddings_are_tied(
    tmp_path: Path, tied: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_run(tmp_path / "run", f"model.tied_embeddings={tied}")
    assert info(run, capsys)["model"][0] == f"embeddings of 8{words}"


@pytest.mark.parametrize(
    ("overrides", "line", "words"),
    [
        (["model.encoder.cell=gru"], 1, "encoder: 1 bidirectional GRU layer of 4 a direction"),
        (
            ["model.encoder={num_layers: 3, hidden_size: 4, directions: bottom, residual_from: 3}"],
            1,
            "encoder: 3 LSTM layers, the lowest bidirectional, of 4 a direction",
        ),
        (
            ["model.encoder.directions=forward", "model.encoder.cell=layer_norm_lstm"],
            1,
            "encoder: 1 layer-normalised LSTM layer of 4",
        ),
        (
            ["model.encoder.directions=backward", "model.encoder.num_layers=2"],
            1,
            "encoder: 2 LSTM layers, reading from the end, of 4",
        ),
        (["model.attention=null"], 2, "attention: none"),
        (
            ["model.attention.variational=sampled"],
            2,
            "attention: general, variational (sampled), asked by the bottom decoder layer",
        ),
        (
            ["model.attention={kind: scaled_dot, num_heads: 4, query: top}"],
            2,
            "attention: scaled_dot, 4 heads, asked by the top decoder layer",
        ),
        (
            [
                "model.attention={kind: additive, window: 3, coverage: true, query: previous}",
                "model.decoder.feedback=context",
            ],
            2,
            "attention: additive, a window of 3, with coverage, asked by the bottom decoder "
            "layer's step before",
        ),
        (
            ["model.decoder={num_layers: 1, hidden_size: 8, cell: rnn, feedback: attentional}"],
            3,
            "decoder: 1 tanh layer of 8, attentional fed back",
        ),
        (["model.decoder.feedback=context"], 3, "decoder: 2 LSTM layers of 8, context fed back"),
    ],
)
def test_it_says_which_of_the_family_a_model_is(
    tmp_path: Path,
    overrides: list[str],
    line: int,
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = write_run(tmp_path / "run", *overrides)
    assert info(run, capsys)["model"][line] == words


def test_two_tokenizers_are_told_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(tmp_path / "run", "tokenizer.joint=false", "tokenizer.model_type=bpe")
    assert info(run, capsys)["tokenizer"] == ["bpe, 34 source pieces, 34 target pieces"]


def test_a_reversed_run_translates_the_other_way(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_run(tmp_path / "run", "data.reverse=true", "data.test.tsv=test.tsv")
    said = info(run, capsys)
    assert said["languages"] == ["en to de"]
    assert said["data"][2:] == ["test: test.tsv"]


@pytest.mark.parametrize(
    ("metric", "best"),
    [
        ("chrF2", "epoch 2, chrF2 = 41.26  nrefs:1|nc:6"),
        ("BLEU", "epoch 1, BLEU = 9.00  nrefs:1|tok:13a"),
        ("loss", "epoch 2, loss = 2.5000"),
    ],
)
def test_the_best_validation_is_that_of_the_recipe_s_metric(
    tmp_path: Path, metric: str, best: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_run(tmp_path / "run", f"training.checkpoint_metric={metric}")
    write_metrics(run, *ENTRIES)
    assert info(run, capsys)["training"] == [
        "3 of 30 epochs, 1,500 steps, 90 min, seed 7",
        f"best validation: {best}",
    ]


def test_scores_are_given_with_their_signatures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_run(tmp_path / "run")
    run.report.mkdir()
    scores = [
        {"name": "BLEU", "value": 37.604, "signature": "tok:13a", "interval": None},
        {"name": "TER", "value": 41.0, "signature": "tok:tercom", "interval": [40, 42]},
    ]
    (run.report / "scores.json").write_bytes(json.dumps(scores).encode())
    said = info(run, capsys)
    assert said["scores"] == ["BLEU = 37.60  tok:13a", "TER = 41.00  tok:tercom"]
    assert "report/scores.json" in [line[10:] for line in said["files"]]


def test_a_run_in_training_has_no_weights_yet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_run(tmp_path / "run")
    run.weights_file.unlink()
    assert info(run, capsys)["weights"] == [
        "none: model.safetensors is missing; training has not come to its end"
    ]


def test_versions_may_be_unknown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(tmp_path / "run")
    run.versions_file.unlink()
    assert info(run, capsys)["versions"] == ["not recorded"]


@pytest.mark.parametrize(
    ("num_bytes", "size"),
    [
        (0, "     0 B"),
        (999, "   999 B"),
        (1000, "  1.0 kB"),
        (123_456, "123.5 kB"),
        (3_456_789, "  3.5 MB"),
    ],
)
def test_files_are_listed_with_their_sizes(
    tmp_path: Path, num_bytes: int, size: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_run(tmp_path / "run")
    (run.checkpoints / "last.ckpt").write_bytes(bytes(num_bytes))
    assert info(run, capsys)["files"][0] == f"{size}  checkpoints/last.ckpt"


@pytest.mark.parametrize(
    ("missing", "complaint"),
    [
        ("recipe.yaml", "recipe.yaml is missing; not a whole run folder"),
        ("source.model", "source.model is missing; not a whole run folder"),
        ("target.model", "target.model is missing; not a whole run folder"),
    ],
)
def test_a_missing_file_is_named(
    tmp_path: Path, missing: str, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_run(tmp_path / "run")
    (run.path / missing).unlink()
    assert main(["info", str(run.path)]) == 2
    assert capsys.readouterr() == ("", f"nmt: {run.path}: {complaint}\n")


def test_damaged_weights_are_no_reason_for_half_an_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_run(tmp_path / "run")
    run.weights_file.write_bytes(b"{}")
    assert main(["info", str(run.path)]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith(f"nmt: {run.weights_file}: damaged or not safetensors (")
    assert output.err.count("\n") == 1


def test_a_missing_folder_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(tmp_path / "nothing")]) == 2
    assert capsys.readouterr() == ("", f"nmt: {tmp_path / 'nothing'}: no such run folder\n")


def test_a_full_disk_behind_stdout_is_one_line(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    code = "import sys; from nmt.cli.main import main; sys.exit(main())"
    with Path("/dev/full").open("wb") as full:
        result = subprocess.run(
            [sys.executable, "-c", code, "info", str(run.path)],
            stdout=full,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
    complaint = "nmt: <stdout>: cannot be written (no space left on device)\n"
    assert (result.returncode, result.stderr) == (2, complaint)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"chrF2": "x"}, "chrF2 must be a number, got 'x'"),
        ({"chrF2": None}, "chrF2 must be a number, got None"),
        ({"signatures": None}, "signatures must have that of chrF2, got 'None'"),
        (
            {"signatures": {"BLEU": "s"}},
            "signatures must have that of chrF2, got \"{'BLEU': 's'}\"",
        ),
    ],
)
def test_a_validation_that_says_too_little_is_one_line(
    tmp_path: Path, change: dict[str, object], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_run(tmp_path / "run")
    entry = {"epoch": 1, "step": 1, "seconds": 1.0, "loss": 1.0, "chrF2": 2.0}
    entry_of_file = entry | {"signatures": {"chrF2": "s"}} | change
    run.metrics_file.write_text(json.dumps(entry_of_file), encoding="utf-8", newline="\n")
    assert main(["info", str(run.path)]) == 2
    assert capsys.readouterr() == ("", f"nmt: {run.metrics_file}: {complaint}\n")
