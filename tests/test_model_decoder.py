"""A whole target at once against one step after the other; what runs how often; dropout's places.

What a step computes stands in test_papers.py, against each paper's equations.
"""

from collections.abc import Callable, Iterator
from dataclasses import fields
from functools import partial
from typing import Any

import pytest
import torch
from small_models import FAMILY, WHOLE_FAMILY, Changes, build, make_batch
from torch import Tensor, nn

from nmt.model import DecoderState, EncoderOutput, Seq2Seq
from nmt.model.cells import LayerState, OneStep
from nmt.model.decoder import Decoder
from nmt.model.dropout import Dropout
from nmt.model.recurrent import LayerNormLSTM, RecurrentLayer

BATCH = make_batch()
TOKEN_IDS = BATCH.target_input_ids  # (B, T)
B, T = TOKEN_IDS.shape

EVERY_MEMBER = pytest.mark.parametrize("changes", WHOLE_FAMILY.values(), ids=WHOLE_FAMILY.keys())
EVERY_WAY = pytest.mark.parametrize("changes", FAMILY.values(), ids=FAMILY.keys())
DROPOUT = {"embedding": 0.3, "layers": 0.3, "readout": 0.3, "recurrent": 0.3}

Decoded = tuple[Tensor, DecoderState, Tensor]


@torch.no_grad()
def encode(model: Seq2Seq) -> tuple[EncoderOutput, DecoderState]:
    source, state = model.encode(BATCH.source_ids, BATCH.source_lengths)
    return source, state


@torch.no_grad()
def decode(
    decoder: Decoder, token_ids: Tensor, state: DecoderState, source: EncoderOutput
) -> Decoded:
    readouts, after, attention = decoder(token_ids, state, source)
    return readouts, after, attention


def decode_in_parts(
    decoder: Decoder,
    state: DecoderState,
    source: EncoderOutput,
    *,
    lengths: tuple[int, ...] = (1,) * T,
    before: Callable[[], object] = lambda: None,
) -> Decoded:
    """Decode some tokens at a time, from state to state; `before` is called before each part."""
    found = []
    for token_ids in torch.split(TOKEN_IDS, list(lengths), dim=1):
        before()
        readouts, state, attention = decode(decoder, token_ids, state, source)
        found.append((readouts, attention))
    readouts, attention = (torch.cat(values, dim=1) for values in zip(*found, strict=True))
    return readouts, state, attention


def tensors(decoded: Decoded) -> Iterator[Tensor]:
    readouts, state, attention = decoded
    yield readouts
    yield attention
    yield from (getattr(state, field.name) for field in fields(state))


def assert_equal(found: Decoded, expected: Decoded) -> None:
    for one, other in zip(tensors(found), tensors(expected), strict=True):
        torch.testing.assert_close(one, other)


# Whole targets and steps


@EVERY_MEMBER
def test_a_whole_target_at_once_is_the_same_as_step_by_step(changes: Changes) -> None:
    model = build(changes)
    source, state = encode(model)
    expected = decode(model.decoder, TOKEN_IDS, state, source)
    assert expected[0].shape == (B, T, model.decoder.readout.size)
    assert expected[2].shape == (B, T, source.mask.size(1))
    assert_equal(decode_in_parts(model.decoder, state, source), expected)
    assert_equal(decode_in_parts(model.decoder, state, source, lengths=(2, 3)), expected)


@EVERY_WAY
def test_with_one_mask_for_all_steps_it_is_the_same_in_training(changes: Changes) -> None:
    model = build({**changes, "dropout": {**DROPOUT, "shared_over_time": True}})
    source, state = encode(model)
    untrained = decode(model.decoder, TOKEN_IDS, state, source)
    model.train()

    def seed() -> None:
        torch.manual_seed(4)

    seed()
    expected = decode(model.decoder, TOKEN_IDS, state, source)
    assert not torch.allclose(expected[0], untrained[0])
    assert_equal(decode_in_parts(model.decoder, state, source, before=seed), expected)


@EVERY_WAY
def test_a_step_gets_its_own_masks_whether_it_runs_alone_or_not(
    changes: Changes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Masks are known beforehand here, one for each place, step and value."""
    model = build({**changes, "dropout": {"embedding": 0.3, "layers": 0.3, "readout": 0.3}})
    source, state = encode(model)
    model.train()
    step, calls = 0, 0

    def draw(_: Dropout, like: Tensor, width: int) -> Tensor:
        nonlocal calls
        calls += 1
        generator = torch.Generator().manual_seed(calls)
        mask = torch.rand(B, T, width, generator=generator, dtype=torch.float64) + 0.5
        return mask[:, step : step + like.size(1)]

    def next_step() -> None:
        nonlocal step, calls
        step, calls = step + 1, 0

    monkeypatch.setattr(Dropout, "draw", draw)
    expected = decode(model.decoder, TOKEN_IDS, state, source)
    step = -1
    assert_equal(decode_in_parts(model.decoder, state, source, before=next_step), expected)


@EVERY_WAY
def test_a_pass_is_that_of_its_seed(changes: Changes) -> None:
    model = build({**changes, "dropout": {**DROPOUT, "word": 0.3}})
    source, state = encode(model)
    model.train()
    passes = []
    for seed in (4, 4, 5):
        torch.manual_seed(seed)
        passes.append(decode(model.decoder, TOKEN_IDS, state, source))
    assert_equal(passes[0], passes[1])
    assert not torch.allclose(passes[0][0], passes[2][0])


@EVERY_WAY
def test_the_state_that_was_given_is_left_as_it_was(changes: Changes) -> None:
    model = build(changes)
    source, state = encode(model)
    kept = [getattr(state, field.name).clone() for field in fields(state)]
    decode(model.decoder, TOKEN_IDS, state, source)
    for field, expected in zip(fields(state), kept, strict=True):
        assert torch.equal(getattr(state, field.name), expected)


@EVERY_WAY
def test_later_tokens_change_nothing_before_them(changes: Changes) -> None:
    model = build(changes)
    source, state = encode(model)
    changed = TOKEN_IDS.clone()
    changed[:, 2:] = 3
    expected, _, _ = decode(model.decoder, TOKEN_IDS, state, source)
    readouts, _, _ = decode(model.decoder, changed, state, source)
    torch.testing.assert_close(readouts[:, :2], expected[:, :2])
    assert not torch.allclose(readouts[:, 2], expected[:, 2])


@EVERY_WAY
def test_a_row_does_not_see_the_others(changes: Changes) -> None:
    model = build(changes)
    source, state = encode(model)
    expected = decode(model.decoder, TOKEN_IDS, state, source)
    rows = torch.tensor([3, 1])
    found = decode(model.decoder, TOKEN_IDS[rows], state.select(rows), source.select(rows))
    selected = expected[0][rows], expected[1].select(rows), expected[2][rows]
    assert_equal(found, selected)


# What is carried


@pytest.mark.parametrize(
    ("asks", "feedback", "coverage"),
    [
        ("lstm, bottom, None", 0, 5),
        ("lstm, top, attentional", 5, 5),
        ("lstm, previous, context", 6, 5),
        ("lstm, None", 0, 0),
        ("heads", 6, 0),
        ("window", 5, 0),
    ],
)
def test_only_what_is_needed_is_carried(asks: str, feedback: int, coverage: int) -> None:
    _, state = encode(build(WHOLE_FAMILY[asks]))
    assert state.feedback.shape == (B, feedback)
    assert state.coverage.shape == (B, coverage)
    assert state.feedback.eq(0).all()
    assert state.coverage.eq(0).all()


@pytest.mark.parametrize("asks", ["lstm, top, attentional", "gru, bottom, attentional"])
def test_the_attentional_state_is_fed_back(asks: str) -> None:
    model = build(FAMILY[asks])
    source, state = encode(model)
    readouts, after, _ = decode(model.decoder, TOKEN_IDS, state, source)
    assert torch.equal(after.feedback, readouts[:, -1])


@pytest.mark.parametrize("asks", [name for name, changes in FAMILY.items() if changes["attention"]])
def test_coverage_is_the_sum_of_the_attention(asks: str) -> None:
    model = build(FAMILY[asks])
    source, state = encode(model)
    _, after, attention = decode(model.decoder, TOKEN_IDS, state, source)
    torch.testing.assert_close(after.coverage, attention.sum(dim=1))


def test_without_attention_nothing_is_looked_at() -> None:
    model = build(FAMILY["lstm, None"])
    source, state = encode(model)
    readouts, _, attention = decode(model.decoder, TOKEN_IDS, state, source)
    assert attention.eq(0).all()
    noisy = EncoderOutput(source.states + 1, source.keys + 1, source.mask)
    assert torch.equal(decode(model.decoder, TOKEN_IDS, state, noisy)[0], readouts)


# How often a part runs for one target


def watch(part: nn.Module, note: Callable[[tuple[Any, ...]], None]) -> None:
    """Have all inputs of a part noted, those of a layer that takes single steps among them."""
    part.register_forward_pre_hook(lambda _, inputs: note(inputs))
    if not isinstance(part, (RecurrentLayer, LayerNormLSTM)):
        return
    one_step = part.one_step

    def watched(weights: list[Tensor]) -> OneStep:
        step = one_step(weights)

        def noted(inputs: Tensor, state: LayerState) -> tuple[Tensor, LayerState]:
            note((inputs,))
            return step(inputs, state)

        return noted

    part.one_step = watched  # type: ignore[method-assign]


CALLS = {None: (1, 1, 1), "context": (T, 1, T), "attentional": (T, T, T)}


@EVERY_WAY
def test_only_what_is_fed_back_needs_a_loop(changes: Changes) -> None:
    model = build(changes)
    decoder = model.decoder
    source, state = encode(model)
    called: dict[str, int] = {}

    def count(name: str, _: tuple[Any, ...]) -> None:
        called[name] = called.get(name, 0) + 1

    parts = [*decoder.named_modules()]
    for name, part in parts:
        if name.startswith(("lower.", "upper.")) or name in ("attention", "readout"):
            watch(part, partial(count, name))
    decode(decoder, TOKEN_IDS, state, source)
    lower, upper, attention = CALLS[decoder.feedback]
    expected = {f"lower.{place}": lower for place in range(len(decoder.lower))}
    expected |= {f"upper.{place}": upper for place in range(len(decoder.upper))}
    expected |= {"readout": upper}
    if decoder.attention is not None:
        expected["attention"] = attention
    assert called == expected
    assert len(decoder.lower) + len(decoder.upper) == 3


# Dropout: how much of what each part reads is zero, in training


def zeros(values: Tensor) -> float:
    return float(values.eq(0).double().mean())


def run_many(
    query: str, feedback: str | None, *, kind: str = "attentional", **dropout: float
) -> tuple[Tensor, dict[str, Tensor]]:
    """Readouts of many equal rows, and what the parts have read to make them, step by step."""
    none = {"embedding": 0.0, "layers": 0.0, "readout": 0.0}
    model = build(
        {
            "attention": {"query": query},
            "decoder": {
                "num_layers": 3,
                "hidden_size": 4,
                "feedback": feedback,
                "readout": kind,
                "residual_from": 3 if kind == "attentional" else None,
            },
            "dropout": {**none, **dropout},
            "tied_embeddings": None,
        }
    )
    source, state = encode(model)
    read: dict[str, list[Tensor]] = {}

    def note(name: str, inputs: tuple[Any, ...]) -> None:
        values = inputs if name == "readout" else inputs[:1]
        read.setdefault(name, []).append(torch.cat([*values[:2]], dim=-1))

    for name, part in model.decoder.named_modules():
        if name in ("lower.0", "lower.1", "lower.2", "attention", "upper.0", "upper.1", "readout"):
            watch(part, partial(note, name))
    rows = torch.tensor([1] * 300)  # a whole sentence of tokens
    token_ids = torch.full((300, T), 4)
    torch.manual_seed(1)
    readouts, _, _ = decode(
        model.decoder.train(), token_ids, state.select(rows), source.select(rows)
    )
    return readouts, {name: torch.cat(steps, dim=1) for name, steps in read.items()}


E, H = 5, 4


def test_dropout_thins_what_goes_up_and_the_context() -> None:
    readouts, read = run_many("bottom", None, layers=0.4)
    assert zeros(read["lower.0"]) == 0
    assert zeros(read["attention"]) == pytest.approx(0.4, abs=0.03)
    context = read["upper.0"][:, :, H:]
    assert zeros(context) == pytest.approx(0.4, abs=0.03)
    # The query of the attention goes up as it is, and one context to all.
    assert torch.equal(read["upper.0"][:, :, :H], read["attention"])
    assert torch.equal(read["upper.1"][:, :, H:], context)
    assert torch.equal(read["readout"][:, :, H:], context)
    assert zeros(read["upper.1"][:, :, :H]) == pytest.approx(0.4, abs=0.03)
    # Two thinned outputs are added up here.
    assert zeros(read["readout"][:, :, :H]) == pytest.approx(0.4**2, abs=0.03)
    assert zeros(readouts) == 0


@pytest.mark.parametrize("feedback", [None, "context", "attentional"])
def test_dropout_thins_every_layer_of_a_stack_below_the_attention(feedback: str | None) -> None:
    _, read = run_many("top", feedback, layers=0.4)
    assert zeros(read["lower.0"][:, :, :E]) == 0
    assert zeros(read["lower.1"]) == pytest.approx(0.4, abs=0.03)
    assert zeros(read["lower.2"]) == pytest.approx(0.4, abs=0.03)
    # The third layer's output and what it has read.
    assert zeros(read["attention"]) == pytest.approx(0.4**2, abs=0.03)
    assert torch.equal(read["readout"][:, :, :H], read["attention"])
    assert zeros(read["readout"][:, :, H:]) == pytest.approx(0.4, abs=0.03)


def test_a_context_is_fed_back_as_thin_as_it_goes_up() -> None:
    _, read = run_many("bottom", "context", layers=0.4)
    fed_back = read["lower.0"][:, :, E:]
    assert fed_back[:, 0].eq(0).all()
    assert torch.equal(fed_back[:, 1:], read["upper.0"][:, :-1, H:])
    assert zeros(fed_back[:, 1:]) == pytest.approx(0.4, abs=0.03)


def test_the_state_of_the_step_before_asks_as_it_is() -> None:
    _, read = run_many("previous", "context", layers=0.4)
    assert zeros(read["attention"]) == 0
    assert torch.equal(read["lower.0"][:, :, E:], read["upper.0"][:, :, H:])
    assert zeros(read["lower.0"][:, :, E:]) == pytest.approx(0.4, abs=0.03)
    assert zeros(read["upper.0"][:, :, :H]) == pytest.approx(0.4, abs=0.03)


@pytest.mark.parametrize(("query", "feedback"), [("bottom", None), ("previous", "context")])
def test_readout_dropout_thins_the_readout_alone(query: str, feedback: str | None) -> None:
    readouts, read = run_many(query, feedback, readout=0.4)
    assert zeros(readouts) == pytest.approx(0.4, abs=0.03)
    assert {name: zeros(values) for name, values in read.items()} == dict.fromkeys(read, 0)


@pytest.mark.parametrize(("layers", "readout"), [(0.4, 0.0), (0.0, 0.4), (0.4, 0.4)])
@pytest.mark.parametrize("kind", ["direct", "hidden"])
def test_a_hidden_state_that_is_the_readout_is_thinned_once(
    kind: str, layers: float, readout: float
) -> None:
    readouts, read = run_many("bottom", None, kind=kind, layers=layers, readout=readout)
    assert zeros(read["upper.1"][:, :, :H]) == pytest.approx(layers, abs=0.03)
    assert zeros(readouts[:, :, :H]) == pytest.approx(readout, abs=0.03)
    if kind == "direct":
        assert torch.equal(readouts[:, :, H:], read["upper.1"][:, :, H:])


def test_input_feeding_feeds_what_readout_dropout_has_left() -> None:
    readouts, read = run_many("top", "attentional", readout=0.4)
    assert zeros(readouts) == pytest.approx(0.4, abs=0.03)
    fed_back = read["lower.0"][:, :, E:]
    assert fed_back[:, 0].eq(0).all()
    assert torch.equal(fed_back[:, 1:], readouts[:, :-1])
    assert zeros(read["readout"]) == 0
