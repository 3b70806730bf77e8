"""Each kind of recurrent layer against its equations, with padding, both ways and weight drop."""

import math
from typing import get_args

import plain_model
import pytest
import torch
from small_models import fill, weights_of
from torch import Tensor
from torch.func import functional_call

from nmt.model.recurrent import (
    Cell,
    LayerNormLSTM,
    RecurrentLayer,
    has_cell_state,
    recurrent_layer,
    reverse,
)

CELLS: tuple[Cell, ...] = get_args(Cell)
EVERY_CELL = pytest.mark.parametrize("cell", CELLS)
BOTH_WAYS = pytest.mark.parametrize("bidirectional", [False, True])

B, T, E, H = 4, 5, 3, 4
LENGTHS = torch.tensor([2, 5, 1, 3])
INPUTS = torch.sin(1.3 * torch.arange(B * T * E, dtype=torch.float64)).view(B, T, E)
PADDING = torch.arange(T) >= LENGTHS[:, None]  # (B, T)


def make_layer(
    cell: Cell, *, bidirectional: bool = False, weight_drop: float = 0.0
) -> RecurrentLayer | LayerNormLSTM:
    layer = recurrent_layer(cell, E, H, bidirectional=bidirectional, weight_drop=weight_drop)
    fill(layer)
    return layer.double()


def start_state(directions: int) -> tuple[Tensor, Tensor]:
    values = torch.cos(torch.arange(2 * directions * B * H, dtype=torch.float64))
    hidden, cell = values.view(2, directions, B, H)
    return hidden, 2 * cell


def test_there_are_four_kinds() -> None:
    assert CELLS == ("lstm", "gru", "rnn", "layer_norm_lstm")
    assert set(plain_model.STEPS) == set(CELLS)
    assert [cell for cell in CELLS if has_cell_state(cell)] == ["lstm", "layer_norm_lstm"]


@EVERY_CELL
@torch.no_grad()
def test_both_ways_each_sentence_is_read_by_the_equations(cell: Cell) -> None:
    layer = make_layer(cell, bidirectional=True)
    outputs, (hidden, cells) = layer(INPUTS, lengths=LENGTHS)
    assert outputs.shape == (B, T, 2 * H)
    assert hidden.shape == cells.shape == (2, B, H)
    step, weights = plain_model.STEPS[cell], weights_of(layer)
    for row, length in enumerate(LENGTHS.tolist()):
        sentence = INPUTS[row, :length].tolist()
        states, final = plain_model.run_both_ways(step, weights, sentence)
        for place, state in enumerate(states):
            assert outputs[row, place].tolist() == pytest.approx(state)
        assert hidden[:, row].flatten().tolist() == pytest.approx(final[0])
        assert cells[:, row].flatten().tolist() == pytest.approx(final[1])


@EVERY_CELL
@torch.no_grad()
def test_a_layer_goes_on_from_a_state(cell: Cell) -> None:
    layer, state = make_layer(cell), start_state(1)
    outputs, (hidden, cells) = layer(INPUTS, state)
    step, weights = plain_model.STEPS[cell], weights_of(layer)
    for row in range(B):
        start = state[0][0, row].tolist(), state[1][0, row].tolist()
        expected, final = plain_model.run(step, weights, INPUTS[row].tolist(), start=start)
        for place, values in enumerate(expected):
            assert outputs[row, place].tolist() == pytest.approx(values)
        assert hidden[0, row].tolist() == pytest.approx(final[0])
        assert cells[0, row].tolist() == pytest.approx(final[1])


@EVERY_CELL
@torch.no_grad()
def test_one_step_after_the_other_is_the_same_as_all_at_once(cell: Cell) -> None:
    layer, state = make_layer(cell), start_state(1)
    expected, end = layer(INPUTS, state)
    for place in range(T):
        output, state = layer(INPUTS[:, place : place + 1], state)
        torch.testing.assert_close(output, expected[:, place : place + 1])
    torch.testing.assert_close(state, end)


@EVERY_CELL
def test_a_step_of_a_loop_computes_and_learns_what_the_layer_does(cell: Cell) -> None:
    layer = make_layer(cell, weight_drop=0.5)
    hidden_start, cell_start = (part.requires_grad_() for part in start_state(1))
    state = hidden_start, cell_start
    inputs = INPUTS.clone().requires_grad_()
    learns = [inputs, *state[: 2 if has_cell_state(cell) else 1], *layer.parameters()]
    weights = layer.draw()
    whole, (hidden, _) = layer(inputs, state, weights=weights)
    expected = torch.autograd.grad(
        (whole.sin() + hidden[0, :, None]).sum(), learns, retain_graph=True
    )
    step, after, outputs = layer.one_step(weights), state, []
    for place in range(T):
        output, after = step(inputs[:, place : place + 1], after)
        outputs.append(output)
    in_steps = torch.cat(outputs, dim=1)
    found = torch.autograd.grad((in_steps.sin() + after[0][0, :, None]).sum(), learns)
    torch.testing.assert_close(in_steps, whole)
    torch.testing.assert_close(found, expected)


@EVERY_CELL
def test_a_step_of_half_precision_goes_on_from_a_state_of_full(cell: Cell) -> None:
    layer = make_layer(cell).float()
    hidden, cells = (part.float() for part in start_state(1))
    inputs = INPUTS[:, :1].float()
    expected, _ = layer(inputs, (hidden, cells))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output, _ = layer.one_step(layer.draw())(inputs.bfloat16(), (hidden, cells))
    torch.testing.assert_close(output.float(), expected, rtol=0, atol=0.05)


# Padding


@EVERY_CELL
@BOTH_WAYS
@torch.no_grad()
def test_padding_changes_nothing(cell: Cell, bidirectional: bool) -> None:
    layer = make_layer(cell, bidirectional=bidirectional)
    state = start_state(2 if bidirectional else 1)
    outputs, final = layer(INPUTS, state, lengths=LENGTHS)
    assert outputs[PADDING].eq(0).all()
    assert outputs[~PADDING].ne(0).all()
    noisy = torch.where(PADDING[:, :, None], 100.0, INPUTS)
    noisy_outputs, noisy_final = layer(noisy, state, lengths=LENGTHS)
    assert torch.equal(noisy_outputs, outputs)
    assert all(torch.equal(*pair) for pair in zip(noisy_final, final, strict=True))
    wider = torch.cat((INPUTS, torch.ones(B, 2, E, dtype=torch.float64)), dim=1)
    wide_outputs, wide_final = layer(wider, state, lengths=LENGTHS)
    torch.testing.assert_close(wide_outputs[:, :T], outputs)
    assert wide_outputs[:, T:].eq(0).all()
    torch.testing.assert_close(wide_final, final)


@EVERY_CELL
@BOTH_WAYS
@torch.no_grad()
def test_a_sentence_is_read_alone_as_in_a_batch(cell: Cell, bidirectional: bool) -> None:
    layer = make_layer(cell, bidirectional=bidirectional)
    outputs, (hidden, cells) = layer(INPUTS, lengths=LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        alone, (hidden_alone, cells_alone) = layer(INPUTS[row : row + 1, :length])
        torch.testing.assert_close(alone[0], outputs[row, :length])
        torch.testing.assert_close(hidden_alone[:, 0], hidden[:, row])
        torch.testing.assert_close(cells_alone[:, 0], cells[:, row])


def test_real_steps_are_turned_around_and_padding_stays_behind() -> None:
    values = torch.tensor([[1, 2, 3, 0], [4, 5, 6, 7], [8, 0, 0, 0]])[:, :, None]
    turned = reverse(values, torch.tensor([3, 4, 1]))
    assert turned[:, :, 0].tolist() == [[3, 2, 1, 0], [7, 6, 5, 4], [8, 0, 0, 0]]
    assert reverse(values, None)[0, :, 0].tolist() == [0, 3, 2, 1]


# Weight drop


def around(weights: list[Tensor], cell: Cell, *, bidirectional: bool) -> list[Tensor]:
    """The weights between hidden states, of each direction."""
    if cell == "layer_norm_lstm":
        return list(weights[0])
    return [weights[place] for place in ((1, 5) if bidirectional else (1,))]


@EVERY_CELL
@BOTH_WAYS
@torch.no_grad()
def test_weight_drop_thins_what_stands_between_hidden_states_alone(
    cell: Cell, bidirectional: bool
) -> None:
    def draw(size: int, weight_drop: float) -> list[Tensor]:
        torch.manual_seed(5)
        layer = recurrent_layer(cell, E, size, bidirectional=bidirectional, weight_drop=weight_drop)
        return layer.draw()

    whole, drawn = draw(30, 0.0), draw(30, 0.4)
    assert len(drawn) == len(whole)
    hidden = around(drawn, cell, bidirectional=bidirectional)
    before = around(whole, cell, bidirectional=bidirectional)
    assert len(hidden) == (2 if bidirectional else 1)
    for thinned, weight in zip(hidden, before, strict=True):
        assert float(thinned.eq(0).double().mean()) == pytest.approx(0.4, abs=0.05)
        kept = thinned.ne(0)
        torch.testing.assert_close(thinned[kept], weight[kept] / 0.6)
    changed = [not torch.equal(*pair) for pair in zip(drawn, whole, strict=True)]
    assert sum(changed) == (1 if cell == "layer_norm_lstm" else len(hidden))


@EVERY_CELL
@torch.no_grad()
def test_one_draw_serves_all_steps_of_a_pass(cell: Cell) -> None:
    layer, state = make_layer(cell, weight_drop=0.5).train(), start_state(1)
    torch.manual_seed(3)
    outputs, _ = layer(INPUTS, state)
    torch.manual_seed(3)
    drawn = layer.draw()
    for place in range(T):
        output, state = layer(INPUTS[:, place : place + 1], state, weights=drawn)
        torch.testing.assert_close(output, outputs[:, place : place + 1])
    again, _ = layer(INPUTS, start_state(1))
    assert not torch.allclose(again, outputs)


@EVERY_CELL
@torch.no_grad()
def test_weights_are_whole_where_nothing_is_trained(cell: Cell) -> None:
    dropping, whole = make_layer(cell, weight_drop=0.5).eval(), make_layer(cell)
    assert torch.equal(dropping(INPUTS)[0], whole(INPUTS)[0])
    assert not torch.equal(dropping.train()(INPUTS)[0], whole(INPUTS)[0])


# How weights start


@torch.no_grad()
@EVERY_CELL
@BOTH_WAYS
def test_forget_gates_start_open_and_other_biases_at_zero(cell: Cell, bidirectional: bool) -> None:
    layer = recurrent_layer(cell, E, H, bidirectional=bidirectional)
    weights = dict(layer.named_parameters())
    open_forget_gate = [0.0] * H + [1.0] * H + [0.0] * 2 * H
    if cell == "layer_norm_lstm":
        assert weights["gain"].eq(1).all()
        biases = weights["bias"].flatten(1).tolist()
    else:
        into, around = (
            [weight for name, weight in weights.items() if name.startswith(f"bias_{kind}h")]
            for kind in "ih"
        )
        biases = [(a + b).tolist() for a, b in zip(into, around, strict=True)]
    expected = open_forget_gate if has_cell_state(cell) else [0.0] * len(biases[0])
    assert biases == [expected] * (2 if bidirectional else 1)


@torch.no_grad()
@EVERY_CELL
@BOTH_WAYS
def test_weights_start_within_the_bound_of_the_hidden_size(cell: Cell, bidirectional: bool) -> None:
    torch.manual_seed(1)
    layer = recurrent_layer(cell, 400, 25, bidirectional=bidirectional)
    named = [weight for name, weight in layer.named_parameters() if "weight" in name]
    assert len(named) == (4 if bidirectional and cell != "layer_norm_lstm" else 2)
    for weight in named:
        assert float(weight.abs().max()) == pytest.approx(0.2, abs=0.002)
        assert float(weight.abs().max()) <= 0.2
        assert float(weight.std()) == pytest.approx(0.2 / math.sqrt(3), rel=0.05)


# Gradients


@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_the_gradients_of_normalised_gates_are_those_of_finite_differences(
    lengths: Tensor | None,
) -> None:
    layer = make_layer("layer_norm_lstm", bidirectional=True)
    names, weights = zip(*layer.named_parameters(), strict=True)

    def run(inputs: Tensor, hidden: Tensor, cell: Tensor, *values: Tensor) -> Tensor:
        given = dict(zip(names, values, strict=True))
        outputs, (end, end_cell) = functional_call(
            layer, given, (inputs, (hidden, cell)), {"lengths": lengths}
        )
        return torch.cat((outputs.flatten(), end.flatten(), end_cell.flatten()))

    leaves = [value.detach().requires_grad_() for value in (INPUTS, *start_state(2), *weights)]
    assert torch.autograd.gradcheck(run, leaves, fast_mode=True)
