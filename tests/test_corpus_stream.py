"""Sets that are read while they are trained on, from folders: `datasets` streams these too."""

import gzip
import json
import re
from itertools import islice
from pathlib import Path
from typing import Any

import datasets
import pytest

from nmt.corpus import Cache, PairStream, SentencePair, StreamPlace, prepare_training_sets
from nmt.errors import DataError
from nmt.recipe import CleaningRecipe, HubSet, StreamingRecipe, parse_recipe

ROWS = [(f"source {number}", f"target {number}") for number in range(10)]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def write_shards(folder: Path, rows: list[tuple[str, str]], *, size: int = 4) -> None:
    """Write rows as gzipped JSON lines, so many to a file."""
    folder.mkdir(exist_ok=True)
    for number, start in enumerate(range(0, len(rows), size)):
        records = [{"translation": {"en": en, "de": de}} for en, de in rows[start : start + size]]
        text = "".join(json.dumps(record) + "\n" for record in records)
        (folder / f"train-{number}.json.gz").write_bytes(gzip.compress(text.encode()))


def cut(path: Path) -> None:
    """Leave half of a file."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def streamed(folder: Path, *, shuffle_buffer: int) -> HubSet:
    return HubSet(
        hub=str(folder),
        split="train",
        source="translation.en",
        target="translation.de",
        streaming=StreamingRecipe(batches_per_epoch=5, shuffle_buffer=shuffle_buffer),
    )


def stream_of(
    folder: Path,
    *,
    shuffle_buffer: int = 3,
    held_out: tuple[SentencePair, ...] = (),
    ratio: float | None = None,
    reverse: bool = False,
    **limits: Any,
) -> PairStream:
    corpus_set = streamed(folder, shuffle_buffer=shuffle_buffer)
    return PairStream(corpus_set, CleaningRecipe(**limits), held_out, ratio, reverse)


def lots(
    stream: PairStream, count: int, place: StreamPlace | None = None
) -> list[tuple[StreamPlace, list[SentencePair]]]:
    return list(islice(stream.lots(place or StreamPlace()), count))


def sources(found: list[tuple[StreamPlace, list[SentencePair]]]) -> list[list[str]]:
    return [[pair.source.removeprefix("source ") for pair in pairs] for _, pairs in found]


def test_a_stream_gives_lots_of_pairs_for_ever(tmp_path: Path) -> None:
    write_shards(tmp_path / "set", ROWS)
    found = lots(stream_of(tmp_path / "set"), 6)
    once = [["0", "1", "2"], ["3", "4", "5"], ["6", "7", "8"], ["9"]]
    assert sources(found) == [*once, *once[:2]]
    assert found[0][1][0] == SentencePair("source 0", "target 0")
    places = [(place.number, place.passes, place.num_read) for place, _ in found]
    assert places == [(0, 0, 0), (1, 0, 3), (2, 0, 6), (3, 0, 9), (4, 1, 0), (5, 1, 3)]


@pytest.mark.parametrize("shuffle_buffer", [1, 2, 4, 7, 10, 20])
def test_a_stream_goes_on_from_every_place(shuffle_buffer: int, tmp_path: Path) -> None:
    # a lot may end within a file, at the end of one, and at the end of all
    write_shards(tmp_path / "set", ROWS)
    stream = stream_of(tmp_path / "set", shuffle_buffer=shuffle_buffer)
    unbroken = lots(stream, 12)
    for number, (place, _) in enumerate(unbroken):
        kept = json.loads(json.dumps(place.state_dict()))
        rest = lots(stream, 12 - number, StreamPlace.from_state_dict(kept))
        assert sources(rest) == sources(unbroken[number:])
        if number < 11:  # and again from where the second stream was
            assert sources(lots(stream, 11 - number, rest[1][0])) == sources(unbroken[number + 1 :])


def test_a_saved_folder_is_streamed_too(tmp_path: Path) -> None:
    records = [{"translation": {"en": en, "de": de}} for en, de in ROWS]
    datasets.Dataset.from_list(records).save_to_disk(str(tmp_path / "set"))
    stream = stream_of(tmp_path / "set")
    unbroken = lots(stream, 5)
    assert sources(unbroken)[1:4] == [["3", "4", "5"], ["6", "7", "8"], ["9"]]
    assert sources(lots(stream, 3, unbroken[2][0])) == sources(unbroken[2:])


def test_lots_are_cleaned(tmp_path: Path) -> None:
    long = "x" * 21
    rows = [("a b", "b a"), ("", "b"), (long, "b"), ("c", "c"), ("a b", "b a"), ("held", "out")]
    rows += [("a", "b" * 9), ("one\nline", "two"), ("a b", "b a")]
    write_shards(tmp_path / "set", rows)
    stream = stream_of(
        tmp_path / "set",
        shuffle_buffer=8,
        held_out=(SentencePair("held", "out"),),
        ratio=1.0,
        max_characters=20,
    )
    (_, first), (_, second) = lots(stream, 2)
    assert first == [SentencePair("a b", "b a"), SentencePair("one line", "two")]
    # it was in the lot before
    assert second == [SentencePair("a b", "b a")]


def test_sides_can_be_swapped(tmp_path: Path) -> None:
    write_shards(tmp_path / "set", ROWS)
    ((_, pairs),) = lots(stream_of(tmp_path / "set", reverse=True), 1)
    assert pairs[0] == SentencePair("target 0", "source 0")


def test_a_stream_that_breaks_off_says_where(tmp_path: Path) -> None:
    write_shards(tmp_path / "set", ROWS)
    cut(tmp_path / "set" / "train-2.json.gz")
    found = stream_of(tmp_path / "set").lots(StreamPlace())
    assert sources([next(found), next(found)]) == [["0", "1", "2"], ["3", "4", "5"]]
    message = (
        rf"^{re.escape(str(tmp_path))}/set train, streamed: the stream broke off behind row 8 "
        r"\(.+\); a run that has begun goes on from there by the same command$"
    )
    with pytest.raises(DataError, match=message):
        next(found)


def test_a_column_that_is_not_there_is_named_with_its_row(tmp_path: Path) -> None:
    write_shards(tmp_path / "set", ROWS)
    corpus_set = streamed(tmp_path / "set", shuffle_buffer=2).model_copy(
        update={"target": "translation.fr"}
    )
    stream = PairStream(corpus_set, CleaningRecipe(), (), None, False)
    message = r"row 1: no key 'translation\.fr'; it has .*translation\.en"
    with pytest.raises(DataError, match=message):
        lots(stream, 1)


@pytest.mark.parametrize(
    "change",
    [{"number": -1}, {"passes": None}, {"num_read": True}, {"state": 7}],
)
def test_what_is_no_place_is_refused(change: dict[str, Any]) -> None:
    state = {**StreamPlace().state_dict(), **change}
    with pytest.raises(ValueError, match=r"^place in a stream must have counts and a state, got"):
        StreamPlace.from_state_dict(state)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Note of each set that is loaded whether it is streamed."""
    true_load = datasets.load_dataset
    notes: list[bool] = []

    def load(*arguments: Any, **options: Any) -> Any:
        notes.append(options.get("streaming", False))
        return true_load(*arguments, **options)

    monkeypatch.setattr(datasets, "load_dataset", load)
    return notes


def test_what_must_be_known_before_is_learned_from_the_beginning(
    tmp_path: Path, opened: list[bool]
) -> None:
    write_shards(tmp_path / "set", [*ROWS, ("source 0", "target 0")])
    recipe = parse_recipe(
        f"""
data:
  source_lang: en
  target_lang: de
  train:
    hub: {tmp_path.as_posix()}/set
    split: train
    source: translation.en
    target: translation.de
    streaming: {{batches_per_epoch: 3, shuffle_buffer: 6}}
  validation: {{builtin: grammar, split: validation, sentences: 3}}
  cleaning: {{min_pairs: 1}}
training: {{max_epochs: 1, max_sentences: 2}}
""",
        name="streamed",
    )

    def prepare(held_out: SentencePair) -> Any:
        cache = Cache(str(tmp_path / "prepared"))
        (found,) = prepare_training_sets(cache, recipe.data, validation=[held_out], test=[])
        return found

    found = prepare(SentencePair("source 1", "target 1"))
    assert [pair.source for pair in found.pairs] == [f"source {place}" for place in (0, 2, 3, 4, 5)]
    assert found.cleaning.held_out == 1
    assert found.stream.ratio == found.cleaning.median_length_ratio == 1.0
    ((_, first), (_, second)) = lots(found.stream, 2)
    assert first == list(found.pairs)
    assert [pair.source for pair in second] == [
        "source 6",
        "source 7",
        "source 8",
        "source 9",
        "source 0",
    ]
    assert set(opened) == {True}

    before = found.fingerprint
    assert prepare(SentencePair("source 1", "target 1")).fingerprint == before
    write_shards(tmp_path / "set", [("another", "one"), *ROWS])
    assert prepare(SentencePair("source 1", "target 1")).fingerprint != before
