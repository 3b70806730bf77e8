"""The whole road on small tasks: learn, translate, and find everything in the run folder."""

import gzip
import json
import shutil
from itertools import islice
from pathlib import Path

import pytest
import sacrebleu
import torch
from matplotlib.image import imread
from toy import read_lines

from nmt import Translator
from nmt.corpus import load_pairs
from nmt.recipe import parse_recipe
from nmt.run_folder import RunFolder, read_weights
from nmt.training import train

ROOT = Path(__file__).parent.parent
MULTI30K = ROOT.parent / "shared" / "data" / "multi30k" / "raw"
# of the toy task's test set
NUM_TEST = 200


def sources_of(run: RunFolder) -> list[str]:
    return read_lines(run.path.parent / "test.en")


def references_of(run: RunFolder) -> list[str]:
    return read_lines(run.path.parent / "test.de")


def hypotheses_of(run: RunFolder) -> list[str]:
    return read_lines(run.report / "hypotheses.txt")


def test_nearly_every_unseen_string_is_reversed(trained_run: RunFolder) -> None:
    translations = Translator.load(trained_run.path).translate(sources_of(trained_run))
    exact = sum(
        translation == reference
        for translation, reference in zip(translations, references_of(trained_run), strict=True)
    )
    assert len(translations) == NUM_TEST
    assert exact >= 0.97 * NUM_TEST


def test_users_get_the_translations_that_were_scored(trained_run: RunFolder) -> None:
    translations = Translator.load(trained_run.path).translate(sources_of(trained_run))
    assert translations == hypotheses_of(trained_run)


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_translations_do_not_depend_on_the_batch_size(
    batch_size: int, trained_run: RunFolder
) -> None:
    translator = Translator.load(trained_run.path, batch_size=batch_size)
    assert translator.translate(sources_of(trained_run)) == hypotheses_of(trained_run)


def test_translations_do_not_depend_on_the_order_of_the_lines(trained_run: RunFolder) -> None:
    translations = Translator.load(trained_run.path).translate(sources_of(trained_run)[::-1])
    assert translations[::-1] == hypotheses_of(trained_run)


def test_a_moved_folder_without_checkpoints_translates_alike(
    trained_run: RunFolder, tmp_path: Path
) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(trained_run.path, moved, ignore=shutil.ignore_patterns("checkpoints"))
    assert not (moved / "checkpoints").exists()
    assert Translator.load(moved).translate(sources_of(trained_run)) == hypotheses_of(trained_run)


def test_the_scores_are_those_of_sacrebleu(trained_run: RunFolder) -> None:
    hypotheses, references = hypotheses_of(trained_run), [references_of(trained_run)]
    metrics = {"BLEU": sacrebleu.BLEU(), "chrF2": sacrebleu.CHRF(), "TER": sacrebleu.TER()}
    expected = {
        name: (metric.corpus_score(hypotheses, references).score, str(metric.get_signature()))
        for name, metric in metrics.items()
    }
    scores = json.loads((trained_run.report / "scores.json").read_text(encoding="utf-8"))
    assert {score["name"]: (score["value"], score["signature"]) for score in scores} == expected


def test_the_run_folder_is_complete(trained_run: RunFolder) -> None:
    files = {
        file.relative_to(trained_run.path).as_posix()
        for file in trained_run.path.rglob("*")
        if file.is_file()
    }
    weights = {file for file in files if file.startswith("checkpoints/epoch-")}
    assert len(weights) in (1, 2)  # the best of the last checkpoint, and of the one before
    assert files - weights == {
        "README.md",
        "checkpoints/last.ckpt",
        "checkpoints/previous.ckpt",
        "cleaning.json",
        "confidence.json",
        "curves.png",
        "log.txt",
        "metrics.jsonl",
        "model.safetensors",
        "recipe.yaml",
        "report/hypotheses.txt",
        "report/report.md",
        "report/scores.json",
        "shortlist.safetensors",
        "source.model",
        "target.model",
        "versions.json",
    }


def test_every_validation_left_its_numbers_and_samples(trained_run: RunFolder) -> None:
    entries = trained_run.metrics()
    assert [entry["epoch"] for entry in entries] == [1, 2, 3]
    assert [entry["step"] for entry in entries] == [63, 126, 189]
    assert entries[-1]["loss"] < entries[0]["loss"]
    assert entries[-1]["train_loss"] < entries[0]["train_loss"]
    sources = read_lines(trained_run.path.parent / "validation.en")
    for entry in entries:
        assert entry["perplexity"] == pytest.approx(2.718281828 ** entry["loss"])
        assert entry["num_sentences"] == 50
        assert 0 < entry["BLEU"] <= 100.0001
        assert 0 < entry["chrF2"] <= 100.0001
        assert entry["signatures"].keys() == {"BLEU", "chrF2"}
        assert [sample["source"] for sample in entry["samples"]] == sources[:3]
    assert entries[-1]["samples"][0] == {
        "source": sources[0],
        "reference": sources[0][::-1],
        "hypothesis": sources[0][::-1],
    }


def test_the_log_tells_of_every_epoch(trained_run: RunFolder) -> None:
    log = trained_run.log_file.read_text(encoding="utf-8")
    for epoch in (1, 2, 3):
        assert f"epoch {epoch}, step " in log
    assert "kept 2000 of 2000 sentence pairs" in log
    assert f"done: {trained_run.path}" in log


def test_the_curves_are_a_picture(trained_run: RunFolder) -> None:
    height, width, _ = imread(trained_run.curves_file).shape
    assert width > height > 100


def test_the_model_card_names_every_score_with_its_signature(trained_run: RunFolder) -> None:
    card = trained_run.card_file.read_text(encoding="utf-8")
    scores = trained_run.scores()
    assert [score["name"] for score in scores] == ["BLEU", "chrF2", "TER"]
    for score in scores:
        signature = score["signature"].replace("|", "\\|")
        assert f"| {score['name']} | {score['value']:.2f} | `{signature}` |" in card
    assert "trained on 2,000 sentence\npairs" in card


def test_checkpoints_are_read_without_running_code_from_them(trained_run: RunFolder) -> None:
    checkpoint = torch.load(trained_run.last_checkpoint, weights_only=True)
    assert checkpoint["global_step"] == 189
    best_epoch = min(trained_run.metrics(), key=lambda entry: -float(entry["chrF2"]))["epoch"]
    best = trained_run.checkpoints / f"epoch-{best_epoch:03}.safetensors"
    best_weights, weights = read_weights(best), read_weights(trained_run.weights_file)
    assert best_weights.keys() == weights.keys()
    assert all(torch.equal(best_weights[name], weights[name]) for name in weights)


@pytest.mark.skipif(not MULTI30K.is_dir(), reason=f"{MULTI30K} is not there")
def test_real_sentences_go_the_same_road(tmp_path: Path) -> None:
    for side in ("en", "de"):
        with gzip.open(MULTI30K / f"train.{side}.gz") as lines:
            (tmp_path / side).write_bytes(b"".join(islice(lines, 300)))
    text = f"""
data:
  source_lang: en
  target_lang: de
  train: {{source: '{tmp_path}/en', target: '{tmp_path}/de'}}
  validation: {{source: '{tmp_path}/en', target: '{tmp_path}/de'}}
  cleaning: {{held_out: false}}
tokenizer: {{vocab_size: 600}}
model: {{embedding_size: 16, encoder: {{hidden_size: 16}}, decoder: {{hidden_size: 16}}}}
training: {{max_epochs: 1, max_tokens: 800, schedule: constant, warmup_steps: 0,
           validation_sentences: 5}}
decoding: {{beam_size: 1, max_target_length: 20}}
"""
    recipe = parse_recipe(text, name="multi30k")
    run = train(recipe, tmp_path / "run")
    assert len(load_pairs(recipe.data.train)) == 300
    (entry,) = run.metrics()
    # at the start every piece is as likely as every other
    assert entry["loss"] < 6.397  # the logarithm of 600
    assert len(Translator.load(run.path).translate(["A dog runs.", "", "Two men."])) == 3
