"""What a confidence is learned from, and what it then says."""

from pathlib import Path

import pytest
from sacrebleu import sentence_chrf
from tiny_run import SOURCES, write_run

from nmt.corpus import SentencePair
from nmt.translator import FEWEST_PAIRS, Translator, learn_confidence, sentence_qualities


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("runs") / "run", "decoding.max_source_length=30").path


def pairs_of(run: Path, count: int) -> list[SentencePair]:
    """Every second one translated as the model does, and every other as it never would."""
    words = [word for line in SOURCES for word in line.split()]
    lines = [
        " ".join(words[place % 7 : place % 7 + 1 + place % 3]) or "nein" for place in range(count)
    ]
    translations = Translator.load(run).translate(lines)
    return [
        SentencePair(line, text if place % 2 else "qqqq")
        for place, (line, text) in enumerate(zip(lines, translations, strict=True))
    ]


def test_qualities_are_those_of_sacrebleu() -> None:
    hypotheses, references = ["a cat", "a dog runs", ""], ["a cat", "the dog ran", "no"]
    assert sentence_qualities(hypotheses, references).tolist() == [
        sentence_chrf(hypothesis, [reference]).score / 100
        for hypothesis, reference in zip(hypotheses, references, strict=True)
    ]


def test_what_is_learned_tells_the_mean_quality(run: Path) -> None:
    pairs = pairs_of(run, 40)
    learned = learn_confidence(Translator.load(run), [*pairs, SentencePair("", "")])
    assert learned is not None
    assert learned.num_pairs == 40
    assert 0 <= learned.error < 0.5
    parts = [
        one.hypotheses[0].parts[0]
        for one in Translator.load(run).translate_detailed([pair.source for pair in pairs])
    ]
    told = [learned.model.confidence(part.hypothesis, len(part.source_ids) + 1) for part in parts]
    # half of the references are what the translator says
    assert sum(told) / len(told) == pytest.approx(0.5, abs=0.02)


def test_lines_in_parts_and_blank_ones_do_not_count(run: Path) -> None:
    few = pairs_of(run, FEWEST_PAIRS - 1)
    long = SentencePair(" ".join(SOURCES * 3), "a")
    translator = Translator.load(run)
    assert learn_confidence(translator, [*few, long, SentencePair("", "")]) is None
    assert learn_confidence(translator, [*few, few[0]]) is not None
