"""Sets that `datasets` reads: a stand-in for the hub, and folders that the library does read."""

import json
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import datasets
import huggingface_hub.constants
import pytest

from nmt.corpus import SentencePair, load_pairs
from nmt.errors import DataError
from nmt.recipe import HubSet

ROWS = [{"en": "a cat", "de": "eine Katze"}, {"en": "", "de": ""}, {"en": "no\u2028one", "de": " "}]
PAIRS = [SentencePair(row["en"], row["de"]) for row in ROWS]
NAMED = HubSet(hub="someone/captions", config="en-de", split="train", source="en", target="de")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.fixture(autouse=True)
def no_bars() -> Iterator[None]:
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


def offer_on_hub(monkeypatch: pytest.MonkeyPatch, rows: Sequence[Mapping[str, object]]) -> HubSet:
    """Stand in for the hub: its only data set holds these rows."""

    def load_dataset(path: str, name: str | None, *, split: str) -> datasets.Dataset:
        assert (path, name, split) == ("someone/captions", "en-de", "train")
        return datasets.Dataset.from_list(list(rows))

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return NAMED


def in_folder(folder: Path, split: str = "train") -> HubSet:
    return HubSet(hub=str(folder), split=split, source="en", target="de")


def assert_refused(corpus_set: HubSet, message: str) -> None:
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        load_pairs(corpus_set)


def test_a_data_set_on_the_hub_has_a_pair_in_each_row(monkeypatch: pytest.MonkeyPatch) -> None:
    corpus_set = offer_on_hub(monkeypatch, [{"id": 7, **row} for row in ROWS])
    assert load_pairs(corpus_set) == PAIRS
    swapped = [SentencePair(pair.target, pair.source) for pair in PAIRS]
    assert load_pairs(corpus_set, reverse=True) == swapped


def test_columns_inside_a_column_are_named_with_a_dot(monkeypatch: pytest.MonkeyPatch) -> None:
    corpus_set = offer_on_hub(monkeypatch, [{"translation": row} for row in ROWS]).model_copy(
        update={"source": "translation.en", "target": "translation.de"}
    )
    assert load_pairs(corpus_set) == PAIRS


def test_both_sides_may_come_from_one_column(monkeypatch: pytest.MonkeyPatch) -> None:
    corpus_set = offer_on_hub(monkeypatch, [{"en": "a cat"}]).model_copy(update={"target": "en"})
    assert load_pairs(corpus_set) == [SentencePair("a cat", "a cat")]


def test_a_line_break_inside_a_row_becomes_a_space(monkeypatch: pytest.MonkeyPatch) -> None:
    corpus_set = offer_on_hub(monkeypatch, [{"en": "a\ncat", "de": "eine\r\nKatze"}])
    assert load_pairs(corpus_set) == PAIRS[:1]


@pytest.mark.parametrize("form", ["parquet", "json"])
def test_a_folder_of_files_takes_the_place_of_a_name_on_the_hub(form: str, tmp_path: Path) -> None:
    folder = tmp_path / "captions"
    folder.mkdir()
    for split, rows in (("train", ROWS), ("validation", ROWS[:1])):
        if form == "parquet":
            datasets.Dataset.from_list(rows).to_parquet(folder / f"{split}.parquet")
        else:
            text = "".join(json.dumps({"translation": row}) + "\n" for row in rows)
            (folder / f"{split}.jsonl").write_text(text, encoding="utf-8", newline="\n")
    names = ("en", "de") if form == "parquet" else ("translation.en", "translation.de")
    for split, pairs in (("train", PAIRS), ("validation", PAIRS[:1])):
        corpus_set = HubSet(hub=str(folder), split=split, source=names[0], target=names[1])
        assert load_pairs(corpus_set) == pairs


def test_a_saved_set_of_splits_is_read(tmp_path: Path) -> None:
    splits = {
        "train": datasets.Dataset.from_list(ROWS),
        "validation": datasets.Dataset.from_list(ROWS[:1]),
    }
    datasets.DatasetDict(splits).save_to_disk(tmp_path / "saved")
    assert load_pairs(in_folder(tmp_path / "saved")) == PAIRS
    assert load_pairs(in_folder(tmp_path / "saved", "validation")) == PAIRS[:1]
    assert_refused(
        in_folder(tmp_path / "saved", "test"),
        f"{tmp_path}/saved: no split 'test'; it has 'train', 'validation'",
    )


def test_a_saved_split_is_read_by_its_name(tmp_path: Path) -> None:
    dataset = datasets.Dataset.from_list(ROWS, split=datasets.Split.TRAIN)
    dataset.save_to_disk(tmp_path / "saved")
    assert load_pairs(in_folder(tmp_path / "saved")) == PAIRS
    assert_refused(
        in_folder(tmp_path / "saved", "test"), f"{tmp_path}/saved: no split 'test'; it has 'train'"
    )


def test_a_saved_dataset_without_a_split_is_all_of_them(tmp_path: Path) -> None:
    datasets.Dataset.from_list(ROWS).save_to_disk(tmp_path / "saved")
    assert load_pairs(in_folder(tmp_path / "saved")) == PAIRS


def test_a_damaged_saved_dataset_is_an_error(tmp_path: Path) -> None:
    datasets.Dataset.from_list(ROWS).save_to_disk(tmp_path / "saved")
    (tmp_path / "saved" / "state.json").write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match=r"saved: not a sound saved dataset \(.+\)$"):
        load_pairs(in_folder(tmp_path / "saved"))


def test_a_column_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    corpus_set = offer_on_hub(monkeypatch, [{"translation": {"en": "one", "de": "eins"}}])
    assert_refused(
        corpus_set,
        "someone/captions en-de train: no column 'en'; it has 'translation.en', 'translation.de'",
    )


def test_a_row_without_text_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[dict[str, str | None]] = [{"en": "one", "de": "eins"}, {"en": "two", "de": None}]
    assert_refused(
        offer_on_hub(monkeypatch, rows),
        "someone/captions en-de train: row 2: 'de' must be a string, got None",
    )


def test_what_the_hub_refuses_is_an_error_that_says_what_else_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def load_dataset(path: str, name: str | None, *, split: str) -> None:
        raise ConnectionError(f"Couldn't reach {path!r}\non the Hub ({name}, {split})")

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    assert_refused(
        NAMED,
        "someone/captions en-de train: cannot be loaded from the hub "
        "(Couldn't reach 'someone/captions' on the Hub (en-de, train)); "
        "check name, config and split, or use local files: {source: FILE, target: FILE}",
    )


@pytest.fixture
def online(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the client believe that it may use the network, which has no proxy."""
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "https://hub.example")
    monkeypatch.setattr("nmt.corpus.hub.getproxies", dict)


def refuse_connections(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Let no connection come about, and return where to they were tried."""
    tried: list[tuple[str, int]] = []

    def create_connection(address: tuple[str, int], *, timeout: float) -> None:
        assert timeout >= 10
        tried.append(address)
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "create_connection", create_connection)
    return tried


@pytest.mark.usefixtures("online")
def test_a_hub_out_of_reach_is_found_by_one_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = refuse_connections(monkeypatch)
    assert_refused(
        NAMED.model_copy(update={"config": None}),
        "someone/captions train: cannot be loaded from the hub (https://hub.example cannot be "
        "reached: name or service not known, and it is not in the cache of earlier downloads); "
        "try again with a network, or use local files: {source: FILE, target: FILE}",
    )
    assert tried == [("hub.example", 443)]
    assert not datasets.config.HF_HUB_OFFLINE
    assert not huggingface_hub.constants.HF_HUB_OFFLINE


@pytest.mark.usefixtures("online")
def test_what_is_in_the_cache_needs_no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    def load_dataset(path: str, name: str | None, *, split: str) -> datasets.Dataset:
        assert datasets.config.HF_HUB_OFFLINE
        assert huggingface_hub.constants.HF_HUB_OFFLINE
        return datasets.Dataset.from_list(ROWS)

    refuse_connections(monkeypatch)
    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    assert load_pairs(NAMED) == PAIRS


@pytest.mark.usefixtures("online")
def test_a_folder_needs_no_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = refuse_connections(monkeypatch)
    datasets.Dataset.from_list(ROWS).to_parquet(tmp_path / "train.parquet")
    assert load_pairs(in_folder(tmp_path)) == PAIRS
    assert tried == []


@pytest.mark.usefixtures("online")
def test_behind_a_proxy_the_client_finds_its_own_way(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = refuse_connections(monkeypatch)
    monkeypatch.setattr("nmt.corpus.hub.getproxies", lambda: {"https": "http://proxy.example"})
    corpus_set = offer_on_hub(monkeypatch, ROWS)
    assert load_pairs(corpus_set) == PAIRS
    assert tried == []
