"""Numbers on the disk: written as they come, read as maps."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Numbers that are copied at a time.
_COPIED_SIZE = 1 << 20
# What the narrowest type must hold: 16 bits.
_LEAST = 1 << 8


class NumberFile:
    """Numbers that go to a file as they come, and are read as a map of it."""

    def __init__(self, path: Path, dtype: str) -> None:
        """Name the file, and NumPy's name of the numbers' type."""
        self._path = path
        self._dtype = np.dtype(dtype)
        path.write_bytes(b"")

    def append(self, numbers: Sequence[int] | NDArray[Any]) -> None:
        """Add numbers at the end."""
        with self._path.open("ab") as file:
            file.write(np.array(numbers, dtype=self._dtype).tobytes())

    def map(self) -> NDArray[Any]:
        """Return all of them, (N,)."""
        if not self._path.stat().st_size:
            return np.empty(0, self._dtype)
        return np.memmap(self._path, dtype=self._dtype, mode="r")

    def save(self, path: Path) -> None:
        """Move all of them to a file of NumPy's own form, in the narrowest type that holds them."""
        numbers = self.map()
        dtype = np.min_scalar_type(max(numbers.max(initial=0), _LEAST))
        # written, and not mapped: where the disk is full a map ends the process without a word
        with path.open("wb") as file:
            header = {"descr": dtype.str, "fortran_order": False, "shape": numbers.shape}
            np.lib.format.write_array_header_1_0(file, header)
            for start in range(0, len(numbers), _COPIED_SIZE):
                file.write(numbers[start : start + _COPIED_SIZE].astype(dtype).tobytes())
        self._path.unlink()


class MappedNumbers:
    """Numbers in a file of NumPy's, as a map; in another process it is mapped again."""

    def __init__(self, path: Path) -> None:
        """Name the file."""
        self._path = path

    def __getstate__(self) -> dict[str, Any]:
        """Return the name alone."""
        return {"_path": self._path}

    @cached_property
    def array(self) -> NDArray[Any]:
        """All of them, (N,)."""
        try:
            numbers: NDArray[Any] = np.load(self._path, mmap_mode="r")
        except ValueError:  # nothing cannot be mapped
            numbers = np.load(self._path)
        return numbers
