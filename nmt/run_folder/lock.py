"""One run at a time in a folder.

The lock is the system's own (flock): it is freed when its holder ends, however it ends, so that
none is ever stale; the file only says who holds it. Over NFS two machines see each other's locks
where server and mount keep them (not with `nolock`); where the system has no such locks, as on
Windows, nobody is kept out.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from nmt.errors import CheckpointError
from nmt.run_folder.writing import cannot_write

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that holds a lock, or has held it."""

    pid: int
    host: str

    def __str__(self) -> str:
        """Return how it is named in a message."""
        return f"process {self.pid} on {self.host}"


@contextmanager
def locked(path: Path, *, option: str = "--run-dir") -> Iterator[Holder | None]:
    """Keep other runs out as long as the context lasts.

    Args:
        path: The lock file; made here, and deleted at the end.
        option: Of the command line, by which another folder is chosen.

    Yields:
        Who held it before and was killed; None where the last one ended in good order.

    Raises:
        CheckpointError: Another process holds it.
        NMTError: The file cannot be made.
    """
    try:
        stream = _take(path, option)
    except OSError as error:
        raise cannot_write(path, error) from error
    with stream:
        killed = _read_holder(stream)
        stream.seek(0)
        stream.truncate()
        stream.write(json.dumps(asdict(Holder(os.getpid(), socket.gethostname()))) + "\n")
        stream.flush()
        try:
            yield killed
        finally:
            # while it is held: who comes now finds no file, or this one and then that it is gone
            path.unlink(missing_ok=True)


def _take(path: Path, option: str) -> IO[str]:
    while True:
        stream = path.open("a+", encoding="utf-8", newline="\n")
        try:
            if fcntl is not None:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.path.samestat(os.fstat(stream.fileno()), path.stat()):
                return stream
        except BlockingIOError as error:
            holder = _read_holder(stream) or "another process"
            stream.close()
            raise CheckpointError(
                f"{path.parent}: {holder} is training here; wait for its end or choose another "
                f"{option}"
            ) from error
        except OSError:
            stream.close()
            raise
        stream.close()  # its holder has deleted it in between


def _read_holder(stream: IO[str]) -> Holder | None:
    stream.seek(0)
    try:
        found = json.loads(stream.read())
        return Holder(int(found["pid"]), str(found["host"]))
    except (ValueError, TypeError, KeyError):
        return None
