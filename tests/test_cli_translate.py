"""`nmt translate`: lines in, lines out, and an exit code for everything that can go wrong."""

import io
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from tiny_run import SOURCES, write_run

from nmt.cli.main import main
from nmt.translator import Translator

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("runs") / "run", "decoding.max_source_length=30").path


def translate(run: Path, *arguments: str | Path) -> int:
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


def test_options_reach_the_translator(
    run: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, object] = {}
    load = Translator.load

    def remember(path: Path, **options: object) -> Translator:
        given.update(options, path=path, threads=torch.get_num_threads())
        return load(path)

    monkeypatch.setattr(Translator, "load", remember)
    options = {
        "--beam-size": "4",
        "--length-penalty": "0.5",
        "--n-best": "3",
        "--batch-size": "7",
        "--device": "cpu",
        "--threads": "2",
    }
    threads = torch.get_num_threads()
    try:
        assert (
            translate(run, "--input", source, *(word for pair in options.items() for word in pair))
            == 0
        )
    finally:
        torch.set_num_threads(threads)
    assert given == {
        "path": run,
        "beam_size": 4,
        "length_penalty": 0.5,
        "num_hypotheses": 3,
        "batch_size": 7,
        "device": "cpu",
        "threads": 2,
    }


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


# What can go wrong


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


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--beam-size", "0"], "invalid value for '--beam-size': .*"),
        (["--batch-size", "0"], "invalid value for '--batch-size': .*"),
        (["--threads", "0"], "invalid value for '--threads': .*"),
        (["--n-best", "0"], "invalid value for '--n-best': .*"),
        (["--device", "gpu"], "invalid value for '--device': .*"),
        (["--device", "cuda"], r"device must be auto or one that is here \(.*cpu\), got 'cuda'"),
        (["--length-penalty", "-1"], "invalid value for '--length-penalty': .*"),
        (["--length-penalty", "nan"], ".*--length-penalty.*"),
        (["--length-penalty", "inf"], "--length-penalty must be a number >= 0, got inf"),
        (
            ["--n-best", "3"],
            r"--n-best must be <= the beam size \(2\), got 3; raise --beam-size",
        ),
        (
            ["--n-best", "9", "--beam-size", "8"],
            r"--n-best must be <= the beam size \(8\), got 9; raise --beam-size",
        ),
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
