from collections.abc import Mapping

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_models import BOS, TARGET_VOCAB_SIZE, VARIATIONAL, WHOLE_FAMILY, build, make_batch
from torch import Tensor

from nmt.engine import Engine, FoldedEngine, ModelEngine, can_fold
from nmt.engine.carried import FoldedSource
from nmt.model.products import Linear, fixed_linear, has_int8, int8_linear

KINDS: Mapping[str, Mapping[str, object]] = {
    f"{kind}, {query}": {
        "encoder": {"num_layers": 1, "hidden_size": 2},
        "attention": {"kind": kind, "query": query},
        "decoder": {
            "num_layers": 2,
            "hidden_size": 4,
            "feedback": "context" if query == "previous" else None,
        },
    }
    for kind in ("dot", "scaled_dot", "general", "additive")
    for query in ("bottom", "top", "previous")
}
needs_int8 = pytest.mark.skipif(not has_int8(), reason="PyTorch has no 8-bit products here")
MODELS = {
    name: build(changes).float()
    for name, changes in {**WHOLE_FAMILY, **KINDS, **VARIATIONAL}.items()
}
FOLDED = [name for name, model in MODELS.items() if can_fold(model)]


def test_what_is_folded_and_what_is_not() -> None:
    refused = set(MODELS) - set(FOLDED)
    assert {"window", "heads", "dot, heads", "unlike units", *VARIATIONAL} <= refused
    assert {name for name in MODELS if "coverage" in name} <= refused
    others = ("gru,", "rnn,", "layer_norm_lstm,")
    assert all(name in refused for name in MODELS if name.startswith(others))
    assert set(KINDS) <= set(FOLDED)
    assert {"lstm, None", "scaled_dot", "one layer", "backward, copy"} <= set(FOLDED)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_precisions_are_not_folded(dtype: torch.dtype) -> None:
    assert not can_fold(build(KINDS["general, top"]).to(dtype))


@pytest.mark.parametrize("least_shared", [1, 64])
@pytest.mark.parametrize("one_row", [False, True])
@pytest.mark.parametrize("name", FOLDED)
def test_it_gives_what_the_model_gives(
    name: str, one_row: bool, least_shared: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over steps between which rows are repeated, put in another order and left out."""
    monkeypatch.setattr("nmt.engine.step._MANY_ROWS", least_shared)
    plain, folded = ModelEngine(MODELS[name]), FoldedEngine(MODELS[name], one_row=one_row)
    batch = make_batch()
    source, state = plain.encode(batch.source_ids, batch.source_lengths)
    source_there, state_there = folded.encode(batch.source_ids, batch.source_lengths)
    tokens = torch.full((4,), BOS)
    changes = (
        [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3],  # three beams of every sentence
        [2, 1, 0, 4, 4, 3, 9, 11, 10],  # a sentence has left
        [0, 3, 4, 6, 7, 8],  # rows that have no common number for a sentence
        [5, 2],
    )
    for change in changes:
        log_probs, state, attention = plain.step(tokens, state, source)
        found, state_there, looked = folded.step(tokens, state_there, source_there)
        torch.testing.assert_close(found, log_probs, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(looked, attention, rtol=1e-4, atol=1e-5)
        rows = torch.tensor(change)
        state, source = state.select(rows), source.select(rows)
        state_there, source_there = state_there.reorder(rows), source_there.select(rows)
        assert len(state_there) == len(rows)
        tokens = 4 + rows % (TARGET_VOCAB_SIZE - 4)


@pytest.mark.parametrize("name", ["general, bottom", "lstm, bottom, context, maxout"])
def test_what_is_too_large_to_look_up_is_multiplied(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch, engines = make_batch(), [FoldedEngine(MODELS[name])]
    monkeypatch.setattr("nmt.engine.units._MOST_NUMBERS", 0)
    engines.append(FoldedEngine(MODELS[name]))
    found = []
    for engine in engines:
        source, state = engine.encode(batch.source_ids, batch.source_lengths)
        found.append(engine.read(batch.target_input_ids, state, source)[0])
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-5)


def test_reading_at_once_gives_what_step_by_step_gives() -> None:
    model = MODELS["general, bottom"]
    batch, plain, folded = make_batch(), ModelEngine(model), FoldedEngine(model)
    source, state = plain.encode(batch.source_ids, batch.source_lengths)
    source_there, state_there = folded.encode(batch.source_ids, batch.source_lengths)
    log_probs, _, attention = plain.read(batch.target_input_ids, state, source)
    found, _, looked = folded.read(batch.target_input_ids, state_there, source_there)
    torch.testing.assert_close(found, log_probs, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(looked, attention, rtol=1e-4, atol=1e-5)
    assert folded.vocab_size == plain.vocab_size == TARGET_VOCAB_SIZE


def test_a_model_in_training_is_translated_with_without_dropout() -> None:
    changes = {"dropout": {"layers": 0.5, "readout": 0.5, "recurrent": 0.5}}
    model = build(changes).float().train()
    batch = make_batch()
    engines: tuple[Engine, Engine] = (FoldedEngine(model), ModelEngine(model))
    log_probs = []
    for engine in engines:
        source, state = engine.encode(batch.source_ids, batch.source_lengths)
        log_probs.append(engine.step(torch.full((4,), BOS), state, source)[0])
    torch.testing.assert_close(*log_probs, rtol=1e-4, atol=1e-5)


@needs_int8
@pytest.mark.parametrize("name", FOLDED)
def test_weights_of_8_bits_come_near_to_what_the_model_gives(name: str) -> None:
    batch, distances = make_batch(), []
    for int8 in (False, True):
        engine = FoldedEngine(MODELS[name], int8=int8)
        source, state = engine.encode(batch.source_ids, batch.source_lengths)
        log_probs, _, _ = engine.read(batch.target_input_ids, state, source)
        plain = ModelEngine(MODELS[name])
        source_there, state_there = plain.encode(batch.source_ids, batch.source_lengths)
        expected, _, _ = plain.read(batch.target_input_ids, state_there, source_there)
        distances.append((log_probs - expected).abs().max().item())
    assert distances[0] < 1e-4 < distances[1] < 0.1


@pytest.mark.parametrize("int8", [False, pytest.param(True, marks=needs_int8)])
def test_a_state_is_multiplied_once_for_the_rows_that_share_it_in_floats(
    int8: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Integers are rounded by the weights beside them, so that rows would depend on others."""
    multiplied = []

    def watched(weight: Tensor, bias: Tensor | None = None, **bound: float) -> Linear:
        product = (int8_linear if int8 else fixed_linear)(weight, bias, **bound)

        def linear(rows: Tensor) -> Tensor:
            multiplied.append((len(rows), weight.size(1)))
            return product(rows)

        return linear

    monkeypatch.setattr(f"nmt.engine.units.{'int8' if int8 else 'fixed'}_linear", watched)
    engine, batch = FoldedEngine(MODELS["general, bottom"], int8=int8), make_batch()
    source, state = engine.encode(batch.source_ids, batch.source_lengths)
    multiplied.clear()
    rows = torch.arange(4).repeat_interleave(16)
    engine.advance(torch.arange(64) % 8, state.reorder(rows), source.select(rows))
    state_size = 4
    expected = [(64, state_size), (64, 2 * state_size)]
    if not int8:
        expected = [(4, state_size), (64, state_size), (4, state_size)]
    assert multiplied[: len(expected)] == expected


def test_rows_that_do_not_fit_together_are_refused() -> None:
    engine, batch = FoldedEngine(MODELS["general, top"]), make_batch()
    source, state = engine.encode(batch.source_ids, batch.source_lengths)
    with pytest.raises(ValueError, match="state has 4 rows, token_ids has 8, the source has 4"):
        engine.step(torch.full((8,), BOS), state, source)


@given(st.integers(1, 3), st.lists(st.integers(0, 11), min_size=1, max_size=12))
def test_selected_rows_keep_their_sentences(width: int, wanted: list[int]) -> None:
    sentences = torch.arange(4.0)
    source = FoldedSource(
        keys=sentences[:, None, None],
        values=sentences[:, None, None],
        bias=sentences[:, None, None],
        width=width,
    )
    rows = [row % (4 * width) for row in wanted]
    selected = source.select(torch.tensor(rows))
    for part in (selected.keys, selected.values, selected.bias):
        by_row = part.flatten().repeat_interleave(selected.width).long().tolist()
        assert by_row == [row // width for row in rows]
