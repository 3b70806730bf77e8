"""One run folder or several that go together; and where to compute."""

from pathlib import Path

import pytest
import torch
from tiny_run import SOURCES, TARGETS, write_run

from nmt.confidence import FEATURES, ConfidenceModel, dump_confidence
from nmt.engine import EnsembleEngine, ModelEngine
from nmt.errors import CheckpointError, NMTError
from nmt.recipe import TokenizerRecipe
from nmt.run_folder import RunFolder
from nmt.tokenizer import Tokenizer
from nmt.translator import Translator, choose_device
from nmt.translator.loading import load

CONFIDENCE = ConfidenceModel(
    (0.0,) * len(FEATURES), (1.0,) * len(FEATURES), (1.0,) * len(FEATURES), 0.0
)


def write_other(path: Path, *overrides: str) -> RunFolder:
    return write_run(path, "training.seed=8", "model.decoder.hidden_size=12", *overrides)


def test_one_run_is_a_model_and_several_are_an_ensemble(tmp_path: Path) -> None:
    one, other = write_run(tmp_path / "a"), write_other(tmp_path / "b")
    assert isinstance(load(one.path).engine, ModelEngine)
    assert isinstance(load([one.path]).engine, ModelEngine)
    loaded = load([one.path, str(other.path)])
    assert isinstance(loaded.engine, EnsembleEngine)
    assert loaded.recipe == one.recipe


def test_the_way_to_average_changes_what_is_said(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / "a").path, write_other(tmp_path / "b").path]
    scores = {
        average: [
            one.score for one in Translator.load(runs, average=average).translate_detailed(SOURCES)
        ]
        for average in ("linear", "log")
    }
    assert scores["linear"] != scores["log"]
    alone = [one.score for one in Translator.load(runs[0]).translate_detailed(SOURCES)]
    assert alone not in scores.values()


def test_confidence_is_read_where_there_is_one_and_never_for_an_ensemble(tmp_path: Path) -> None:
    one, other = write_run(tmp_path / "a"), write_other(tmp_path / "b")
    assert load(one.path).confidence_model is None
    assert not Translator.load(one.path).has_confidence
    one.confidence_file.write_text(dump_confidence(CONFIDENCE), encoding="utf-8")
    assert load(one.path).confidence_model == CONFIDENCE
    [translation] = Translator.load(one.path).translate_detailed(["nein"])
    assert translation.confidence is not None
    assert load([one.path, other.path]).confidence_model is None


def test_no_run_is_a_wrong_call() -> None:
    with pytest.raises(ValueError, match="runs must hold at least one run folder, got none"):
        load([])


def retrained(folder: RunFolder, vocab_size: int, lines: list[str]) -> Tokenizer:
    """Put another tokenizer into a run folder."""
    tokenizer = Tokenizer.train(lines, TokenizerRecipe(vocab_size=vocab_size, byte_fallback=False))
    folder.target_tokenizer_file.write_bytes(tokenizer.model)
    return tokenizer


def test_an_ensemble_with_other_tokenizers_is_refused(tmp_path: Path) -> None:
    one, other = write_run(tmp_path / "a"), write_other(tmp_path / "b")
    lines = [*SOURCES, *TARGETS, "ein Hund ein Hund ein Hund"]
    tokenizer = retrained(other, 34, lines)
    known = Tokenizer.load(one.target_tokenizer_file)
    pieces = [tuple(t.pieces(range(34))) for t in (known, tokenizer)]
    first = next(place for place in range(34) if pieces[0][place] != pieces[1][place])
    with pytest.raises(CheckpointError) as caught:
        load([one.path, other.path])
    assert str(caught.value).startswith(
        f"{other.path}: target.model must be that of {one.path}, got {pieces[1][first]!r} for "
        f"{pieces[0][first]!r} at piece {first}; train all models of an ensemble "
    )


def test_a_smaller_tokenizer_is_named_by_its_end(tmp_path: Path) -> None:
    one, other = write_run(tmp_path / "a"), write_other(tmp_path / "b")
    longer = ["▁a", "▁b", "▁c"]

    class Few(Tokenizer):
        def __init__(self, pieces: list[str]) -> None:
            self.model = "".join(pieces).encode()
            self._pieces = pieces

        @property
        def vocab_size(self) -> int:
            return len(self._pieces)

        def pieces(self, token_ids: object) -> list[str]:
            return self._pieces

    one.__dict__["tokenizers"] = (Few(longer), Few(longer))
    other.__dict__["tokenizers"] = (Few(longer[:2]), Few(longer))
    from nmt.translator.loading import _check_alike

    with pytest.raises(CheckpointError, match=r"source.model .* got no piece for '▁c' at piece 2"):
        _check_alike(one, other)


def test_an_ensemble_of_other_languages_is_refused(tmp_path: Path) -> None:
    one, other = write_run(tmp_path / "a"), write_other(tmp_path / "b", "data.reverse=true")
    with pytest.raises(CheckpointError, match=r"b: must translate de to en as .*a does, got en to"):
        load([one.path, other.path])


@pytest.mark.parametrize(
    ("here", "wanted", "chosen"),
    [
        ({"cuda", "mps"}, "auto", "cuda"),
        ({"mps"}, "auto", "mps"),
        (set(), "auto", "cpu"),
        ({"cuda", "mps"}, "cpu", "cpu"),
        ({"cuda", "mps"}, "mps", "mps"),
    ],
)
def test_the_device_is_the_one_wanted_or_the_fastest_here(
    monkeypatch: pytest.MonkeyPatch, here: set[str], wanted: str, chosen: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: "cuda" in here)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: "mps" in here)
    assert choose_device(wanted) == chosen


def test_a_device_that_is_not_here_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    complaint = r"device must be auto or one that is here \(mps, cpu\), got 'cuda'"
    with pytest.raises(NMTError, match=complaint):
        choose_device("cuda")
