"""Lines of text files, plain or gzipped. Knows nothing of what the lines mean.

A line ends at LF and nowhere else, so that line 7 here is line 7 for `wc`, `paste` and every tool
that a corpus has passed through. Python's text mode and `str.splitlines` also break at characters
that do occur inside sentences (a lone CR, U+0085, U+2028, form feeds), and each such break shifts
all pairs that follow. So files are read as bytes and decoded line by line.
"""

import gzip
import zlib
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

from nmt.errors import DataError


def read_lines(path: str | Path) -> list[str]:
    """Read the lines of a UTF-8 file, without their line ends.

    The CR of a CR LF goes with the line end, and a byte order mark goes from the start of the file;
    everything else stays as it is. The last line need not end with LF.

    Args:
        path: The file; one whose name ends in `.gz` is unpacked while reading.

    Returns:
        One string for each line, blank ones included.

    Raises:
        DataError: The file is missing, unreadable, damaged or not UTF-8.
    """
    path = Path(path)
    try:
        with _open(path) as file:
            return list(decode_lines(file, name=path))
    except EOFError as error:
        raise DataError(f"{path}: gzip file must not end early; fetch or pack it again") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: not a sound gzip file ({error})") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(f"{path}: cannot be read ({reason.lower()})") from error


def decode_lines(raw_lines: Iterable[bytes], *, name: str | Path) -> Iterator[str]:
    """Read lines of UTF-8 as they come, see `read_lines`.

    Args:
        raw_lines: The lines with their line ends, from the first on.
        name: What complaints call the file.

    Raises:
        DataError: A line is not UTF-8.
    """
    for number, raw in enumerate(raw_lines, start=1):
        if (number, raw) != (1, BOM_UTF8):  # a file of nothing but the mark has no line
            yield _decode(raw, name, number)


def _open(path: Path) -> BinaryIO:
    if path.suffix == ".gz":
        return cast("BinaryIO", gzip.open(path, "rb"))
    return path.open("rb")


def _decode(raw: bytes, name: str | Path, number: int) -> str:
    try:
        line = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{name}: line {number}, byte {error.start + 1}: not valid UTF-8 "
            f"(byte {raw[error.start]:#04x}); save the file as UTF-8"
        ) from error
    if number == 1:
        line = line.removeprefix("\ufeff")  # the byte order mark
    return line.removesuffix("\n").removesuffix("\r") if line.endswith("\n") else line
