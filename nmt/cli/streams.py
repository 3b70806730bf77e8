"""Lines in and lines out while both ends stay open: for files, pipes, co-processes and terminals.

All streams here are unbuffered: reading gives what is there, and what is written is gone.
"""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from os import fstat
from os.path import samestat
from pathlib import Path
from queue import Empty, Queue
from stat import S_ISREG
from threading import Thread
from typing import TYPE_CHECKING, BinaryIO, Protocol

from nmt.errors import DataError, NMTError

if TYPE_CHECKING:
    from nmt.corpus.files import Errors

_CHUNK_SIZE = 1 << 16
# A window takes no more lines when it has so many characters.
_WINDOW_CHARACTERS = 1 << 20
# Lines read ahead: enough for any window, and little beside a model in memory. A long line counts
# as several.
_MAX_WAITING = 1 << 14
_LINE_SIZE = 1 << 10
# Seconds without a new line, after which those that are there are kept waiting no longer.
_PAUSE = 0.02


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes | None: ...


_Item = str | Exception | None


class _Waiting(Queue[_Item]):
    """A queue that is full by what its lines weigh, not by their number."""

    def _init(self, maxsize: int) -> None:
        super()._init(maxsize)
        self._weight = 0

    def _qsize(self) -> int:
        return self._weight

    def _put(self, item: _Item) -> None:
        super()._put(item)
        self._weight += _weight(item)

    def _get(self) -> _Item:
        item: _Item = super()._get()
        self._weight -= _weight(item)
        return item


def _weight(item: _Item) -> int:
    return 1 + len(item) // _LINE_SIZE if isinstance(item, str) else 1


@contextmanager
def open_input(path: Path | None) -> Iterator[BinaryIO]:
    """Open a file to read from; None is standard input.

    Raises:
        DataError: The file cannot be read.
    """
    if path is None:
        yield _unbuffered(sys.stdin.buffer)
        return
    try:
        stream = path.open("rb", buffering=0)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({_reason(error)})") from error
    with stream:
        yield stream


def check_output(path: Path | None, *, source: BinaryIO | None) -> None:
    """See that a file can be written, and leave what is in it; None is standard output.

    Raises:
        NMTError: The file cannot be written, or is the one that `source` reads.
    """
    # Who reads from a pipe takes it for the end when it is closed after a trial.
    if path is None or path.is_fifo():
        return
    exists = path.exists()
    try:
        if exists and source and _is_file(source) and samestat(path.stat(), fstat(source.fileno())):
            raise NMTError(f"{path}: input and output must be two files")
        with path.open("ab"):
            pass
    except OSError as error:
        raise NMTError(f"{path}: cannot be written ({_reason(error)})") from error
    if not exists:
        path.resolve().unlink()  # behind a link, what the link leads to


@contextmanager
def open_output(path: Path | None) -> Iterator[BinaryIO]:
    """Open a file to write to, empty; None is standard output.

    Raises:
        NMTError: The file cannot be written.
    """
    if path is None:
        yield _unbuffered(sys.stdout.buffer)
        return
    try:
        stream = path.open("wb", buffering=0)
    except OSError as error:
        raise NMTError(f"{path}: cannot be written ({_reason(error)})") from error
    with stream:
        yield stream


def read_windows(
    stream: BinaryIO, *, name: str, size: int, errors: "Errors" = "strict"
) -> Iterator[list[str]]:
    """Read lines as they come.

    A window is given out when it is full, which very long lines make it sooner, at the end of the
    input, and when the input pauses: a program that writes one line and waits for its translation
    gets it. A file never pauses, so its windows are always the same.

    Args:
        stream: Where to read from.
        name: What complaints call it.
        size: How many lines a window may have, at least 1.
        errors: What is done about a line that is not UTF-8.

    Yields:
        Lines without their ends, at least one.

    Raises:
        DataError: The input cannot be read or is not UTF-8; the lines before that are given out.
    """
    waiting = _Waiting(_MAX_WAITING)
    # A daemon: it may wait for input that never comes when this program wants to end.
    Thread(target=_read_ahead, args=(stream, name, errors, waiting), daemon=True).start()
    pause = None if _is_file(stream) else _PAUSE
    item: _Item = ""
    while isinstance(item, str):
        window: list[str] = []
        num_characters = 0
        while len(window) < size and num_characters < _WINDOW_CHARACTERS:
            try:
                item = waiting.get(timeout=pause if window else None)
            except Empty:
                break
            if not isinstance(item, str):
                break
            window.append(item)
            num_characters += len(item)
        if window:
            yield window
    if item is not None:
        raise item


def write_lines(stream: BinaryIO, lines: Iterable[str], *, name: str) -> None:
    """Write lines, each with its end, at once.

    Raises:
        BrokenPipeError: The reader of a pipe has left.
        NMTError: They cannot be written: the disk is full, perhaps.
    """
    rest = memoryview("".join(f"{line}\n" for line in lines).encode("utf-8"))
    try:
        while rest:
            rest = rest[stream.write(rest) :]
    except BrokenPipeError:
        raise
    except OSError as error:
        raise NMTError(f"{name}: cannot be written ({_reason(error)})") from error


def _read_ahead(stream: _Readable, name: str, errors: "Errors", waiting: _Waiting) -> None:
    """Put the lines where they wait, behind them None, or the error that ended the reading."""
    from nmt.corpus.files import decode_lines

    try:
        for line in decode_lines(_raw_lines(stream), name=name, errors=errors):
            waiting.put(line)
        waiting.put(None)
    except OSError as error:
        waiting.put(DataError(f"{name}: cannot be read ({_reason(error)})"))
    except Exception as error:  # it would be lost in this thread
        waiting.put(error)


def _raw_lines(stream: _Readable) -> Iterator[bytes]:
    """Yield lines with their ends; only the last may have none."""
    begun: list[bytes] = []
    while chunk := stream.read(_CHUNK_SIZE):
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            yield b"".join([*begun, end, b"\n"])
            begun = []
        begun.append(rest)
    if chunk is None:
        raise BlockingIOError("it does not wait for input")
    if any(begun):
        yield b"".join(begun)


def _unbuffered(stream: BinaryIO) -> BinaryIO:
    unbuffered: BinaryIO = getattr(stream, "raw", stream)
    return unbuffered


def _is_file(stream: BinaryIO) -> bool:
    try:
        return S_ISREG(fstat(stream.fileno()).st_mode)
    except OSError:  # a stream in memory has no number
        return False


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
