"""Training variational attention: a bound, a gradient that is right in the mean, whole runs."""

from pathlib import Path

import pytest
import torch
from small_models import BOS, EOS, PAD, build, make_batch, score
from stopping import StoppedError, stop_after
from torch import Tensor
from torch.nn.functional import cross_entropy
from toy import QUICK, read_lines, toy_recipe, write_quick_corpus

from nmt import Translator
from nmt.batching import Batch, BatchDataset
from nmt.errors import NMTError
from nmt.loss import coverage_loss
from nmt.model import VariationalSeq2Seq
from nmt.model.variational import Estimate
from nmt.recipe import TrainingRecipe
from nmt.run_folder import RunFolder
from nmt.training import train, variational
from nmt.training.module import TranslationModule
from nmt.training.saving import Saving
from nmt.training.variational import variational_loss


def model_of(estimate: Estimate, *, dropout: float = 0.0) -> VariationalSeq2Seq:
    thinned = dict.fromkeys(("embedding", "layers", "readout"), dropout)
    model = build({"attention": {"variational": estimate}, "dropout": thinned}).train()
    assert isinstance(model, VariationalSeq2Seq)
    return model


def nll(model: VariationalSeq2Seq, batch: Batch) -> Tensor:
    log_p, _ = score(model, batch)
    return -log_p.gather(1, batch.target_output_ids[batch.target_mask][:, None]).sum()


def loss_of(model: VariationalSeq2Seq, batch: Batch, label_smoothing: float = 0.0) -> Tensor:
    return variational_loss(model, batch, label_smoothing=label_smoothing)[0]


@torch.no_grad()
def test_the_loss_lies_above_the_likelihood_and_meets_it_at_the_true_posterior(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, batch = model_of("enumerated"), make_batch()
    assert loss_of(model, batch) > nll(model, batch) + 0.1
    encoder_output, state = model.encode(batch.source_ids, batch.source_lengths)
    unaligned = model.unaligned(batch.target_input_ids, state, encoder_output)
    labels = batch.target_output_ids[..., None]
    said = [model.output_layer(unaligned.at(s)).log_softmax(2).gather(2, labels) for s in range(5)]
    joint = torch.cat(said, dim=2) + unaligned.attention.log()  # log p(z, y), -inf at padding
    monkeypatch.setattr(model, "log_posterior", lambda *_: joint.log_softmax(dim=2))
    torch.testing.assert_close(loss_of(model, batch), nll(model, batch))


@torch.no_grad()
def test_the_loss_is_that_of_its_formula() -> None:
    model, batch = model_of("enumerated"), make_batch()
    encoder_output, state = model.encode(batch.source_ids, batch.source_lengths)
    unaligned = model.unaligned(batch.target_input_ids, state, encoder_output)
    log_q = model.log_posterior(
        batch.source_ids, batch.source_lengths, batch.target_output_ids, batch.target_mask
    )
    expected = 0.0
    for row in range(4):
        for step in range(int(batch.target_mask[row].sum())):
            label = int(batch.target_output_ids[row, step])
            for place in range(int(batch.source_lengths[row])):
                logits = model.output_layer(unaligned.at(place)[row, step])
                log_p = torch.log_softmax(logits, dim=0)
                loss = -float(0.9 * log_p[label] + 0.1 * log_p.mean())
                q, p = log_q[row, step, place].exp(), unaligned.attention[row, step, place]
                expected += float(q) * (loss + float(q.log() - p.log()))
    found, attention = variational_loss(model, batch, label_smoothing=0.1)
    assert float(found) == pytest.approx(expected)
    assert torch.equal(attention, unaligned.attention)


def gradients(model: VariationalSeq2Seq, batch: Batch) -> list[Tensor]:
    weights: list[Tensor] = list(model.parameters())
    found = torch.autograd.grad(loss_of(model, batch, 0.1), weights, allow_unused=True)
    return [
        torch.zeros_like(weight) if one is None else one
        for one, weight in zip(found, weights, strict=True)
    ]


def test_a_drawn_position_has_the_gradient_of_all_in_the_mean(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two steps over three positions: all nine ways to draw, each as often as q draws it."""
    dataset = BatchDataset([[4, 5]], [[6]], pad_id=PAD, bos_id=BOS, eos_id=EOS)
    batch = dataset[[0]]
    wanted = gradients(model_of("enumerated"), batch)
    model = model_of("sampled")
    q = (
        model.log_posterior(
            batch.source_ids, batch.source_lengths, batch.target_output_ids, batch.target_mask
        )
        .exp()[0]
        .detach()
    )
    assert q.shape == (2, 3)
    mean = [torch.zeros_like(one) for one in wanted]
    for first in range(3):
        for second in range(3):
            drawn = torch.tensor([[first, second]])
            monkeypatch.setattr(variational, "_drawn", lambda _, drawn=drawn: drawn)
            share = float(q[0, first] * q[1, second])
            for total, one in zip(mean, gradients(model, batch), strict=True):
                total += share * one
    names = [name for name, _ in model.named_parameters()]
    for name, total, one in zip(names, mean, wanted, strict=True):
        torch.testing.assert_close(total, one, msg=name)


@pytest.mark.parametrize("estimate", ["sampled", "enumerated"])
def test_every_weight_learns(estimate: Estimate) -> None:
    model, batch = model_of(estimate, dropout=0.2), make_batch()
    torch.manual_seed(1)
    for (name, _), one in zip(model.named_parameters(), gradients(model, batch), strict=True):
        assert one.isfinite().all(), name
        assert one.any(), name


def test_positions_are_drawn_as_often_as_the_guess_has_them() -> None:
    torch.manual_seed(1)
    q = torch.tensor([[0.1, 0.2, 0.7, 0.0], [0.6, 0.4, 0.0, 0.0]])
    drawn = variational._drawn(q.log().expand(10_000, 2, 4))
    assert drawn.shape == (10_000, 2)
    shares = torch.nn.functional.one_hot(drawn, 4).float().mean(dim=0)
    torch.testing.assert_close(shares, q, atol=0.02, rtol=0)
    assert shares[q == 0].eq(0).all()


def test_a_guess_that_is_no_number_makes_a_loss_that_is_none() -> None:
    """Its step is then skipped, as any such step is; nothing is raised."""
    model, batch = model_of("sampled"), make_batch()
    with torch.no_grad():
        model.posterior.projection.weight[0, 0] = float("nan")
    assert loss_of(model, batch).isnan()


def test_an_attention_sure_of_the_wrong_place_is_pulled_to_the_guess(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However sure it is: here of the first place by e^30, where the guess is the second."""
    model, batch = model_of("enumerated"), make_batch()
    energies = torch.zeros(4, 5, 5, requires_grad=True)
    sure = energies.new_zeros(4, 5, 5)
    sure[:, :, 0] = 30.0
    encoder_output, state = model.encode(batch.source_ids, batch.source_lengths)
    unaligned = model.unaligned(batch.target_input_ids, state, encoder_output)
    certain = unaligned._replace(attention=(energies + sure).softmax(dim=2))
    guess = torch.full((4, 5, 5), float("-inf"))
    guess[:, :, 1] = 0.0
    monkeypatch.setattr(model, "unaligned", lambda *_: certain)
    monkeypatch.setattr(model, "log_posterior", lambda *_: guess)
    [gradient] = torch.autograd.grad(loss_of(model, batch), [energies])
    torch.testing.assert_close(gradient[0, 0], torch.tensor([1.0, -1.0, 0.0, 0.0, 0.0]))


def test_half_precision_is_scored_in_full() -> None:
    model, batch = model_of("enumerated").float(), make_batch()
    full = loss_of(model, batch, 0.1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = loss_of(model, batch, 0.1)
        log_p, _ = score(model, batch)
    assert half.dtype == log_p.dtype == torch.float32
    torch.testing.assert_close(half, full, atol=0, rtol=0.01)
    torch.testing.assert_close(log_p.exp().sum(dim=1), torch.ones(len(log_p)))


def test_the_value_is_the_loss_and_none_of_what_makes_the_gradient(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With q at its own places, all drawn at the first position."""
    model, batch = model_of("sampled"), make_batch()
    monkeypatch.setattr(variational, "_drawn", lambda _: torch.zeros(4, 5, dtype=torch.int64))
    log_q = model.log_posterior(
        batch.source_ids, batch.source_lengths, batch.target_output_ids, batch.target_mask
    )
    encoder_output, state = model.encode(batch.source_ids, batch.source_lengths)
    unaligned = model.unaligned(batch.target_input_ids, state, encoder_output)
    logits = model.output_layer(unaligned.at(0))[batch.target_mask]
    labels = batch.target_output_ids[batch.target_mask]
    expected = cross_entropy(logits, labels, reduction="sum", label_smoothing=0.1)
    ratio = (log_q - unaligned.attention.log()).nan_to_num()
    expected = expected + (log_q.exp() * ratio).sum(dim=2)[batch.target_mask].sum()
    torch.testing.assert_close(loss_of(model, batch, 0.1), expected)


def test_a_position_as_good_as_the_context_changes_no_guess(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where all states are alike, q learns only to be as the attention is."""
    found = []
    estimates: tuple[Estimate, ...] = ("sampled", "enumerated")
    for estimate in estimates:
        model, batch = model_of(estimate), make_batch()
        encoder_output, state = model.encode(batch.source_ids, batch.source_lengths)
        unaligned = model.unaligned(batch.target_input_ids, state, encoder_output)
        alike = unaligned._replace(states=unaligned.states[:, :1].expand(-1, 5, -1))
        monkeypatch.setattr(model, "unaligned", lambda *_, alike=alike: alike)
        [gradient] = torch.autograd.grad(loss_of(model, batch, 0.1), [_projection(model)])
        found.append(gradient)
    assert found[0].any()
    torch.testing.assert_close(found[0], found[1])


def _projection(model: VariationalSeq2Seq) -> Tensor:
    return model.posterior.projection.weight


def test_a_step_takes_this_loss_and_those_on_the_attention() -> None:
    model, batch = model_of("enumerated"), make_batch()
    recipe = TrainingRecipe(max_sentences=4, label_smoothing=0.1, coverage_loss=2.0)
    loss, attention = variational_loss(model, batch, label_smoothing=0.1)
    found = TranslationModule(model, recipe, total_steps=1).training_step(batch, 0)
    expected = loss + 2 * coverage_loss(attention, batch.target_mask)
    torch.testing.assert_close(found["summed_loss"], expected.detach())


def test_a_validation_takes_the_likelihood(monkeypatch: pytest.MonkeyPatch) -> None:
    model, batch = model_of("sampled").eval(), make_batch()
    logged: dict[str, Tensor] = {}
    module = TranslationModule(model, TrainingRecipe(max_sentences=4), total_steps=1)
    monkeypatch.setattr(module, "log", logged.__setitem__)
    module.on_validation_epoch_start()
    module.validation_step(batch, 0)
    module.on_validation_epoch_end()
    expected = nll(model, batch) / batch.target_mask.sum()
    torch.testing.assert_close(logged["loss"], expected.detach().float())


def test_a_run_is_trained_gone_on_with_and_translated_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_quick_corpus(tmp_path)
    settings = (*QUICK, "training.max_epochs=2", "model.attention.variational=sampled")
    recipe = toy_recipe(tmp_path, *settings)
    train(recipe, tmp_path / "whole")
    with monkeypatch.context() as patched:
        patched.setattr(Saving, "on_train_epoch_end", stop_after(1))
        with pytest.raises(StoppedError):
            train(recipe, tmp_path / "stopped")
    train(recipe, tmp_path / "stopped")
    whole, stopped = (RunFolder(tmp_path / name) for name in ("whole", "stopped"))
    assert whole.weights_file.read_bytes() == stopped.weights_file.read_bytes()
    sources = read_lines(tmp_path / "test.en")
    translations = Translator.load(whole.path).translate(sources)
    assert translations == read_lines(whole.report / "hypotheses.txt")
    with pytest.raises(NMTError, match=r"int8 needs a model .* not variational"):
        Translator.load(whole.path, int8=True)
