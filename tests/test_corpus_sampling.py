"""Subword sampling: another cut each time, and the same one for the same seed, epoch and batch."""

import math
import pickle
from collections import Counter
from itertools import islice
from typing import Any

import pytest
from torch.utils.data import DataLoader

from nmt.batching import BatchDataset, LengthBuckets, NumberedBatches, SampledBatches
from nmt.corpus import PairSampler, SentencePair
from nmt.corpus.joined import JoinedPairs
from nmt.corpus.sampling import BpeCutter, UnigramCutter, uniform_numbers
from nmt.corpus.tokens import link_pieces
from nmt.recipe import TokenizerRecipe
from nmt.tokenizer import Tokenizer

WORDS = ["unbelievable", "translation", "corporation", "believer", "relation", "able", "core"]
PAIRS = [
    SentencePair(f"{WORDS[number % 7]} {WORDS[number % 5]}", f"{WORDS[number % 3]} {number % 10}")
    for number in range(60)
]
LINKED = [SentencePair("unbelievable core", "able translation", ((0, 1), (1, 0)))] * 4


def recipe_of(model_type: str) -> TokenizerRecipe:
    return TokenizerRecipe.model_validate(
        {
            "vocab_size": 38,
            "model_type": model_type,
            "byte_fallback": False,
            "user_defined_symbols": ("<2x>",),
            "sampling_alpha": 0.3 if model_type == "bpe" else 0.01,
        }
    )


def train(model_type: str) -> Tokenizer:
    lines = [pair.source for pair in PAIRS] + [pair.target for pair in PAIRS]
    return Tokenizer.train(lines, recipe_of(model_type))


@pytest.fixture(scope="module", params=["unigram", "bpe"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def tokenizer(kind: str) -> Tokenizer:
    return train(kind)


def dataset_of(tokenizer: Tokenizer, pairs: list[SentencePair] = PAIRS) -> BatchDataset:
    """The pairs as they are usually cut, a tag before every source."""
    tag = tokenizer.id_of("<2x>")
    assert tag is not None
    sources = [[tag, *tokenizer.encode(pair.source)] for pair in pairs]
    targets = [tokenizer.encode(pair.target) for pair in pairs]
    links = None
    if pairs[0].links is not None:
        links = [
            link_pieces(pair, source[1:], target, (tokenizer, tokenizer), num_tags=1)
            for pair, source, target in zip(pairs, sources, targets, strict=True)
        ]
    return BatchDataset(sources, targets, links=links, pad_id=0, bos_id=2, eos_id=3)


def sampler_of(tokenizer: Tokenizer, kind: str, dataset: BatchDataset) -> PairSampler:
    both = (tokenizer, tokenizer)
    return PairSampler(dataset.source, dataset.target, dataset.links, both, recipe_of(kind))


def test_the_same_text_is_cut_otherwise_in_every_batch_and_epoch(
    tokenizer: Tokenizer, kind: str
) -> None:
    sampler = sampler_of(tokenizer, kind, dataset_of(tokenizer))
    indices = list(range(len(PAIRS)))
    keys = [(1, 0, 0), (1, 0, 1), (1, 1, 0), (2, 0, 0)]
    drawn = {key: sampler.sample(indices, key) for key in keys}
    for side in (0, 1):
        assert len({str(of_key[side]) for of_key in drawn.values()}) == 4
    for sources, targets, links in drawn.values():
        assert links is None
        assert {source[0] for source in sources} == {tokenizer.id_of("<2x>")}
        assert [tokenizer.decode(source[1:]) for source in sources] == [p.source for p in PAIRS]
        assert [tokenizer.decode(target) for target in targets] == [p.target for p in PAIRS]
    assert sampler.sample(indices, (1, 0, 1)) == drawn[1, 0, 1]
    # whatever was drawn before
    fresh = sampler_of(tokenizer, kind, dataset_of(tokenizer))
    assert fresh.sample(indices, (1, 1, 0)) == drawn[1, 1, 0]


def test_draws_do_not_depend_on_what_is_kept(
    tokenizer: Tokenizer, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    indices = list(range(len(PAIRS)))
    expected = sampler_of(tokenizer, kind, dataset_of(tokenizer)).sample(indices, (1, 0, 0))
    monkeypatch.setattr("nmt.corpus.sampling._MAX_KEPT", 2)
    assert sampler_of(tokenizer, kind, dataset_of(tokenizer)).sample(indices, (1, 0, 0)) == expected


def cuts(pieces: dict[str, int], text: str) -> list[tuple[int, ...]]:
    """All ways to cut a text, tried one by one."""
    if not text:
        return [()]
    return [
        (pieces[text[:end]], *rest)
        for end in range(1, len(text) + 1)
        if text[:end] in pieces
        for rest in cuts(pieces, text[end:])
    ]


LETTERS = {"a": 0, "b": 1, "c": 2, "ab": 3, "bc": 4, "abc": 5}
SCORES = [-3.0, -2.5, -2.0, -4.0, -1.5, -6.0]


def draw(
    cutter: UnigramCutter | BpeCutter, text: str, number: int = 20_000
) -> Counter[tuple[int, ...]]:
    """How often which cut comes."""
    prepared: Any = cutter.prepare(text)
    uniforms = uniform_numbers(b"test")
    return Counter(tuple(cutter.draw(prepared, uniforms)) for _ in range(number))


def test_numbers_are_spread_evenly_and_depend_on_the_key_alone() -> None:
    first = list(islice(uniform_numbers(b"1"), 40_000))
    counts = Counter(int(number * 10) for number in first)
    assert counts.keys() == set(range(10))
    assert all(3_800 < count < 4_200 for count in counts.values())
    assert list(islice(uniform_numbers(b"1"), 100)) == first[:100]
    assert list(islice(uniform_numbers(b"2"), 100)) != first[:100]
    # of one process and for all
    assert first[0] == pytest.approx(0.3576648896560073)


@pytest.mark.parametrize("alpha", [0.1, 1.0])
def test_unigram_cuts_come_as_often_as_their_probability_says(alpha: float) -> None:
    """Kudo 2018: each cut's probability to the power of alpha, over the sum of all of them."""
    weights = {
        one: math.exp(alpha * sum(SCORES[piece_id] for piece_id in one))
        for one in cuts(LETTERS, "abcab")
    }
    assert len(weights) == 8
    counts = draw(UnigramCutter(LETTERS, SCORES, alpha), "abcab")
    assert counts.keys() <= weights.keys()
    for one, weight in weights.items():
        assert counts[one] / 20_000 == pytest.approx(weight / sum(weights.values()), abs=0.012)
    assert draw(UnigramCutter(LETTERS, SCORES, alpha), "abx", 1) == {(): 1}


def test_long_text_is_cut_without_running_out_of_numbers() -> None:
    (drawn,) = draw(UnigramCutter(LETTERS, [-300.0] * 6, 1.0), "abc" * 50, 1)
    assert 50 <= len(drawn) <= 150


def test_bpe_dropout_leaves_merges_out() -> None:
    scores = [-9.0, -9.0, -9.0, -2.0, -1.0, -3.0]  # bc is merged first, then a and bc
    assert draw(BpeCutter(LETTERS, scores, 0.0), "abcab", 1) == {(5, 3): 1}
    counts = draw(BpeCutter(LETTERS, scores, 0.3), "ab")
    assert counts[0, 1] / 20_000 == pytest.approx(0.3, abs=0.012)
    counts = draw(BpeCutter(LETTERS, scores, 0.3), "abc")
    # neither; bc and no more; not bc but ab, and no more; either and then all of it
    assert counts[0, 1, 2] / 20_000 == pytest.approx(0.3 * 0.3, abs=0.01)
    assert counts[0, 4] / 20_000 == pytest.approx(0.7 * 0.3, abs=0.012)
    assert counts[3, 2] / 20_000 == pytest.approx(0.3 * 0.7 * 0.3, abs=0.01)
    assert counts[5,] / 20_000 == pytest.approx((0.7 + 0.3 * 0.7) * 0.7, abs=0.012)
    assert draw(BpeCutter(LETTERS, scores, 0.3), "abx", 1) == {(): 1}


def test_without_dropout_words_are_cut_as_sentencepiece_cuts_them() -> None:
    tokenizer = train("bpe")
    pieces = {piece: place for place, piece in enumerate(tokenizer.pieces(range(38))) if place > 4}
    cut = BpeCutter(pieces, tokenizer.scores, 0.0)
    for word in WORDS:
        assert draw(cut, f"\u2581{word}", 1) == {tuple(tokenizer.encode(word)): 1}


def test_special_pieces_bytes_and_symbols_stay_as_they_are(kind: str) -> None:
    recipe = recipe_of(kind).model_copy(update={"byte_fallback": True, "vocab_size": 283})
    tokenizer = Tokenizer.train([pair.source for pair in PAIRS], recipe)
    text = "translation<2x>believer \u4e2d\u4e2dcorporation"
    ids = tokenizer.encode(text)
    fixed = [piece_id for piece_id in ids if not tokenizer.are_text[piece_id]]
    assert len(fixed) == 6
    dataset = BatchDataset([ids], [ids], pad_id=0, bos_id=2, eos_id=3)
    both = (tokenizer, tokenizer)
    sampler = PairSampler(dataset.source, dataset.target, None, both, recipe)
    drawn = [sampler.sample([0], (1, 0, number))[0][0] for number in range(20)]
    assert len(set(map(str, drawn))) > 1
    for one in drawn:
        assert tokenizer.decode(one) == tokenizer.decode(ids)
        assert [piece_id for piece_id in one if not tokenizer.are_text[piece_id]] == fixed
        assert tokenizer.pieces(one).count("<2x>") == 1


def test_links_are_those_of_the_pieces_that_were_drawn(tokenizer: Tokenizer, kind: str) -> None:
    sampler = sampler_of(tokenizer, kind, dataset_of(tokenizer, LINKED))
    sources, targets, links = sampler.sample([0, 3], (1, 0, 3))
    assert links is not None
    for source, target, places in zip(sources, targets, links, strict=True):
        source_words = [-1, *tokenizer.word_numbers(source[1:])]
        target_words = tokenizer.word_numbers(target)
        assert set(zip(places[::2], places[1::2], strict=True)) == {
            (i, j)
            for i, source_word in enumerate(source_words)
            for j, target_word in enumerate(target_words)
            if (source_word, target_word) in {(0, 1), (1, 0)}
        }


@pytest.mark.parametrize("start", [0, 5])
def test_workers_draw_what_one_process_draws(start: int, tokenizer: Tokenizer, kind: str) -> None:
    dataset = dataset_of(tokenizer)
    sampled = SampledBatches(dataset, sampler_of(tokenizer, kind, dataset))
    buckets = LengthBuckets(dataset, max_sentences=8, seed=3, epoch=1, start=start)

    def batches(num_workers: int) -> list[list[list[int]]]:
        loader = DataLoader(
            sampled,
            sampler=NumberedBatches(buckets),
            batch_size=None,
            num_workers=num_workers,
            multiprocessing_context="spawn" if num_workers else None,
        )
        return [batch.source_ids.tolist() for batch in loader]

    alone = batches(0)
    whole = LengthBuckets(dataset, max_sentences=8, seed=3, epoch=1)
    unbroken = [sampled[numbered].source_ids.tolist() for numbered in NumberedBatches(whole)]
    assert alone == unbroken[start:]
    if start:
        assert batches(2) == alone


def test_joined_corpora_are_read_as_one() -> None:
    joined = JoinedPairs([PAIRS[:2], PAIRS[2:7]])
    assert len(joined) == 7
    assert list(joined) == PAIRS[:7]
    assert [joined[0], joined[1], joined[2], joined[-1]] == [*PAIRS[:3], PAIRS[6]]
    assert joined[1:4] == PAIRS[1:4]
    with pytest.raises(IndexError):
        joined[7]


def test_a_tokenizer_goes_to_another_process(tokenizer: Tokenizer) -> None:
    copy = pickle.loads(pickle.dumps(tokenizer))  # noqa: S301 - it was made in this line
    assert copy.model == tokenizer.model
    assert copy.encode("able core") == tokenizer.encode("able core")
