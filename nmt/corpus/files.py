"""Lines of text files, plain or gzipped. Knows nothing of what the lines mean.

A line ends at LF and nowhere else, so that line 7 here is line 7 for `wc`, `paste` and every tool
that a corpus has passed through. Python's text mode and `str.splitlines` also break at characters
that do occur inside sentences (a lone CR, U+0085, U+2028, form feeds), and each such break shifts
all pairs that follow. So files are read as bytes and decoded here.
"""

import gzip
import logging
import zlib
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Literal, cast

from nmt.errors import DataError

_log = logging.getLogger(__name__)

_BLOCK_SIZE = 1 << 20
# Bytes at the start of a file that show what it is written in, and NULs that are no accident.
_SAMPLE_SIZE = 1 << 12
_MIN_NULS = 8


def read_lines(path: str | Path) -> list[str]:
    """Read the lines of a UTF-8 file, without their line ends.

    The CR of a CR LF goes with the line end, and a byte order mark goes from the start of the file,
    which is logged; everything else stays as it is. The last line need not end with LF.

    Args:
        path: The file; one whose name ends in `.gz` is unpacked while reading.

    Returns:
        One string for each line, blank ones included.

    Raises:
        DataError: The file is missing, unreadable, damaged or not UTF-8.
    """
    return list(stream_lines(path))


def stream_lines(path: str | Path) -> Iterator[str]:
    """Yield the lines of a file as they are read, see `read_lines`."""
    return chain.from_iterable(_decoded_blocks(Path(path)))


def _decoded_blocks(path: Path) -> Iterator[list[str]]:
    count = 0
    try:
        with _open(path) as file:
            for block in _blocks(file):
                lines = _decode_block(block, path, number=count + 1)
                count += len(lines)
                yield lines
    except EOFError as error:
        raise DataError(f"{path}: gzip file must not end early; fetch or pack it again") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: not a sound gzip file ({error})") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(f"{path}: cannot be read ({reason.lower()})") from error


# What is done about bytes that are not UTF-8: an error, or U+FFFD in their place.
Errors = Literal["strict", "replace"]


def decode_lines(
    raw_lines: Iterable[bytes], *, name: str | Path, errors: Errors = "strict"
) -> Iterator[str]:
    """Read lines of UTF-8 as they come, see `read_lines`.

    Args:
        raw_lines: The lines with their line ends, from the first on.
        name: What complaints call the file.
        errors: What is done about a line that is not UTF-8.

    Raises:
        DataError: A line is not UTF-8.
    """
    for number, raw in enumerate(raw_lines, start=1):
        yield from _decode_block(raw, name, number=number, errors=errors)


def _open(path: Path) -> BinaryIO:
    if path.suffix == ".gz":
        return cast("BinaryIO", gzip.open(path, "rb"))
    return path.open("rb")


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    """Yield many whole lines at a time; only the last may have no end."""
    begun: list[bytes] = []
    while chunk := file.read(_BLOCK_SIZE):
        end = chunk.rfind(b"\n") + 1
        if end:
            yield b"".join([*begun, chunk[:end]])
            begun = []
        begun.append(chunk[end:])
    if any(begun):
        yield b"".join(begun)


def _decode_block(
    block: bytes, name: str | Path, *, number: int, errors: Errors = "strict"
) -> list[str]:
    """Return the lines of a block, the first of which has this number in its file."""
    if number == 1:
        _refuse_utf16(block, name)
    try:
        text = block.decode("utf-8", errors)
    except UnicodeDecodeError as error:
        num_before = block.count(b"\n", 0, error.start)
        place = error.start - (block.rfind(b"\n", 0, error.start) + 1)
        raise DataError(
            f"{name}: line {number + num_before}, byte {place + 1}: not valid UTF-8 "
            f"(byte {block[error.start]:#04x}); save the file as UTF-8"
        ) from error
    if number == 1 and text.startswith("\ufeff"):
        _log.info("%s: left out the byte order mark at its start", name)
        text = text.removeprefix("\ufeff")
    lines = text.replace("\r\n", "\n").split("\n")
    if not lines[-1]:  # behind the last LF, or in a file of nothing but the mark
        lines.pop()
    return lines


def _refuse_utf16(block: bytes, name: str | Path) -> None:
    """Complain of UTF-16: its own mark at the start, or NULs in every other byte and only there.

    Text of any script has them there, for its spaces, digits and line ends at least.
    """
    if block.startswith(BOM_UTF8):
        return
    sample = block[:_SAMPLE_SIZE]
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    is_halved = min(even, odd) == 0 and max(even, odd) >= max(_MIN_NULS, len(sample) // 100)
    if is_halved or block.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        raise DataError(f"{name}: looks like UTF-16; save it as UTF-8")
