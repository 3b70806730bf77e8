"""Batches: what is in them, which pairs share one, in which order, and on which device."""

import pickle
from collections import Counter
from collections.abc import Sequence
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.data import DataLoader

from nmt.batching import (
    Batch,
    BatchDataset,
    LengthBuckets,
    NumberedBatches,
    SampledBatches,
    WeightedDraw,
    pad_ids,
)

PAD, BOS, EOS = 0, 2, 3

Lengths = list[tuple[int, int]]

# Source and target lengths of up to thirty pairs, many of them equal.
LENGTHS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=30)
MAX_TOKENS = st.none() | st.integers(1, 40)
MAX_SENTENCES = st.none() | st.integers(1, 5)


def make_dataset(
    lengths: Sequence[tuple[int, int]], *, links: Sequence[Sequence[int]] | None = None
) -> BatchDataset:
    """Pairs of these lengths; each token tells the pair, the side and the place it is from."""
    sources, targets = [], []
    for pair, (source_length, target_length) in enumerate(lengths, start=1):
        sources.append([100 * pair + place for place in range(source_length)])
        targets.append([100 * pair + 50 + place for place in range(target_length)])
    return BatchDataset(sources, targets, pad_id=PAD, bos_id=BOS, eos_id=EOS, links=links)


def shape(indices: Sequence[int], lengths: Sequence[tuple[int, int]]) -> tuple[int, int, int]:
    """Sentences, source length and target length of a batch of these pairs, BOS or EOS included."""
    sources, targets = zip(*(lengths[index] for index in indices), strict=True)
    return len(indices), max(sources) + 1, max(targets) + 1


# What a batch holds


def test_a_batch_has_the_pairs_asked_for_with_bos_eos_and_padding() -> None:
    dataset = BatchDataset(
        [[11, 12], [13], [14, 15, 16]], [[21], [22, 23], []], pad_id=PAD, bos_id=BOS, eos_id=EOS
    )
    batch = dataset[[2, 1]]
    assert batch.source_ids.tolist() == [[14, 15, 16, 3], [13, 3, 0, 0]]
    assert batch.source_lengths.tolist() == [4, 2]
    assert batch.target_input_ids.tolist() == [[2, 0, 0], [2, 22, 23]]
    assert batch.target_output_ids.tolist() == [[3, 0, 0], [22, 23, 3]]
    assert batch.target_mask.tolist() == [[True, False, False], [True, True, True]]
    assert batch.indices.tolist() == [2, 1]
    assert batch.target_mask.dtype == torch.bool
    for tensor in tensors(batch).values():
        assert tensor.dtype in {torch.int64, torch.bool}


def test_special_ids_are_those_that_were_given() -> None:
    batch = BatchDataset([[5], [5, 5]], [[6], [6, 6]], pad_id=7, bos_id=8, eos_id=9)[[0, 1]]
    assert batch.source_ids.tolist() == [[5, 9, 7], [5, 5, 9]]
    assert batch.target_input_ids.tolist() == [[8, 6, 7], [8, 6, 6]]
    assert batch.target_output_ids.tolist() == [[6, 9, 7], [6, 6, 9]]


def test_a_token_with_the_padding_id_is_real_by_its_place() -> None:
    batch = BatchDataset([[0], []], [[0], []], pad_id=0, bos_id=2, eos_id=3)[[0, 1]]
    assert batch.source_lengths.tolist() == [2, 1]
    assert batch.target_mask.tolist() == [[True, True], [True, False]]


@given(LENGTHS.filter(bool), st.data())
def test_every_batch_gives_its_sequences_back(lengths: Lengths, data: st.DataObject) -> None:
    indices = data.draw(st.lists(st.sampled_from(range(len(lengths))), min_size=1))
    dataset = make_dataset(lengths)
    batch = dataset[indices]
    size = shape(indices, lengths)
    assert batch.source_ids.shape == (size[0], size[1])
    assert batch.target_input_ids.shape == batch.target_output_ids.shape == (size[0], size[2])
    for row, index in enumerate(indices):
        source, target = dataset.source[index].tolist(), dataset.target[index].tolist()
        length, mask = int(batch.source_lengths[row]), batch.target_mask[row]
        assert batch.source_ids[row, :length].tolist() == [*source, EOS]
        assert set(batch.source_ids[row, length:].tolist()) <= {PAD}
        assert batch.target_input_ids[row, mask].tolist() == [BOS, *target]
        assert batch.target_output_ids[row, mask].tolist() == [*target, EOS]
        padding = torch.cat(
            (batch.target_input_ids[row, ~mask], batch.target_output_ids[row, ~mask])
        )
        assert set(padding.tolist()) <= {PAD}
    assert batch.indices.tolist() == indices


@pytest.mark.parametrize(
    ("sequences", "expected", "width"),
    [
        ([[1, 2], [3]], [[1, 2], [3, 9]], 2),
        ([[], [1]], [[9], [1]], 1),
        ([[], []], [[], []], 0),
        ([], [], 0),
    ],
)
def test_rows_are_padded_behind(
    sequences: list[list[int]], expected: list[list[int]], width: int
) -> None:
    padded = pad_ids(sequences, 9)
    assert padded.tolist() == expected
    assert padded.shape == (len(expected), width)
    assert padded.dtype == torch.int64


def test_sides_of_unequal_number_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^got 2 sources and 1 targets$"):
        BatchDataset([[1], [2]], [[3]], pad_id=PAD, bos_id=BOS, eos_id=EOS)


# Which pairs share a batch


@given(LENGTHS, MAX_TOKENS, MAX_SENTENCES, st.integers(0, 2**32 - 1))
def test_an_epoch_has_every_pair_once_within_the_limits(
    lengths: Lengths, max_tokens: int | None, max_sentences: int | None, seed: int
) -> None:
    buckets = LengthBuckets(
        make_dataset(lengths), max_tokens=max_tokens, max_sentences=max_sentences, seed=seed
    )
    batches = list(buckets)
    assert len(batches) == len(buckets)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    for batch in batches:
        num_sentences, *longest = shape(batch, lengths)
        assert max_sentences is None or num_sentences <= max_sentences
        assert (
            max_tokens is None or num_sentences * max(longest) <= max_tokens or num_sentences == 1
        )


def plain_shapes(
    lengths: Lengths, max_tokens: float, max_sentences: float
) -> Counter[tuple[int, int, int]]:
    """Shapes of the batches when pairs, short sources first, join the batch until it is full.

    Of equal sources with EOS the shorter targets come first where their length is odd, else the
    longer ones.
    """
    shapes: list[tuple[int, int, int]] = []
    for source, target in sorted(
        lengths, key=lambda pair: (pair[0], pair[1] if pair[0] % 2 == 0 else -pair[1])
    ):
        grown = (1, source + 1, target + 1)
        if shapes:
            number, longest_source, longest_target = shapes[-1]
            joined = (number + 1, max(longest_source, source + 1), max(longest_target, target + 1))
            if joined[0] <= max_sentences and joined[0] * max(joined[1:]) <= max_tokens:
                shapes.pop()
                grown = joined
        shapes.append(grown)
    return Counter(shapes)


# Targets of one length, and a long source before a short one.
@example([(6, 0), (0, 0)] * 10, 14, None, 0)
@example([(6, 0), (6, 1), (0, 2)], 7, None, 0)
@given(LENGTHS, MAX_TOKENS, MAX_SENTENCES, st.integers(0, 3))
def test_every_epoch_has_batches_of_the_same_shapes(
    lengths: Lengths, max_tokens: int | None, max_sentences: int | None, epoch: int
) -> None:
    buckets = LengthBuckets(
        make_dataset(lengths),
        max_tokens=max_tokens,
        max_sentences=max_sentences,
        seed=5,
        epoch=epoch,
    )
    assert Counter(shape(batch, lengths) for batch in buckets) == plain_shapes(
        lengths, max_tokens or float("inf"), max_sentences or float("inf")
    )


def test_most_batches_have_sources_of_one_length_and_like_targets() -> None:
    lengths = [(source, target) for source in range(4, 8) for target in range(10) for _ in range(9)]
    for batch in LengthBuckets(make_dataset(lengths), max_sentences=20, seed=1):
        sources, targets = zip(*(lengths[index] for index in batch), strict=True)
        assert max(targets) - min(targets) <= 3  # also where one source length follows another
        assert max(sources) - min(sources) <= 1


# In which order

MANY = [(number % 7, number % 5) for number in range(200)]


def order(dataset: BatchDataset, *, seed: int, epoch: int) -> list[list[int]]:
    return list(LengthBuckets(dataset, max_sentences=8, seed=seed, epoch=epoch))


def test_seed_and_epoch_make_the_order() -> None:
    dataset = make_dataset(MANY)
    torch.manual_seed(1)
    first = order(dataset, seed=1, epoch=0)
    torch.manual_seed(2)
    assert order(dataset, seed=1, epoch=0) == first
    assert order(dataset, seed=1, epoch=1) != first
    assert order(dataset, seed=2, epoch=0) != first
    # Another seed is not merely an epoch ahead.
    assert order(dataset, seed=2, epoch=0) != order(dataset, seed=1, epoch=1)


def plain_order(lengths: Lengths, *, seed: int, epoch: int, size: int) -> list[list[int]]:
    """Batches of `size` pairs, shuffled and then sorted as a whole, with a key for each pair."""
    generator = np.random.default_rng((seed, epoch))
    shuffled = generator.permutation(len(lengths)).tolist()

    def key(place: int) -> tuple[int, int]:
        source, target = lengths[place]
        return (source, -target if source % 2 else target)

    ordered = sorted(shuffled, key=key)
    starts = range(0, len(ordered), size)
    return [
        ordered[starts[number] : starts[number] + size]
        for number in generator.permutation(len(starts))
    ]


@pytest.mark.parametrize("slab_size", [1, 7, 50, 10**6])
def test_the_order_is_that_of_sorting_everything_at_once(
    slab_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nmt.batching.ordering._SLAB_SIZE", slab_size)
    lengths = [(number * 7 % 23, number * 11 % 300) for number in range(500)]
    assert order(make_dataset(lengths), seed=3, epoch=2) == plain_order(
        lengths, seed=3, epoch=2, size=8
    )


@pytest.mark.parametrize("start", [0, 1, 13, 25])
def test_an_epoch_may_begin_at_any_batch(start: int) -> None:
    dataset = make_dataset(MANY)
    whole = order(dataset, seed=3, epoch=2)
    rest = LengthBuckets(dataset, max_sentences=8, seed=3, epoch=2, start=start)
    assert list(rest) == whole[start:]
    assert len(rest) == len(whole) == 25
    numbered = list(NumberedBatches(rest))
    assert [indices for indices, _ in numbered] == whole[start:]
    assert [key for _, key in numbered] == [(3, 2, number) for number in range(start, 25)]
    assert len(NumberedBatches(rest)) == 25


@pytest.mark.parametrize("start", [-1, 26])
def test_a_batch_to_begin_at_must_be_one_of_the_epoch(start: int) -> None:
    with pytest.raises(ValueError, match=rf"^start must be in \[0, 25\], got {start}$"):
        LengthBuckets(make_dataset(MANY), max_sentences=8, seed=3, start=start)


def test_an_order_may_be_read_again() -> None:
    buckets = LengthBuckets(make_dataset(MANY), max_tokens=40, seed=1)
    assert list(buckets) == list(buckets)


def test_another_epoch_brings_other_pairs_together() -> None:
    dataset = make_dataset(MANY)
    first, second = (
        {frozenset(batch) for batch in order(dataset, seed=1, epoch=e)} for e in (0, 1)
    )
    assert len(first & second) < len(first) / 2


def test_batches_do_not_come_sorted_by_length() -> None:
    targets = [shape(batch, MANY)[2] for batch in order(make_dataset(MANY), seed=1, epoch=0)]
    assert targets != sorted(targets)
    assert targets != sorted(targets, reverse=True)


# How often pairs come


def drawn(
    lengths: Lengths, weights: Sequence[float], *, epoch: int, max_tokens: int = 60
) -> list[list[int]]:
    """An epoch of corpora of equal size."""
    dataset = make_dataset(lengths)
    draw = WeightedDraw(
        dataset.source.lengths,
        dataset.target.lengths,
        sizes=[len(lengths) // len(weights)] * len(weights),
        weights=weights,
    )
    buckets = LengthBuckets(dataset, max_tokens=max_tokens, seed=5, epoch=epoch, draw=draw)
    batches = list(buckets)
    assert len(batches) == len(buckets)
    return batches


def test_pairs_come_as_often_as_their_corpus_weighs() -> None:
    totals = Counter[int]()
    num_batches = set()
    for epoch in range(40):
        batches = drawn(MANY, [1.0, 0.25, 2.5, 3.0], epoch=epoch)
        counts = Counter(index for batch in batches for index in batch)
        assert all(counts[index] == 1 for index in range(50))
        assert sum(counts[index] for index in range(50, 100)) == 12  # round(12.5)
        assert max(counts[index] for index in range(50, 100)) == 1
        assert sum(counts[index] for index in range(100, 150)) == 125
        assert {counts[index] for index in range(100, 150)} == {2, 3}
        assert all(counts[index] == 3 for index in range(150, 200))
        num_batches.add(len(batches))
        totals += counts
    assert len(num_batches) == 1
    # nobody is left out for good, and nobody always drawn
    assert all(2 <= totals[index] <= 22 for index in range(50, 100))
    assert all(2 <= totals[index] - 80 <= 38 for index in range(100, 150))


def test_what_is_drawn_stays_within_the_limit_of_tokens() -> None:
    lengths = [(number * 7 % 11, number * 5 % 13) for number in range(400)]
    for epoch in range(10):
        for batch in drawn(lengths, [0.3, 1.7], epoch=epoch, max_tokens=40):
            size, source, target = shape(batch, lengths)
            assert size * max(source, target) <= 40


def test_the_draw_is_that_of_seed_and_epoch() -> None:
    assert drawn(MANY, [0.5], epoch=3) == drawn(MANY, [0.5], epoch=3)
    first, second = (
        {index for batch in drawn(MANY, [0.5], epoch=epoch) for index in batch} for epoch in (3, 4)
    )
    assert len(first) == len(second) == 100
    assert first != second


def test_the_least_weight_leaves_a_pair_of_each_corpus() -> None:
    (batch,) = drawn(MANY, [0.001, 0.001], epoch=0, max_tokens=10**6)
    assert sorted(index // 100 for index in batch) == [0, 1]


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan")])
def test_a_weight_must_be_above_nothing(weight: float) -> None:
    with pytest.raises(ValueError, match=rf"^weight must be > 0, got {weight}$"):
        drawn(MANY, [1.0, weight], epoch=0)


# Tokens that are drawn for each batch


class Spelling:
    """A sampler whose tokens tell what they were drawn for."""

    def sample(
        self, indices: Sequence[int], key: tuple[int, int, int]
    ) -> tuple[list[list[int]], list[list[int]], list[list[int]]]:
        return [[*key, index] for index in indices], [[index] for index in indices], [[3, 0]] * 2


def test_sampled_batches_hold_what_was_drawn_for_their_number() -> None:
    dataset = make_dataset(MANY)
    sampled = SampledBatches(dataset, Spelling())
    batch = sampled[[4, 9], (7, 8, 11)]
    assert batch.source_ids.tolist() == [[7, 8, 11, 4, EOS], [7, 8, 11, 9, EOS]]
    assert batch.target_output_ids.tolist() == [[4, EOS], [9, EOS]]
    assert batch.indices.tolist() == [4, 9]
    assert batch.alignment is not None
    assert batch.alignment.nonzero().tolist() == [[0, 0, 3], [1, 0, 3]]
    assert len(sampled) == len(dataset)


# Where the tensors are


def tensors(batch: Batch) -> dict[str, Tensor]:
    """All there are: a corpus without links has no alignment."""
    found = {name: getattr(batch, name) for name in Batch.__dataclass_fields__}
    return {name: tensor for name, tensor in found.items() if tensor is not None}


def make_linked() -> BatchDataset:
    """One link in each pair that has room for it, its last tokens'."""
    links = [(source - 1, target - 1) if source and target else () for source, target in MANY]
    return make_dataset(MANY, links=links)


def assert_equal(first: Batch, second: Batch) -> None:
    found, expected = tensors(first), tensors(second)
    assert found.keys() == expected.keys()
    for name, tensor in found.items():
        assert torch.equal(tensor, expected[name])


def test_the_links_of_a_pair_stand_at_its_tokens() -> None:
    dataset = make_dataset([(3, 2), (1, 4), (2, 2)], links=[(2, 0, 0, 1, 1, 1), (), (0, 0)])
    alignment = dataset[[2, 0, 1]].alignment
    assert alignment is not None
    assert alignment.dtype == torch.bool
    assert alignment.shape == (3, 5, 4)  # BOS or EOS takes a place on either side
    # row, target place, source place
    assert alignment.nonzero().tolist() == [[0, 0, 0], [1, 0, 2], [1, 1, 0], [1, 1, 1]]
    assert dataset[[1]].alignment is not None
    assert make_dataset([(3, 2)])[[0]].alignment is None


@pytest.mark.parametrize("non_blocking", [False, True])
def test_a_batch_goes_to_a_device_but_for_lengths_and_indices(non_blocking: bool) -> None:
    batch = make_linked()[[3, 5]]
    moved = batch.to("meta", non_blocking=non_blocking)
    on_cpu = {name for name in Batch.__dataclass_fields__ if not getattr(moved, name).is_meta}
    assert on_cpu == {"source_lengths", "indices"}
    assert {name: tensor.shape for name, tensor in tensors(moved).items()} == {
        name: tensor.shape for name, tensor in tensors(batch).items()
    }
    assert_equal(batch.to(torch.device("cpu"), non_blocking=non_blocking), batch)
    unlinked = make_dataset(MANY)[[3, 5]]
    assert_equal(unlinked.to("cpu"), unlinked)


def test_a_batch_taken_twice_has_its_pairs_and_then_the_same_again() -> None:
    links = [[0, 0, 1, 2], [1, 0]]
    dataset = BatchDataset(
        [[5, 6], [7]], [[8, 9], [4]], pad_id=PAD, bos_id=BOS, eos_id=EOS, links=links
    )
    once = dataset[[1, 0]]
    twice = once.twice()
    for field in fields(Batch):
        tensor = getattr(once, field.name)
        assert torch.equal(getattr(twice, field.name), torch.cat((tensor, tensor))), field.name
    assert replace(once, alignment=None).twice().alignment is None


def test_what_goes_to_a_device_is_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = make_linked()[[3, 5]]
    pinned: list[Tensor] = []

    def pin_memory(tensor: Tensor) -> Tensor:
        pinned.append(tensor)
        return tensor.clone()

    monkeypatch.setattr(Tensor, "pin_memory", pin_memory)
    copy = batch.pin_memory()
    assert_equal(copy, batch)
    moved = {"source_ids", "target_input_ids", "target_output_ids", "target_mask", "alignment"}
    assert {id(tensor) for tensor in pinned} == {id(getattr(batch, name)) for name in moved}
    assert all(getattr(copy, name) is not getattr(batch, name) for name in moved)


def test_a_dataset_can_be_pickled() -> None:
    dataset = make_linked()
    copy = pickle.loads(pickle.dumps(dataset))  # noqa: S301 - it was made the line before
    assert len(copy) == len(dataset) == 200
    assert_equal(copy[[7, 3]], dataset[[7, 3]])
    assert list(LengthBuckets(copy, max_tokens=30, seed=1)) == list(
        LengthBuckets(dataset, max_tokens=30, seed=1)
    )


def test_workers_that_start_afresh_make_the_same_batches() -> None:
    dataset = make_dataset(MANY)
    buckets = LengthBuckets(dataset, max_sentences=32, seed=1)
    loader = DataLoader(
        dataset,
        sampler=buckets,
        batch_size=None,
        num_workers=2,
        multiprocessing_context="spawn",
    )
    batches = list(loader)
    assert [batch.indices.tolist() for batch in batches] == list(buckets)
    for batch, indices in zip(batches, buckets, strict=True):
        assert_equal(batch, dataset[indices])
