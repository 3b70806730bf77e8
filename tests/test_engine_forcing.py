import math

import pytest
import torch
from small_models import BOS, EOS, TARGETS, WHOLE_FAMILY, build, make_batch

from nmt.engine import EnsembleEngine, ForcedTarget, ModelEngine, ScoringEngine, force_targets
from nmt.engine import forcing as forcing_module


def force(engine: ScoringEngine, targets: list[list[int]]) -> list[ForcedTarget]:
    batch = make_batch()
    return force_targets(
        engine, batch.source_ids, batch.source_lengths, targets, bos_id=BOS, eos_id=EOS
    )


@torch.no_grad()
def step_by_step(engine: ScoringEngine, row: int, target: list[int]) -> ForcedTarget:
    """One target beside its source alone, without padding, by way of the search's door."""
    batch = make_batch()
    length = int(batch.source_lengths[row])
    source, state = engine.encode(
        batch.source_ids[row : row + 1, :length], batch.source_lengths[row : row + 1]
    )
    token_log_probs, attentions = [], []
    for token_id, wanted in zip([BOS, *target], [*target, EOS], strict=True):
        log_probs, state, attention = engine.step(torch.tensor([token_id]), state, source)
        token_log_probs.append(float(log_probs[0, wanted]))
        attentions.append(attention[0])
    return ForcedTarget(tuple(token_log_probs), torch.stack(attentions))


def assert_equal(found: list[ForcedTarget], expected: list[ForcedTarget]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert one.token_log_probs == pytest.approx(other.token_log_probs, abs=1e-5)
        torch.testing.assert_close(one.attention, other.attention)


# The units make no difference to how a target is read.
@pytest.mark.parametrize(
    "name", [name for name in WHOLE_FAMILY if not name.startswith(("gru", "rnn", "layer_norm"))]
)
def test_whole_targets_are_scored_as_step_by_step(name: str) -> None:
    engine = ModelEngine(build(WHOLE_FAMILY[name]))
    expected = [step_by_step(engine, row, target) for row, target in enumerate(TARGETS)]
    assert_equal(force(engine, TARGETS), expected)


def test_an_ensemble_scores_as_step_by_step() -> None:
    ensemble = EnsembleEngine(
        [ModelEngine(build(WHOLE_FAMILY[name])) for name in ("heads", "one layer", "gru, None")]
    )
    expected = [step_by_step(ensemble, row, target) for row, target in enumerate(TARGETS)]
    assert_equal(force(ensemble, TARGETS), expected)


@pytest.mark.parametrize("max_log_probs", [1, 4 * 11 * 2])
def test_targets_that_do_not_fit_into_memory_are_read_in_parts(
    max_log_probs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = build(WHOLE_FAMILY["lstm, bottom, attentional"])
    expected = force(ModelEngine(model), TARGETS)
    monkeypatch.setattr(forcing_module, "_MAX_LOG_PROBS", max_log_probs)
    sizes = []
    model.output_layer.register_forward_hook(lambda *values: sizes.append(values[2].size(1)))
    assert_equal(force(ModelEngine(model), TARGETS), expected)
    assert sizes == ([1] * 5 if max_log_probs == 1 else [2, 2, 1])  # the longest has 4 and EOS


def test_a_target_is_read_in_one_call() -> None:
    model = build()
    calls = []
    model.output_layer.register_forward_hook(lambda *values: calls.append(values[2].shape))
    force(ModelEngine(model), TARGETS)
    assert calls == [(4, 5, 11)]


def test_the_log_probability_of_a_target_is_the_sum_over_its_tokens() -> None:
    target = ForcedTarget((-0.5, -0.25, -2.0), torch.empty(0))
    assert target.log_prob == -2.75


def test_no_targets_are_nothing_to_do() -> None:
    nothing = torch.empty(0, 0, dtype=torch.long)
    engine = ModelEngine(build())
    assert force_targets(engine, nothing, nothing[:, :0], [], bos_id=BOS, eos_id=EOS) == []


def test_other_numbers_of_targets_and_sources_are_refused() -> None:
    message = r"^targets must be as many as sources, got 3 and 4$"
    with pytest.raises(ValueError, match=message):
        force(ModelEngine(build()), TARGETS[:3])


@pytest.mark.parametrize("token_id", [-1, 11])
def test_a_token_of_another_vocabulary_is_refused(token_id: int) -> None:
    message = rf"^target 2: token ids must be from 0 to 10, got {token_id}$"
    with pytest.raises(ValueError, match=message):
        force(ModelEngine(build()), [[4], [5], [6, token_id], [7]])


def test_a_model_that_gives_no_numbers_is_a_defect() -> None:
    model = build()
    with torch.no_grad():
        model.output_layer.bias[4] = math.nan
    with pytest.raises(FloatingPointError, match=r"^sentence 0 of the batch has no log-prob"):
        force(ModelEngine(model), TARGETS)
