"""What happens to the weights within an optimizer step, by way of Lightning's own trainer."""

import math
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from lightning import Trainer
from small_models import BOS, EOS, PAD, SOURCES, TARGETS, Changes, build, logits_of, score
from torch.utils.data import DataLoader

from nmt.batching import Batch, BatchDataset
from nmt.loss import alignment_loss, coverage_loss
from nmt.model import Seq2Seq
from nmt.recipe import TrainingRecipe
from nmt.training.module import SkippedStep, TranslationModule

# small steps: the weights stay what they are, up to what is compared
STILL = {"learning_rate": 1e-12, "schedule": "constant", "warmup_steps": 0, "max_sentences": 4}
BATCHES = ([0, 1], [2], [3])
Gradients = dict[str, torch.Tensor]


class Watched(TranslationModule):
    """Writes down what each optimizer step was made with, and a random number of each batch."""

    def __init__(self, model: Seq2Seq, recipe: TrainingRecipe) -> None:
        super().__init__(model, recipe, total_steps=100)
        self.gradients: list[Gradients] = []
        self.clipped: list[Gradients] = []
        self.rates: list[float] = []
        self.drawn: list[float] = []

    def training_step(self, batch: Batch, batch_index: int) -> dict[str, Any]:
        self.drawn.append(float(torch.rand(1)))
        return super().training_step(batch, batch_index)

    def configure_gradient_clipping(self, optimizer: Any, *options: Any, **more: Any) -> None:
        self.rates.append(optimizer.param_groups[0]["lr"])
        self.gradients.append(gradients_of(self.model))
        super().configure_gradient_clipping(optimizer, *options, **more)
        self.clipped.append(gradients_of(self.model))


def gradients_of(model: Seq2Seq) -> Gradients:
    return {
        name: weight.grad.clone()
        for name, weight in model.named_parameters()
        if weight.grad is not None
    }


def small_model(changes: Changes | None = None) -> Seq2Seq:
    none = {"embedding": 0.0, "layers": 0.0, "readout": 0.0}
    return build({"dropout": none, **(changes or {})}).train()


def dataset() -> BatchDataset:
    return BatchDataset(SOURCES, TARGETS, pad_id=PAD, bos_id=BOS, eos_id=EOS)


def loader(batches: Sequence[list[int]]) -> DataLoader[Batch]:
    return DataLoader(dataset(), sampler=batches, batch_size=None)


def recipe_of(**changes: object) -> TrainingRecipe:
    return TrainingRecipe.model_validate({**STILL, **changes})


def watch(
    recipe: TrainingRecipe,
    *,
    batches: Sequence[list[int]] = BATCHES,
    kind: type[Watched] = Watched,
    broken: Collection[int] = (),
) -> Watched:
    """Train a small model on these batches."""
    module = kind(small_model(), recipe)
    if isinstance(module, Broken):
        module.broken = frozenset(broken)
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=recipe.max_epochs,
        gradient_clip_val=recipe.max_grad_norm,
        accumulate_grad_batches=recipe.gradient_accumulation,
        check_val_every_n_epoch=recipe.validate_every,
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, loader(batches), loader(BATCHES))
    return module


def plain_loss(model: Seq2Seq, indices: list[int], *, label_smoothing: float) -> torch.Tensor:
    """The mean over the tokens of pairs, each pair by itself: no padding anywhere."""
    losses = []
    for index in indices:
        batch = dataset()[[index]]
        logits = logits_of(model, batch)
        log_probs = torch.log_softmax(logits, dim=1)
        of_labels = log_probs.gather(1, batch.target_output_ids.T)[:, 0]
        smooth = log_probs.mean(dim=1)
        losses.append(-(1 - label_smoothing) * of_labels - label_smoothing * smooth)
    return torch.cat(losses).mean()


def assert_gradients_are_of_the_mean(found: Gradients, indices: list[int]) -> None:
    model = small_model()
    plain_loss(model, indices, label_smoothing=0.1).backward()  # type: ignore[no-untyped-call]
    expected = gradients_of(model)
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-5, atol=1e-6)


def test_a_steps_gradient_is_that_of_the_mean_over_all_its_tokens() -> None:
    # 4 + 2, 5 and 1 tokens; the second step has one batch only
    gradients = watch(
        recipe_of(max_epochs=1, gradient_accumulation=2, max_grad_norm=None)
    ).gradients
    assert len(gradients) == 2
    assert_gradients_are_of_the_mean(gradients[0], [0, 1, 2])
    assert_gradients_are_of_the_mean(gradients[1], [3])


def test_without_accumulation_every_batch_is_a_step() -> None:
    gradients = watch(recipe_of(max_epochs=1, max_grad_norm=None)).gradients
    assert len(gradients) == 3
    assert_gradients_are_of_the_mean(gradients[0], [0, 1])
    assert_gradients_are_of_the_mean(gradients[2], [3])


def norm(gradients: Gradients) -> float:
    return math.hypot(*(float(gradient.norm()) for gradient in gradients.values()))


def test_gradients_are_scaled_down_to_the_greatest_norm_after_they_are_added_up() -> None:
    module = watch(recipe_of(max_epochs=1, gradient_accumulation=2, max_grad_norm=1e-3))
    before, after = module.gradients[0], module.clipped[0]
    assert norm(before) > 2e-3
    assert norm(after) == pytest.approx(1e-3, rel=1e-2)
    scale = norm(after) / norm(before)
    for name, gradient in before.items():
        torch.testing.assert_close(after[name], gradient * scale, rtol=1e-4, atol=1e-12)


def test_small_gradients_are_left_alone() -> None:
    module = watch(recipe_of(max_epochs=1, max_grad_norm=1e3))
    assert module.clipped[0].keys() == module.gradients[0].keys()
    for name, gradient in module.gradients[0].items():
        assert torch.equal(module.clipped[0][name], gradient)


@pytest.mark.parametrize("label_smoothing", [0.0, 0.3])
def test_the_training_loss_is_smoothed_and_a_mean_over_tokens(label_smoothing: float) -> None:
    model = small_model()
    module = TranslationModule(model, recipe_of(label_smoothing=label_smoothing), total_steps=1)
    outputs = module.training_step(dataset()[[0, 1, 2]], 0)
    expected = plain_loss(model, [0, 1, 2], label_smoothing=label_smoothing)
    torch.testing.assert_close(outputs["loss"], expected)
    num_tokens = int(dataset()[[0, 1, 2]].target_mask.sum())
    assert outputs["num_tokens"] == num_tokens
    torch.testing.assert_close(outputs["summed_loss"], expected * num_tokens)


def loss_of(model: Seq2Seq, recipe: TrainingRecipe, batch: Batch, *, step: int = 0) -> torch.Tensor:
    """The summed loss of a batch at some step of a hundred."""
    module = TranslationModule(model, recipe, total_steps=100)
    module.position.step = step
    found = module.training_step(batch, 0)["summed_loss"]
    assert isinstance(found, torch.Tensor)
    return found


@pytest.mark.parametrize("weight", [0.5, 2.0])
def test_the_loss_on_looking_twice_is_added_with_its_weight(weight: float) -> None:
    model, batch = small_model(), dataset()[[0, 1, 2]]
    plain = loss_of(model, recipe_of(), batch)
    with torch.no_grad():
        _, attention = score(model, batch)
    assert float(coverage_loss(attention, batch.target_mask)) > 0.1
    expected = plain + weight * coverage_loss(attention, batch.target_mask)
    torch.testing.assert_close(loss_of(model, recipe_of(coverage_loss=weight), batch), expected)


@pytest.mark.parametrize("weight", [0.5, 2.0])
def test_the_loss_towards_given_alignments_is_added_with_its_weight(weight: float) -> None:
    model, batch = small_model(), dataset()[[0, 1, 2]]
    plain = loss_of(model, recipe_of(), batch)
    with torch.no_grad():
        _, attention = score(model, batch)
    alignment = torch.zeros(attention.shape, dtype=torch.bool)
    alignment[0, 0, 1] = alignment[1, 0, 2] = True
    aligned = replace(batch, alignment=alignment)
    expected = plain + weight * alignment_loss(attention, alignment)
    recipe = recipe_of(guided_alignment=weight)
    torch.testing.assert_close(loss_of(model, recipe, aligned), expected)
    # without it the links are not looked at
    torch.testing.assert_close(loss_of(model, recipe_of(), aligned), plain)


# masks for all that dropout thins but the weights
THINNED = {"dropout": {"embedding": 0.3, "layers": 0.3, "readout": 0.3, "word": 0.2}}


def test_r_drop_passes_a_batch_twice_with_other_masks_throughout() -> None:
    model, batch = small_model(THINNED), dataset()[[0, 1, 2]]
    torch.manual_seed(1)
    twice = batch.twice()
    encoder_output, state = model.encode(twice.source_ids, twice.source_lengths)
    first, second = encoder_output.states.chunk(2)
    assert not torch.isclose(first[:, 0], second[:, 0]).all(dim=1).any()  # the encoder's too
    readouts, _, _ = model.decoder(twice.target_input_ids, state, encoder_output)
    p, q = model.output_layer(readouts)[twice.target_mask].log_softmax(dim=1).chunk(2)
    labels = batch.target_output_ids[batch.target_mask][:, None]
    smoothed = [0.9 * one.gather(1, labels).sum() + 0.1 * one.mean(dim=1).sum() for one in (p, q)]
    divergences = (p.exp() * (p - q) + q.exp() * (q - p)).sum()
    assert divergences.item() > 0.1
    expected = -(smoothed[0] + smoothed[1]) / 2 + 5 / 4 * divergences
    torch.manual_seed(1)
    module = TranslationModule(model, recipe_of(r_drop=5.0), total_steps=100)
    found = module.training_step(batch, 0)
    torch.testing.assert_close(found["summed_loss"], expected)
    # a mean over the tokens, each counted once
    assert found["num_tokens"] == len(labels)
    torch.testing.assert_close(found["loss"], expected / len(labels))


def test_without_dropout_r_drop_costs_what_one_pass_does() -> None:
    model, batch = small_model(), dataset()[[0, 1, 2]]
    torch.testing.assert_close(
        loss_of(model, recipe_of(r_drop=5.0), batch), loss_of(model, recipe_of(), batch)
    )


def test_losses_on_the_attention_are_the_mean_of_both_passes() -> None:
    model, batch = small_model(), dataset()[[0, 1, 2]]
    alignment = torch.zeros(*batch.target_input_ids.shape, batch.source_ids.size(1)).bool()
    alignment[0, 0, 1] = alignment[1, 0, 2] = True
    aligned = replace(batch, alignment=alignment)
    weights = {"guided_alignment": 0.5, "coverage_loss": 2.0}
    torch.testing.assert_close(
        loss_of(model, recipe_of(r_drop=5.0, **weights), aligned),
        loss_of(model, recipe_of(**weights), aligned),
    )


def test_both_passes_of_r_drop_read_the_same_sampled_tokens() -> None:
    model, batch = small_model(), dataset()[[0, 1, 2]]
    torch.manual_seed(1)
    expected = loss_of(model, recipe_of(scheduled_sampling=0.5), batch, step=100)
    torch.manual_seed(1)
    found = loss_of(model, recipe_of(scheduled_sampling=0.5, r_drop=5.0), batch, step=100)
    torch.testing.assert_close(found, expected)


def test_the_more_steps_are_done_the_more_inputs_are_the_models_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, batch = small_model(), dataset()[[0, 1, 2]]
    probabilities: list[float] = []
    mix_inputs = model.mix_inputs

    def note(*arguments: torch.Tensor, probability: float) -> torch.Tensor:
        probabilities.append(probability)
        assert not model.training  # no dropout where the model chooses
        return mix_inputs(*arguments, probability=probability)

    monkeypatch.setattr(model, "mix_inputs", note)
    recipe = recipe_of(scheduled_sampling=0.8)
    losses = [float(loss_of(model, recipe, batch, step=step)) for step in (0, 25, 100)]
    assert model.training
    assert probabilities == pytest.approx([0.2, 0.8])  # at the first step there is nothing to mix
    plain = float(loss_of(model, recipe_of(), batch, step=100))
    assert len(probabilities) == 2  # nor where nothing is asked for
    assert losses[0] == plain
    assert losses[2] != pytest.approx(plain)


def test_the_more_steps_are_done_the_more_is_wanted_what_the_model_holds_likeliest() -> None:
    model, batch = small_model(), dataset()[[0, 1, 2]]
    logits = logits_of(model, batch).detach()
    labels = batch.target_output_ids[batch.target_mask]
    own = logits.argmax(dim=1)
    assert not torch.equal(own, labels)
    to_labels, to_own = (
        torch.nn.functional.cross_entropy(logits, wanted, label_smoothing=0.1, reduction="sum")
        for wanted in (labels, own)
    )
    recipe = recipe_of(mixed_cross_entropy=0.5)
    for step, share in ((0, 0.0), (20, 0.1), (100, 0.5)):
        expected = (1 - share) * to_labels + share * to_own
        for changes in ({}, {"r_drop": 3.0}):  # without dropout no pass is unlike the other
            found = loss_of(model, recipe.model_copy(update=changes), batch, step=step)
            torch.testing.assert_close(found.detach(), expected)


def test_with_certain_sampling_the_last_step_reads_what_greedy_search_writes() -> None:
    model, batch = small_model(), dataset()[[0, 1, 2]]
    greedy = model.mix_inputs(
        batch.source_ids, batch.source_lengths, batch.target_input_ids, probability=1.0
    )
    expected = loss_of(model, recipe_of(), replace(batch, target_input_ids=greedy))
    found = loss_of(model, recipe_of(scheduled_sampling=1.0), batch, step=100)
    torch.testing.assert_close(found, expected)


def test_the_validation_loss_is_a_mean_over_all_tokens_without_smoothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    logged: dict[str, torch.Tensor] = {}
    module = TranslationModule(small_model(), recipe_of(label_smoothing=0.3), total_steps=1)
    monkeypatch.setattr(module, "log", logged.__setitem__)
    for batches in (BATCHES, BATCHES[:2]):  # the second validation starts anew
        module.on_validation_epoch_start()
        for number, indices in enumerate(batches):
            module.validation_step(dataset()[indices], number)
        module.on_validation_epoch_end()
        expected = plain_loss(
            module.model, [index for indices in batches for index in indices], label_smoothing=0.0
        )
        torch.testing.assert_close(logged["loss"], expected.float())


def test_the_validation_loss_is_that_of_the_average(monkeypatch: pytest.MonkeyPatch) -> None:
    logged: dict[str, torch.Tensor] = {}
    module = TranslationModule(small_model(), recipe_of(ema=0.5), total_steps=1)
    with torch.no_grad():
        module.model.output_layer.bias[0] += 3  # a step, which the average has not followed yet
    monkeypatch.setattr(module, "log", logged.__setitem__)
    module.on_validation_epoch_start()
    module.validation_step(dataset()[[0, 1, 2]], 0)
    module.on_validation_epoch_end()
    expected = plain_loss(small_model(), [0, 1, 2], label_smoothing=0.0)
    torch.testing.assert_close(logged["loss"], expected.float())


def optimizer_of(recipe: TrainingRecipe) -> torch.optim.Optimizer:
    module = TranslationModule(small_model(), recipe, total_steps=100)
    (optimizer,), _ = module.configure_optimizers()
    assert isinstance(optimizer, torch.optim.Optimizer)
    return optimizer


@pytest.mark.parametrize(
    ("name", "kind"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)]
)
def test_the_optimizer_is_what_the_recipe_says(
    name: str, kind: type[torch.optim.Optimizer]
) -> None:
    optimizer = optimizer_of(
        recipe_of(optimizer=name, learning_rate=0.5, adam_betas=(0.7, 0.8), weight_decay=0.25)
    )
    assert type(optimizer) is kind
    (group,) = optimizer.param_groups
    assert (group["lr"], group["betas"], group["weight_decay"]) == (0.5, (0.7, 0.8), 0.25)


@pytest.mark.parametrize(("precision", "is_fused"), [("fp32", True), ("bf16", False)])
def test_an_optimizer_is_not_fused_where_its_gradients_could_not_be_clipped(
    precision: str, is_fused: bool
) -> None:
    optimizer = optimizer_of(recipe_of(precision=precision))
    assert bool(optimizer.param_groups[0]["fused"]) == is_fused


def test_the_schedule_goes_on_at_every_step_not_at_every_batch() -> None:
    recipe = recipe_of(max_epochs=2, gradient_accumulation=2, warmup_steps=8, learning_rate=8e-9)
    assert watch(recipe).rates == pytest.approx([1e-9, 2e-9, 3e-9, 4e-9])


@pytest.mark.parametrize(
    ("validate_every", "factors"),
    [
        # warm-up; from step 2 on every validation is as good as the first: the third is the
        # second without gain, and the rate is halved
        (1, [0.5, 1, 1, 1, 0.5, 0.5, 0.25, 0.25]),
        (2, [0.5, 1, 1, 1, 1, 1, 0.5, 0.5]),
    ],
)
def test_after_its_warm_up_the_plateau_schedule_halves_the_rate(
    validate_every: int, factors: list[float]
) -> None:
    recipe = recipe_of(
        schedule="plateau",
        warmup_steps=2,
        max_epochs=8,
        validate_every=validate_every,
        learning_rate=1e-7,
    )
    rates = watch(recipe, batches=[[0, 1, 2, 3]]).rates
    assert rates == pytest.approx([1e-7 * factor for factor in factors])


def test_dropout_is_that_of_seed_and_epoch_whatever_was_drawn_before() -> None:
    drawn = watch(recipe_of(max_epochs=2)).drawn
    torch.rand(7)
    assert watch(recipe_of(max_epochs=2)).drawn == drawn
    assert len(set(drawn)) == 6  # three batches an epoch
    assert not set(drawn) & set(watch(recipe_of(max_epochs=2, seed=2)).drawn)


def test_the_use_of_the_source_is_what_its_neighbours_source_costs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    logged: dict[str, torch.Tensor] = {}
    module = TranslationModule(small_model().eval(), recipe_of(), total_steps=1)
    monkeypatch.setattr(module, "log", logged.__setitem__)
    for _ in range(2):  # the second validation starts anew
        module.on_validation_epoch_start()
        for number, indices in enumerate(([0, 1, 2], [3])):  # one alone has no neighbour
            module.validation_step(dataset()[indices], number)
        module.on_validation_epoch_end()
    sums = {}
    for name, sources in (("right", [0, 1, 2]), ("shuffled", [2, 0, 1])):
        pairs = BatchDataset(
            [SOURCES[source] for source in sources], TARGETS[:3], pad_id=PAD, bos_id=BOS, eos_id=EOS
        )
        logits = [logits_of(module.model, pairs[[row]]) for row in range(3)]
        sums[name] = sum(
            torch.nn.functional.cross_entropy(rows, pairs[[row]].target_output_ids[0]).item()
            * len(rows)
            for row, rows in enumerate(logits)
        )
    num_tokens = sum(len(target) + 1 for target in TARGETS[:3])
    expected = (sums["shuffled"] - sums["right"]) / num_tokens
    assert abs(expected) > 1e-4
    assert float(logged["source_use"]) == pytest.approx(expected, abs=1e-5)


class Broken(Watched):
    """Has a loss that is no number at some batches."""

    broken: frozenset[int] = frozenset()
    skipped: tuple[SkippedStep, ...] = ()

    def training_step(self, batch: Batch, batch_index: int) -> dict[str, Any]:
        outputs = super().training_step(batch, batch_index)
        if len(self.drawn) - 1 in self.broken:
            outputs["loss"] = outputs["loss"] * math.inf
        return outputs

    def on_train_batch_end(self, *_: object) -> None:
        skipped = self.take_skipped()
        assert self.take_skipped() is None
        if skipped is not None:
            self.skipped = (*self.skipped, skipped)


def test_a_step_with_a_gradient_that_is_no_number_is_as_if_it_had_not_been() -> None:
    changes = {"max_epochs": 1, "warmup_steps": 8, "learning_rate": 0.1, "weight_decay": 0.1}
    recipe = recipe_of(**changes, ema=0.5)
    broken = watch(recipe, batches=([0, 1], [2], [3]), kind=Broken, broken={1})
    never = watch(recipe, batches=([0, 1], [3]), kind=Broken)
    assert isinstance(broken, Broken)
    states = broken.state_dict(), never.state_dict()
    assert states[0].keys() == states[1].keys()
    for name, weight in states[0].items():  # those of the average too
        assert torch.equal(weight, states[1][name]), name
    assert int(states[0]["average.n_averaged"]) == 2
    assert broken.rates == pytest.approx([0.0125, 0.025, 0.025])
    position = broken.position
    assert (position.step, position.num_skipped, position.skipped_in_row) == (2, 1, 0)
    (skipped,) = broken.skipped
    assert not math.isfinite(skipped.gradient_norm)
    assert [batch.indices.tolist() for batch in skipped.batches] == [[2]]


def test_all_batches_of_a_step_are_skipped_together() -> None:
    recipe = recipe_of(max_epochs=1, gradient_accumulation=2, learning_rate=0.1)
    module = watch(recipe, batches=([0], [1], [2], [3]), kind=Broken, broken={2})
    assert isinstance(module, Broken)
    (skipped,) = module.skipped
    assert [batch.indices.tolist() for batch in skipped.batches] == [[2], [3]]
    assert module.position.step == 1
    assert module.position.skipped_in_row == 1
