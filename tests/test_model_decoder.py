"""The decoder against its equations; a whole target at once against one step after the other."""

import plain_model
import pytest
import torch
from small_models import fill
from torch import Tensor

from nmt.model import DecoderState, EncoderOutput
from nmt.model.attention import Attention, AttentionKind
from nmt.model.decoder import Decoder
from nmt.model.embedding import Embedding, embedding_table
from nmt.model.layers import Dropout

B, S, T, H, D = 2, 3, 4, 4, 6
READOUT_SIZE = 5
LENGTHS = [2, 3]
TOKEN_IDS = torch.tensor([[2, 4, 5, 6], [2, 7, 7, 1]])  # (B, T)


def make_decoder(
    num_layers: int = 2,
    *,
    kind: AttentionKind = "general",
    dropout: float = 0.0,
    readout_dropout: float = 0.0,
) -> Decoder:
    state_size = H if kind == "dot" else D
    decoder = Decoder(
        Embedding(embedding_table(8, 3, pad_id=0), dropout=Dropout(0.0)),
        Attention(H, state_size, kind=kind),
        num_layers=num_layers,
        hidden_size=H,
        state_size=state_size,
        readout_size=READOUT_SIZE,
        dropout=Dropout(dropout),
        readout_dropout=Dropout(readout_dropout),
    )
    fill(decoder)
    return decoder.double()


def wave(*shape: int) -> Tensor:
    places = torch.arange(torch.Size(shape).numel(), dtype=torch.float64)
    return torch.sin(1.3 * places + 0.1).view(shape)


def make_source(decoder: Decoder) -> EncoderOutput:
    state_size = D if decoder.attention.kind != "dot" else H
    mask = torch.arange(S) < torch.tensor(LENGTHS)[:, None]  # (B, S)
    states = wave(B, S, state_size) * mask[:, :, None]
    return EncoderOutput(states, decoder.attention.keys(states), mask)


def make_state(num_layers: int) -> DecoderState:
    return DecoderState(wave(num_layers, B, H), 2 * wave(num_layers, B, H).flip(2))


@pytest.mark.parametrize("num_layers", [1, 2, 3, 4])
@torch.no_grad()
def test_every_step_is_that_of_the_equations(num_layers: int) -> None:
    decoder = make_decoder(num_layers)
    source, state = make_source(decoder), make_state(num_layers)
    attentional, after, attention = decoder(TOKEN_IDS, state, source)
    assert attentional.shape == (B, T, READOUT_SIZE)
    assert attention.shape == (B, T, S)
    for row, length in enumerate(LENGTHS):
        states = source.states[row, :length].tolist()
        layers = list(zip(state.hidden[:, row].tolist(), state.cell[:, row].tolist(), strict=True))
        for step, token_id in enumerate(TOKEN_IDS[row].tolist()):
            expected, layers, weights = plain_model.decoder_step(decoder, token_id, layers, states)
            assert attentional[row, step].tolist() == pytest.approx(expected)
            assert attention[row, step, :length].tolist() == pytest.approx(weights)
        for depth, (hidden, cell) in enumerate(layers):
            assert after.hidden[depth, row].tolist() == pytest.approx(hidden)
            assert after.cell[depth, row].tolist() == pytest.approx(cell)


@pytest.mark.parametrize("kind", ["dot", "general", "additive"])
@pytest.mark.parametrize("num_layers", [1, 2, 3])
@torch.no_grad()
def test_a_whole_target_at_once_is_the_same_as_step_by_step(
    num_layers: int, kind: AttentionKind
) -> None:
    decoder = make_decoder(num_layers, kind=kind)
    source, state = make_source(decoder), make_state(num_layers)
    attentional, after, attention = decoder(TOKEN_IDS, state, source)
    for step in range(T):
        one, state, weights = decoder(TOKEN_IDS[:, step : step + 1], state, source)
        torch.testing.assert_close(one, attentional[:, step : step + 1])
        torch.testing.assert_close(weights, attention[:, step : step + 1])
    torch.testing.assert_close(state.hidden, after.hidden)
    torch.testing.assert_close(state.cell, after.cell)


@torch.no_grad()
def test_the_state_that_was_given_is_left_as_it_was() -> None:
    decoder, state, expected = make_decoder(), make_state(2), make_state(2)
    decoder(TOKEN_IDS, state, make_source(decoder))
    assert torch.equal(state.hidden, expected.hidden)
    assert torch.equal(state.cell, expected.cell)


@torch.no_grad()
def test_later_tokens_change_nothing_before_them() -> None:
    decoder, state = make_decoder(3), make_state(3)
    source = make_source(decoder)
    expected, _, _ = decoder(TOKEN_IDS, state, source)
    changed = TOKEN_IDS.clone()
    changed[:, 2:] = 3
    attentional, _, _ = decoder(changed, state, source)
    assert torch.equal(attentional[:, :2], expected[:, :2])
    assert not torch.equal(attentional[:, 2], expected[:, 2])


@torch.no_grad()
def test_a_row_does_not_see_the_others() -> None:
    decoder, state = make_decoder(), make_state(2)
    source = make_source(decoder)
    expected, _, _ = decoder(TOKEN_IDS, state, source)
    rows = torch.tensor([1])
    attentional, _, _ = decoder(TOKEN_IDS[rows], state.select(rows), source.select(rows))
    torch.testing.assert_close(attentional, expected[rows])


# Dropout: how much of what each part reads is zero, in training


def zeros(values: Tensor) -> float:
    return float(values.eq(0).double().mean())


@torch.no_grad()
def run_many(decoder: Decoder) -> tuple[Tensor, dict[str, Tensor]]:
    """Attentional states of many equal rows, and what parts read to make them."""
    read: dict[str, Tensor] = {}

    def note(name: str) -> None:
        def hook(_: object, inputs: tuple[Tensor, ...]) -> None:
            read[name] = inputs[0]

        decoder.get_submodule(name).register_forward_pre_hook(hook)

    for name in ("bottom", "attention", "upper.0", "upper.1", "readout"):
        note(name)
    rows = torch.tensor([0, 1] * 200)
    torch.manual_seed(1)
    attentional, _, _ = decoder(
        TOKEN_IDS[rows], make_state(3).select(rows), make_source(decoder).select(rows)
    )
    return attentional, read


def test_dropout_thins_what_goes_up_and_the_context() -> None:
    attentional, read = run_many(make_decoder(3, dropout=0.4))
    assert zeros(read["bottom"]) == 0
    assert zeros(read["attention"]) == pytest.approx(0.4, abs=0.05)
    context = read["upper.0"][:, :, H:]
    assert zeros(context) == pytest.approx(0.4, abs=0.05)
    # The query of the attention goes up as it is, and one context to all.
    assert torch.equal(read["upper.0"][:, :, :H], read["attention"])
    assert torch.equal(read["upper.1"][:, :, H:], context)
    assert torch.equal(read["readout"][:, :, H:], context)
    assert zeros(read["upper.1"][:, :, :H]) == pytest.approx(0.4, abs=0.05)
    # Two thinned outputs are added up here.
    assert zeros(read["readout"][:, :, :H]) == pytest.approx(0.4**2, abs=0.05)
    assert zeros(attentional) == 0


def test_readout_dropout_thins_the_attentional_state_alone() -> None:
    attentional, read = run_many(make_decoder(3, readout_dropout=0.4))
    assert zeros(attentional) == pytest.approx(0.4, abs=0.05)
    assert {name: zeros(values) for name, values in read.items()} == dict.fromkeys(read, 0)
