from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st

import nmt.shortlist
from nmt.errors import CheckpointError
from nmt.shortlist import (
    NUM_ITERATIONS,
    Shortlist,
    dump_shortlist,
    learn_shortlist,
    load_shortlist,
)

PAD, EOS = 0, 3
Pairs = Sequence[tuple[Sequence[int], Sequence[int]]]


def learn(
    pairs: Pairs, *, is_joint: bool = False, candidates: int = 9, always: int = 0
) -> Shortlist:
    source, target = zip(*pairs, strict=True)
    return learn_shortlist(
        source,
        target,
        vocab_sizes=(12, 12),
        eos_id=EOS,
        pad_id=PAD,
        is_joint=is_joint,
        num_candidates=candidates,
        num_always=always,
    )


def candidates_of(shortlist: Shortlist, token: int) -> list[int]:
    return [one for one in shortlist.candidates[token].tolist() if one != EOS]


def allowed_of(shortlist: Shortlist, source_ids: list[list[int]]) -> list[list[int]]:
    allowed = shortlist.allowed(torch.tensor(source_ids))
    return [row.nonzero().flatten().tolist() for row in allowed]


def plainly_translated(pairs: Pairs) -> dict[int, dict[int, float]]:
    """IBM Model 1 as its textbook has it, t[source token][target token]."""
    met: dict[int, set[int]] = defaultdict(set)
    for source, target in pairs:
        for token in source:
            met[token].update(target)
    likely = {token: dict.fromkeys(others, 1.0) for token, others in met.items()}
    for _ in range(NUM_ITERATIONS):
        counts: dict[int, dict[int, float]] = {one: dict.fromkeys(likely[one], 0.0) for one in met}
        for source, target in pairs:
            for other in target:
                total = sum(likely[token][other] for token in set(source))
                for token in set(source):
                    counts[token][other] += likely[token][other] / total
        for token, shares in counts.items():
            whole = sum(shares.values())
            likely[token] = {other: share / whole for other, share in shares.items()}
    return likely


def test_what_stands_alone_once_is_told_apart_where_it_is_not() -> None:
    """5 is known to be 8, so that 4 is 7 beside it, and 6 is 9 beside 4."""
    shortlist = learn([([5], [8]), ([4, 5], [8, 7]), ([4, 6], [7, 9])], candidates=1)
    assert [candidates_of(shortlist, token) for token in (4, 5, 6)] == [[7], [8], [9]]
    assert candidates_of(shortlist, 7) == []


@given(
    st.lists(
        st.tuples(
            st.lists(st.integers(4, 11), min_size=1, max_size=4),
            st.lists(st.integers(4, 11), min_size=1, max_size=4),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_candidates_come_as_the_textbook_ranks_them(pairs: Pairs) -> None:
    shortlist = learn(pairs)
    likely = plainly_translated(pairs)
    for token in range(12):
        found = candidates_of(shortlist, token)
        known = likely.get(token, {})
        assert sorted(found) == sorted(known)
        ranked = [known[other] for other in found]
        assert all(one >= other - 1e-9 for one, other in pairwise(ranked))


def test_only_the_likeliest_are_kept_and_the_most_frequent_are_on_every_list() -> None:
    pairs = [([4], [5, 6, 7]), ([4], [5, 6]), ([4], [5]), ([8], [9, 9, 9, 9])]
    shortlist = learn(pairs, candidates=2, always=1)
    assert candidates_of(shortlist, 4) == [5, 6]
    assert shortlist.always.tolist() == [EOS, 9]
    assert allowed_of(shortlist, [[4, EOS], [8, 0]]) == [[EOS, 5, 6, 9], [EOS, 9]]


def test_special_tokens_are_on_every_list() -> None:
    shortlist = learn_shortlist(
        [[4]],
        [[5]],
        vocab_sizes=(5, 6),
        eos_id=EOS,
        pad_id=PAD,
        special_ids=[2, 1],
        is_joint=False,
        num_always=0,
    )
    assert allowed_of(shortlist, [[4], [EOS]]) == [[1, 2, EOS, 5], [1, 2, EOS]]


def test_tokens_of_a_joint_vocabulary_may_be_copied() -> None:
    shortlist = learn([([4], [5])], is_joint=True, candidates=1)
    assert candidates_of(shortlist, 4) == [4, 5]
    assert candidates_of(shortlist, 10) == [10]
    assert allowed_of(shortlist, [[10, 4]]) == [[EOS, 4, 5, 10]]
    assert allowed_of(shortlist, [[10, PAD]]) == allowed_of(shortlist, [[10]])


def test_of_a_long_corpus_some_pairs_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nmt.shortlist, "MAX_LINKS", 2)
    shortlist = learn([([token], [token]) for token in (4, 5, 6, 7)])
    assert [candidates_of(shortlist, token) for token in (4, 5, 6, 7)] == [[4], [], [6], []]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    shortlist = learn([([4], [5, 6]), ([7], [8])])
    path = tmp_path / "shortlist.safetensors"
    path.write_bytes(dump_shortlist(shortlist))
    found = load_shortlist(path, vocab_sizes=(12, 12))
    assert found is not None
    assert torch.equal(found.candidates, shortlist.candidates)
    assert torch.equal(found.always, shortlist.always)
    assert found.vocab_size == 12


def test_without_a_file_there_is_no_shortlist(tmp_path: Path) -> None:
    assert load_shortlist(tmp_path / "shortlist.safetensors", vocab_sizes=(12, 12)) is None


HOSTILE: dict[str, tuple[dict[str, torch.Tensor], str]] = {
    "none": ({}, "1"),
    "one only": ({"always": torch.ones(1, dtype=torch.int32)}, "1"),
    "too large": (
        {"candidates": torch.full((12, 1), 12).int(), "always": torch.ones(1).int()},
        "1",
    ),
    "below zero": (
        {"candidates": torch.full((12, 1), -1).int(), "always": torch.ones(1).int()},
        "1",
    ),
    "floats": ({"candidates": torch.ones(12, 1), "always": torch.ones(1)}, "1"),
    "fewer rows": ({"candidates": torch.ones(3, 1).int(), "always": torch.ones(1).int()}, "1"),
    "flat": ({"candidates": torch.ones(12).int(), "always": torch.ones(1).int()}, "1"),
    "version": ({"candidates": torch.ones(12, 1).int(), "always": torch.ones(1).int()}, "2"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_that_is_no_shortlist_is_refused(name: str, tmp_path: Path) -> None:
    tensors, version = HOSTILE[name]
    path = tmp_path / "shortlist.safetensors"
    path.write_bytes(safetensors.torch.save(tensors, {"format_version": version}))
    with pytest.raises(CheckpointError, match=r"shortlist\.safetensors: ") as caught:
        load_shortlist(path, vocab_sizes=(12, 12))
    assert "\n" not in str(caught.value)


def test_a_file_cut_off_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "shortlist.safetensors"
    path.write_bytes(dump_shortlist(learn([([4], [5])]))[:-4])
    with pytest.raises(CheckpointError, match="damaged"):
        load_shortlist(path, vocab_sizes=(12, 12))
