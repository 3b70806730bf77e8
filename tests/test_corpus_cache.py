"""Folders that are kept: whole or not there, whatever comes in between."""

import json
import os
import re
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nmt.corpus.cache import Cache, Facts
from nmt.corpus.mapped import TokenWriter, write_pairs
from nmt.corpus.numbers import NumberFile
from nmt.corpus.pairs import SentencePair
from nmt.errors import DataError


class Builder:
    """Writes one file, and counts how often it was asked to."""

    def __init__(self, text: str = "text") -> None:
        self.text = text
        self.count = 0

    def __call__(self, folder: Path) -> Facts:
        self.count += 1
        (folder / "file").write_text(self.text, encoding="utf-8", newline="\n")
        return {"size": len(self.text)}


def read(folder: Path) -> str:
    return (folder / "file").read_text(encoding="utf-8")


def parts(path: Path) -> list[Path]:
    return list(path.glob("*.part"))


def test_what_was_built_is_found_again(tmp_path: Path) -> None:
    build = Builder()
    first = Cache(tmp_path / "a" / "b").obtain("kind", {"key": 1}, build)
    again = Cache(tmp_path / "a" / "b").obtain("kind", {"key": 1}, build)
    assert first == again
    assert read(first[0]) == "text"
    assert first[1] == {"size": 4}
    assert build.count == 1


@pytest.mark.parametrize(("kind", "key"), [("kind", {"key": 2}), ("other", {"key": 1})])
def test_what_differs_is_built_beside_it(kind: str, key: dict[str, int], tmp_path: Path) -> None:
    cache, build = Cache(tmp_path), Builder()
    folder, _ = cache.obtain("kind", {"key": 1}, build)
    assert cache.obtain(kind, key, build)[0] != folder
    assert build.count == 2


def test_folders_of_another_version_are_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, build = Cache(tmp_path), Builder()
    folder, _ = cache.obtain("kind", {}, build)
    monkeypatch.setattr("nmt.corpus.cache._FORMAT", 99)
    assert cache.obtain("kind", {}, build)[0] != folder
    assert read(folder) == "text"


def test_a_build_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail(folder: Path) -> Facts:
        Builder()(folder)
        raise DataError("the corpus is no good")

    with pytest.raises(DataError, match="no good"):
        Cache(tmp_path).obtain("kind", {}, fail)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["cut", "other", "facts", "missing", "unmarked", "garbled"])
def test_a_damaged_folder_is_built_anew_and_told_of(
    damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache, build = Cache(tmp_path), Builder()
    folder, _ = cache.obtain("kind", {}, build)
    if damage == "cut":
        (folder / "file").write_text("te", encoding="utf-8")
    elif damage == "other":  # of the same size
        (folder / "file").write_text("TEXT", encoding="utf-8")
    elif damage == "facts":
        marker = json.loads((folder / "done.json").read_text(encoding="utf-8"))
        (folder / "done.json").write_text(json.dumps({**marker, "facts": {}}), encoding="utf-8")
    elif damage == "missing":
        (folder / "file").unlink()
    elif damage == "unmarked":
        (folder / "done.json").unlink()
    else:
        (folder / "done.json").write_text("{", encoding="utf-8")
    with caplog.at_level("INFO"):
        assert cache.obtain("kind", {}, build) == (folder, {"size": 4})
    assert read(folder) == "text"
    assert build.count == 2
    assert caplog.messages == [f"{folder} is damaged: preparing it anew"]
    assert parts(tmp_path) == []


def test_of_two_builders_at_once_the_second_uses_what_is_there(tmp_path: Path) -> None:
    cache, other = Cache(tmp_path), Builder("othr")

    def build(folder: Path) -> Facts:
        cache.obtain("kind", {}, other)  # it is quicker
        return Builder()(folder)

    folder, _ = cache.obtain("kind", {}, build)
    assert read(folder) == "othr"
    assert parts(tmp_path) == []


def test_what_a_killed_builder_left_goes_after_a_day_and_not_before(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    old, young = tmp_path / "kind-1.part", tmp_path / "kind-2.part"
    for part in (old, young):
        part.mkdir()
        (part / "file").write_text("half", encoding="utf-8")
    long_ago = time.time() - 25 * 3600
    for path in (old / "file", old, young):  # the young one's file is still written to
        os.utime(path, (long_ago, long_ago))
    with caplog.at_level("INFO"):
        Cache(tmp_path).obtain("kind", {}, Builder())
    assert parts(tmp_path) == [young]
    assert caplog.messages == [f"{old} was left unfinished: removed"]


def test_a_cache_that_cannot_be_written_is_an_error_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    path = tmp_path / "file" / "cache"
    message = (
        f"{path}: cannot write the cache of prepared corpora (not a directory); make room, or "
        "choose another folder with data.cache_dir"
    )
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        Cache(path).obtain("kind", {}, Builder())


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only to root")
def test_a_cache_that_is_read_only_is_an_error_unless_all_is_there(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    folder, _ = cache.obtain("kind", {}, Builder())
    tmp_path.chmod(0o500)
    try:
        assert cache.obtain("kind", {}, Builder())[0] == folder
        with pytest.raises(DataError, match=r"cannot write .* \(permission denied\); make"):
            cache.obtain("other", {}, Builder())
    finally:
        tmp_path.chmod(0o700)


def write_text(folder: Path) -> None:
    """As much as a training set that is read: pairs and numbers, to their last form."""
    write_pairs(folder / "pairs.arrow", [[SentencePair("a" * 100, "b" * 100)] * 40])


def write_numbers(folder: Path) -> None:
    numbers = NumberFile(folder / "raw", "uint8")
    numbers.append(range(200))
    numbers.append(range(200))
    numbers.save(folder / "numbers.npy")


def write_tokens(folder: Path) -> None:
    with TokenWriter(folder, ["ids"], "uint16") as writer:
        for _ in range(10):
            writer.write([(np.array([100]), np.arange(100, dtype=np.uint16))])


@pytest.mark.parametrize("write", [write_text, write_numbers, write_tokens])
def test_a_disk_that_fills_up_is_an_error_and_leaves_nothing(
    write: Callable[[Path], None], tmp_path: Path
) -> None:
    """A file may not grow beyond some bytes here, which is refused as a full disk refuses it."""

    def build(folder: Path) -> dict[str, Any]:
        write(folder)
        return {}

    Cache(tmp_path).obtain("room", {}, build)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, limits[1]))
    try:
        with pytest.raises(DataError) as found:
            Cache(tmp_path).obtain("none", {}, build)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    message = str(found.value)
    assert message.startswith(f"{tmp_path}: cannot write the cache of prepared corpora (")
    assert "file too large" in message.lower()
    assert "\n" not in message
    assert [path.name.split("-")[0] for path in tmp_path.iterdir()] == ["room"]


def test_the_cache_is_where_users_keep_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert Cache().path == Path("/somewhere/nmt")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert Cache().path == Path.home() / ".cache" / "nmt"


def test_a_file_is_read_once_until_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    file, cache = tmp_path / "train.en", Cache(tmp_path / "cache")
    file.write_bytes(b"one\n")
    digest = cache.digest_of(file)
    with monkeypatch.context() as patched:
        patched.setattr("nmt.corpus.cache._hash_file", None)  # to call it would fail
        assert Cache(tmp_path / "cache").digest_of(file) == digest
    with caplog.at_level("INFO"):
        os.utime(file, (1, 1))
        assert cache.digest_of(file) == digest
        assert caplog.messages == []
        file.write_bytes(b"two\n")
        assert cache.digest_of(file) != digest
        assert caplog.messages == [f"{file} has changed since it was prepared: preparing it anew"]
    other = tmp_path / "copy.en"
    other.write_bytes(b"two\n")
    assert cache.digest_of(other) == cache.digest_of(file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "none.en"
    message = f"{file}: cannot be read (no such file or directory)"
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        Cache(tmp_path).digest_of(file)
