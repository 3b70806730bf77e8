"""Columns of a corpus as Arrow files, written block by block and read as maps of the disk.

A map takes no memory of its own: the system reads what is asked for, and forgets it when the room
is needed. Knows nothing of cleaning or of tokenizers. The package `datasets` opens these files too.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from nmt.corpus.numbers import MappedNumbers, NumberFile
from nmt.corpus.pairs import Links, PairSequence, SentencePair

if TYPE_CHECKING:
    from datasets import Dataset

Ids = NDArray[np.integer[Any]]

# NumPy's name of the type that lengths are collected in.
_LENGTH_TYPE = "uint32"


class ArrowFile:
    """An Arrow file as a map; in another process it is mapped again and not copied."""

    def __init__(self, path: Path) -> None:
        """Name the file; it is opened when it is first asked for something."""
        self.path = path

    def __getstate__(self) -> dict[str, Any]:
        """Return the name alone."""
        return {"path": self.path}

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._ends[-1] if self._ends else 0

    def chunks(self, column: str) -> list[Any]:
        """Return the parts of a column, each an Arrow array."""
        parts: list[Any] = self._dataset.data.column(column).chunks
        return parts

    def has(self, column: str) -> bool:
        """Tell whether there is such a column."""
        return column in self._dataset.column_names

    def find(self, index: int) -> tuple[int, int]:
        """Return in which part a row is, and where in it."""
        part = bisect_right(self._ends, index)
        return part, index - (self._ends[part - 1] if part else 0)

    @cached_property
    def _dataset(self) -> Dataset:
        # slow to import, and translating does without
        import datasets

        return datasets.Dataset.from_file(str(self.path))

    @cached_property
    def _ends(self) -> list[int]:
        name = self._dataset.column_names[0]
        return list(accumulate(map(len, self.chunks(name))))


class MappedPairs(PairSequence):
    """Sentence pairs in an Arrow file."""

    def __init__(self, path: Path) -> None:
        """Name the file."""
        self._file = ArrowFile(path)

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self._file)

    def pair(self, place: int) -> SentencePair:
        """Return the pair at a place, counted from 0."""
        part, row = self._file.find(place)
        return next(self._pairs(part, row, row + 1))

    def __iter__(self) -> Iterator[SentencePair]:
        """Yield all pairs, part by part."""
        for part in range(self.num_parts):
            yield from self.part(part)

    @property
    def num_parts(self) -> int:
        """Into how many parts the file is cut."""
        return len(self._file.chunks("source"))

    @property
    def has_links(self) -> bool:
        """Whether the pairs say which words belong together."""
        return self._file.has("links")

    def part(self, number: int) -> list[SentencePair]:
        """Return the pairs of one part, in their order."""
        return list(self._pairs(number, 0, None))

    def _pairs(self, part: int, start: int, end: int | None) -> Iterator[SentencePair]:
        names = ("source", "target", "links")[: 3 if self.has_links else 2]
        columns = [self._file.chunks(name)[part][start:end].to_pylist() for name in names]
        for source, target, *links in zip(*columns, strict=True):
            yield SentencePair(source, target, _pair_up(links[0]) if links else None)


class MappedTokens:
    """Token ids in a column of an Arrow file, see `nmt.batching.TokenStore`."""

    def __init__(self, file: ArrowFile, column: str, lengths: Path) -> None:
        """Name a column, and the file with the length of each of its rows."""
        self._file = file
        self._column = column
        self._lengths = MappedNumbers(lengths)

    def __getstate__(self) -> dict[str, Any]:
        """Return the names alone."""
        return {name: getattr(self, name) for name in ("_file", "_column", "_lengths")}

    @property
    def lengths(self) -> Ids:
        """The number of tokens of each row, (N,)."""
        return self._lengths.array

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._file)

    def __getitem__(self, index: int) -> Ids:
        """Return the ids of one row, (its length,)."""
        part, row = self._file.find(index)
        offsets, values = self._parts[part]
        return values[offsets[row] : offsets[row + 1]]

    @cached_property
    def _parts(self) -> list[tuple[Ids, Ids]]:
        return [
            (part.offsets.to_numpy(), part.values.to_numpy())
            for part in self._file.chunks(self._column)
        ]


def write_pairs(path: Path, blocks: Iterable[Sequence[SentencePair]]) -> int:
    """Write sentence pairs to an Arrow file, block by block, and return how many there are.

    Where the first pair has links, all are written with theirs.
    """
    import pyarrow as pa

    count = 0
    with ExitStack() as stack:
        writer = None
        for block in filter(None, blocks):
            columns = {
                "source": pa.array([pair.source for pair in block], pa.large_string()),
                "target": pa.array([pair.target for pair in block], pa.large_string()),
            }
            if block[0].links is not None:
                flat = [[place for link in pair.links or () for place in link] for pair in block]
                columns["links"] = pa.array(flat, pa.large_list(pa.int32()))
            batch = pa.record_batch(columns)
            if writer is None:
                writer = stack.enter_context(pa.ipc.new_stream(str(path), batch.schema))
            writer.write_batch(batch)
            count += len(block)
    return count


class TokenWriter:
    """Writes columns of token ids to an Arrow file, and their lengths to files beside it."""

    def __init__(self, folder: Path, columns: Sequence[str], id_type: str) -> None:
        """Open the files; `id_type` is NumPy's name of the ids' type."""
        import pyarrow as pa

        self._folder = folder
        self._columns = columns
        values = pa.from_numpy_dtype(np.dtype(id_type))
        self._schema = pa.schema([(name, pa.large_list(values)) for name in columns])
        self._stack = ExitStack()
        sink = tokens_file(folder)
        self._writer = self._stack.enter_context(pa.ipc.new_stream(str(sink), self._schema))
        self._row_lengths = {
            name: NumberFile(folder / f"{name}.raw", _LENGTH_TYPE) for name in columns
        }

    def __enter__(self) -> Self:
        """Return the writer itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file, and put the numbers beside it where nothing went wrong."""
        self._stack.close()
        if kind is None:
            for name, numbers in self._row_lengths.items():
                numbers.save(lengths_file(self._folder, name))

    def write(self, block: Sequence[tuple[Ids, Ids]]) -> None:
        """Add rows: for each column their lengths, and their ids one behind the other."""
        import pyarrow as pa

        arrays = []
        for name, (lengths, ids) in zip(self._columns, block, strict=True):
            offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
            kind = self._schema.field(name).type
            values = pa.array(ids, kind.value_type)
            arrays.append(pa.LargeListArray.from_arrays(pa.array(offsets), values))
            self._row_lengths[name].append(lengths)
        self._writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=self._schema))


def tokens_file(folder: Path) -> Path:
    """Return where in a folder the token ids are."""
    return folder / "tokens.arrow"


def lengths_file(folder: Path, column: str) -> Path:
    """Return where in a folder the lengths of a column's rows are."""
    return folder / f"{column}.lengths.npy"


def _pair_up(flat: Sequence[int]) -> Links:
    return tuple(zip(flat[::2], flat[1::2], strict=True))
