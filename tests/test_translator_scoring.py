"""Given translations and what a model makes of them."""

import math
from pathlib import Path

import pytest
from tiny_run import SOURCES, TARGETS, write_run

from nmt.run_folder import RunFolder
from nmt.translator import Scorer, Translator
from nmt.translator.loading import load


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("runs") / "run").path


def test_a_translation_of_the_search_scores_as_the_search_said(trained_run: RunFolder) -> None:
    loaded = load(trained_run.path)
    decoding = loaded.recipe.decoding.model_copy(
        update={"coverage_penalty": 0.5, "normalization": "plain", "length_penalty": 0.7}
    )
    translator = Translator.load(trained_run.path, decoding=decoding, num_hypotheses=2)
    lines = ["1 2 3", "", "4 5 6 7", "9 8 0 1 2", "5 5 5"]
    pairs = [
        (line, one)
        for line, translation in zip(lines, translator.translate_detailed(lines), strict=True)
        for one in translation.hypotheses
        # the same text may be cut in other tokens
        if [part.hypothesis.token_ids for part in one.parts]
        in ([], [tuple(loaded.tokenizers[1].encode(one.text))])
    ]
    assert len(pairs) > 5
    scored = list(Scorer(loaded, decoding).score((line, one.text) for line, one in pairs))
    for (_, found), given in zip(pairs, scored, strict=True):
        assert given.text == found.text
        assert given.log_prob == pytest.approx(found.log_prob, abs=1e-4)
        assert given.score == pytest.approx(found.score, abs=1e-4)
        assert given.token_log_probs == pytest.approx(found.token_log_probs, abs=1e-4)
        assert given.pieces == found.pieces
        assert given.alignment.words == found.alignment.words


def test_pairs_come_back_in_their_order_in_any_company(run: Path) -> None:
    pairs = list(zip(SOURCES, TARGETS, strict=True)) * 8
    together = list(Scorer.load(run).score(pairs))
    alone = list(Scorer.load(run, batch_size=1).score(pairs))
    assert [one.text for one in together] == [target for _, target in pairs]
    assert [one.log_prob for one in together] == pytest.approx([one.log_prob for one in alone])
    assert len({one.log_prob for one in together[:5]}) == 5


def test_a_batch_must_hold_a_pair(run: Path) -> None:
    with pytest.raises(ValueError, match=r"^batch_size must be >= 1, got 0$"):
        Scorer.load(run, batch_size=0)


def test_blank_sides_are_scored_and_two_of_them_are_nothing(run: Path) -> None:
    both, no_source, no_target = Scorer.load(run).score([("", " "), ("", "a"), ("nein", "")])
    assert (both.log_prob, both.score, both.token_log_probs) == (0.0, 0.0, ())
    assert len(no_source.token_log_probs) > 1
    assert len(no_target.token_log_probs) == 1
    assert no_source.log_prob < 0
    assert no_target.log_prob < 0


def test_log_probabilities_sum_up_and_an_ensemble_scores_too(run: Path, tmp_path: Path) -> None:
    other = write_run(tmp_path / "other", "training.seed=9").path
    pair = [("ein Hund", "a dog")]
    [one], [two] = (list(Scorer.load(path).score(pair)) for path in (run, other))
    [both] = Scorer.load([run, other]).score(pair)
    for scored in (one, two, both):
        assert math.fsum(scored.token_log_probs) == pytest.approx(scored.log_prob)
    means = [
        math.log((math.exp(a) + math.exp(b)) / 2)
        for a, b in zip(one.token_log_probs, two.token_log_probs, strict=True)
    ]
    assert both.token_log_probs == pytest.approx(means, abs=1e-5)


def test_long_lines_are_scored_whole(run: Path) -> None:
    line = " ".join(SOURCES * 40)
    [scored] = Scorer.load(run).score([(line, line)])
    assert len(scored.parts) == 1
    assert len(scored.token_log_probs) > 200
