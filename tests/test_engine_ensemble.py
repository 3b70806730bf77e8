import math
from collections.abc import Sequence

import pytest
import torch
from small_models import BOS, EOS, PAD, WHOLE_FAMILY, build, make_batch
from torch import Tensor

from nmt.engine import (
    Average,
    EnsembleEngine,
    ModelEngine,
    ScoringEngine,
    Source,
    State,
    force_targets,
)
from nmt.search import SearchOptions, beam_search

AVERAGES: tuple[Average, ...] = ("linear", "log")
EVERY_AVERAGE = pytest.mark.parametrize("average", AVERAGES)
# Nothing that these carry is of the same shape.
UNLIKE = ("gru, previous, context", "lstm, top, attentional", "unlike units", "heads")


def engine_of(name: str) -> ModelEngine:
    return ModelEngine(build(WHOLE_FAMILY[name]))


def unlike_engines() -> list[ScoringEngine]:
    return [engine_of(name) for name in UNLIKE]


def encode(engine: ScoringEngine) -> tuple[Source, State]:
    batch = make_batch()
    return engine.encode(batch.source_ids, batch.source_lengths)


def read_all(engine: ScoringEngine) -> tuple[Tensor, Tensor]:
    """The log-probabilities behind every token of the batch, and the attention."""
    source, state = encode(engine)
    log_probs, _, attention = engine.read(make_batch().target_input_ids, state, source)
    return log_probs, attention


def step_through(engine: ScoringEngine) -> tuple[Tensor, Tensor]:
    """The same, step by step."""
    source, state = encode(engine)
    steps = []
    for tokens in make_batch().target_input_ids.T:
        log_probs, state, attention = engine.step(tokens, state, source)
        steps.append((log_probs, attention))
    every, attentions = zip(*steps, strict=True)
    return torch.stack(every, dim=1), torch.stack(attentions, dim=1)


def mean_log_probs(rows: Sequence[Sequence[float]], average: Average) -> list[float]:
    """What the log-probabilities of some models, (models, V), are as one, in plain Python."""
    if average == "linear":
        return [
            math.log(sum(math.exp(value) for value in values) / len(rows))
            for values in zip(*rows, strict=True)
        ]
    products = [math.prod(map(math.exp, values)) for values in zip(*rows, strict=True)]
    roots = [product ** (1 / len(rows)) for product in products]
    return [math.log(root / sum(roots)) for root in roots]


@EVERY_AVERAGE
def test_probabilities_are_averaged(average: Average) -> None:
    engines = unlike_engines()
    log_probs, _ = step_through(EnsembleEngine(engines, average=average))
    apart = torch.stack([step_through(engine)[0] for engine in engines], dim=2)  # (B, T, models, V)
    expected = [
        [mean_log_probs(models, average) for models in steps] for steps in apart.double().tolist()
    ]
    torch.testing.assert_close(log_probs, torch.tensor(expected))
    # these models do not agree, so it matters how they are averaged
    other = EnsembleEngine(engines, average="log" if average == "linear" else "linear")
    assert not torch.allclose(log_probs, step_through(other)[0], atol=1e-3)


def test_attention_is_averaged_over_the_models_that_have_any() -> None:
    engines = [*unlike_engines(), engine_of("lstm, None, direct")]
    _, attention = step_through(EnsembleEngine(engines))
    apart = [step_through(engine)[1] for engine in engines[:-1]]
    torch.testing.assert_close(attention, (apart[0] + apart[1] + apart[2] + apart[3]) / 4)
    torch.testing.assert_close(
        attention.sum(dim=2).float(), torch.ones(make_batch().target_input_ids.shape)
    )


def test_models_without_attention_make_an_ensemble_without() -> None:
    ensemble = EnsembleEngine([engine_of("lstm, None, direct"), engine_of("gru, None")])
    assert not ensemble.has_attention
    assert not step_through(ensemble)[1].any()
    assert EnsembleEngine([engine_of("lstm, None, direct"), engine_of("heads")]).has_attention


@EVERY_AVERAGE
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("name", [*UNLIKE, "window", "lstm, None, hidden"])
def test_an_ensemble_of_the_same_model_is_that_model(
    name: str, times: int, average: Average
) -> None:
    engine = engine_of(name)
    ensemble = EnsembleEngine([engine] * times, average=average)
    for found, expected in zip(step_through(ensemble), step_through(engine), strict=True):
        torch.testing.assert_close(found, expected)


@EVERY_AVERAGE
def test_reading_at_once_gives_what_step_by_step_gives(average: Average) -> None:
    ensemble = EnsembleEngine(unlike_engines(), average=average)
    for found, expected in zip(read_all(ensemble), step_through(ensemble), strict=True):
        torch.testing.assert_close(found, expected)


def test_ensembles_may_be_members_of_an_ensemble() -> None:
    first, second, third, fourth = unlike_engines()
    nested = EnsembleEngine([EnsembleEngine([first, second]), EnsembleEngine([third, fourth])])
    flat = EnsembleEngine([first, second, third, fourth])
    for found, expected in zip(step_through(nested), step_through(flat), strict=True):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    ("change", "rows"), [("select", [2, 0, 2]), ("reorder", [3, 2, 2, 0]), ("repeat", [0, 0, 1, 1])]
)
def test_rows_are_changed_in_every_model(change: str, rows: list[int]) -> None:
    ensemble = EnsembleEngine(unlike_engines())
    source, state = ensemble.encode(*(tensor[:4] for tensor in batch_sources()))
    tokens = torch.tensor([4, 5, 6, 7])
    _, state, _ = ensemble.step(tokens, state, source)
    expected, _, expected_attention = ensemble.step(tokens, state, source)
    if change == "repeat":
        two = torch.tensor([0, 1])
        state, source = state.select(two).repeat(2), source.select(two).repeat(2)
    else:
        places = torch.tensor(rows)
        state, source = getattr(state, change)(places), source.select(places)
    assert len(state) == len(rows)
    found, _, attention = ensemble.step(tokens[rows], state, source)
    torch.testing.assert_close(found, expected[rows])
    torch.testing.assert_close(attention, expected_attention[rows])


def batch_sources() -> tuple[Tensor, Tensor]:
    batch = make_batch()
    return batch.source_ids, batch.source_lengths


@EVERY_AVERAGE
def test_a_search_keeps_every_state_beside_its_own_hypothesis(average: Average) -> None:
    options = SearchOptions(
        beam_size=3,
        num_hypotheses=3,
        length_penalty=0.6,
        max_length_ratio=1.0,
        max_target_length=7,
        bos_id=BOS,
        eos_id=EOS,
        banned_ids=(PAD, BOS),
    )
    models = [build(WHOLE_FAMILY[name]) for name in UNLIKE]
    for model in models:
        with torch.no_grad():
            model.output_layer.bias[EOS] = -2.0
    ensemble = EnsembleEngine([ModelEngine(model) for model in models], average=average)
    source_ids, source_lengths = batch_sources()
    found = beam_search(ensemble, source_ids, source_lengths, options)
    assert max(len(hypotheses[0].token_ids) for hypotheses in found) > 2
    for rank in range(3):
        hypotheses = [of_sentence[rank] for of_sentence in found]
        targets = [hypothesis.token_ids for hypothesis in hypotheses]
        forced = force_targets(
            ensemble, source_ids, source_lengths, targets, bos_id=BOS, eos_id=EOS
        )
        for hypothesis, target in zip(hypotheses, forced, strict=True):
            assert hypothesis.log_prob == pytest.approx(target.log_prob, abs=1e-4)
            torch.testing.assert_close(hypothesis.attention, target.attention)


def test_the_vocabulary_and_the_device_are_those_of_the_models() -> None:
    engines = [ModelEngine(build(target_vocab_size=7).to("meta")) for _ in range(2)]
    ensemble = EnsembleEngine(engines)
    assert ensemble.vocab_size == 7
    assert ensemble.device == torch.device("meta")


def test_engines_that_do_not_fit_together_are_refused() -> None:
    engine = ModelEngine(build())
    with pytest.raises(ValueError, match=r"^engines must hold at least one, got none$"):
        EnsembleEngine([])
    message = r"^engines must have the same vocab_size, got 11, 7$"
    with pytest.raises(ValueError, match=message):
        EnsembleEngine([engine, ModelEngine(build(target_vocab_size=7))])
    with pytest.raises(ValueError, match=r"^engines must have the same device, got cpu, meta$"):
        EnsembleEngine([engine, ModelEngine(build().to("meta"))])


def test_an_unknown_average_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^average must be linear or log, got 'harmonic'$"):
        EnsembleEngine([ModelEngine(build())], average="harmonic")  # type: ignore[arg-type]
