"""Folders that take long to make, kept under a key: whole or not there. Knows not what is in them.

A folder is built under another name and renamed when it is done, its marker written last. So a
build that was cut off is never taken for a whole one, and of two builders at once the one that
comes second finds the place taken and uses what is there.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any

from nmt.errors import DataError

_log = logging.getLogger(__name__)

# Raised whenever what is written changes its form: folders of other versions are not looked at.
_FORMAT = 3
# Bytes at the beginning and at the end of a file by which damage is told.
_LOOKED_AT = 1 << 16
_MARKER = "done.json"
_UNFINISHED = ".part"
# Nobody writes for so long to a folder that is still being built.
_SECONDS_UNTIL_LEFT = 24 * 3600
_BLOCK_SIZE = 1 << 20

Facts = dict[str, Any]


class Cache:
    """A folder of folders, each found by what went into it."""

    def __init__(self, path: str | Path | None = None) -> None:
        """Name the folder; null is `nmt` in the user's folder for caches."""
        if path is None:  # only then must there be a home
            path = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nmt"
        self.path = Path(path)

    def obtain(
        self, kind: str, key: Mapping[str, object], build: Callable[[Path], Facts]
    ) -> tuple[Path, Facts]:
        """Return a folder and what is known of it; build it where it is not there.

        Args:
            kind: What the folder holds, in a word.
            key: Everything that what is in it depends on; goes through JSON.
            build: Writes files into an empty folder and returns what is to be known of them.

        Raises:
            DataError: The cache cannot be written.
        """
        text = json.dumps({"format": _FORMAT, "kind": kind, **key}, sort_keys=True)
        digest = blake2b(text.encode(), digest_size=12).hexdigest()
        folder = self.path / f"{kind}-{digest}"
        facts = _facts(folder)
        if facts is not None:
            return folder, facts
        if folder.exists():
            _log.info("%s is damaged: preparing it anew", folder)
        with _complaining_of(self.path):
            return folder, self._build(folder, build)

    def digest_of(self, path: str | Path) -> str:
        """Return a hash of a file's bytes.

        It is remembered, and trusted as long as the file has the same place, size and time of
        change; where these are others and so are the bytes, the log says so.

        Raises:
            DataError: The file cannot be read, or the cache cannot be written.
        """
        path = Path(path)
        try:
            status = path.stat()
        except OSError as error:
            raise cannot_read(path, error) from error
        name = blake2b(str(path.absolute()).encode(), digest_size=12).hexdigest()
        note = self.path / "files" / f"{name}.json"
        stamp = [status.st_size, status.st_mtime_ns]
        known = _read_json(note)
        if known.get("stamp") == stamp:
            return str(known["digest"])
        digest = _hash_file(path)
        if known.get("digest", digest) != digest:
            _log.info("%s has changed since it was prepared: preparing it anew", path)
        with _complaining_of(self.path):
            note.parent.mkdir(parents=True, exist_ok=True)
            _write_json(note, {"path": str(path.absolute()), "stamp": stamp, "digest": digest})
        return digest

    def _build(self, folder: Path, build: Callable[[Path], Facts]) -> Facts:
        self.path.mkdir(parents=True, exist_ok=True)
        self._remove_what_was_left()
        part = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", suffix=_UNFINISHED, dir=self.path))
        try:
            facts = build(part)
            part.chmod(0o777 & ~_umask())  # others may read it, where a cache is shared
            for file in part.iterdir():
                _flush(file)
            _write_json(part / _MARKER, {"facts": facts, "state": _state(part, facts)})
            _flush(part / _MARKER)
            _put_in_place(part, folder)
            return facts
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def _remove_what_was_left(self) -> None:
        for part in self.path.glob(f"*{_UNFINISHED}"):
            with contextlib.suppress(OSError):  # its builder may be renaming it
                changed = max(file.stat().st_mtime for file in (part, *part.iterdir()))
                if time.time() - changed > _SECONDS_UNTIL_LEFT:
                    _log.info("%s was left unfinished: removed", part)
                    shutil.rmtree(part, ignore_errors=True)


def cannot_read(path: Path, error: OSError) -> DataError:
    """Return the complaint about a file that cannot be read."""
    return DataError(f"{path}: cannot be read ({(error.strerror or str(error)).lower()})")


@contextlib.contextmanager
def _complaining_of(path: Path) -> Iterator[None]:
    """Make one line of what the disk refuses."""
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise DataError(
            f"{path}: cannot write the cache of prepared corpora ({reason}); make room, or choose "
            "another folder with data.cache_dir"
        ) from error


def _facts(folder: Path) -> Facts | None:
    """Return what is known of a folder; None where it is not whole."""
    marker = _read_json(folder / _MARKER)
    try:
        facts: Facts = marker["facts"]
        is_whole = marker["state"] == _state(folder, facts)
    except (OSError, KeyError):
        return None
    return facts if is_whole else None


def _state(folder: Path, facts: Facts) -> str:
    """Return a hash that tells damage: of the facts, and of each file's size, head and tail.

    To read all of a large corpus would take longer than all else of starting again on it.
    """
    digest = blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=16)
    for file in sorted(folder.iterdir()):
        if file.name != _MARKER:
            size = file.stat().st_size
            digest.update(f"\n{file.name}\n{size}\n".encode())
            with file.open("rb") as stream:
                digest.update(stream.read(_LOOKED_AT))
                stream.seek(max(0, size - _LOOKED_AT))
                digest.update(stream.read(_LOOKED_AT))
    return digest.hexdigest()


def _flush(file: Path) -> None:
    """See to it that what is in a file is on the disk before its folder gets its name."""
    with file.open("rb") as stream:
        os.fsync(stream.fileno())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _put_in_place(part: Path, folder: Path) -> None:
    """Rename a whole folder to where it belongs, unless another whole one is there by now."""
    if folder.exists() and _facts(folder) is None:
        damaged = folder.with_name(f"{part.name}.damaged{_UNFINISHED}")
        folder.rename(damaged)
        shutil.rmtree(damaged, ignore_errors=True)
    try:
        part.rename(folder)
    except OSError:
        if _facts(folder) is None:
            raise


def _hash_file(path: Path) -> str:
    digest = blake2b(digest_size=16)
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK_SIZE):
                digest.update(block)
    except OSError as error:
        raise cannot_read(path, error) from error
    return digest.hexdigest()


def _read_json(path: Path) -> dict[str, Any]:
    """Return what a file of ours says; nothing where it is not there or not whole."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=_UNFINISHED)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            json.dump(content, file, indent=1)
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)
