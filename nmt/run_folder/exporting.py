"""A run folder as others get it: what translating needs, as a new folder or as one file.

One file is a ZIP archive without compression that holds the same files under the same names, and
nothing else; unpacked it is the folder.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from nmt.errors import CheckpointError, NMTError
from nmt.run_folder.folder import RunFolder, load_run
from nmt.run_folder.writing import cannot_write, flush, flush_folder, replacing, write_atomically

# What is taken along, in this order; the first four must be there.
_NEEDED = ("recipe.yaml", "source.model", "target.model", "model.safetensors")
_TAKEN_WHERE_THERE = ("versions.json", "confidence.json", "shortlist.safetensors", "README.md")
EXPORTED = (*_NEEDED, *_TAKEN_WHERE_THERE)
# The same for all: equal runs give equal files.
_TIME = (1980, 1, 1, 0, 0, 0)


def export_folder(folder: RunFolder, out: Path) -> None:
    """Write what a run translates with into a new run folder.

    Raises:
        CheckpointError: The run is not whole, or damaged.
        NMTError: `out` is there already, or cannot be written.
    """
    load_run(folder.path)
    with new_folder(out) as made:
        for name in _present(folder):
            shutil.copyfile(folder.path / name, made / name)
            flush(made / name)


def export_file(folder: RunFolder, out: Path) -> None:
    """Write what a run translates with into one new file.

    Raises:
        CheckpointError, NMTError: As `export_folder`.
    """
    load_run(folder.path)
    _check_new(out)
    _make_parent(out)
    with replacing(out) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name in _present(folder):
            member = zipfile.ZipInfo(name, _TIME)
            member.file_size = (folder.path / name).stat().st_size  # or it is taken for small
            with (folder.path / name).open("rb") as source, archive.open(member, "w") as target:
                shutil.copyfileobj(source, target)


def unpack(file: Path, target: Path, *, names: tuple[str, ...] = EXPORTED) -> None:
    """Write the files that `export_file` put into one file into a folder.

    Args:
        file: What to unpack.
        target: A folder that is there.
        names: Which of its files; others are left out.

    Raises:
        CheckpointError: It is not such a file, or damaged.
    """
    try:
        size = file.stat().st_size
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            _check_members(file, members, size=size)
            for member in members:
                if member.filename in names:
                    # under our own name for it, not the archive's
                    place = target / EXPORTED[EXPORTED.index(member.filename)]
                    with archive.open(member) as source, place.open("wb") as stream:
                        shutil.copyfileobj(source, stream)
    # what else a damaged archive leads to: odd versions and methods, passwords, offsets
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, EOFError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"{file}: damaged or not an exported run ({reason})") from error
    except OSError as error:
        raise CheckpointError(f"{file}: cannot be unpacked: {error.strerror or error}") from error


def without_weights(folder: RunFolder) -> dict[str, bytes]:
    """Return, by their names, the files of a run that hold for other weights of it too."""
    files = [folder.recipe_file, folder.source_tokenizer_file, folder.target_tokenizer_file]
    if folder.shortlist_file.exists():
        files.append(folder.shortlist_file)
    return {file.name: file.read_bytes() for file in files}


def write_new(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files into a folder by their names."""
    for name, data in files.items():
        write_atomically(folder / name, data)


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Give a folder to fill beside another; put it in its place when it is whole.

    Raises:
        NMTError: There is something in its place already, or it cannot be written.
    """
    _check_new(path)
    _make_parent(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        temporary.mkdir()
        yield temporary
        flush_folder(temporary)
        temporary.rename(path)
        flush_folder(path.parent)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _check_new(path: Path) -> None:
    if path.exists() or path.is_symlink():
        raise NMTError(f"{path} is there already; choose another name")


def _make_parent(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error


def _present(folder: RunFolder) -> list[str]:
    return [name for name in EXPORTED if (folder.path / name).is_file()]


def _check_members(file: Path, members: list[zipfile.ZipInfo], *, size: int) -> None:
    """See that an archive holds the files of a run, each once, and no more bytes than it has."""
    names = [member.filename for member in members]
    strange = [name for name in names if name not in EXPORTED]
    missing = [name for name in _NEEDED if name not in names]
    if strange:
        raise CheckpointError(
            f"{file}: must hold files of a run alone, got {strange[0][:80]!r}; not an exported run"
        )
    if missing:
        raise CheckpointError(f"{file}: {missing[0]} is missing; not a whole exported run")
    if len(set(names)) < len(names):
        raise CheckpointError(f"{file}: must hold each file once, got {', '.join(names)[:80]}")
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise CheckpointError(f"{file}: must be without compression; not an exported run")
    total = sum(member.file_size for member in members)
    if total > size:
        raise CheckpointError(
            f"{file}: says that it holds {total:,} bytes, and has {size:,}; damaged or made to harm"
        )
