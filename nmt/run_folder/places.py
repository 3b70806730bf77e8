"""Where the run is that somebody names: a folder, one exported file, or the Hugging Face hub."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from nmt.errors import NMTError
from nmt.run_folder.exporting import EXPORTED, unpack
from nmt.run_folder.folder import RunFolder
from nmt.run_folder.hub import fetch, hub_name


@contextlib.contextmanager
def opened(run: str | Path, *, names: tuple[str, ...] = EXPORTED) -> Iterator[RunFolder]:
    """Give a run as a folder, which may be gone when the context ends.

    Args:
        run: A run folder, a file that `nmt export --one-file` wrote, or `hub:owner/name`.
        names: Files of it that are wanted; a folder has all of its files.

    Raises:
        NMTError: It cannot be fetched or unpacked. What is wrong with a folder is found by those
            who read it.
    """
    name, path = hub_name(run), Path(run)
    if name is not None:
        yield RunFolder(fetch(name, names=names))
        return
    if not path.is_file():
        yield RunFolder(path)
        return
    with tempfile.TemporaryDirectory(prefix="nmt-") as folder:
        unpack(path, Path(folder), names=names)
        try:
            yield RunFolder(folder)
        except NMTError as error:
            # as the user knows it
            raise type(error)(str(error).replace(folder, str(path))) from error
