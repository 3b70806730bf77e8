"""`nmt translate`: lines in, lines out, and an exit code for everything that can go wrong."""

import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
import torch
from tiny_run import SOURCES, write_run
from torch import Tensor

from nmt.alignment import pharaoh
from nmt.cli.main import main
from nmt.confidence import FEATURES, ConfidenceModel, dump_confidence
from nmt.engine import Average, FoldedEngine
from nmt.placeholders import keep
from nmt.recipe import DecodingRecipe
from nmt.search import SamplingOptions
from nmt.translator import (
    ParallelTranslator,
    Phrase,
    Request,
    Term,
    Translator,
    Wishes,
    translation_record,
)

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("runs") / "run", "decoding.max_source_length=30").path


def translate(run: Path, *arguments: object) -> int:
    return main(["translate", "--model", str(run), *(str(argument) for argument in arguments)])


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes("".join(f"{line}\n" for line in SOURCES).encode())
    return path


def give_stdin(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), encoding="utf-8"))


def as_output(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def test_a_file_is_translated_line_by_line_into_another(
    run: Path, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "target"
    assert translate(run, "--input", source, "--output", target) == 0
    assert target.read_bytes().decode() == as_output(Translator.load(run).translate(SOURCES))
    assert capsys.readouterr() == ("", "")


def test_standard_input_is_translated_to_standard_output(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # A byte order mark, DOS line ends, separators that end no line, and no end of the last line.
    give_stdin(monkeypatch, "\ufeffein Hund\r\n\r\n\u2028nein\rnein\x85\x0c\nnein".encode())
    assert translate(run) == 0
    lines = ["ein Hund", "", "\u2028nein\rnein\x85\x0c", "nein"]
    output = capsys.readouterr()
    assert output.out == as_output(Translator.load(run).translate(lines))
    assert output.out.count("\n") == 4
    assert output.err == ""


def test_no_lines_give_no_lines(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    give_stdin(monkeypatch, b"")
    assert translate(run) == 0
    assert capsys.readouterr() == ("", "")


def test_n_best_lines_carry_the_index_of_their_line_and_the_score(
    run: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # More lines than are read at once: the index goes on.
    source.write_bytes(source.read_bytes() * 4)
    assert translate(run, "--n-best", "2", "--batch-size", "1", "--input", source) == 0
    expected = [
        f"{index} ||| {hypothesis.text} ||| {hypothesis.score:.4f}"
        for index, translation in enumerate(
            Translator.load(run, num_hypotheses=2).translate_detailed(SOURCES * 4)
        )
        for hypothesis in translation.hypotheses
    ]
    assert capsys.readouterr().out == as_output(expected)
    assert "2 |||  ||| 0.0000" in expected
    assert len(expected) > len(SOURCES) * 4


def test_n_best_of_one_is_in_that_form_too(
    run: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert translate(run, "--n-best", "1", "--input", source) == 0
    lines = capsys.readouterr().out.split("\n")[:-1]
    assert [line.split(" ||| ")[0] for line in lines] == ["0", "1", "2", "3", "4"]


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """What `Translator.load` was given, when it was called."""
    given: dict[str, object] = {}
    load = Translator.load

    def remember(models: list[Path], **options: object) -> Translator:
        given.update(options, models=models, threads=torch.get_num_threads())
        return load(models)

    monkeypatch.setattr(Translator, "load", remember)
    return given


def test_options_reach_the_translator(run: Path, source: Path, given: dict[str, object]) -> None:
    options = {
        "--beam-size": "4",
        "--length-penalty": "0.5",
        "--normalization": "plain",
        "--coverage-penalty": "0.25",
        "--min-length-ratio": "0.75",
        "--max-length-ratio": "1.5",
        "--min-length": "2",
        "--max-length": "9",
        "--no-repeat-ngram": "3",
        "--groups": "2",
        "--diversity-penalty": "0.125",
        "--mbr": "BLEU",
        "--n-best": "3",
        "--batch-size": "7",
        "--device": "cpu",
        "--threads": "2",
        "--workers": "1",
    }
    threads = torch.get_num_threads()
    try:
        words = [word for pair in options.items() for word in pair]
        flags = ["--int8", "--shortlist", "--split-sentences", "--keep-repeats"]
        flags += ["--protect-numbers"]
        assert translate(run, "--input", source, *words, *flags) == 0
    finally:
        torch.set_num_threads(threads)
    assert given == {
        "models": [run],
        "average": "linear",
        "decoding": DecodingRecipe(
            beam_size=4,
            length_penalty=0.5,
            normalization="plain",
            coverage_penalty=0.25,
            min_length_ratio=0.75,
            max_length_ratio=1.5,
            min_target_length=2,
            max_target_length=9,
            no_repeat_ngram_size=3,
            max_source_length=30,
            protect_numbers=True,
            keep_repeats=True,
            split_sentences=True,
            batch_size=7,
        ),
        "request": Request(num_hypotheses=3, num_groups=2, diversity_penalty=0.125, utility="BLEU"),
        "wishes": Wishes(),
        "int8": True,
        "shortlist": True,
        "target_lang": None,
        "device": "cpu",
        "threads": 2,
    }


@pytest.mark.parametrize("option", ["--prefix-file", "--glossary", "--avoid"])
@pytest.mark.parametrize("target", ["--output", "--alignments"])
def test_what_is_read_beside_the_input_is_not_written_over(
    option: str,
    target: str,
    run: Path,
    source: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "beside"
    file.write_bytes(b"a\tb\n")
    assert translate(run, "--input", source, option, file, target, file) == 2
    assert capsys.readouterr().err == f"nmt: {file}: {target} and {option} must be two files\n"
    assert file.read_bytes() == b"a\tb\n"


def test_a_shortlist_that_is_not_there_is_one_line(
    run: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert translate(run, "--input", source, "--shortlist") == 2
    assert re.fullmatch(r"nmt: .* has no shortlist\.safetensors: .*\n", capsys.readouterr().err)
    assert translate(run, "--model", run, "--input", source, "--shortlist") == 2
    assert capsys.readouterr().err == "nmt: --shortlist is for one model: give --model once\n"


def test_so_many_workers_share_the_lines(
    run: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    start = ParallelTranslator.__init__

    def remember(self: ParallelTranslator, load: object, *, num_workers: int) -> None:
        asked.append(num_workers)
        start(self, load, num_workers=1)  # type: ignore[arg-type]

    monkeypatch.setattr(ParallelTranslator, "__init__", remember)
    assert translate(run, "--input", source) == 0
    assert translate(run, "--input", source, "--workers", "3") == 0
    assert asked == [1, 3]


def test_sampling_options_reach_the_translator(
    run: Path, source: Path, given: dict[str, object]
) -> None:
    options = ["--sample", "5", "--temperature", "0.5", "--top-k", "3", "--top-p", "0.75"]
    assert translate(run, "--input", source, *options, "--seed", "4", "--mbr", "chrF2") == 0
    sampling = SamplingOptions(num_samples=5, seed=4, temperature=0.5, top_k=3, top_p=0.75)
    assert given["request"] == Request(sampling=sampling, utility="chrF2")
    assert translate(run, "--input", source, "--sample", "1") == 0
    assert given["request"] == Request(sampling=SamplingOptions())
    assert translate(run, "--input", source, "--sample", "3", "--json") == 0
    assert given["request"] == Request(num_hypotheses=3, sampling=SamplingOptions(num_samples=3))


def test_wishes_reach_the_translator(
    run: Path, source: Path, tmp_path: Path, given: dict[str, object]
) -> None:
    glossary, avoid = tmp_path / "glossary.tsv", tmp_path / "avoid"
    glossary.write_bytes(b"Hund\tdog\n")
    avoid.write_bytes(b"cat\n")
    files = ["--glossary", glossary, "--avoid", avoid]
    wishes = Wishes(
        terms=(Term("Hund", Phrase("dog", f"{glossary}: line 1")),),
        avoided=(Phrase("cat", f"{avoid}: line 1"),),
    )
    assert translate(run, "--input", source, *files) == 0
    assert (given["wishes"], given["request"]) == (wishes, Request())
    soft = ["--glossary-mode", "soft", "--preference-bonus", "2.5"]
    assert translate(run, "--input", source, *files, *soft) == 0
    assert given["wishes"] == replace(wishes, are_terms_required=False)
    assert given["request"] == Request(preference_bonus=2.5)


def test_several_models_are_an_ensemble(
    run: Path, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write_run(tmp_path / "other", "training.seed=8").path
    for arguments, average in (([], "linear"), (["--ensemble", "log"], "log")):
        arguments = ["--n-best", "1", *arguments]
        assert translate(run, "--model", other, "--input", source, *arguments) == 0
        translator = Translator.load([run, other], average=cast("Average", average))
        assert capsys.readouterr().out == as_output(
            [
                f"{index} ||| {one.text} ||| {one.score:.4f}"
                for index, one in enumerate(translator.translate_detailed(SOURCES))
            ]
        )


def test_every_line_is_an_object_where_json_is_asked_for(
    run: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert translate(run, "--input", source, "--json", "--n-best", "2") == 0
    output = capsys.readouterr()
    records = [json.loads(line) for line in output.out.split("\n")[:-1]]
    found = Translator.load(run, num_hypotheses=2).translate_detailed(SOURCES)
    assert records == [translation_record(translation) for translation in found]
    assert [len(record["hypotheses"]) for record in records] == [2, 2, 1, 2, 2]
    assert output.err == (
        f"nmt: confidence is null: {run} has no confidence.json, which nmt evaluate "
        "--fit-confidence makes\n"
    )


def test_confidence_is_told_where_the_run_has_one(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_run(tmp_path / "run")
    zeros, ones = (0.0,) * len(FEATURES), (1.0,) * len(FEATURES)
    model = ConfidenceModel(zeros, ones, zeros, 0.0)
    folder.confidence_file.write_text(dump_confidence(model), encoding="utf-8")
    assert translate(folder.path, "--input", source, "--json") == 0
    output = capsys.readouterr()
    records = [json.loads(line) for line in output.out.split("\n")[:-1]]
    assert [record["confidence"] for record in records] == [0.5, 0.5, None, 0.5, 0.5]
    assert output.err == ""


def test_alignments_are_written_beside_the_translations(
    run: Path, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    links = tmp_path / "links"
    assert translate(run, "--input", source, "--alignments", links) == 0
    found = list(Translator.load(run).translate_detailed(SOURCES))
    assert capsys.readouterr().out == as_output([one.text for one in found])
    expected = [pharaoh(one.alignment.words) for one in found]
    assert links.read_bytes().decode() == as_output(expected)
    assert expected[2] == ""
    assert expected[0].startswith("0-0 1-0")


def test_prefixes_are_taken_line_by_line(
    run: Path, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prefixes = ["a", "", "", "the d", ""]
    path = tmp_path / "prefixes"
    path.write_bytes(as_output(prefixes).encode())
    # windows of one batch, and lines from a pipe
    arguments = ["--prefix-file", path, "--batch-size", "1", "--input", source]
    assert translate(run, *arguments) == 0
    found = Translator.load(run).translate_detailed(SOURCES, prefixes=prefixes)
    assert capsys.readouterr().out == as_output([one.text for one in found])


def test_long_lines_are_translated_in_parts_and_counted(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    long = " ".join(["die Katze und der Hund"] * 5)
    give_stdin(monkeypatch, f"{long}\nnein\n{long}\n".encode())
    assert translate(run) == 0
    output = capsys.readouterr()
    assert output.out == as_output(Translator.load(run).translate([long, "nein", long]))
    assert output.err == (
        "nmt: 2 of 3 lines had more than 30 tokens and were translated in parts\n"
    )


def test_sentences_that_are_to_be_translated_by_themselves_are_not_counted_as_too_long(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    give_stdin(monkeypatch, b"Ein Hund!  Eine Katze!\n")
    assert translate(run, "--split-sentences") == 0
    output = capsys.readouterr()
    translator = Translator.load(run, split_sentences=True)
    [expected] = translator.translate_detailed(["Ein Hund!  Eine Katze!"])
    assert expected.text == "  ".join(translator.translate(["Ein Hund!", "Eine Katze!"]))
    assert output == (as_output([expected.text]), "")
    assert expected.num_parts == 2


def test_placeholders_that_the_model_does_not_know_are_counted(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    give_stdin(monkeypatch, b"ein {Hund}\nnein\n<b>nein\nnein 3\n")
    notice = (
        "nmt: {} of 4 lines have placeholders that the model has no symbols for "
        "(tokenizer.placeholders of its recipe); they were translated as text\n"
    )
    assert translate(run) == 0
    assert capsys.readouterr().err == notice.format(2)
    give_stdin(monkeypatch, b"ein {Hund}\nnein\n<b>nein\nnein 3\n")
    assert translate(run, "--protect-numbers") == 0
    assert capsys.readouterr().err == notice.format(3)


def test_placeholders_that_the_model_knows_are_in_the_translation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_run(tmp_path / "run", "tokenizer.placeholders=4", "tokenizer.vocab_size=38").path
    give_stdin(monkeypatch, b"ein {Hund} <b>nein</b>\nnein\n%s\n")
    assert translate(model) == 0
    output = capsys.readouterr()
    first, second, third, end = output.out.split("\n")
    for line, kept in ((first, ("{Hund}", "<b>", "</b>")), (second, ()), (third, ("%s",))):
        assert [keep(line, num_symbols=9, numbers=False).text.count("{")] == [0]
        assert sorted(keep(line, num_symbols=9, numbers=False).originals.values()) == sorted(kept)
    assert end == ""
    assert re.fullmatch(
        r"nmt: 2 of 3 lines have placeholders that the model left out; .*\n", output.err
    )


# What can go wrong


def test_too_little_memory_is_one_notice(
    run: Path,
    source: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    expected = as_output(Translator.load(run).translate(SOURCES))
    encode = FoldedEngine.encode

    def encode_one(engine: FoldedEngine, source_ids: Tensor, source_lengths: Tensor) -> object:
        if len(source_ids) > 1:
            raise torch.OutOfMemoryError
        return encode(engine, source_ids, source_lengths)

    monkeypatch.setattr(FoldedEngine, "encode", encode_one)
    assert translate(run, "--input", source) == 0
    notice = "nmt: out of memory with 4 sentences at once; going on with fewer\n"
    assert capsys.readouterr() == (expected, notice)


def test_lines_before_a_bad_byte_are_translated(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    give_stdin(monkeypatch, b"ein Hund\nnein\nf\xfcr\nnein\n")
    assert translate(run) == 2
    output = capsys.readouterr()
    assert output.out == as_output(Translator.load(run).translate(["ein Hund", "nein"]))
    assert output.err == (
        "nmt: <stdin>: line 3, byte 2: not valid UTF-8 (byte 0xfc); save the file as UTF-8\n"
    )


def test_bad_bytes_may_be_replaced(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    give_stdin(monkeypatch, b"ein Hund\nf\xfcr\nnein\n")
    assert translate(run, "--errors", "replace") == 0
    expected = Translator.load(run).translate(["ein Hund", "f\ufffdr", "nein"])
    assert capsys.readouterr() == (as_output(expected), "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is full")
def test_a_full_disk_is_one_line(
    run: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert translate(run, "--input", source, "--output", "/dev/full") == 2
    complaint = "nmt: /dev/full: cannot be written (no space left on device)\n"
    assert capsys.readouterr() == ("", complaint)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--errors", "ignore"], "--errors must be strict or replace, got 'ignore'"),
        (["--beam-size", "0"], "--beam-size must be a whole number >= 1, got '0'"),
        (["--batch-size", "0"], "--batch-size must be a whole number >= 1, got '0'"),
        (["--threads", "0"], "--threads must be a whole number >= 1, got '0'"),
        (["--n-best", "0"], "--n-best must be a whole number >= 1, got '0'"),
        (["--device", "gpu"], "--device must be auto, cpu, cuda or mps, got 'gpu'"),
        (["--device", "cuda"], r"device must be auto or one that is here \(.*cpu\), got 'cuda'"),
        (["--length-penalty", "-1"], "--length-penalty must be a number >= 0, got '-1'"),
        (["--length-penalty", "nan"], "--length-penalty must be a number >= 0, got 'nan'"),
        (["--beam-size", "-2"], "--beam-size must be a whole number >= 1, got '-2'"),
        (["--beam-size", "2.5"], "--beam-size must be a whole number >= 1, got '2.5'"),
        (["--normalization", "Wu"], "--normalization must be wu or plain, got 'Wu'"),
        (
            ["--sample", "1", "--seed", "-1"],
            "--seed must be a whole number >= 0, got '-1'",
        ),
        (["--length-penalty", "inf"], "--length-penalty must be a number >= 0, got 'inf'"),
        (
            ["--n-best", "3"],
            r"--n-best must be <= the beam size \(2\), got 3; raise --beam-size",
        ),
        (
            ["--n-best", "9", "--beam-size", "8"],
            r"--n-best must be <= the beam size \(8\), got 9; raise --beam-size",
        ),
        (["--beam-size", "35"], r"beam_size must be <= 34, the pieces of .*, got 35"),
        (["--coverage-penalty", "inf"], "--coverage-penalty must be a number >= 0, got 'inf'"),
        (["--max-length-ratio", "0"], "--max-length-ratio must be a number > 0, got '0'"),
        (["--max-length-ratio", "nan"], "--max-length-ratio must be a number > 0, got 'nan'"),
        (["--min-length-ratio", "-1"], "--min-length-ratio must be a number >= 0, got '-1'"),
        (["--min-length", "0"], "--min-length must be a whole number >= 1, got '0'"),
        (["--max-length", "0"], "--max-length must be a whole number >= 1, got '0'"),
        (["--no-repeat-ngram", "0"], "--no-repeat-ngram must be a whole number >= 1, got '0'"),
        (
            ["--min-length", "9"],
            r"the least length must be <= the greatest \(8\), got 9; change .*",
        ),
        (["--groups", "1"], "--groups must be a whole number >= 2, got '1'"),
        (
            ["--groups", "2", "--diversity-penalty", "1", "--beam-size", "5"],
            r"--groups must divide the beam size \(5\), got 2",
        ),
        (["--groups", "2"], "--groups needs --diversity-penalty"),
        (["--diversity-penalty", "2"], "--diversity-penalty needs --groups"),
        (["--sample", "0"], "--sample must be a whole number >= 1, got '0'"),
        (["--sample", "2"], "--sample 2 needs --mbr to choose one, or --n-best or --json"),
        (["--sample", "2", "--n-best", "3"], r"--n-best must be <= --sample \(2\), got 3"),
        (
            ["--sample", "1", "--beam-size", "3"],
            "--sample and --beam-size exclude each other: what is drawn is not searched",
        ),
        (
            ["--sample", "1", "--glossary", "g"],
            "--sample and --glossary exclude each other: .*",
        ),
        (["--temperature", "0.5"], "--temperature needs --sample"),
        (["--top-k", "5"], "--top-k needs --sample"),
        (["--top-p", "0.5"], "--top-p needs --sample"),
        (["--seed", "5"], "--seed needs --sample"),
        (["--sample", "1", "--temperature", "0"], "--temperature must be a number > 0, got '0'"),
        (["--sample", "1", "--top-p", "0"], r"--top-p must be a number in \(0, 1\], got '0'"),
        (["--sample", "1", "--top-p", "1.5"], r"--top-p must be a number in \(0, 1\], got '1.5'"),
        (["--mbr", "chrF2", "--beam-size", "1"], "--mbr needs at least 2 to choose from: .*"),
        (["--mbr", "TER"], "--mbr must be chrF2 or BLEU, got 'TER'"),
        (["--glossary-mode", "soft"], "--glossary-mode needs --glossary"),
        (["--preference-bonus", "2"], "--preference-bonus needs --glossary-mode soft"),
        (["--ensemble", "log"], "--ensemble needs --model more than once"),
        (["--glossary", "nowhere"], r"nowhere: cannot be read \(no such file or directory\)"),
        (["--avoid", "nowhere"], r"nowhere: cannot be read \(no such file or directory\)"),
        (["--prefix-file", "nowhere"], r"nowhere: cannot be read \(no such file or directory\)"),
    ],
)
def test_a_value_that_cannot_be_is_one_line_and_exit_code_2(
    run: Path,
    source: Path,
    arguments: list[str],
    complaint: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert translate(run, "--input", source, *arguments) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert re.fullmatch(f"nmt: {complaint}\n", output.err)


def test_a_prefix_file_of_another_length_is_refused(
    run: Path, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prefixes = tmp_path / "prefixes"
    prefixes.write_bytes(b"\n" * 4)
    assert translate(run, "--input", source, "--prefix-file", prefixes) == 2
    assert capsys.readouterr() == (
        "",
        f"nmt: {prefixes} has 4 lines, {source} has 5; each line must have a prefix, perhaps a "
        "blank one\n",
    )


@pytest.mark.parametrize(
    ("num_prefixes", "num_written", "count"), [(20, 20, "32 or more"), (41, 40, "40")]
)
def test_where_the_length_shows_late_no_line_is_lost_or_moved(
    run: Path,
    tmp_path: Path,
    num_prefixes: int,
    num_written: int,
    count: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "prefixes"
    prefixes = ["a", "the", ""] * 14
    path.write_bytes(as_output(prefixes[:num_prefixes]).encode())
    lines = ["nein", "ein Hund", "die Katze", "Hund"] * 10
    give_stdin(monkeypatch, as_output(lines).encode())
    assert translate(run, "--prefix-file", path, "--batch-size", "1") == 2
    output = capsys.readouterr()
    found = Translator.load(run).translate_detailed(
        lines[:num_written], prefixes=prefixes[:num_written]
    )
    assert output.out == as_output([one.text for one in found])
    assert output.err == (
        f"nmt: {path} has {num_prefixes} lines, <stdin> has {count}; each line must have a prefix, "
        "perhaps a blank one\n"
    )


def test_lines_before_one_that_cannot_be_translated_as_asked_are_written(
    run: Path, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prefixes, links = tmp_path / "prefixes", tmp_path / "links"
    prefixes.write_bytes(b"a\n\n\na cat runs and runs\n\n")
    arguments = ["--input", source, "--prefix-file", prefixes, "--alignments", links]
    assert translate(run, *arguments) == 2
    output = capsys.readouterr()
    found = Translator.load(run).translate_detailed(SOURCES[:3], prefixes=["a", "", ""])
    assert output.out == as_output([one.text for one in found])
    assert re.fullmatch(
        "nmt: line 4: prefix must have less than 8 tokens, .*; ask for less .*\n", output.err
    )
    assert links.read_bytes().count(b"\n") == 3


def test_contradictory_wishes_are_refused(
    run: Path, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    glossary, avoid = tmp_path / "glossary", tmp_path / "avoid"
    glossary.write_bytes(b"Hund\ta dog\n")
    avoid.write_bytes(b"dog\n")
    assert translate(run, "--input", source, "--glossary", glossary, "--avoid", avoid) == 2
    assert capsys.readouterr() == (
        "",
        f"nmt: {glossary}: line 1 must not hold 'dog', which {avoid}: line 1 avoids, got 'a dog'\n",
    )


def test_a_model_without_attention_aligns_nothing(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blind = write_run(tmp_path / "run", "model.attention=null").path
    assert translate(blind, "--input", source, "--alignments", tmp_path / "links") == 2
    complaint = f"nmt: --alignments needs a model with attention, got {blind}\n"
    assert capsys.readouterr() == ("", complaint)
    assert not (tmp_path / "links").exists()
    assert translate(blind, "--input", source, "--coverage-penalty", "0.2") == 2
    assert re.fullmatch("nmt: coverage_penalty must be 0 .*, got 0.2\n", capsys.readouterr().err)
    assert translate(blind, "--input", source, "--json") == 0
    record = json.loads(capsys.readouterr().out.split("\n")[0])
    assert record["alignment"] is None
    assert record["pieces"]["source"][-1] == "</s>"


def test_an_ensemble_that_does_not_go_together_is_refused(
    run: Path, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = write_run(tmp_path / "other", "tokenizer.vocab_size=33").path
    assert translate(run, "--model", other, "--input", source) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert re.fullmatch(
        rf"nmt: {other}: source.model must be that of {run}, got .* at piece \d+; .*\n", output.err
    )


@pytest.mark.parametrize("option", ["--input", "--output"])
def test_alignments_need_a_file_of_their_own(
    run: Path, source: Path, tmp_path: Path, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = source if option == "--input" else tmp_path / "target"
    arguments = ["--input", source] if option == "--input" else ["--input", source, option, path]
    assert translate(run, *arguments, "--alignments", path) == 2
    assert "must be two files" in capsys.readouterr().err
    assert source.read_bytes() == as_output(SOURCES).encode()


def test_a_model_that_is_not_there_is_named(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "nowhere"
    assert translate(run, "--input", source) == 2
    assert capsys.readouterr() == ("", f"nmt: {run}: no such run folder\n")


@pytest.mark.parametrize("option", ["--input", "--output"])
def test_a_file_that_cannot_be_opened_is_found_before_the_model_is_read(
    run: Path,
    tmp_path: Path,
    option: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(Translator, "load", None)  # calling it would be a defect
    path = tmp_path / "missing" / "file"
    give_stdin(monkeypatch, b"")
    assert translate(run, option, path) == 2
    assert re.fullmatch(
        rf"nmt: {path}: cannot be (read|written) \(no such file or directory\)\n",
        capsys.readouterr().err,
    )


def test_a_link_to_nowhere_stays_a_link(run: Path, source: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "real")
    assert translate(run, "--input", source, "--output", link) == 0
    assert link.is_symlink()
    assert len((tmp_path / "real").read_bytes().splitlines()) > 0


def test_the_input_is_not_written_over(
    run: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = source.read_bytes()
    assert translate(run, "--input", source, "--output", source) == 2
    assert capsys.readouterr().err == f"nmt: {source}: input and output must be two files\n"
    assert source.read_bytes() == before


def test_old_output_stays_where_the_model_cannot_be_read(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"yesterday's work\n")
    assert translate(tmp_path / "nowhere", "--input", source, "--output", target) == 2
    assert target.read_bytes() == b"yesterday's work\n"


# Pipes, co-processes and terminals


def test_a_terminal_shows_where_to_write(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pty = pytest.importorskip("pty", reason="needs a terminal")
    controller, terminal = pty.openpty()
    with io.FileIO(controller, "r+") as keyboard, io.FileIO(terminal) as raw:
        screen = io.BufferedReader(raw)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(screen, encoding="utf-8"))
        keyboard.write(b"ein Hund\nnein\n\x04")
        assert translate(run) == 0
    output = capsys.readouterr()
    assert output.out == as_output(Translator.load(run).translate(["ein Hund", "nein"]))
    assert re.fullmatch(r"(> ){2,3}\n", output.err)


@contextmanager
def started(run: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """`translate.py` as another program starts it."""
    command = [sys.executable, str(ROOT / "translate.py"), "--model", str(run), "--device", "cpu"]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def heeded_interrupts() -> Iterator[None]:
    """Let child processes heed SIGINT: a shell that starts the tests in the background does not."""
    earlier = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, earlier)


@pytest.mark.usefixtures("heeded_interrupts")
def test_a_program_may_wait_for_each_translation_and_interrupt(run: Path) -> None:
    expected = [line.encode() + b"\n" for line in Translator.load(run).translate(SOURCES)]
    with started(run) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        for line, translation in zip(SOURCES, expected, strict=True):
            process.stdin.write(line.encode() + b"\n")
            assert process.stdout.readline() == translation
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
        assert process.stderr.read() == b""


def test_a_reader_who_leaves_is_no_defect(run: Path) -> None:
    with started(run) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        process.stdin.write(b"ein Hund\n")
        assert process.wait() == 141
        assert process.stderr.read() == b""
