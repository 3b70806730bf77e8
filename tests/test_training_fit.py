"""What each setting of a training recipe does to the weights that come out."""

import dataclasses
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import linear
from toy import QUICK, toy_recipe, write_quick_corpus

from nmt.batching import Batch
from nmt.engine import ModelEngine
from nmt.errors import RecipeError
from nmt.model import Seq2Seq
from nmt.run_folder import RunFolder, average_weights, read_weights
from nmt.tokenizer import Tokenizer
from nmt.training.data import Corpora, TranslationData, load_corpora
from nmt.training.fit import count_steps, fit
from nmt.training.module import TranslationModule
from nmt.training.tokenizers import prepare_tokenizers

Weights = dict[str, Tensor]


@dataclasses.dataclass
class Ground:
    """What all trainings here share."""

    folder: Path
    corpora: Corpora
    tokenizers: tuple[Tokenizer, Tokenizer]

    def fit(self, path: Path, *overrides: str) -> RunFolder:
        """Train by the quick recipe with these settings."""
        recipe = toy_recipe(self.folder, *QUICK, *overrides)
        folder = RunFolder(path)
        folder.make()
        folder.start(recipe, self.tokenizers, {})
        data = TranslationData(self.corpora, self.tokenizers, recipe)
        torch.manual_seed(recipe.training.seed)
        fit(recipe, folder, folder.build_model(), data, self.corpora.validation)
        return folder


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    folder = tmp_path_factory.mktemp("fit")
    write_quick_corpus(folder)
    recipe = toy_recipe(folder)
    corpora = load_corpora(recipe)
    return Ground(folder, corpora, prepare_tokenizers(corpora, recipe))


@pytest.fixture(scope="module")
def plain(ground: Ground) -> Weights:
    """The weights by the quick recipe as it is."""
    return read_weights(ground.fit(ground.folder / "plain").weights_file)


@pytest.fixture(autouse=True)
def _no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nmt.training.validation.draw_curves", lambda entries, path: None)


def are_equal(first: Weights, second: Weights) -> bool:
    assert first.keys() == second.keys()
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(
    "setting",
    [
        "training.learning_rate=1e-3",
        "training.adam_betas=[0.5, 0.999]",
        "training.weight_decay=0.1",
        "training.schedule=constant",
        "training.schedule=inverse_sqrt",
        "training.warmup_steps=2",
        "training.max_grad_norm=1e-4",
        "training.gradient_accumulation=2",
        "training.label_smoothing=0.3",
        "training.ema=0.2",
        "training.precision=bf16",
        "training.max_sentences=6",
        "training.max_length=4",
        "training.seed=2",
        "model.dropout.layers=0.5",
    ],
)
def test_another_setting_gives_other_weights(
    setting: str, ground: Ground, plain: Weights, tmp_path: Path
) -> None:
    assert not are_equal(read_weights(ground.fit(tmp_path, setting).weights_file), plain)


@pytest.mark.parametrize(
    "setting",
    [
        "training.seed=1",  # the same once more
        "training.num_workers=1",
        "training.validation_sentences=2",
        "training.tensorboard=true",
        "training.patience=1",
    ],
)
def test_what_is_beside_the_training_leaves_the_weights_alone(
    setting: str, ground: Ground, plain: Weights, tmp_path: Path
) -> None:
    assert are_equal(read_weights(ground.fit(tmp_path, setting).weights_file), plain)


def test_the_two_optimizers_decay_weights_differently(ground: Ground, tmp_path: Path) -> None:
    adam, adamw = (
        ground.fit(
            tmp_path / name, "training.weight_decay=0.1", f"training.optimizer={name}"
        ).weights_file
        for name in ("adam", "adamw")
    )
    assert not are_equal(read_weights(adam), read_weights(adamw))


def test_batches_may_be_limited_by_their_tokens(ground: Ground, tmp_path: Path) -> None:
    ground.fit(tmp_path, "training.max_sentences=null", "training.max_tokens=24")
    (entry,) = RunFolder(tmp_path).metrics()
    assert entry["step"] > 3


def test_several_batches_make_a_step(ground: Ground, tmp_path: Path) -> None:
    ground.fit(tmp_path, "training.gradient_accumulation=2")
    (entry,) = RunFolder(tmp_path).metrics()
    assert entry["step"] == 2  # of three batches


@pytest.mark.parametrize(
    ("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)]
)
def test_the_model_computes_in_the_recipes_precision(
    precision: str,
    dtype: torch.dtype,
    ground: Ground,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dtypes: set[torch.dtype] = set()

    def product(rows: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        dtypes.add(rows.dtype)
        return linear(rows, weight, bias)

    monkeypatch.setattr("nmt.loss.linear", product)
    folder = ground.fit(tmp_path, f"training.precision={precision}")
    assert dtypes == {dtype}
    assert {weight.dtype for weight in read_weights(folder.weights_file).values()} == {
        torch.float32
    }


@pytest.mark.parametrize(("given", "expected"), [(None, "32"), ("500", "500")])
def test_kernels_are_kept_for_few_shapes_unless_the_user_says_how_many(
    given: str | None,
    expected: str,
    ground: Ground,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"
    monkeypatch.setenv(name, given or "")
    if given is None:
        monkeypatch.delenv(name)
    ground.fit(tmp_path)
    assert os.environ[name] == expected


def test_averaging_takes_the_mean_of_the_best(ground: Ground, tmp_path: Path) -> None:
    folder = ground.fit(
        tmp_path,
        "training.max_epochs=3",
        "training.average_checkpoints=2",
        "training.checkpoint_metric=loss",
    )
    losses = {entry["epoch"]: entry["loss"] for entry in folder.metrics()}
    best = sorted(losses, key=losses.__getitem__)[:2]
    files = [folder.checkpoints / f"epoch-{epoch:03}.safetensors" for epoch in best]
    weights = read_weights(folder.weights_file)
    assert are_equal(weights, average_weights(files))
    assert not are_equal(weights, read_weights(files[0]))


def test_the_average_is_validated_kept_and_translated_with_and_the_training_goes_on_without(
    ground: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ("training.max_epochs=2", "training.checkpoint_metric=loss")
    stepped: list[Weights] = []
    translating: list[Seq2Seq] = []
    true_step, true_engine = TranslationModule.optimizer_step, ModelEngine.__init__

    def step(self: TranslationModule, *arguments: Any, **options: Any) -> None:
        true_step(self, *arguments, **options)
        state = self.model.state_dict()
        stepped.append({name: weight.clone() for name, weight in state.items()})

    def engine(self: ModelEngine, model: Seq2Seq) -> None:
        translating.append(model)
        true_engine(self, model)

    with monkeypatch.context() as patched:
        patched.setattr(TranslationModule, "optimizer_step", step)
        patched.setattr("nmt.training.fit.ModelEngine.__init__", engine)
        folder = ground.fit(tmp_path / "average", *settings, "training.ema=0.3")
    plain = ground.fit(tmp_path / "plain", *settings)
    for epoch in (1, 2):
        kept = read_weights(plain.weights_of_epoch(epoch))
        assert all(torch.equal(kept[name], stepped[3 * epoch - 1][name]) for name in kept)
    expected = dict(stepped[0])
    for n, weights in enumerate(stepped[1:], start=1):
        share = min(0.3, (1 + n) / (10 + n))
        expected = {name: share * expected[name] + (1 - share) * weights[name] for name in weights}
    found = read_weights(folder.weights_of_epoch(2))
    (translator,) = translating
    for name, weight in found.items():
        torch.testing.assert_close(weight, expected[name])
        assert torch.equal(translator.state_dict()[name], weight)
    assert not are_equal(found, read_weights(plain.weights_of_epoch(2)))
    # the loss is that of what was kept
    losses = [one.metrics()[-1]["loss"] for one in (folder, plain)]
    assert losses[0] != losses[1]


@pytest.mark.parametrize(
    ("settings", "epochs"),
    [
        (["training.validate_every=2", "training.max_epochs=4"], [2, 4]),
        # nothing is gained when the rate is next to nothing
        (["training.patience=2", "training.learning_rate=1e-30"], [1, 2, 3]),
    ],
)
def test_validations_are_as_rare_and_as_many_as_the_recipe_says(
    settings: list[str], epochs: list[int], ground: Ground, tmp_path: Path
) -> None:
    folder = ground.fit(
        tmp_path, "training.max_epochs=5", "training.checkpoint_metric=loss", *settings
    )
    assert [entry["epoch"] for entry in folder.metrics()] == epochs


def test_the_plateau_schedule_is_in_the_checkpoint_with_every_step(
    ground: Ground, tmp_path: Path
) -> None:
    folder = ground.fit(
        tmp_path,
        "training.schedule=plateau",
        "training.max_epochs=4",
        "training.learning_rate=1e-7",
        "training.warmup_steps=0",
    )
    checkpoint = torch.load(folder.last_checkpoint, weights_only=True)
    (schedule,) = checkpoint["lr_schedulers"]
    # one validation is the best, two are without gain: halved; one more without gain
    assert schedule["last_epoch"] == 4
    assert schedule["num_bad_epochs"] == 1
    rates = [entry["learning_rate"] for entry in folder.metrics()]
    assert rates == pytest.approx([1e-7, 1e-7, 5e-8, 5e-8])
    assert checkpoint["optimizer_states"][0]["param_groups"][0]["lr"] == rates[-1]


def test_tensorboard_gets_files_of_events(ground: Ground, tmp_path: Path) -> None:
    ground.fit(tmp_path, "training.tensorboard=true")
    assert len(list((tmp_path / "tensorboard").glob("events.out.tfevents.*"))) == 1


def test_dropout_is_on_again_after_a_validation(
    ground: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes: list[bool] = []
    true_step = TranslationModule.training_step

    def step(self: TranslationModule, batch: Batch, batch_index: int) -> dict[str, Any]:
        modes.append(all(part.training for part in self.model.modules()))
        return true_step(self, batch, batch_index)

    monkeypatch.setattr(TranslationModule, "training_step", step)
    ground.fit(tmp_path, "training.max_epochs=2")
    assert modes == [True] * 6


@pytest.mark.parametrize(
    ("max_epochs", "accumulation", "num_batches", "steps"),
    [(1, 1, 3, 3), (2, 1, 3, 6), (2, 2, 3, 4), (3, 4, 3, 3)],
)
def test_steps_are_counted_an_epochs_remainder_included(
    max_epochs: int, accumulation: int, num_batches: int, steps: int
) -> None:
    recipe = toy_recipe(
        Path(),
        f"training.max_epochs={max_epochs}",
        f"training.gradient_accumulation={accumulation}",
        "training.warmup_steps=0",
    )
    assert count_steps(recipe.training, num_batches=num_batches) == steps


def test_a_cosine_needs_steps_after_the_warm_up() -> None:
    training = toy_recipe(Path(), "training.max_epochs=2", "training.warmup_steps=6").training
    message = r"^training\.warmup_steps must be < 6, the steps of 2 epochs, got 6$"
    with pytest.raises(RecipeError, match=message):
        count_steps(training, num_batches=3)
    assert count_steps(training, num_batches=4) == 8


def test_ctrl_c_ends_training_and_nothing_else(
    ground: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(TranslationModule, "training_step", interrupt)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        ground.fit(tmp_path)
    assert signal.getsignal(signal.SIGINT) == handler
    assert not RunFolder(tmp_path).weights_file.exists()


def test_training_works_in_a_thread(ground: Ground, plain: Weights, tmp_path: Path) -> None:
    thread = threading.Thread(target=ground.fit, args=(tmp_path,))
    thread.start()
    thread.join()
    assert are_equal(read_weights(RunFolder(tmp_path).weights_file), plain)


def test_no_step_is_lost_or_repeated(
    ground: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[int]] = []
    true_step = TranslationModule.training_step

    def step(self: TranslationModule, batch: Batch, batch_index: int) -> dict[str, Any]:
        seen.append(batch.indices.tolist())
        return true_step(self, batch, batch_index)

    monkeypatch.setattr(TranslationModule, "training_step", step)
    ground.fit(tmp_path, "training.max_epochs=2")
    assert len(seen) == 6
    for epoch in (seen[:3], seen[3:]):
        assert sorted(index for batch in epoch for index in batch) == list(range(24))
    assert seen[:3] != seen[3:]
