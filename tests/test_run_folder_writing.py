"""What of a write is on the disk, and in which order it gets there."""

import errno
import os
import shutil
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest

from nmt.errors import NMTError
from nmt.run_folder.writing import flush_folder, reads_back, write_atomically


def test_a_file_is_flushed_before_its_name_and_its_name_before_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    true_replace = Path.replace

    def fsync(descriptor: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        events.append("folder" if is_folder else "file")

    def replace(self: Path, target: Path) -> Path:
        events.append("rename")
        return true_replace(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    write_atomically(tmp_path / "file", "text")
    assert events == ["file", "rename", "folder"]


def test_too_little_room_is_seen_before_the_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    write_atomically(file, "old")
    usage = SimpleNamespace(total=10**9, used=10**9 - 3_000_000, free=3_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    write_atomically(file, b"x" * 3_000_000)
    message = (
        r"file: must have 3\.1 MB free, got 3\.0 MB; make room and give the same command again$"
    )
    with pytest.raises(NMTError, match=message):
        write_atomically(file, b"x" * 3_100_000)
    assert file.stat().st_size == 3_000_000
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(("code", "is_raised"), [(errno.EINVAL, False), (errno.EIO, True)])
def test_a_file_system_that_flushes_no_folders_will_do_and_a_broken_one_not(
    code: int, is_raised: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", refuse)
    if is_raised:
        with pytest.raises(OSError, match="Input/output error"):
            flush_folder(tmp_path)
    else:
        flush_folder(tmp_path)


@pytest.mark.parametrize(
    ("changed", "is_equal"),
    [
        (lambda data: data, True),
        (lambda data: data[:-1], False),
        (lambda data: data + b"x", False),
        (lambda data: data[: 1 << 20] + b"y" + data[(1 << 20) + 1 :], False),
    ],
)
def test_what_is_read_back_is_compared_to_the_last_byte(
    changed: object, is_equal: bool, tmp_path: Path
) -> None:
    data = b"x" * ((1 << 20) + 5)
    assert callable(changed)
    (tmp_path / "file").write_bytes(changed(data))
    assert reads_back(tmp_path / "file", data) == is_equal
