"""Lines of streams: the same as a file's, given out as soon as may be."""

import io
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nmt.cli import streams
from nmt.cli.streams import check_output, open_input, open_output, read_windows, write_lines
from nmt.corpus import read_lines
from nmt.errors import DataError, NMTError


@pytest.fixture
def pipe() -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """The end to read from and the end to write to."""
    read_end, write_end = os.pipe()
    with io.FileIO(read_end, "r") as source, io.FileIO(write_end, "w") as target:
        yield source, target


# Reading

pieces = st.sampled_from(["a", "b c", "\n", "\r\n", "\r", "\0", "\u2028", "\x85", "\x0c", "\ufeff"])


@settings(max_examples=50)
@given(text=st.lists(pieces).map("".join), size=st.integers(1, 5), chunk_size=st.integers(1, 9))
@example(text="\n\n", size=1, chunk_size=1)
@example(text="a\r\nb", size=2, chunk_size=2)
def test_the_lines_are_those_of_the_file(
    tmp_path_factory: pytest.TempPathFactory, text: str, size: int, chunk_size: int
) -> None:
    path = tmp_path_factory.mktemp("lines") / "text"
    path.write_bytes(text.encode())
    with pytest.MonkeyPatch.context() as patch, open_input(path) as stream:
        patch.setattr(streams, "_CHUNK_SIZE", chunk_size)
        windows = list(read_windows(stream, name="text", size=size))
    lines = read_lines(path)
    assert windows == [lines[start : start + size] for start in range(0, len(lines), size)]


def test_a_line_that_waits_is_given_out_when_the_input_pauses(
    pipe: tuple[BinaryIO, BinaryIO],
) -> None:
    source, target = pipe
    windows = read_windows(source, name="pipe", size=10)
    target.write(b"one\n")
    assert next(windows) == ["one"]
    target.write(b"two\nthree\nfour, not yet at its end")
    assert next(windows) == ["two", "three"]
    target.write(b"\nfive")
    target.close()
    assert list(windows) == [["four, not yet at its end", "five"]]


def test_a_window_that_is_full_does_not_wait(pipe: tuple[BinaryIO, BinaryIO]) -> None:
    source, target = pipe
    target.write(b"1\n2\n3\n4\n")
    windows = read_windows(source, name="pipe", size=3)
    assert next(windows) == ["1", "2", "3"]
    assert next(windows) == ["4"]


@pytest.mark.parametrize("size", [1, 2, 10])
def test_lines_before_a_bad_byte_are_given_out_first(size: int) -> None:
    windows = read_windows(io.BytesIO(b"a\nb\nc\xe9d\ne\n"), name="<stdin>", size=size)
    found: list[str] = []
    complaint = r"^<stdin>: line 3, byte 2: not valid UTF-8 \(byte 0xe9\); save the file as UTF-8$"
    with pytest.raises(DataError, match=complaint):
        found.extend(line for window in windows for line in window)
    assert found == ["a", "b"]


def test_bytes_that_are_not_utf_8_may_be_replaced() -> None:
    source = io.BytesIO(b"a\nb\xe9c\r\n\xff\xfe\nd\n")
    windows = read_windows(source, name="<stdin>", size=3, errors="replace")
    assert list(windows) == [["a", "b\ufffdc", "\ufffd\ufffd"], ["d"]]


def test_very_long_lines_fill_a_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_WINDOW_CHARACTERS", 10)
    source = io.BytesIO(b"aaaa\nbbbbbb\n" + 11 * b"c" + b"\nd\n")
    windows = list(read_windows(source, name="it", size=3))
    assert windows == [["aaaa", "bbbbbb"], ["c" * 11], ["d"]]


def test_very_long_lines_are_not_read_far_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_MAX_WAITING", 4)
    monkeypatch.setattr(streams, "_LINE_SIZE", 10)

    class Counting(io.BytesIO):
        num_lines = 0

        def read(self, size: int | None = -1, /) -> bytes:
            self.num_lines += 1
            return 25 * b"a" + b"\n" if self.num_lines < 100 else b""

    source = Counting()
    windows = read_windows(source, name="it", size=1)
    assert next(windows) == ["a" * 25]
    time.sleep(0.1)
    # one that was given out, two that wait, one that waits to wait
    assert source.num_lines <= 4
    assert len(list(windows)) == 98


class Stubborn(io.RawIOBase):
    """A stream that gives two lines and then what it is told."""

    def __init__(self, then: Exception | None) -> None:
        super().__init__()
        self.begun = False
        self.then = then

    def read(self, size: int = -1, /) -> bytes | None:
        if not self.begun:
            self.begun = True
            return b"a\nb\n"
        if self.then:
            raise self.then
        return None


@pytest.mark.parametrize(
    ("then", "error", "complaint"),
    [
        (
            OSError(5, "Input/output error"),
            DataError,
            r"^it: cannot be read \(input/output error\)$",
        ),
        (None, DataError, r"^it: cannot be read \(it does not wait for input\)$"),
        (ZeroDivisionError("our own fault"), ZeroDivisionError, "^our own fault$"),
    ],
)
def test_an_error_while_reading_comes_after_the_lines_before_it(
    then: Exception | None, error: type[Exception], complaint: str
) -> None:
    windows = read_windows(Stubborn(then), name="it", size=9)  # type: ignore[arg-type]
    assert next(windows) == ["a", "b"]
    with pytest.raises(error, match=complaint):
        next(windows)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "missing"
    complaint = rf"^{path}: cannot be read \(no such file or directory\)$"
    with pytest.raises(DataError, match=complaint), open_input(path):
        pass


def test_standard_input_is_read_unbuffered(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path(os.devnull).open(encoding="utf-8") as text:
        monkeypatch.setattr(sys, "stdin", text)
        with open_input(None) as stream:
            assert isinstance(stream, io.RawIOBase)


# Writing


def test_lines_are_written_as_they_are_in_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"what was there before")
    with open_output(path) as stream:
        write_lines(stream, ["ä", ""], name="out")
        assert path.read_bytes() == "ä\n\n".encode()
        write_lines(stream, ["\u2028\r"], name="out")
    assert path.read_bytes() == "ä\n\n\u2028\r\n".encode()


def test_a_stream_that_takes_little_at_a_time_gets_everything() -> None:
    taken: list[bytes] = []

    class Narrow(io.BytesIO):
        def write(self, data: "memoryview[int]", /) -> int:  # type: ignore[override]
            taken.append(bytes(data[:3]))
            return len(taken[-1])

    write_lines(Narrow(), ["abcdefg", "h"], name="narrow")
    assert taken == [b"abc", b"def", b"g\nh", b"\n"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_said_with_the_name_of_the_file() -> None:
    with (
        open_output(Path("/dev/full")) as stream,
        pytest.raises(NMTError, match=r"^out: cannot be written \(no space left on device\)$"),
    ):
        write_lines(stream, ["a"], name="out")


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "out"
    complaint = rf"^{path}: cannot be written \(no such file or directory\)$"
    with pytest.raises(NMTError, match=complaint), open_output(path):
        pass
    with pytest.raises(NMTError, match=complaint):
        check_output(path, source=io.BytesIO())


def test_a_check_leaves_everything_as_it_was(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_bytes(b"yesterday's work\n")
    for path in (old, new, None):
        check_output(path, source=io.BytesIO())
    assert old.read_bytes() == b"yesterday's work\n"
    assert not new.exists()


def test_a_check_does_not_end_a_pipe_with_a_name(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    # To open it would wait for a reader.
    check_output(path, source=io.BytesIO())


def test_a_file_is_not_written_over_while_it_is_read(tmp_path: Path) -> None:
    path, link = tmp_path / "text", tmp_path / "link"
    path.write_bytes(b"to be translated\n")
    link.hardlink_to(path)
    complaint = rf"^{link}: input and output must be two files$"
    with open_input(path) as source, pytest.raises(NMTError, match=complaint):
        check_output(link, source=source)
    assert path.read_bytes() == b"to be translated\n"


def test_a_reader_who_has_left_is_told_apart(pipe: tuple[BinaryIO, BinaryIO]) -> None:
    source, target = pipe
    source.close()
    with pytest.raises(BrokenPipeError):
        write_lines(target, ["a"], name="pipe")
