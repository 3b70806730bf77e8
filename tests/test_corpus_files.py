import gzip
import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nmt.corpus import read_lines
from nmt.corpus.files import decode_lines
from nmt.errors import DataError

# What other readers take for line ends, and what must stay inside a line here.
ODD_CHARACTERS = "\0\t\x0b\x0c\r\x1c\x1d\x1e\x85\u2028\u2029\ufeff"

LINES = st.lists(
    st.text(st.characters(codec="utf-8", exclude_characters="\n") | st.sampled_from(ODD_CHARACTERS))
)


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@pytest.mark.parametrize("name", ["text.en", "text.en.gz"])
@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", []),
        (b"\n", [""]),
        (b"one", ["one"]),
        (b"one\n", ["one"]),
        (b"one\n\ntwo\n", ["one", "", "two"]),
        (b" one \n\ttwo", [" one ", "\ttwo"]),
        (b"one\r\ntwo\r\n", ["one", "two"]),
        (b"one\r\r\ntwo\r", ["one\r", "two\r"]),
        (b"\xef\xbb\xbfone\n\xef\xbb\xbftwo\n", ["one", "\ufefftwo"]),
        (b"\xef\xbb\xbf", []),
        (b"one\n\xef\xbb\xbf", ["one", "\ufeff"]),
        ("größer\n東京\n".encode(), ["größer", "東京"]),
    ],
)
def test_lines_end_at_line_feeds(
    tmp_path: Path, name: str, content: bytes, lines: list[str]
) -> None:
    assert read_lines(write(tmp_path / name, content)) == lines


@pytest.mark.parametrize("character", ODD_CHARACTERS)
def test_nothing_else_ends_a_line(tmp_path: Path, character: str) -> None:
    line = f"one{character}two"
    path = write(tmp_path / "text.en", f"{line}\n{line}\n".encode())
    assert read_lines(path) == [line, line]


@given(lines=LINES)
@example(lines=[f"one{ODD_CHARACTERS}two", "", ODD_CHARACTERS])
def test_any_text_comes_back_line_by_line(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str]
) -> None:
    path = tmp_path_factory.mktemp("corpus") / "text.en"
    # A mark in front and an x behind: the two places where a character does go with the line end.
    content = "".join(f"{line}x\n" for line in lines)
    path.write_bytes(b"\xef\xbb\xbf" + content.encode())
    assert read_lines(path) == [f"{line}x" for line in lines]


@given(
    content=st.binary()
    | st.lists(st.sampled_from([b"\n", b"\r", b"x", b"\xef\xbb\xbf"])).map(b"".join)
)
def test_as_many_lines_as_line_feeds(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = write(tmp_path_factory.mktemp("corpus") / "text.en", content)
    text = content.removeprefix(b"\xef\xbb\xbf")
    unfinished = text != b"" and not text.endswith(b"\n")
    try:
        lines = read_lines(path)
    except DataError:
        with pytest.raises(UnicodeDecodeError):
            content.decode("utf-8")
    else:
        assert len(lines) == content.count(b"\n") + unfinished


@pytest.mark.parametrize("name", ["text.en", "text.en.gz"])
@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"one\ntwo\nthree three\xff\n", "line 3, byte 12: not valid UTF-8 (byte 0xff)"),
        (b"\xef\xbb\xbfone\xfe", "line 1, byte 7: not valid UTF-8 (byte 0xfe)"),
        ("größer\n".encode("latin-1"), "line 1, byte 3: not valid UTF-8 (byte 0xf6)"),
        (b"one\ntwo\xe2\x82\n", "line 2, byte 4: not valid UTF-8 (byte 0xe2)"),
    ],
)
def test_a_bad_byte_is_named_with_its_place(
    tmp_path: Path, name: str, content: bytes, complaint: str
) -> None:
    path = write(tmp_path / name, content)
    message = f"{path}: {complaint}; save the file as UTF-8"
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        read_lines(path)


@pytest.mark.parametrize("name", ["text.en", "text.en.gz"])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("text", ["a small dog\n", "größer\nschön, nicht wahr?\n", "пёс\n" * 9])
def test_utf16_is_named(tmp_path: Path, name: str, encoding: str, text: str) -> None:
    path = write(tmp_path / name, text.encode(encoding))
    message = f"{path}: looks like UTF-16; save it as UTF-8"
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        read_lines(path)


def test_utf16_from_a_stream_is_named() -> None:
    lines = "a small dog\na dog\n".encode("utf-16-le").splitlines(keepends=True)
    with pytest.raises(DataError, match=r"^stdin: looks like UTF-16; save it as UTF-8$"):
        list(decode_lines(lines, name="stdin"))


@pytest.mark.parametrize(
    "content",
    [
        b"\0" * 100 + b"\n",
        b"a\0" * 7,
        b"\xef\xbb\xbfx" + b"a\0" * 20,
        b"a\0bc\n" * 20,
        b"a\0\0\0" * 20,
    ],
)
def test_some_nuls_are_no_utf16(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path / "text.en", content)
    assert "\n".join(read_lines(path)) == content.decode("utf-8-sig").removesuffix("\n")


def test_a_byte_order_mark_is_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="nmt")
    read_lines(write(tmp_path / "plain.en", b"one\n\xef\xbb\xbftwo\n"))
    assert caplog.messages == []
    path = write(tmp_path / "marked.en", b"\xef\xbb\xbfone\n")
    read_lines(path)
    assert caplog.messages == [f"{path}: left out the byte order mark at its start"]


@pytest.mark.parametrize("block_size", [1, 2, 3, 7])
def test_lines_do_not_know_how_the_file_was_read(
    block_size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nmt.corpus.files._BLOCK_SIZE", block_size)
    content = "\ufeffgrößer\r\n\n東京\r\r\nend\r"
    path = write(tmp_path / "text.en", content.encode())
    assert read_lines(path) == ["größer", "", "東京\r", "end\r"]
    write(path, content.encode() + b"\nab\xff\n")
    message = f"{path}: line 5, byte 3: not valid UTF-8 (byte 0xff); save the file as UTF-8"
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        read_lines(path)


def test_a_missing_file_is_an_error_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "nothing.en"
    message = f"{path}: cannot be read (no such file or directory)"
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        read_lines(path)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    message = f"{tmp_path}: cannot be read (is a directory)"
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        read_lines(tmp_path)


def test_a_file_that_may_not_be_read_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "text.en", b"one\n")

    def refuse(self: Path, mode: str) -> None:
        raise PermissionError(13, "Permission denied", str(self), mode)

    monkeypatch.setattr(Path, "open", refuse)
    message = f"{path}: cannot be read (permission denied)"
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        read_lines(path)


def test_a_gzip_file_cut_short_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "text.en.gz"
    path.write_bytes(gzip.compress(b"one two three\n" * 1000)[:-20])
    message = f"{path}: gzip file must not end early; fetch or pack it again"
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        read_lines(path)


def test_a_plain_file_called_gz_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "text.en.gz"
    path.write_bytes(b"one\n")
    message = f"{path}: not a sound gzip file (Not a gzipped file (b'on'))"
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        read_lines(path)


@pytest.mark.parametrize("position", [10, -5], ids=["data", "checksum"])
def test_a_gzip_file_with_a_wrong_byte_is_an_error(tmp_path: Path, position: int) -> None:
    path = tmp_path / "text.en.gz"
    content = bytearray(gzip.compress(b"one two three\n" * 10, mtime=0))
    content[position] = 0xFF
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"^{re.escape(str(path))}: not a sound gzip file "):
        read_lines(path)
