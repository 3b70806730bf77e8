"""Sentence pairs that the package `datasets` reads: from the hub, or from a folder.

Knows where a dataset may be and what its columns are called.
"""

import logging
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies

from nmt.corpus.pairs import Entry
from nmt.corpus.records import text_of
from nmt.corpus.wording import listed
from nmt.errors import DataError
from nmt.recipe import HubSet

if TYPE_CHECKING:
    from datasets import Dataset, IterableDataset

_DatasetT = TypeVar("_DatasetT")

# What `save_to_disk` writes into a folder: a dataset's own file, or that of a whole set of splits.
_SAVED = ("state.json", "dataset_dict.json")
# Seconds in which even a slow network opens a connection.
_PATIENCE = 20.0


def read_hub(corpus_set: HubSet) -> Iterator[Entry]:
    """Yield what is in a split of a dataset: by its name on the hub, or by its folder.

    A column of records such as {"en": ..., "de": ...} under `translation` is named
    `translation.en`, `translation.de`. Of a split to be streamed only the beginning is read.

    Raises:
        DataError: It cannot be read, a column is not there, or a row has no text in it.
    """
    if corpus_set.streaming is not None:
        yield from islice(HubStream(corpus_set), corpus_set.streaming.shuffle_buffer)
        return
    name = describe_hub(corpus_set)
    dataset = _load(corpus_set).flatten()
    for column in (corpus_set.source, corpus_set.target):
        if column not in dataset.column_names:
            raise DataError(f"{name}: no column {column!r}; it has {listed(dataset.column_names)}")
    columns = dataset.select_columns([corpus_set.source, corpus_set.target])
    for number, row in enumerate(columns, start=1):
        place = f"{name}: row {number}"
        source = text_of(row, corpus_set.source, place)
        yield source, text_of(row, corpus_set.target, place), number


def fingerprint_hub(corpus_set: HubSet, digest_of: Callable[[str], str]) -> list[str]:
    """Return what changes whenever the rows of a split do, to be streamed: those at its beginning.

    Args:
        corpus_set: The split.
        digest_of: Returns the hash of a file.

    Raises:
        DataError: It cannot be loaded.
    """
    digest = blake2b(digest_size=16)
    if corpus_set.streaming is not None:
        for source, target, _ in read_hub(corpus_set):
            digest.update(f"{source}\n{target}\n".encode())
        return [digest.hexdigest()]
    dataset = _load(corpus_set)
    files = [str(file["filename"]) for file in dataset.cache_files]
    if files:  # where `datasets` keeps the rows; a split may be some of those in a file
        return [str(dataset.split), str(len(dataset)), *map(digest_of, files)]
    for row in dataset:
        digest.update(repr(row).encode("utf-8", "surrogatepass"))
    return [digest.hexdigest()]


def describe_hub(corpus_set: HubSet) -> str:
    """Name the split in a few words."""
    parts = [corpus_set.hub, corpus_set.config, corpus_set.split]
    name = " ".join(part for part in parts if part is not None)
    return name if corpus_set.streaming is None else f"{name}, streamed"


class HubStream:
    """The rows of a split as they come, from the beginning or from where an earlier one was.

    A connection that is lost is tried again by `datasets` itself, for minutes.
    """

    def __init__(
        self, corpus_set: HubSet, *, num_read: int = 0, state: Mapping[str, Any] | None = None
    ) -> None:
        """Open the split.

        Args:
            corpus_set: The split.
            num_read: How many rows the earlier stream gave.
            state: Its `state`; None is the beginning.

        Raises:
            DataError: It cannot be opened.
        """
        self._set = corpus_set
        self._dataset = _open(corpus_set)
        self._num_read = num_read
        if state is not None:
            self._dataset.load_state_dict(dict(state))

    @property
    def state(self) -> dict[str, Any]:
        """What another stream needs to go on behind the row that was given last."""
        state: dict[str, Any] = self._dataset.state_dict()
        return state

    def __iter__(self) -> Iterator[Entry]:
        """Yield what comes next, once.

        Raises:
            DataError: The stream breaks off, a column is not there, or a row has no text in it.
        """
        name = describe_hub(self._set)
        rows = iter(self._dataset)
        while (row := self._next(rows, name)) is not None:
            self._num_read += 1
            place = f"{name}: row {self._num_read}"
            source = text_of(row, self._set.source, place)
            yield source, text_of(row, self._set.target, place), self._num_read

    def _next(self, rows: Iterator[Mapping[str, object]], name: str) -> Mapping[str, object] | None:
        try:
            return next(rows, None)
        except Exception as error:  # as in `_load`; and each reader of files has its own
            reason = " ".join(str(error).split()) or type(error).__name__
            raise DataError(
                f"{name}: the stream broke off behind row {self._num_read} ({reason}); a run that "
                "has begun goes on from there by the same command"
            ) from error


def _open(corpus_set: HubSet) -> "IterableDataset":
    if _is_saved(corpus_set):
        return _load_saved(corpus_set).to_iterable_dataset()
    import datasets

    return _fetch(
        corpus_set,
        lambda: datasets.load_dataset(
            corpus_set.hub, corpus_set.config, split=corpus_set.split, streaming=True
        ),
    )


def _load(corpus_set: HubSet) -> "Dataset":
    if _is_saved(corpus_set):
        return _load_saved(corpus_set)
    # Slow to import, and only training from the hub needs it.
    import datasets

    return _fetch(
        corpus_set,
        lambda: datasets.load_dataset(corpus_set.hub, corpus_set.config, split=corpus_set.split),
    )


def _is_saved(corpus_set: HubSet) -> bool:
    """Tell whether the set is a folder that `save_to_disk` wrote."""
    return any(Path(corpus_set.hub, name).is_file() for name in _SAVED)


def _fetch(corpus_set: HubSet, load: Callable[[], _DatasetT]) -> _DatasetT:
    """Load a split; complain in the right words where that fails."""
    import datasets

    # The hub's client tells of each of its attempts; the last one's failure is what counts.
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    is_local = Path(corpus_set.hub).is_dir()
    obstacle = None if is_local or datasets.config.HF_HUB_OFFLINE else _find_obstacle()
    try:
        with _offline() if obstacle else nullcontext():
            return load()
    except Exception as error:  # network, hub client and reader each have a tree of their own
        reason = " ".join(str(error).split())
        if obstacle:
            reason = f"{obstacle}, and it is not in the cache of earlier downloads"
        advice = "try again with a network" if obstacle else "check name, config and split"
        place = "from this folder" if is_local else "from the hub"
        raise DataError(
            f"{describe_hub(corpus_set)}: cannot be loaded {place} ({reason}); "
            f"{advice}, or use local files: {{source: FILE, target: FILE}}"
        ) from error


def _find_obstacle() -> str | None:
    """Say why the hub cannot be reached; None where it can, or where that is not known.

    The hub's client finds out as well, but only after half a minute of trying again.
    """
    from huggingface_hub.constants import ENDPOINT

    address = urlsplit(ENDPOINT)
    if address.hostname is None or {"all", address.scheme} & getproxies().keys():
        return None
    port = address.port or {"http": 80}.get(address.scheme, 443)
    try:
        with socket.create_connection((address.hostname, port), timeout=_PATIENCE):
            return None
    except OSError as error:
        return f"{ENDPOINT} cannot be reached: {(error.strerror or str(error)).lower()}"


@contextmanager
def _offline() -> Iterator[None]:
    """Keep the hub's client to its cache: its own setting, which it reads when it is imported."""
    import datasets
    from huggingface_hub import constants

    earlier = constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = datasets.config.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE, datasets.config.HF_HUB_OFFLINE = earlier


def _load_saved(corpus_set: HubSet) -> "Dataset":
    """Load what `save_to_disk` wrote: a set of splits, or a single one."""
    import datasets

    try:
        saved = datasets.load_from_disk(corpus_set.hub)
    except Exception as error:  # whatever the reader of a damaged file raises
        reason = " ".join(str(error).split())
        raise DataError(f"{corpus_set.hub}: not a sound saved dataset ({reason})") from error
    # a dataset that was made by hand has no name and goes by any
    is_whole = isinstance(saved, dict)
    splits = saved if is_whole else {str(saved.split or corpus_set.split): saved}
    if corpus_set.split not in splits:
        raise DataError(f"{corpus_set.hub}: no split {corpus_set.split!r}; it has {listed(splits)}")
    return splits[corpus_set.split]
