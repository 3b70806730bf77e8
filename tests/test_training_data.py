import json
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
import torch
from toy import read_lines, toy_recipe, write_lines, write_quick_corpus

from nmt.batching import Batch
from nmt.corpus import Cache, CleaningReport, SentencePair, TrainingSet, fingerprint
from nmt.corpus.mapped import MappedPairs, write_pairs
from nmt.errors import DataError, TokenizerError
from nmt.placeholders import symbols
from nmt.recipe import Recipe, TokenizerRecipe
from nmt.tokenizer import Tokenizer
from nmt.training.data import Corpora, TranslationData, load_corpora
from nmt.training.tokenizers import prepare_tokenizers, train_tokenizers

PAIRS = [
    SentencePair("1 2 3", "3 2 1"),
    SentencePair("4 5 6 7 8", "8 7 6 5 4"),
    SentencePair("9 0", "0 9"),
    SentencePair("1 1 1 1", "1 1 1 1"),
    SentencePair("", "2"),
]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    """One piece a digit."""
    recipe = toy_recipe(Path()).tokenizer
    return Tokenizer.train([" ".join("0123456789")] * 3, recipe)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_quick_corpus(tmp_path)
    return tmp_path


def corpora_of(train: list[SentencePair], validation: list[SentencePair] = PAIRS) -> Corpora:
    cache = Cache()
    cache.path.mkdir(parents=True, exist_ok=True)
    path = Path(tempfile.mkdtemp(dir=cache.path)) / "pairs.arrow"
    write_pairs(path, [train])
    report = CleaningReport(len(train), len(train))
    training_set = TrainingSet(MappedPairs(path), report, fingerprint(train))
    return Corpora([training_set], validation, None, cache)


def data_of(
    tokenizer: Tokenizer, *overrides: str, train: list[SentencePair] = PAIRS
) -> TranslationData:
    recipe = toy_recipe(Path(), *overrides)
    return TranslationData(corpora_of(train), (tokenizer, tokenizer), recipe)


def indices(batches: list[Batch]) -> list[list[int]]:
    return [batch.indices.tolist() for batch in batches]


def test_all_sets_are_read(folder: Path) -> None:
    corpora = load_corpora(toy_recipe(folder))
    assert corpora.test is not None
    assert [len(corpora.train), len(corpora.validation), len(corpora.test)] == [24, 6, 4]
    assert all(pair.target == pair.source[::-1] for pair in corpora.train)


def test_a_recipe_may_do_without_a_test_set(folder: Path) -> None:
    corpora = load_corpora(toy_recipe(folder, "data.test=null"))
    assert corpora.test is None
    assert corpora.fingerprints().keys() == {"train", "validation"}


def test_a_share_of_the_pairs_has_symbols_for_what_is_alike(folder: Path) -> None:
    lines = [f"it is {number}" for number in range(10, 50)]
    for side in ("en", "de"):
        write_lines(folder / f"train.{side}", [*lines, *read_lines(folder / f"train.{side}")])
    cleaning = "data.cleaning.identical=false"
    plain = load_corpora(toy_recipe(folder, cleaning))
    one, other = (
        load_corpora(toy_recipe(folder, cleaning, "tokenizer.placeholders=2", share))
        for share in ("tokenizer.placeholder_share=0.5", "tokenizer.placeholder_share=1.0")
    )
    known = symbols(2)

    def num_taught(pairs: Sequence[SentencePair]) -> int:
        found = [[one for one in known if one in pair.source] for pair in pairs]
        assert found == [[one for one in known if one in pair.target] for pair in pairs]
        return sum(map(bool, found))

    assert num_taught(plain.train) == 0
    assert 10 < num_taught(one.train) < 30
    assert num_taught(other.train) >= 40
    assert one.validation == plain.validation
    [tokenizer, _] = train_tokenizers(
        other.train, toy_recipe(folder, "tokenizer.placeholders=2", "tokenizer.vocab_size=33")
    )
    assert tokenizer.num_placeholders == 2


def test_reversed_data_swaps_the_sides_of_every_set(folder: Path) -> None:
    forward, backward = (
        load_corpora(toy_recipe(folder, f"data.reverse={reverse}")) for reverse in ("false", "true")
    )
    for name in ("train", "validation", "test"):
        swapped = [(pair.target, pair.source) for pair in getattr(backward, name)]
        assert swapped == [(pair.source, pair.target) for pair in getattr(forward, name)]


def test_only_the_training_set_is_cleaned(folder: Path) -> None:
    lines = ["1", "1 2 3 4 5 6 7 8 9", "", "2"]
    for name in ("train", "validation", "test"):
        write_lines(folder / f"{name}.en", lines)
        write_lines(folder / f"{name}.de", lines)
    cleaning = ("data.cleaning.max_characters=10", "data.cleaning.held_out=false")
    corpora = load_corpora(toy_recipe(folder, *cleaning))
    assert [pair.source for pair in corpora.train] == ["1", "2"]
    (report,) = (one.cleaning for one in corpora.training_sets)
    assert report == CleaningReport(
        num_pairs=4,
        num_kept=2,
        blank=1,
        too_long=1,
        median_length_ratio=1.0,
        first_lines={"blank": (3,), "too_long": (2,)},
    )
    assert [pair.source for pair in corpora.validation] == lines


def test_lines_are_numbered_as_in_the_file(folder: Path) -> None:
    (folder / "train.csv").write_text(
        'en,de\n1 2,2 1\n"3\n4",4 3\n,\n', encoding="utf-8", newline="\n"
    )
    recipe = toy_recipe(folder, f"data.train={{csv: '{folder}/train.csv', source: en, target: de}}")
    corpora = load_corpora(recipe)
    assert list(corpora.train) == [SentencePair("1 2", "2 1"), SentencePair("3 4", "4 3")]
    assert corpora.training_sets[0].cleaning.first_lines == {"blank": (5,)}


def leak(folder: Path, *, num_validation: int, num_test: int) -> None:
    """Put the first pairs of the validation and the test set into the training set too."""
    for side in ("en", "de"):
        lines = read_lines(folder / f"train.{side}")
        validation = read_lines(folder / f"validation.{side}")[:num_validation]
        test = read_lines(folder / f"test.{side}")[:num_test]
        write_lines(folder / f"train.{side}", [*test, *lines, *validation, *test])


def test_pairs_held_out_are_not_trained_on(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole = list(load_corpora(toy_recipe(folder)).train)
    assert caplog.messages == []
    leak(folder, num_validation=1, num_test=2)
    corpora = load_corpora(toy_recipe(folder))
    assert list(corpora.train) == whole
    assert corpora.training_sets[0].cleaning.held_out == 5
    assert corpora.training_sets[0].cleaning.first_lines == {"held_out": (1, 2, 27, 28, 29)}
    assert caplog.messages == [
        "warning: 1 of the 6 validation pairs also stand in the training set; "
        "these are left out of training",
        "warning: 2 of the 4 test pairs also stand in the training set; "
        "these are left out of training",
    ]


def test_pairs_held_out_may_be_trained_on_but_not_in_silence(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    leak(folder, num_validation=0, num_test=4)
    recipe = toy_recipe(folder, "data.cleaning.held_out=false", "data.cleaning.deduplicate=false")
    assert len(load_corpora(recipe).train) == 24 + 8
    assert caplog.messages == [
        "warning: 4 of the 4 test pairs also stand in the training set; they are trained on, "
        "since data.cleaning.held_out is false, and scores on them say little of other text"
    ]


def test_swapped_sides_are_told_of_with_their_line(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sources = [f"a dog runs {number}" for number in range(40)]
    targets = [f"ein Hund läuft {number}" for number in range(40)]
    for name in ("validation", "test"):
        write_lines(folder / f"{name}.en", sources)
        write_lines(folder / f"{name}.de", targets)
    rows = [f"{source}!\t{target}!" for source, target in zip(sources, targets, strict=True)]
    rows += [f"{target}?\t{source}?" for source, target in zip(sources, targets, strict=True)]
    write_lines(folder / "train.tsv", ["en\tde", *rows])
    recipe = toy_recipe(folder, f"data.train={{tsv: '{folder}/train.tsv', source: en, target: de}}")
    assert len(load_corpora(recipe).train) == 80
    assert caplog.messages == [
        "warning: 40 of 80 training pairs, from line 42 on, look as if source and target were "
        "swapped, compared with the validation set; see that each side is of one language"
    ]


def test_equal_data_has_equal_fingerprints() -> None:
    first = corpora_of(PAIRS, PAIRS[:2]).fingerprints()
    assert first == corpora_of(PAIRS, PAIRS[:2]).fingerprints()
    for changed in (PAIRS[::-1], PAIRS[:-1], [*PAIRS[:-1], SentencePair("", "3")]):
        other = corpora_of(changed, PAIRS[:2]).fingerprints()
        assert other["train"] != first["train"]
        assert other["validation"] == first["validation"]


def tokenizers_of(*overrides: str) -> tuple[Tokenizer, Tokenizer]:
    pairs = [SentencePair("a b c a b", "x y z x y")] * 3
    recipe: Recipe = toy_recipe(Path(), "model.tied_embeddings=output", *overrides)
    return train_tokenizers(pairs, recipe)


def test_a_joint_tokenizer_is_one_that_knows_both_languages() -> None:
    source, target = tokenizers_of("tokenizer.vocab_size=17")
    assert source is target
    assert source.unk_id not in source.encode("a b c x y z")


def test_two_tokenizers_know_a_language_each() -> None:
    source, target = tokenizers_of("tokenizer.joint=false", "tokenizer.vocab_size=11")
    assert source.unk_id not in source.encode("a b c")
    assert target.unk_id not in target.encode("x y z")
    assert source.unk_id in source.encode("x y z")
    assert target.unk_id in target.encode("a b c")


@pytest.mark.parametrize(("limit", "joint", "expected"), [(10, True, 5), (10, False, 10)])
def test_a_tokenizer_is_trained_on_so_many_sentences_from_everywhere(
    limit: int,
    joint: bool,
    expected: int,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    heard: list[list[str]] = []

    def hear(lines: Iterable[str], recipe: object, *, seed: int) -> Tokenizer:
        heard.append(list(lines))
        return Tokenizer.__new__(Tokenizer)

    monkeypatch.setattr(Tokenizer, "train", hear)
    pairs = [SentencePair(f"s{number}", f"t{number}") for number in range(100)]

    def sample(seed: int) -> list[list[str]]:
        heard.clear()
        settings = (f"tokenizer.sample_sentences={limit}", f"tokenizer.joint={joint}".lower())
        ties = "model.tied_embeddings=output"
        train_tokenizers(pairs, toy_recipe(Path(), *settings, ties, f"training.seed={seed}"))
        return list(heard)

    with caplog.at_level("INFO"):
        lines = sample(1)
    assert f"training the tokenizer on {expected} of 100 pairs" in caplog.messages
    assert sample(1) == lines
    assert sample(2) != lines
    assert sum(map(len, lines)) == (limit if joint else 2 * limit)
    places = [int(line[1:]) for line in lines[0] if line.startswith("s")]
    assert [place * expected // 100 for place in places] == list(range(expected))


def test_a_tokenizer_may_be_trained_on_every_sentence(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        some, _ = tokenizers_of("tokenizer.vocab_size=17")
        every, _ = tokenizers_of("tokenizer.vocab_size=17", "tokenizer.sample_sentences=null")
    assert some.model == every.model
    assert caplog.messages == []


def test_a_vocabulary_too_large_for_the_text_is_refused() -> None:
    message = r"^tokenizer\.vocab_size must be <= \d+ for this text, got 999; lower it"
    with pytest.raises(TokenizerError, match=message):
        tokenizers_of("tokenizer.vocab_size=999")


def test_batches_hold_every_pair_with_text_once(tokenizer: Tokenizer) -> None:
    data = data_of(tokenizer, "training.max_sentences=3")
    batches = indices(list(data.train_dataloader()))
    assert data.num_batches == len(batches) == 2
    # the blank pair has no place; those before it keep theirs
    assert sorted(index for batch in batches for index in batch) == [0, 1, 2, 3]


@pytest.mark.parametrize(("max_length", "kept"), [(5, 4), (4, 3), (3, 2), (2, 1)])
def test_pairs_too_long_for_training_still_count_in_validation(
    max_length: int, kept: int, tokenizer: Tokenizer
) -> None:
    data = data_of(tokenizer, f"training.max_length={max_length}")
    assert sum(map(len, indices(list(data.train_dataloader())))) == kept
    assert data.num_too_long == len(PAIRS) - kept
    assert sum(map(len, indices(list(data.val_dataloader())))) == 4


def test_a_training_set_without_a_short_pair_is_refused(tokenizer: Tokenizer) -> None:
    message = r"^training set must have pairs of at most 1 tokens a side .*max_length\), got none$"
    with pytest.raises(DataError, match=message):
        data_of(tokenizer, "training.max_length=1")


def test_a_validation_set_without_text_is_refused(tokenizer: Tokenizer) -> None:
    recipe = toy_recipe(Path())
    message = r"^validation set must have pairs with text on both sides, got none$"
    with pytest.raises(DataError, match=message):
        TranslationData(corpora_of(PAIRS, PAIRS[-1:]), (tokenizer, tokenizer), recipe)


@pytest.mark.parametrize("limit", ["training.max_sentences=2", "training.max_tokens=8"])
def test_batches_heed_the_recipes_limit(limit: str, tokenizer: Tokenizer) -> None:
    overrides = [limit] if "sentences" in limit else ["training.max_sentences=null", limit]
    sizes = [batch.target_mask.shape for batch in data_of(tokenizer, *overrides).train_dataloader()]
    if "sentences" in limit:
        assert sorted(rows for rows, _ in sizes) == [2, 2]
    else:  # 3, 4, 5 and 6 places: 3 and 4 fit together
        assert sorted(rows for rows, _ in sizes) == [1, 1, 2]


def test_validation_comes_in_the_same_order_every_time(tokenizer: Tokenizer) -> None:
    data = data_of(tokenizer, "training.max_sentences=1")
    assert indices(list(data.val_dataloader())) == indices(list(data.val_dataloader()))


class AtEpoch:
    """As much of a trainer as the loaders ask."""

    def __init__(self, epoch: int) -> None:
        self.current_epoch = epoch


@pytest.mark.parametrize(("num_workers", "method"), [(0, None), (2, "spawn")])
def test_workers_are_not_forked(num_workers: int, method: str | None, tokenizer: Tokenizer) -> None:
    loader = data_of(tokenizer, f"training.num_workers={num_workers}").train_dataloader()
    context = loader.multiprocessing_context
    assert loader.num_workers == num_workers
    assert (context and context.get_start_method()) == method


def test_the_order_is_that_of_seed_and_epoch(tokenizer: Tokenizer) -> None:
    def order(epoch: int, seed: int) -> list[list[int]]:
        pairs = [SentencePair(f"{number} {number}", "1 2") for number in range(10)]
        data = data_of(tokenizer, f"training.seed={seed}", "training.max_sentences=2", train=pairs)
        data.trainer = AtEpoch(epoch)  # type: ignore[assignment]
        return indices(list(data.train_dataloader()))

    assert order(0, seed=1) == order(0, seed=1)
    assert order(0, seed=1) != order(1, seed=1)
    assert order(0, seed=1) != order(0, seed=2)


def test_batches_have_bos_in_front_and_eos_behind(tokenizer: Tokenizer) -> None:
    (batch,) = data_of(tokenizer, train=PAIRS[:1]).train_dataloader()
    source, target = tokenizer.encode("1 2 3"), tokenizer.encode("3 2 1")
    assert batch.source_ids.tolist() == [[*source, tokenizer.eos_id]]
    assert batch.target_input_ids.tolist() == [[tokenizer.bos_id, *target]]
    assert batch.target_output_ids.tolist() == [[*target, tokenizer.eos_id]]
    assert torch.equal(batch.source_lengths, torch.tensor([4]))


def words_of(tokenizer: Tokenizer, text: str) -> list[int]:
    """The number of each piece's word, counted by what starts words."""
    starts = [piece.startswith("\u2581") for piece in tokenizer.pieces(tokenizer.encode(text))]
    return [sum(starts[: place + 1]) - 1 for place in range(len(starts))]


def test_the_links_of_words_become_those_of_their_pieces() -> None:
    """A piece a character here, and one for the space before it where a word starts."""
    recipe = toy_recipe(Path(), "tokenizer.vocab_size=16").tokenizer
    spelling = Tokenizer.train(
        ["ab ba", "abc cab"] * 3, recipe.model_copy(update={"vocab_size": 8})
    )
    pairs = [
        SentencePair("ab c", "c ba", ((0, 1), (1, 0))),
        SentencePair("a", "b", ()),
        SentencePair("a", "b c", ((0, 1),)),
    ]
    data = data_of(spelling, "training.max_sentences=3", train=pairs)
    (batch,) = data.train_dataloader()
    assert batch.alignment is not None
    row = batch.indices.tolist().index(0)
    source_words, target_words = (words_of(spelling, text) for text in ("ab c", "c ba"))
    linked = {
        (target, source)
        for target, target_word in enumerate(target_words)
        for source, source_word in enumerate(source_words)
        if (source_word, target_word) in {(0, 1), (1, 0)}
    }
    assert {tuple(place) for place in batch.alignment[row].nonzero().tolist()} == linked
    assert not batch.alignment[batch.indices.tolist().index(1)].any()


def test_a_corpus_without_links_has_no_alignment(tokenizer: Tokenizer) -> None:
    for batch in data_of(tokenizer).train_dataloader():
        assert batch.alignment is None


def test_links_between_words_that_the_tokenizer_does_not_see_are_left_out(
    tokenizer: Tokenizer,
) -> None:
    """White space as Python sees it, U+001C among it, is none to SentencePiece."""
    pairs = [SentencePair("1\x1c2 3", "3 2 1", ((2, 0),)), SentencePair("1 2", "2 1", ((0, 1),))]
    data = data_of(tokenizer, "training.max_sentences=2", train=pairs)
    (batch,) = data.train_dataloader()
    assert batch.alignment is not None
    counts = dict(
        zip(batch.indices.tolist(), batch.alignment.sum(dim=(1, 2)).tolist(), strict=True)
    )
    assert len(pairs[0].source.split()) == 3
    assert counts[0] == 0
    assert counts[1] > 0


# Where an epoch begins


def test_an_epoch_begins_behind_the_batches_that_were_consumed(tokenizer: Tokenizer) -> None:
    pairs = [SentencePair(f"{number} {number}", "1 2") for number in range(10)]
    data = data_of(tokenizer, "training.max_sentences=2", train=pairs)

    def order(epoch: int) -> list[list[int]]:
        data.trainer = AtEpoch(epoch)  # type: ignore[assignment]
        loader = data.train_dataloader()
        # a trainer that goes on counts the whole epoch
        assert len(loader) == data.num_batches == 5
        return indices(list(loader))

    unbroken = [order(epoch) for epoch in range(3)]
    for batch in (3, 5):
        data.position.batch = batch
        assert order(1) == unbroken[1][batch:]
    data.position.batch = 0
    assert [order(epoch) for epoch in range(3)] == unbroken


# Sampling


def test_tokens_are_drawn_anew_in_every_epoch_where_the_recipe_says_so(folder: Path) -> None:
    def sources(*overrides: str, epoch: int) -> list[list[list[int]]]:
        recipe = toy_recipe(folder, "tokenizer.model_type=unigram", *overrides)
        corpora = load_corpora(recipe)
        data = TranslationData(corpora, prepare_tokenizers(corpora, recipe), recipe)
        data.trainer = AtEpoch(epoch)  # type: ignore[assignment]
        return [batch.source_ids.tolist() for batch in data.train_dataloader()]

    vocabulary = "tokenizer.vocab_size=20"
    alpha = "tokenizer.sampling_alpha=0.1"

    def num_tokens(batches: list[list[list[int]]]) -> int:
        return sum(token_id != 0 for batch in batches for row in batch for token_id in row)

    plain = [num_tokens(sources(vocabulary, epoch=epoch)) for epoch in (0, 1)]
    sampled = [num_tokens(sources(vocabulary, alpha, epoch=epoch)) for epoch in (0, 1, 2)]
    assert len(set(plain)) == 1
    assert min(sampled) > plain[0]
    assert len(set(sampled)) > 1
    first, again = (sources(vocabulary, alpha, epoch=1) for _ in range(2))
    assert first == again


# Tokenizers are trained once


def test_a_tokenizer_is_trained_once_for_its_data_and_settings(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[int] = []
    true_train = Tokenizer.train

    def train(lines: Iterable[str], recipe: TokenizerRecipe, *, seed: int) -> Tokenizer:
        trained.append(seed)
        return true_train(lines, recipe, seed=seed)

    monkeypatch.setattr(Tokenizer, "train", train)
    cache = f"data.cache_dir={folder}/cache"

    def prepare(*overrides: str) -> tuple[int, tuple[Tokenizer, Tokenizer]]:
        recipe = toy_recipe(folder, cache, *overrides)
        tokenizers = prepare_tokenizers(load_corpora(recipe), recipe)
        return len(trained), tokenizers

    count, (source, target) = prepare()
    assert (count, source is target) == (1, True)
    assert prepare()[1][0].model == source.model
    same = ("training.max_epochs=9", "tokenizer.sampling_alpha=0.1", "data.test=null")
    assert prepare(*same)[0] <= 2  # without a test set the pairs may be others
    count = len(trained)
    assert prepare("training.max_epochs=9", "tokenizer.sampling_alpha=0.1")[0] == count
    assert prepare("training.seed=2")[0] == count + 1
    assert prepare("tokenizer.vocab_size=24")[0] == count + 2
    two = ("tokenizer.joint=false", "model.tied_embeddings=output", "tokenizer.vocab_size=15")
    count, (source, target) = prepare(*two)
    assert source is not target
    assert prepare(*two)[0] == count
    write_lines(folder / "train.en", ["9 9 9", *read_lines(folder / "train.en")[1:]])
    assert prepare()[0] == count + 1


# Several sets, several languages


def listed(folder: Path, *overrides: str) -> Recipe:
    """English to German, twice, and German to English; half of the pairs stand in both."""
    sets = [
        f"{{source: '{folder}/train.en', target: '{folder}/train.de', weight: 2}}",
        f"{{source: '{folder}/train.de', target: '{folder}/train.en', "
        "source_lang: de, target_lang: en}",
    ]
    settings = [f"data.train=[{', '.join(sets)}]", "data.language_tags=true"]
    return toy_recipe(folder, *settings, "tokenizer.vocab_size=27", *overrides)


def test_sets_of_a_list_are_cleaned_and_told_of_one_by_one(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A pair that is held out is held out in either direction."""
    leak(folder, num_validation=1, num_test=0)
    corpora = load_corpora(listed(folder))
    assert [one.name for one in corpora.training_sets] == ["train.0", "train.1"]
    assert [len(one.pairs) for one in corpora.training_sets] == [24, 24]
    assert len(corpora.train) == 48
    assert corpora.describe_cleaning() == [
        f"data.train.{number}: kept 24 of 25 sentence pairs (dropped: held_out 1 from line 25)"
        for number in (0, 1)
    ]
    assert caplog.messages == [
        f"data.train.{number}: warning: 1 of the 6 validation pairs also stand in the training "
        "set; these are left out of training"
        for number in (0, 1)
    ]
    record = json.loads(corpora.cleaning_json())
    assert [one["num_kept"] for one in record["sets"].values()] == [24, 24]
    assert json.loads(load_corpora(toy_recipe(folder)).cleaning_json())["num_kept"] == 24


def test_each_source_begins_with_the_language_wanted_and_weights_are_heeded(folder: Path) -> None:
    recipe = listed(folder)
    corpora = load_corpora(recipe)
    tokenizers = prepare_tokenizers(corpora, recipe)
    data = TranslationData(corpora, tokenizers, recipe)
    tags = [tokenizers[0].id_of(tag) for tag in ("<2de>", "<2en>")]
    assert None not in tags
    batches = list(data.train_dataloader())
    assert data.num_batches == len(batches)
    found = [row[0] for batch in batches for row in batch.source_ids.tolist()]
    assert [found.count(tag) for tag in tags] == [48, 24]
    for batch in data.val_dataloader():
        assert set(batch.source_ids[:, 0].tolist()) == {tags[0]}


def test_a_set_of_a_list_that_cleaning_empties_is_named(folder: Path) -> None:
    blank = folder / "blank.tsv"
    write_lines(blank, ["a\tb", "\t"] * 3)
    sets = f"[{{tsv: '{folder}/blank.tsv'}}, {{tsv: '{folder}/none.tsv'}}]"
    write_lines(folder / "none.tsv", ["a\t", "\tb"])
    message = (
        r"^data\.train\.1 \(.*none\.tsv\): must have sentence pairs left, kept 0 of 2 sentence "
        r"pairs \(dropped: blank 2 from line 1\); see the blank lines, or take it out of the list$"
    )
    with pytest.raises(DataError, match=message):
        load_corpora(toy_recipe(folder, f"data.train={sets}"))


def test_the_sets_of_a_list_must_have_enough_pairs_together(folder: Path) -> None:
    assert len(load_corpora(listed(folder, "data.cleaning.min_pairs=48")).train) == 48
    message = r"^training sets must have at least 49 sentence pairs left together, got 48; add"
    with pytest.raises(DataError, match=message):
        load_corpora(listed(folder, "data.cleaning.min_pairs=49"))


def test_a_set_of_a_list_without_a_short_pair_is_named(folder: Path) -> None:
    write_lines(folder / "long.tsv", ["1 2 3 4 5 6 7 8 9\t9 8 7 6 5 4 3 2 1"])
    train = f"{{source: '{folder}/train.en', target: '{folder}/train.de'}}"
    recipe = toy_recipe(folder, f"data.train=[{train}, {{tsv: '{folder}/long.tsv'}}]")
    recipe = recipe.model_copy(
        update={"training": recipe.training.model_copy(update={"max_length": 8})}
    )
    corpora = load_corpora(recipe)
    with pytest.raises(
        DataError, match=r"^data\.train\.1: training set must have pairs of at most 8"
    ):
        TranslationData(corpora, prepare_tokenizers(corpora, recipe), recipe)
