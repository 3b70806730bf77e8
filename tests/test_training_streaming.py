"""Batches of a stream: always the same ones, wherever a run goes on."""

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from safetensors.torch import load_file
from toy import QUICK, read_lines, toy_recipe, write_quick_corpus

from nmt.batching import Batch
from nmt.errors import CheckpointError, DataError
from nmt.recipe import Recipe
from nmt.training.data import TranslationData, load_corpora
from nmt.training.module import TranslationModule
from nmt.training.run import train
from nmt.training.tokenizers import prepare_tokenizers

# Pairs to a file of the stream; `write_quick_corpus` writes 24.
SHARD_SIZE = 8


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    write_quick_corpus(tmp_path)
    write_stream(tmp_path)
    return tmp_path


def write_stream(folder: Path) -> None:
    """Write the training pairs as a set of gzipped files."""
    sides = (read_lines(folder / f"train.{language}") for language in ("en", "de"))
    records = [json.dumps({"en": en, "de": de}) + "\n" for en, de in zip(*sides, strict=True)]
    (folder / "set").mkdir(exist_ok=True)
    for number, start in enumerate(range(0, len(records), SHARD_SIZE)):
        text = "".join(records[start : start + SHARD_SIZE])
        (folder / "set" / f"train-{number}.json.gz").write_bytes(gzip.compress(text.encode()))


def break_off(folder: Path) -> None:
    """Leave half of the last file of the stream."""
    path = sorted((folder / "set").iterdir())[-1]
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def streamed_recipe(folder: Path, *overrides: str) -> Recipe:
    """Lots of three batches and epochs of four: either ends within the other."""
    hub = f"hub: '{folder.as_posix()}/set', split: train, source: en, target: de"
    streaming = "streaming: {batches_per_epoch: 4, shuffle_buffer: 8}"
    return toy_recipe(
        folder,
        *QUICK,
        f"data.train={{{hub}, {streaming}}}",
        f"data.cache_dir={folder.as_posix()}/cache",
        "training.max_sentences=3",
        "training.max_epochs=3",
        *overrides,
    )


class AtEpoch:
    """Stands in for a trainer."""

    def __init__(self, epoch: int) -> None:
        self.current_epoch = epoch


def data_of(recipe: Recipe) -> TranslationData:
    corpora = load_corpora(recipe)
    return TranslationData(corpora, prepare_tokenizers(corpora, recipe), recipe)


def take_epoch(data: TranslationData, epoch: int, *, start: int = 0) -> list[Batch]:
    data.trainer = AtEpoch(epoch)  # type: ignore[assignment]
    data.position.epoch, data.position.batch = epoch, start
    loader = data.train_dataloader()
    assert len(loader) == data.num_batches == 4
    return list(loader)


def content(batches: Sequence[Batch]) -> list[Any]:
    return [(batch.source_ids.tolist(), batch.target_output_ids.tolist()) for batch in batches]


SAMPLED = ("tokenizer.sampling_alpha=0.5",)


@pytest.mark.parametrize("overrides", [(), SAMPLED])
def test_the_batches_follow_from_the_position(folder: Path, overrides: tuple[str, ...]) -> None:
    recipe = streamed_recipe(folder, *overrides)
    data = data_of(recipe)
    unbroken = [content(take_epoch(data, epoch)) for epoch in range(3)]
    assert [len(epoch) for epoch in unbroken] == [4, 4, 4]
    for epoch in range(3):
        for start in range(5):
            first = data_of(recipe)
            for number in range(epoch):
                take_epoch(first, number)
            assert content(take_epoch(first, epoch)[:start]) == unbroken[epoch][:start]
            first.position.batch = start
            state = json.loads(json.dumps(first.state_dict()))
            second = data_of(recipe)
            second.load_state_dict(state)
            assert content(take_epoch(second, epoch, start=start)) == unbroken[epoch][start:]
            if epoch < 2:
                assert content(take_epoch(second, epoch + 1)) == unbroken[epoch + 1]


def test_every_pair_comes_once_in_a_pass(folder: Path) -> None:
    data = data_of(streamed_recipe(folder))
    batches = [batch for epoch in range(3) for batch in take_epoch(data, epoch)]
    # 24 pairs are three lots of three batches
    rows = [
        [
            row[:length]
            for row, length in zip(
                batch.source_ids.tolist(), batch.source_lengths.tolist(), strict=True
            )
        ]
        for batch in batches
    ]
    assert [sum(map(len, rows[start : start + 3])) for start in (0, 3, 6)] == [8, 8, 8]
    assert len({tuple(row) for batch in rows[:9] for row in batch}) == 24
    # the second pass has the same pairs in another order
    first, again = ([row for batch in rows[start : start + 3] for row in batch] for start in (0, 9))
    assert sorted(first) == sorted(again)
    assert first != again


def test_one_stream_is_not_read_twice(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = data_of(streamed_recipe(folder))
    opened = []
    true_load = datasets.load_dataset

    def load(*arguments: Any, **options: Any) -> Any:
        opened.append(arguments)
        return true_load(*arguments, **options)

    monkeypatch.setattr(datasets, "load_dataset", load)
    for epoch in range(3):
        take_epoch(data, epoch)
    # twelve batches are two passes
    assert len(opened) == 2


def test_a_stream_without_a_pair_that_is_short_enough_is_refused(folder: Path) -> None:
    data = data_of(streamed_recipe(folder, "training.max_length=1"))
    message = (
        r"^training set must have pairs of at most 1 tokens a side \(training\.max_length\), got "
        r"none in all of the stream$"
    )
    with pytest.raises(DataError, match=message):
        take_epoch(data, 0)


@pytest.mark.parametrize("state", [{}, {"first": -1, "place": {}}, {"first": 0, "place": 7}])
def test_a_checkpoint_without_a_place_is_refused(folder: Path, state: dict[str, Any]) -> None:
    with pytest.raises(
        CheckpointError, match=r"^the last checkpoint holds no place in a stream \("
    ):
        data_of(streamed_recipe(folder)).load_state_dict(state)


# With three batches to a step one step is under way: it is begun anew.
@pytest.mark.parametrize(("accumulation", "num_repeated"), [(1, 0), (2, 0), (3, 2)])
def test_a_run_goes_on_where_the_stream_broke_off(
    folder: Path, accumulation: int, num_repeated: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    true_step = TranslationModule.training_step

    def step(self: TranslationModule, batch: Batch, batch_index: int) -> Any:
        seen.append((self.position.epoch, batch_index, batch.source_ids.tolist()))
        return true_step(self, batch, batch_index)

    monkeypatch.setattr(TranslationModule, "training_step", step)
    settings = ("model.dropout.layers=0.2", f"training.gradient_accumulation={accumulation}")
    recipe = streamed_recipe(folder, *settings)
    whole = train(recipe, folder / "whole")
    unbroken = seen.copy()
    assert len(unbroken) == 12

    seen.clear()
    break_off(folder)
    with pytest.raises(DataError, match="the stream broke off behind row 16"):
        train(recipe, folder / "run")
    # two lots of three batches: the second epoch has two of its four
    assert seen == unbroken[:6]
    write_stream(folder)
    run = train(recipe, folder / "run")
    assert seen == [*unbroken[:6], *unbroken[6 - num_repeated :]]
    weights = [load_file(one.weights_file) for one in (whole, run)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert "trained on a stream of sentence\npairs" in run.card_file.read_text(encoding="utf-8")
    log = run.log_file.read_text(encoding="utf-8")
    assert "at the beginning of the stream: kept 8 of 8 sentence pairs" in log
