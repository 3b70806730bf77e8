"""The promise of the README, on a trained model: company changes no translation.

`benchmarks/invariance.py` tries it on whole test sets and on ten thousand lines.
"""

import gzip
import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
import torch

from nmt.corpus import SentencePair, load_pairs
from nmt.recipe import parse_recipe
from nmt.run_folder import RunFolder
from nmt.training import train
from nmt.translator import TranslatedHypothesis, Translator

MULTI30K = Path(__file__).parents[2] / "shared" / "data" / "multi30k" / "raw"
NUM_TRAIN, NUM_TRANSLATED = 1600, 72
RECIPE = """
data: {{source_lang: en, target_lang: de, train: {train}, validation: {held_out}, test: {held_out}}}
tokenizer: {{vocab_size: 1000, byte_fallback: false}}
model:
  embedding_size: 64
  encoder: {{num_layers: 1, hidden_size: 32}}
  attention: {{kind: additive}}
  decoder: {{num_layers: 2, hidden_size: 64}}
  bridge: zero
  tied_embeddings: all
  dropout: {{embedding: 0.0, layers: 0.0, readout: 0.0}}
training:
  max_epochs: 3
  max_sentences: 16
  learning_rate: 4e-3
  warmup_steps: 50
  label_smoothing: 0.0
  validate_every: 3
  threads: 1
  validation_sentences: 10
decoding: {{beam_size: 1, max_target_length: 50}}
evaluation: {{metrics: [BLEU]}}
"""


def write_sets(folder: Path) -> tuple[str, str]:
    """Return real sentences to train on and others; those of the grammar where there are none."""
    if not MULTI30K.is_dir():
        builtin = "{{builtin: grammar, split: {}, sentences: {}}}"
        return builtin.format("train", NUM_TRAIN), builtin.format("test", NUM_TRANSLATED)
    sets = []
    for name, count in (("train", NUM_TRAIN), ("val", NUM_TRANSLATED)):
        for side in ("en", "de"):
            with gzip.open(MULTI30K / f"{name}.{side}.gz") as lines:
                (folder / f"{name}.{side}").write_bytes(b"".join(islice(lines, count)))
        sets.append(f"{{source: '{folder}/{name}.en', target: '{folder}/{name}.de'}}")
    return sets[0], sets[1]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A model that has learned the first things; what it errs in, it must err in alike."""
    folder = tmp_path_factory.mktemp("promise")
    train_set, held_out = write_sets(folder)
    text = RECIPE.format(train=train_set, held_out=held_out)
    return train(parse_recipe(text, name="promise"), folder / "run")


@pytest.fixture(autouse=True)
def same_threads() -> Iterator[None]:
    """Leave the number of threads to other tests as it was."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def translate(
    run: RunFolder, pairs: list[SentencePair], beam_size: int, batch_size: int, num_threads: int
) -> dict[str, TranslatedHypothesis]:
    torch.set_num_threads(num_threads)
    translator = Translator.load(run.path, beam_size=beam_size, batch_size=batch_size)
    lines = [pair.source for pair in pairs]
    found = translator.translate_detailed(lines)
    return {line: one.hypotheses[0] for line, one in zip(lines, found, strict=True)}


def tokens_of(hypothesis: TranslatedHypothesis) -> list[tuple[int, ...]]:
    return [part.hypothesis.token_ids for part in hypothesis.parts]


@pytest.mark.parametrize("beam_size", [1, 4])
def test_company_changes_no_translation(run: RunFolder, beam_size: int) -> None:
    assert run.recipe.data.test is not None
    pairs = load_pairs(run.recipe.data.test)
    shuffled = random.Random(1).sample(pairs, len(pairs))
    expected = translate(run, pairs, beam_size, batch_size=64, num_threads=1)
    assert len({one.text for one in expected.values()}) > 10
    differences = []  # none; if ever there is one, its two scores tell whether it is a tie
    for batch_size, num_threads, lines in ((64, 2, shuffled), (7, 1, shuffled), (1, 1, pairs)):
        found = translate(run, lines, beam_size, batch_size, num_threads)
        for line, one in expected.items():
            if tokens_of(one) != tokens_of(found[line]):
                differences.append((batch_size, num_threads, line, one.score, found[line].score))
            assert found[line].score == pytest.approx(one.score, abs=1e-4)
    assert not differences
