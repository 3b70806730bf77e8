"""Picking, repeating and reordering rows of what search carries."""

import torch

from nmt.model import DecoderState, EncoderOutput

# The tens of a number tell its row, the units its place there.
STATES = torch.arange(3)[:, None, None] * 10.0 + torch.arange(4).view(2, 2)  # (B, S, D)
OUTPUT = EncoderOutput(
    states=STATES,
    keys=STATES[:, :, :1] + 0.5,
    mask=torch.tensor([[True, True], [True, False], [True, True]]),
)
STATE = DecoderState(
    hidden=torch.tensor([[[0.0], [10.0], [20.0]], [[1.0], [11.0], [21.0]]]),  # (L, B, H)
    cell=torch.tensor([[[2.0], [12.0], [22.0]], [[3.0], [13.0], [23.0]]]),
    feedback=torch.tensor([[4.0, 5.0], [14.0, 15.0], [24.0, 25.0]]),  # (B, F)
    coverage=torch.tensor([[6.0, 7.0], [16.0, 17.0], [26.0, 27.0]]),  # (B, S)
)


def rows_of(output: EncoderOutput) -> list[int]:
    """The rows that an output was made of, all its parts agreeing."""
    rows = (output.states[:, 0, 0] / 10).long()
    assert torch.equal(output.states, STATES[rows])
    assert torch.equal(output.keys, OUTPUT.keys[rows])
    assert torch.equal(output.mask, OUTPUT.mask[rows])
    return rows.tolist()


def rows_of_state(state: DecoderState) -> list[int]:
    rows = (state.hidden[0, :, 0] / 10).long()
    assert torch.equal(state.hidden, STATE.hidden[:, rows])
    assert torch.equal(state.cell, STATE.cell[:, rows])
    assert torch.equal(state.feedback, STATE.feedback[rows])
    assert torch.equal(state.coverage, STATE.coverage[rows])
    return rows.tolist()


def test_rows_are_selected_in_the_order_asked_for() -> None:
    rows = torch.tensor([2, 0, 2, 1])
    assert rows_of(OUTPUT.select(rows)) == [2, 0, 2, 1]
    assert rows_of_state(STATE.select(rows)) == [2, 0, 2, 1]
    assert rows_of_state(STATE.reorder(rows)) == [2, 0, 2, 1]


def test_no_row_may_be_selected() -> None:
    none = torch.tensor([], dtype=torch.int64)
    assert OUTPUT.select(none).states.shape == (0, 2, 2)
    assert len(STATE.select(none)) == len(STATE.reorder(none)) == 0


def test_copies_of_a_row_stand_side_by_side() -> None:
    assert rows_of(OUTPUT.repeat(2)) == [0, 0, 1, 1, 2, 2]
    assert rows_of_state(STATE.repeat(2)) == [0, 0, 1, 1, 2, 2]
    assert rows_of_state(STATE.repeat(1)) == rows_of(OUTPUT.repeat(1)) == [0, 1, 2]


def test_what_is_not_carried_keeps_its_rows() -> None:
    state = DecoderState(STATE.hidden, STATE.cell, torch.empty(3, 0), torch.empty(3, 0))
    for changed in (state.repeat(2), state.select(torch.tensor([2, 0, 1, 1, 2, 0]))):
        assert changed.feedback.shape == changed.coverage.shape == (6, 0)


def test_the_length_of_a_state_is_its_number_of_rows() -> None:
    assert len(STATE) == 3
    assert len(STATE.repeat(4)) == 12


def test_what_was_selected_is_a_copy() -> None:
    hidden = STATE.hidden.clone()
    state = STATE.reorder(torch.tensor([0, 1, 2]))
    state.hidden.zero_()
    assert torch.equal(STATE.hidden, hidden)
