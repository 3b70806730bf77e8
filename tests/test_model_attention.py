"""Every kind of attention against its equations: heads, windows and coverage with it."""

import math
from collections.abc import Mapping
from typing import Any, get_args

import plain_model
import pytest
import torch
from small_models import fill, weights_of
from torch import Tensor

from nmt.model import EncoderOutput
from nmt.model.attention import Attention, AttentionKind

B, T, S, H, D, A = 3, 2, 5, 4, 6, 8
LENGTHS = [5, 1, 3]
KINDS: tuple[AttentionKind, ...] = get_args(AttentionKind)
EVERY_KIND = pytest.mark.parametrize("kind", KINDS)

# One of each kind, and what may be added to it.
SETTINGS: dict[str, Mapping[str, Any]] = {
    **{kind: {"kind": kind} for kind in KINDS},
    **{f"{kind}, heads": {"kind": kind, "num_heads": 2} for kind in KINDS},
    **{f"{kind}, window": {"kind": kind, "window": 1} for kind in KINDS},
    "coverage": {"kind": "additive", "coverage": True},
    "all": {"kind": "additive", "coverage": True, "num_heads": 2, "window": 2, "size": A},
}
EVERY_SETTING = pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS.keys())


def state_size(kind: AttentionKind) -> int:
    return H if kind in ("dot", "scaled_dot") else D


def make_attention(kind: AttentionKind = "general", **settings: Any) -> Attention:
    attention = Attention(H, state_size(kind), kind=kind, **settings).double()
    fill(attention)
    return attention


def wave(*shape: int) -> Tensor:
    """Numbers that repeat nowhere."""
    return torch.sin(torch.arange(math.prod(shape), dtype=torch.float64) * 1.3 + 0.1).view(shape)


def source_mask() -> Tensor:
    return torch.arange(S) < torch.tensor(LENGTHS)[:, None]  # (B, S)


PADDING = ~source_mask()[:, None, :].expand(B, T, S)
QUERIES = wave(B, T, H)


def no_coverage(attention: Attention) -> Tensor:
    return torch.zeros(B, S if attention.reads_coverage else 0, dtype=torch.float64)


@torch.no_grad()
def attend(attention: Attention, states: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    source = EncoderOutput(states, attention.keys(states), source_mask())
    context, weights, coverage = attention(QUERIES, source, no_coverage(attention))
    return context, weights, coverage


def states_of(attention: Attention) -> Tensor:
    return wave(B, S, attention.state_size)


# The equations


@EVERY_KIND
def test_context_and_attention_are_those_of_the_equations(kind: AttentionKind) -> None:
    attention = make_attention(kind, size=A if kind == "additive" else None)
    states, weights_by_name = states_of(attention), weights_of(attention)
    context, weights, _ = attend(attention, states)
    assert context.shape == (B, T, state_size(kind))
    for row, length in enumerate(LENGTHS):
        values = states[row, :length].tolist()
        for step in range(T):
            query = QUERIES[row, step].tolist()
            energies = [
                plain_model.luong_energy(weights_by_name, kind, query, value) for value in values
            ]
            expected_context, expected = plain_model.attend(energies, values)
            assert weights[row, step, :length].tolist() == pytest.approx(expected)
            assert context[row, step].tolist() == pytest.approx(expected_context)


@EVERY_KIND
def test_heads_are_those_of_the_equations(kind: AttentionKind) -> None:
    attention = make_attention(kind, num_heads=2, size=A if kind == "additive" else None)
    states, weights_by_name = states_of(attention), weights_of(attention)
    context, weights, _ = attend(attention, states)
    assert context.shape == (B, T, state_size(kind))
    for row, length in enumerate(LENGTHS):
        values = states[row, :length].tolist()
        for step in range(T):
            query = QUERIES[row, step].tolist()
            expected_context, of_heads = plain_model.multi_head(
                weights_by_name, kind, 2, query, values
            )
            assert of_heads[0] != of_heads[1] or length == 1
            mean = [sum(pair) / 2 for pair in zip(*of_heads, strict=True)]
            assert weights[row, step, :length].tolist() == pytest.approx(mean)
            assert context[row, step].tolist() == pytest.approx(expected_context)


@EVERY_KIND
@pytest.mark.parametrize("window", [1, 2])
def test_windows_are_those_of_the_equations(kind: AttentionKind, window: int) -> None:
    attention = make_attention(kind, window=window)
    states, weights_by_name = states_of(attention), weights_of(attention)
    context, weights, _ = attend(attention, states)
    for row, length in enumerate(LENGTHS):
        values = states[row, :length].tolist()
        for step in range(T):
            query = QUERIES[row, step].tolist()
            expected_context, expected = plain_model.luong_local(
                weights_by_name, kind, query, values, window=window
            )
            assert weights[row, step, :length].tolist() == pytest.approx(expected)
            assert context[row, step].tolist() == pytest.approx(expected_context)


def test_coverage_is_what_was_looked_at_before() -> None:
    attention = make_attention("additive", coverage=True)
    states, weights_by_name = states_of(attention), weights_of(attention)
    context, weights, coverage = attend(attention, states)
    for row, length in enumerate(LENGTHS):
        values, covered = states[row, :length].tolist(), [0.0] * length
        for step in range(T):
            query = QUERIES[row, step].tolist()
            energies = [
                plain_model.additive_energy(weights_by_name, query, value, coverage=seen)
                for value, seen in zip(values, covered, strict=True)
            ]
            expected_context, expected = plain_model.attend(energies, values)
            covered = plain_model.add(covered, expected)
            assert weights[row, step, :length].tolist() == pytest.approx(expected)
            assert context[row, step].tolist() == pytest.approx(expected_context)
        assert coverage[row, :length].tolist() == pytest.approx(covered)
        assert coverage[row, length:].tolist() == [0.0] * (S - length)


@torch.no_grad()
def test_coverage_goes_on_from_that_of_the_steps_before() -> None:
    attention = make_attention(**SETTINGS["all"])
    states = states_of(attention)
    source = EncoderOutput(states, attention.keys(states), source_mask())
    given = wave(B, S)
    kept = given.clone()
    context, weights, coverage = attention(QUERIES, source, given)
    assert torch.equal(given, kept)
    torch.testing.assert_close(coverage, given + weights.sum(dim=1))
    for step in range(T):
        one, _, given = attention(QUERIES[:, step : step + 1], source, given)
        torch.testing.assert_close(one, context[:, step : step + 1])
    torch.testing.assert_close(given, coverage)


# Padding, and what always holds


@EVERY_SETTING
def test_attention_sums_to_one_and_is_zero_at_padding(settings: Mapping[str, Any]) -> None:
    attention = make_attention(**settings)
    _, weights, _ = attend(attention, 50 * states_of(attention))
    assert weights.shape == (B, T, S)
    assert weights[PADDING].eq(0).all()
    sums = weights.sum(dim=-1)
    if attention.window is None:
        torch.testing.assert_close(sums, torch.ones_like(sums))
        # Where there is one token, it is looked at.
        assert weights[1].tolist() == [[1.0, 0, 0, 0, 0]] * T
    else:
        assert ((sums > 0) & (sums < 1)).all()


@EVERY_SETTING
def test_what_stands_at_padding_changes_nothing(settings: Mapping[str, Any]) -> None:
    attention = make_attention(**settings)
    states = states_of(attention)
    noisy = torch.where(source_mask()[:, :, None], states, 1000.0)
    for one, other in zip(attend(attention, states), attend(attention, noisy), strict=True):
        assert torch.equal(one, other)


@EVERY_SETTING
@torch.no_grad()
def test_a_row_does_not_see_the_others_nor_how_wide_they_are(settings: Mapping[str, Any]) -> None:
    attention = make_attention(**settings)
    states = states_of(attention)
    context, weights, _ = attend(attention, states)
    for row, length in enumerate(LENGTHS):
        alone = states[row : row + 1, :length]
        source = EncoderOutput(alone, attention.keys(alone), torch.ones(1, length) > 0)
        coverage = no_coverage(attention)[:1, :length]
        context_alone, weights_alone, _ = attention(QUERIES[row : row + 1], source, coverage)
        torch.testing.assert_close(context_alone[0], context[row])
        torch.testing.assert_close(weights_alone[0], weights[row, :, :length])


@EVERY_SETTING
def test_large_energies_stay_finite_and_out_of_padding(settings: Mapping[str, Any]) -> None:
    attention = make_attention(**settings)
    context, weights, _ = attend(attention, 1e6 * states_of(attention))
    assert context.isfinite().all()
    assert weights.isfinite().all()
    assert weights[PADDING].eq(0).all()


# Windows


ONE_AWAY = math.exp(-1 / (2 * 0.5**2))


@pytest.mark.parametrize(
    ("sign", "expected"),
    [(-1, [0.5, 0.5 * ONE_AWAY, 0, 0, 0]), (1, [0, 0, 0, 0, ONE_AWAY])],
)
def test_a_window_at_either_end_sees_the_last_token_there(sign: int, expected: list[float]) -> None:
    attention = make_attention("general", window=1)
    with torch.no_grad():
        # tanh is then 1 for the first unit, and the window stands at S sigmoid(+-1000): 0 or S
        attention.window_projection.weight.fill_(0)
        attention.window_projection.weight[0] = 100 * QUERIES[0, 0] / QUERIES[0, 0].norm() ** 2
        attention.window_centre.weight.copy_(torch.tensor([[1000.0 * sign, 0, 0, 0]]))
    _, weights, _ = attend(attention, torch.zeros(B, S, D, dtype=torch.float64))
    assert weights[0, 0].tolist() == pytest.approx(expected)


@torch.no_grad()
def test_a_window_finds_its_place_in_a_long_sentence_in_half_precision() -> None:
    attention = Attention(H, H, kind="dot", window=1)
    fill(attention)
    length = 2000
    query = QUERIES[:1].float()
    states = torch.zeros(1, length, H)
    source = EncoderOutput(states, states, torch.ones(1, length) > 0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        _, weights, _ = attention(query, source, torch.zeros(1, 0))
    assert weights.isfinite().all()
    assert weights.sum(dim=-1).gt(0).all()
    # No place is lost to rounding: of two or three neighbours none is left out.
    for seen in weights[0]:
        places = seen.nonzero().flatten().tolist()
        assert len(places) in (2, 3)
        assert places == list(range(places[0], places[-1] + 1))


# Weights and gradients


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"kind": "dot"}, {}),
        ({"kind": "scaled_dot"}, {}),
        ({"kind": "general"}, {"key_projection.weight": (H, D)}),
        (
            {"kind": "additive", "size": A},
            {
                "key_projection.weight": (A, D),
                "key_projection.bias": (A,),
                "query_projection.weight": (A, H),
                "energy.weight": (1, A),
            },
        ),
        (
            {"kind": "additive", "size": A, "num_heads": 2, "coverage": True},
            {
                "key_projection.weight": (A, D),
                "key_projection.bias": (A,),
                "query_projection.weight": (A, H),
                "energy.weight": (2, A // 2),
                "value_projection.weight": (D, D),
                "coverage_projection.weight": (A, 1),
            },
        ),
        (
            {"kind": "dot", "window": 3},
            {"window_projection.weight": (H, H), "window_centre.weight": (1, H)},
        ),
    ],
    ids=str,
)
def test_the_weights_are_those_of_the_equations(
    settings: Mapping[str, Any], expected: dict[str, tuple[int, ...]]
) -> None:
    found = make_attention(**settings).named_parameters()
    assert {name: tuple(weight.shape) for name, weight in found} == expected


def test_the_width_of_the_keys_follows_kind_and_size() -> None:
    states = wave(B, S, D)
    assert make_attention("general").keys(states).shape == (B, S, H)
    assert make_attention("additive").keys(states).shape == (B, S, H)
    assert make_attention("additive", size=A).keys(states).shape == (B, S, A)
    same = wave(B, S, H)
    assert make_attention("dot").keys(same) is same


@pytest.mark.parametrize("name", ["general, window", "coverage", "all"])
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    attention = make_attention(**SETTINGS[name])

    def run(query: Tensor, states: Tensor) -> tuple[Tensor, ...]:
        source = EncoderOutput(states, attention.keys(states), source_mask())
        found: tuple[Tensor, ...] = attention(query, source, no_coverage(attention))
        return found

    leaves = [QUERIES.clone().requires_grad_(), states_of(attention).requires_grad_()]
    assert torch.autograd.gradcheck(run, leaves, fast_mode=True)
