"""Files that are there whole or not at all, whatever comes in between."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from nmt.errors import NMTError

_TEMPORARY = re.compile(r"\..+\.\d+\.part")
# What some network file systems say when they are asked to flush a folder.
_CANNOT_FLUSH_FOLDERS = frozenset((errno.EINVAL, errno.ENOTSUP))


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a whole file or none, see `replacing`.

    Raises:
        NMTError: It cannot be written, or there is too little room on the disk to try.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    with replacing(path) as temporary:
        check_free(path, len(data))
        temporary.write_bytes(data)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give the name of a file to write beside another; put it in its place when it is whole.

    Whatever goes wrong, a loss of power included, the old file stays as it was. Nothing is left of
    the new one, unless the process is killed: then `sweep` finds it.

    Raises:
        NMTError: It cannot be written: the disk is full, perhaps.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield temporary
        flush(temporary)
        temporary.replace(path)
        flush_folder(path.parent)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Wait until a file's bytes are on the disk."""
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())


def flush_folder(path: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    if os.name == "nt":
        return  # no folder can be opened there
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_FLUSH_FOLDERS:
            raise
    finally:
        os.close(descriptor)


def reads_back(path: Path, data: bytes | memoryview) -> bool:
    """Tell whether a flushed file holds these bytes, by the disk's account and not the memory's."""
    size = 1 << 20
    with path.open("rb") as stream:
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        starts = range(0, len(data), size)
        are_equal = all(stream.read(size) == data[start : start + size] for start in starts)
        return are_equal and not stream.read(1)


def sweep(folder: Path) -> None:
    """Delete what killed processes have left half-written in a folder and below.

    No other process may be writing there.
    """
    for file in folder.rglob(".*.part"):
        if _TEMPORARY.fullmatch(file.name) and file.is_file():
            file.unlink()


def check_free(path: Path, num_bytes: int) -> None:
    """See that the disk has room for a file.

    Raises:
        NMTError: It has not.
    """
    free = shutil.disk_usage(path.parent).free
    if num_bytes > free:
        raise NMTError(
            f"{path}: must have {megabytes(num_bytes)} free, got {megabytes(free)}; make room and "
            "give the same command again"
        )


def cannot_write(path: Path, error: OSError) -> NMTError:
    """Return the complaint that a file could not be written, and what to do about it."""
    is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    advice = "; make room and give the same command again" if is_full else ""
    return NMTError(f"{path}: cannot write: {error.strerror or error}{advice}")


def megabytes(num_bytes: int) -> str:
    """Return a number of bytes as it is shown in a complaint."""
    return f"{num_bytes / 1e6:,.1f} MB"
