"""Translating over a shortlist and with weights of 8 bits, from a run folder to text."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from tiny_run import SOURCES, write_run

from nmt.confidence import FEATURES, ConfidenceModel, dump_confidence
from nmt.engine import FoldedEngine, ModelEngine
from nmt.errors import CheckpointError, NMTError
from nmt.model.products import has_int8
from nmt.recipe import DecodingRecipe
from nmt.run_folder import RunFolder, load_run
from nmt.search import SamplingOptions
from nmt.shortlist import Shortlist, dump_shortlist
from nmt.translator import Phrase, Request, Term, Translator, Wishes

PLAIN = ("decoding.beam_size=2", "decoding.max_target_length=12")


def give_shortlist(folder: RunFolder, candidates: Sequence[Sequence[int]]) -> None:
    """Let each source token have the candidates that come for it, by turns."""
    [source, target] = folder.tokenizers
    rows = [candidates[token % len(candidates)] for token in range(source.vocab_size)]
    always = torch.tensor([target.bos_id, target.eos_id], dtype=torch.int32)
    shortlist = Shortlist(torch.tensor(rows, dtype=torch.int32), always, target.vocab_size)
    folder.shortlist_file.write_bytes(dump_shortlist(shortlist))


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return write_run(tmp_path / "run", *PLAIN)


REQUESTS = {
    "greedy": (1, Request()),
    "beam": (2, Request(num_hypotheses=2)),
    "groups": (2, Request(num_groups=2, diversity_penalty=0.5)),
    "sampling": (1, Request(sampling=SamplingOptions(seed=3))),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_a_shortlist_of_all_tokens_changes_nothing(name: str, run: RunFolder) -> None:
    beam_size, request = REQUESTS[name]
    give_shortlist(run, [list(range(run.tokenizers[1].vocab_size))])
    decoding = run.recipe.decoding.model_copy(update={"beam_size": beam_size})
    found, expected = (
        [
            *Translator.load(
                run.path, decoding=decoding, request=request, shortlist=is_short
            ).translate_detailed(SOURCES)
        ]
        for is_short in (True, False)
    )
    assert [one.text for one in found] == [one.text for one in expected]
    assert [one.score for one in found] == pytest.approx([one.score for one in expected], abs=1e-4)


@pytest.mark.parametrize("beam_size", [1, 2])
def test_translations_hold_only_what_the_shortlist_has(beam_size: int, run: RunFolder) -> None:
    """And they are the same in every batch, though each batch has other tokens."""
    vocab = range(4, run.tokenizers[1].vocab_size)
    lists = [[token for token in vocab if token % 5 == rest] for rest in range(5)]
    width = min(map(len, lists))
    give_shortlist(run, [one[:width] for one in lists])
    source, _ = run.tokenizers
    texts = []
    for batch_size in (1, 2, 64):
        translator = Translator.load(
            run.path, beam_size=beam_size, batch_size=batch_size, shortlist=True
        )
        translations = [*translator.translate_detailed(SOURCES)]
        texts.append([one.text for one in translations])
        for line, one in zip(SOURCES, translations, strict=True):
            likely = {token for piece in source.encode(line) for token in lists[piece % 5]}
            likely |= set(lists[source.eos_id % 5])
            for hypothesis in one.hypotheses:
                for part in hypothesis.parts:
                    assert set(part.hypothesis.token_ids) <= likely
    assert texts[0] == texts[1] == texts[2]
    assert any(texts[0])


def test_what_is_asked_for_need_not_be_on_the_list(run: RunFolder) -> None:
    give_shortlist(run, [[4]])
    wishes = Wishes(
        terms=(Term("eine Katze", Phrase("a cat", "x")),),
        avoided=(Phrase("dog", "y"),),
    )
    translator = Translator.load(run.path, wishes=wishes, shortlist=True)
    assert "a cat" in translator.translate(["eine Katze"])[0]
    [found] = Translator.load(run.path, shortlist=True).translate_detailed(
        ["nein"], prefixes=["the cat"]
    )
    assert found.text.startswith("the cat")


def test_a_run_without_a_shortlist_is_refused(run: RunFolder) -> None:
    with pytest.raises(CheckpointError, match=r"run has no shortlist\.safetensors: .*without a"):
        Translator.load(run.path, shortlist=True)


def test_an_ensemble_has_no_shortlist(run: RunFolder) -> None:
    with pytest.raises(NMTError, match="a shortlist is for one model, got an ensemble of 2"):
        Translator.load([run.path, run.path], shortlist=True)


def test_a_beam_wider_than_the_list_is_refused(run: RunFolder) -> None:
    give_shortlist(run, [[4]])
    with pytest.raises(NMTError, match=r"beam_size must be <= 2 with a shortlist, .* got 3"):
        Translator.load(run.path, beam_size=3, shortlist=True)


@pytest.mark.parametrize("name", ["int8", "shortlist"])
def test_a_model_that_cannot_be_laid_out_is_refused(name: str, tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", "model.encoder.cell=gru", "model.decoder.cell=gru")
    give_shortlist(folder, [[4]])
    with pytest.raises(NMTError, match=r"run: .* needs a model on the CPU of plain LSTM layers"):
        Translator.load(folder.path, int8=name == "int8", shortlist=name == "shortlist")


@pytest.mark.skipif(not has_int8(), reason="PyTorch has no 8-bit products here")
def test_weights_of_8_bits_come_near(run: RunFolder) -> None:
    scores = [
        [one.score for one in Translator.load(run.path, int8=int8).translate_detailed(SOURCES)]
        for int8 in (False, True)
    ]
    assert scores[0] != scores[1]
    assert scores[1] == pytest.approx(scores[0], abs=0.1)


def test_without_8_bit_products_they_are_refused(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nmt.translator.loading.has_int8", lambda: False)
    with pytest.raises(NMTError, match="int8 needs a processor"):
        Translator.load(run.path, int8=True)


def test_a_plain_engine_takes_no_shortlist(run: RunFolder) -> None:
    trained = load_run(run.path)
    shortlist = Shortlist(torch.zeros(1, 1).int(), torch.zeros(9).int(), 1)
    parts = trained.source_tokenizer, trained.target_tokenizer
    for engine, is_right in (
        (FoldedEngine(trained.model), True),
        (ModelEngine(trained.model), False),
    ):
        decoding = DecodingRecipe(beam_size=2)
        if is_right:
            Translator(*parts, engine, decoding, shortlist=shortlist)
        else:
            with pytest.raises(TypeError, match="for a FoldedEngine, got ModelEngine"):
                Translator(*parts, engine, decoding, shortlist=shortlist)


def test_over_a_shortlist_there_is_no_confidence(run: RunFolder) -> None:
    zeros, ones = (0.0,) * len(FEATURES), (1.0,) * len(FEATURES)
    content = dump_confidence(ConfidenceModel(zeros, ones, zeros, 0.0))
    run.confidence_file.write_text(content, encoding="utf-8")
    give_shortlist(run, [[4]])
    assert Translator.load(run.path).has_confidence
    assert not Translator.load(run.path, shortlist=True).has_confidence
