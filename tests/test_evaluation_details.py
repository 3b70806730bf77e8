import numpy as np
import pytest
import torch
from tiny_run import SOURCES, write_run

from nmt.evaluation import detail_of
from nmt.evaluation.coverage import coverage_of, uncovered_words
from nmt.evaluation.details import Detail, WordAttention
from nmt.search import Hypothesis
from nmt.tokenizer import Tokenizer
from nmt.translator import Translation, Translator
from nmt.translator.results import Background, TranslatedHypothesis, TranslatedPart


def translation_of(
    tokenizer: Tokenizer, source: str, target: str, attention: torch.Tensor
) -> Translation:
    """A translation whose attention is given, in pieces, the ends included."""
    source_ids, target_ids = tokenizer.encode_batch([source, target])
    hypothesis = Hypothesis(tuple(target_ids), -1.0, -1.0, attention)
    part = TranslatedPart(source_ids, hypothesis, Background(tokenizer, tokenizer, True))
    best = TranslatedHypothesis(target, -1.0, -0.5, (), (part,))
    return Translation(target, -0.5, (best,), num_parts=1)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return write_run(tmp_path_factory.mktemp("run") / "a").tokenizers[0]


def test_attention_to_pieces_becomes_attention_to_words(tokenizer: Tokenizer) -> None:
    source, target = "eine Katze", "a cat"
    source_ids, target_ids = tokenizer.encode_batch([source, target])
    sources, targets = tokenizer.word_numbers(source_ids), tokenizer.word_numbers(target_ids)
    attention = torch.zeros(len(target_ids) + 1, len(source_ids) + 1)
    attention[:, -1] = 0.25  # on the end
    for row, target_word in enumerate(targets):
        # the first word looks at the first, the second at both, equally
        places = [i for i, word in enumerate(sources) if target_word == 1 or word == 0]
        attention[row, places] = 0.75 / len(places)
    detail = detail_of(translation_of(tokenizer, source, target, attention))
    found = detail.attention
    assert found is not None
    assert (found.source_words, found.target_words) == (("eine", "Katze"), ("a", "cat"))
    first = sources.count(0) / len(sources)
    expected = [[0.75, 0], [0.75 * first, 0.75 * (1 - first)]]
    np.testing.assert_allclose(found.weights, expected, atol=1e-6)
    # what each piece of a word got from all pieces of the translation, without its end
    ones, twos = targets.count(0), targets.count(1)
    got = [0.75 * ones + 0.75 * twos * first, 0.75 * twos * (1 - first)]
    sizes = [sources.count(0), sources.count(1)]
    np.testing.assert_allclose(found.coverage, np.array(got) / sizes, atol=1e-6)
    assert detail.num_pieces == len(source_ids)
    assert detail.confidence is None
    assert [(one.text, one.score) for one in detail.alternatives] == [("a cat", -0.5)]


def test_blank_lines_have_no_attention(tmp_path_factory: pytest.TempPathFactory) -> None:
    run = write_run(tmp_path_factory.mktemp("run") / "a")
    details = [detail_of(one) for one in Translator.load(run.path).translate_detailed(SOURCES)]
    assert [detail.attention is None for detail in details] == [not source for source in SOURCES]
    assert details[2].num_pieces == 0
    for source, detail in zip(SOURCES, details, strict=True):
        if detail.attention is not None:
            assert list(detail.attention.source_words) == source.split()
            assert " ".join(detail.attention.target_words) == detail.alternatives[0].text


def covered(*pairs: tuple[str, float]) -> Detail:
    words, values = zip(*pairs, strict=True)
    weights = np.zeros((0, len(words)), dtype=np.float32)
    attention = WordAttention(words, (), weights, np.array(values, dtype=np.float32))
    return Detail(None, 1, (), attention)


def test_little_and_much_attention_are_counted() -> None:
    details = [
        covered(("The", 0.1), ("dog,", 1.25), (".", 0.0)),
        covered(("the", 0.19), ("cat", 4.0), ("the", 2.5)),
    ]
    coverage = coverage_of(details)
    assert coverage is not None
    assert (coverage.num_sentences, coverage.num_words) == (2, 5)
    assert (coverage.num_little, coverage.num_much) == (2, 1)
    assert [(one.word, one.count, one.total) for one in coverage.left_out] == [("the", 2, 3)]
    assert [(one.word, one.count, one.total) for one in coverage.repeated] == [("cat", 1, 1)]
    assert sum(one.count for one in coverage.ranges) == 5
    assert [one.count for one in coverage.ranges] == [2, 0, 0, 1, 0, 1, 1]
    assert details[0].attention is not None
    assert uncovered_words(details[0].attention) == ["The"]


def test_without_attention_nothing_is_told() -> None:
    assert coverage_of([Detail(None, 1, (), None)]) is None
