"""Arrow files: what was written is what is read, part by part and row by row, in any process."""

import pickle
from collections.abc import Sequence
from pathlib import Path

import datasets
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.batching import TokenStore
from nmt.corpus import SentencePair
from nmt.corpus.mapped import (
    ArrowFile,
    Ids,
    MappedPairs,
    MappedTokens,
    TokenWriter,
    lengths_file,
    tokens_file,
    write_pairs,
)

PAIRS = [SentencePair(f"source {number}", f"Ziel\u2028\0 {number}") for number in range(5)]
LINKED = [
    SentencePair("a b", "c d", ((0, 1), (1, 0))),
    SentencePair("a", "c", ()),
    SentencePair("a", "c d", ((0, 1),)),
]


def test_pairs_come_back_in_any_way_of_asking(tmp_path: Path) -> None:
    assert write_pairs(tmp_path / "pairs.arrow", [PAIRS[:2], PAIRS[2:]]) == 5
    pairs = MappedPairs(tmp_path / "pairs.arrow")
    assert list(pairs) == PAIRS
    assert [pairs[place] for place in range(-5, 5)] == PAIRS * 2
    assert pairs[1:4] == PAIRS[1:4]
    assert pairs[::-2] == PAIRS[::-2]
    assert [pairs.part(number) for number in range(pairs.num_parts)] == [PAIRS[:2], PAIRS[2:]]
    assert len(pairs) == 5
    assert not pairs.has_links
    with pytest.raises(IndexError):
        pairs[5]
    copy = pickle.loads(pickle.dumps(pairs))  # noqa: S301 - it was made in this line
    assert list(copy) == PAIRS


def test_links_stay_with_their_pairs(tmp_path: Path) -> None:
    write_pairs(tmp_path / "pairs.arrow", [LINKED])
    pairs = MappedPairs(tmp_path / "pairs.arrow")
    assert pairs.has_links
    assert list(pairs) == LINKED


def test_datasets_opens_the_files_as_its_own(tmp_path: Path) -> None:
    write_pairs(tmp_path / "pairs.arrow", [PAIRS])
    dataset = datasets.Dataset.from_file(str(tmp_path / "pairs.arrow"))
    assert dataset[1] == {"source": PAIRS[1].source, "target": PAIRS[1].target}


def block(rows: Sequence[Sequence[int]], kind: str) -> tuple[Ids, Ids]:
    flat = [token_id for row in rows for token_id in row]
    return np.array([len(row) for row in rows], dtype=np.int64), np.array(flat, dtype=kind)


ROWS = st.lists(st.lists(st.integers(0, 65535), max_size=4), max_size=5)


@settings(max_examples=20)
@given(st.lists(ROWS, max_size=4))
def test_token_ids_come_back_row_by_row(
    tmp_path_factory: pytest.TempPathFactory, blocks: list[list[list[int]]]
) -> None:
    folder = tmp_path_factory.mktemp("tokens")
    with TokenWriter(folder, ["source_ids", "target_ids"], "uint16") as writer:
        for rows in blocks:
            writer.write([block(rows, "uint16"), block(rows[::-1], "uint16")])
    file = ArrowFile(tokens_file(folder))
    expected = [row for rows in blocks for row in rows]
    store = MappedTokens(file, "source_ids", lengths_file(folder, "source_ids"))
    assert isinstance(store, TokenStore)
    assert len(store) == len(expected)
    assert [store[index].tolist() for index in range(len(expected))] == expected
    assert store.lengths.tolist() == [len(row) for row in expected]
    target = MappedTokens(file, "target_ids", lengths_file(folder, "target_ids"))
    copy = pickle.loads(pickle.dumps(target))  # noqa: S301 - it was made in this line
    assert [copy[index].tolist() for index in range(len(expected))] == [
        row for rows in blocks for row in rows[::-1]
    ]


@pytest.mark.parametrize("kind", ["uint16", "int32"])
def test_ids_and_lengths_are_as_narrow_as_they_may_be(kind: str, tmp_path: Path) -> None:
    rows = [[1, 2], [3] * (300 if kind == "uint16" else 70_000)]
    with TokenWriter(tmp_path, ["ids"], kind) as writer:
        writer.write([block(rows[:1], kind)])
        writer.write([block(rows[1:], kind)])
    store = MappedTokens(ArrowFile(tokens_file(tmp_path)), "ids", lengths_file(tmp_path, "ids"))
    assert store[1].dtype == np.dtype(kind)
    assert store.lengths.dtype == np.dtype("uint16" if kind == "uint16" else "uint32")
    assert store.lengths.tolist() == [2, len(rows[1])]
    assert isinstance(store.lengths, np.memmap)
    assert not store[1].flags.owndata
    assert sorted(file.name for file in tmp_path.iterdir()) == ["ids.lengths.npy", "tokens.arrow"]
