"""The training set is prepared once, and anew when anything that it depends on changes."""

import os
from pathlib import Path

import datasets
import pytest
from toy import read_lines, toy_recipe, write_lines, write_quick_corpus

from nmt.corpus import Cache, SentencePair, TrainingSet, clean, fingerprint, load_numbered_pairs
from nmt.corpus import training_set as training_set_module
from nmt.corpus.training_set import prepare_training_sets
from nmt.errors import DataError
from nmt.recipe import Recipe

HELD_OUT = [SentencePair("1 2 3 4", "4 3 2 1")]


class Reader:
    """Prepares sets in one cache, and counts how often one was read."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cache = Cache(folder / "cache")
        self.count = 0
        true_read = training_set_module._read

        def read(*arguments: object) -> object:
            self.count += 1
            return true_read(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(training_set_module, "_read", read)

    def prepare(
        self,
        recipe: Recipe,
        *,
        validation: list[SentencePair] = HELD_OUT,
        test: list[SentencePair] | None = None,
    ) -> TrainingSet:
        (prepared,) = self.prepare_all(recipe, validation=validation, test=test)
        return prepared

    def prepare_all(
        self,
        recipe: Recipe,
        *,
        validation: list[SentencePair] = HELD_OUT,
        test: list[SentencePair] | None = None,
    ) -> list[TrainingSet]:
        return prepare_training_sets(
            self.cache, recipe.data, validation=validation, test=test or []
        )


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Reader:
    write_quick_corpus(tmp_path)
    return Reader(tmp_path, monkeypatch)


def test_what_was_prepared_is_what_cleaning_leaves(
    reader: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In blocks of seven pairs, and with all at once."""
    monkeypatch.setattr("nmt.corpus.load.BLOCK_SIZE", 7)
    for side in ("en", "de"):
        lines = read_lines(tmp_path / f"train.{side}")
        write_lines(tmp_path / f"train.{side}", [*lines, "", *lines[:5], "1", "2" * 90])
    recipe = toy_recipe(tmp_path, "data.cleaning.max_characters=80")
    data = recipe.data
    pairs, line_numbers = load_numbered_pairs(data.named_train_sets()[0][1])
    held_out = [pairs[2]]
    kept, report = clean(pairs, data.cleaning, held_out=held_out, line_numbers=line_numbers)
    assert (report.blank, report.too_long, report.held_out, report.duplicate) == (1, 1, 2, 4)
    for _ in range(2):
        found = reader.prepare(recipe, validation=held_out)
        assert list(found.pairs) == kept
        assert found.cleaning == report
        assert found.fingerprint == fingerprint(kept)
        assert found.warnings == (
            "warning: 1 of the 1 validation pairs also stand in the training set; "
            "these are left out of training",
        )
    assert reader.count == 1
    (folder,) = reader.cache.path.glob("pairs-*")
    assert sorted(file.name for file in folder.iterdir()) == ["done.json", "pairs.arrow"]


@pytest.mark.parametrize(
    "override",
    ["data.cleaning.max_characters=80", "data.reverse=true", "data.train.source={folder}/train.de"],
)
def test_another_recipe_for_the_data_makes_another_set(
    override: str, reader: Reader, tmp_path: Path
) -> None:
    reader.prepare(toy_recipe(tmp_path))
    reader.prepare(toy_recipe(tmp_path, "training.seed=7", "tokenizer.vocab_size=9"))
    assert reader.count == 1
    overrides = [override.format(folder=tmp_path)]
    if "source" in override:
        overrides.append(f"data.train.target={tmp_path}/train.de")
    reader.prepare(toy_recipe(tmp_path, *overrides))
    assert reader.count == 2


@pytest.mark.parametrize("name", ["validation", "test"])
def test_other_pairs_held_out_make_another_set(name: str, reader: Reader, tmp_path: Path) -> None:
    recipe = toy_recipe(tmp_path)
    reader.prepare(recipe)
    other = [SentencePair("5", "5")]
    if name == "validation":
        reader.prepare(recipe, validation=other)
    else:
        reader.prepare(recipe, test=other)
    assert reader.count == 2


@pytest.mark.parametrize("side", ["en", "de"])
def test_a_changed_file_is_noticed_and_read_again(
    side: str, reader: Reader, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recipe, file = toy_recipe(tmp_path), tmp_path / f"train.{side}"
    before = list(reader.prepare(recipe).pairs)
    os.utime(file, (1, 1))  # touched, and the same
    reader.prepare(recipe)
    assert reader.count == 1
    write_lines(file, ["7 8 9", *read_lines(file)[1:]])
    with caplog.at_level("INFO"):
        after = list(reader.prepare(recipe).pairs)
    assert caplog.messages == [f"{file} has changed since it was prepared: preparing it anew"]
    assert reader.count == 2
    assert after[1:] == before[1:]
    assert "7 8 9" in (after[0].source, after[0].target)


@pytest.mark.parametrize("kind", ["tsv", "csv", "jsonl"])
def test_one_file_sets_are_known_by_their_file(kind: str, reader: Reader, tmp_path: Path) -> None:
    rows = {
        "tsv": "a\tb\n",
        "csv": "a,b\n",
        "jsonl": '{"source": "a", "target": "b"}\n',
    }
    file = tmp_path / f"train.{kind}"
    recipe = toy_recipe(tmp_path, f"data.train={{{kind}: '{file}'}}")
    for text in (rows[kind], rows[kind], rows[kind].replace("a", "c", 1)):
        file.write_text(text, encoding="utf-8", newline="\n")
        reader.prepare(recipe)
    assert reader.count == 2


def test_a_data_set_of_the_hub_is_known_by_its_rows(
    reader: Reader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hub")
    folder = tmp_path / "saved"
    recipe = toy_recipe(
        tmp_path, f"data.train={{hub: '{folder}', split: train, source: en, target: de}}"
    )
    for text in ("eins", "eins", "zwei"):
        datasets.Dataset.from_list([{"en": "one", "de": text}]).save_to_disk(folder)
        prepared = reader.prepare(recipe)
        assert list(prepared.pairs) == [SentencePair("one", text)]
    assert reader.count == 2


def test_too_few_pairs_are_refused_and_nothing_is_left(reader: Reader, tmp_path: Path) -> None:
    recipe = toy_recipe(tmp_path, "data.cleaning.min_pairs=99")
    with pytest.raises(DataError, match=r"must have at least 99 sentence pairs left, kept 24"):
        reader.prepare(recipe)
    assert list(reader.cache.path.glob("pairs-*")) == []
