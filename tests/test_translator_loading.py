"""One run folder or several that go together; and where to compute."""

import json
from pathlib import Path

import pytest
import torch
from tiny_run import SOURCES, TARGETS, write_run

from nmt.cli.main import main
from nmt.confidence import FEATURES, ConfidenceModel, dump_confidence
from nmt.engine import EnsembleEngine, FoldedEngine, ModelEngine
from nmt.errors import CheckpointError, NMTError
from nmt.recipe import TokenizerRecipe
from nmt.run_folder import RunFolder
from nmt.tokenizer import Tokenizer
from nmt.translator import Scorer, Translator, choose_device
from nmt.translator.loading import load

CONFIDENCE = ConfidenceModel(
    (0.0,) * len(FEATURES), (1.0,) * len(FEATURES), (1.0,) * len(FEATURES), 0.0
)


def write_other(path: Path, *overrides: str) -> RunFolder:
    return write_run(path, "training.seed=8", "model.decoder.hidden_size=12", *overrides)


def test_one_run_is_a_model_and_several_are_an_ensemble(tmp_path: Path) -> None:
    one, other = write_run(tmp_path / "a"), write_other(tmp_path / "b")
    assert isinstance(load(one.path).engine, FoldedEngine)
    assert isinstance(load([one.path]).engine, FoldedEngine)
    loaded = load([one.path, str(other.path)])
    assert isinstance(loaded.engine, EnsembleEngine)
    assert loaded.recipe == one.recipe


def test_what_cannot_be_folded_is_taken_as_it_is(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", "model.decoder.cell=gru")
    assert isinstance(load(run.path).engine, ModelEngine)


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


# Models that know several languages

SEVERAL = (
    "data.train=[{tsv: train.tsv}, {tsv: more.tsv, target_lang: fr}]",
    "data.language_tags=true",
    "tokenizer.vocab_size=36",
)


def test_a_model_of_several_languages_is_asked_for_one(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", *SEVERAL, "decoding.max_source_length=6")
    lines = ["eine Katze", "", "die Katze und der Hund"]
    found = {
        language: list(Translator.load(folder.path, target_lang=language).translate_detailed(lines))
        for language in (None, "en", "fr")
    }
    texts = {
        language: [(one.text, one.score) for one in translations]
        for language, translations in found.items()
    }
    assert texts[None] == texts["en"]
    assert texts["en"] != texts["fr"]
    short, blank, cut = found["fr"]
    assert blank.hypotheses[0].pieces.source == ()
    assert short.hypotheses[0].pieces.source[0] == "<2fr>"
    # every part of a long line is asked for it
    pieces = cut.hypotheses[0].pieces.source
    assert cut.num_parts > 1
    assert pieces.count("<2fr>") == cut.num_parts
    for one, line in ((short, lines[0]), (cut, lines[2])):
        alignment = one.alignment
        source = one.hypotheses[0].pieces.source
        assert alignment.matrix is not None
        assert all(len(row) == len(source) for row in alignment.matrix)
        # words are those of the line, and none of them is the tag
        words = {word for word, _ in alignment.words}
        assert words <= set(range(len(line.split())))
        text = "".join(piece for piece in source if piece not in ("<2fr>", "</s>"))
        starts = [place for place, piece in enumerate(source) if piece.startswith("\u2581")]
        assert text.replace("\u2581", " ").split() == line.split()
        for piece, _ in alignment.pieces:
            if source[piece] != "<2fr>":
                assert sum(start <= piece for start in starts) - 1 in words


@pytest.mark.parametrize(
    ("overrides", "language", "known"), [(SEVERAL, "xx", "en, fr"), ((), "fr", "en")]
)
def test_a_language_that_the_model_does_not_know_is_refused(
    overrides: tuple[str, ...], language: str, known: str, tmp_path: Path
) -> None:
    folder = write_run(tmp_path / "run", *overrides)
    message = (
        rf"^the language to translate into must be one that the model knows \({known}\), "
        rf"got '{language}'$"
    )
    with pytest.raises(NMTError, match=message):
        Translator.load(folder.path, target_lang=language)
    Translator.load(folder.path, target_lang="en")


def test_scores_are_those_of_the_language_asked_for(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", *SEVERAL)
    translations = {
        language: next(
            Translator.load(folder.path, target_lang=language).translate_detailed(["eine Katze"])
        )
        for language in ("en", "fr")
    }
    pair = ("eine Katze", translations["fr"].text)
    scored = {
        language: next(Scorer.load(folder.path, target_lang=language).score([pair]))
        for language in ("en", "fr")
    }
    assert scored["fr"].pieces.source[0] == "<2fr>"
    assert scored["fr"].log_prob != scored["en"].log_prob


@pytest.mark.parametrize("command", ["translate", "score"])
def test_commands_pass_the_language_on(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_run(tmp_path / "run", *SEVERAL)
    text = tmp_path / "text"
    text.write_text("eine Katze\n", encoding="utf-8", newline="\n")
    files = {
        "translate": ["--input", str(text), "--json"],
        "score": ["--source", str(text), "--target", str(text), "--json"],
    }
    arguments = [command, "--model", str(folder.path), *files[command]]
    assert main([*arguments, "--to", "fr"]) == 0
    assert json.loads(capsys.readouterr().out)["pieces"]["source"][0] == "<2fr>"
    assert main([*arguments, "--to", "xx"]) == 2
    assert "must be one that the model knows (en, fr), got 'xx'" in capsys.readouterr().err


def test_evaluating_another_language_needs_its_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_run(tmp_path / "run", *SEVERAL)
    assert main(["evaluate", "--model", str(folder.path), "--to", "fr"]) == 2
    assert "--to needs --source and --reference" in capsys.readouterr().err


def test_runs_of_other_languages_make_no_ensemble(tmp_path: Path) -> None:
    one = write_run(tmp_path / "a", *SEVERAL)
    other = write_other(tmp_path / "b", *SEVERAL[1:])
    with pytest.raises(CheckpointError, match=r"must translate de to en or fr as .* got de to en$"):
        load([one.path, other.path])
