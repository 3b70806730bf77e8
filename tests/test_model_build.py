"""From a recipe to a model: each setting shows, and tied tensors are one."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import torch
from small_models import SIZES, Changes, build, logits_of, make_batch
from torch import Tensor

from nmt.model import Seq2Seq, build_model, recurrent
from nmt.recipe import ModelRecipe


@torch.no_grad()
def outcome(changes: Changes) -> Tensor:
    return logits_of(build(changes, target_vocab_size=13), make_batch())


# The weights are formulas of their names and places, so nothing but the setting itself can make
# the difference.


def encoder(**settings: object) -> Changes:
    return {"encoder": {"num_layers": 2, "hidden_size": 3, **settings}}


def attention(**settings: object) -> Changes:
    return {"attention": settings}


def decoder(**settings: object) -> Changes:
    return {"decoder": {"num_layers": 3, "hidden_size": 4, **settings}}


def additive(**settings: object) -> Changes:
    return attention(kind="additive", **settings)


# As many settings of its own kind as a choice has, every two of which must differ.
EQUAL = {"decoder": {"num_layers": 2, "hidden_size": 6}}  # to the encoder states
FED = decoder(feedback="context")
NOT_TIED = {"tied_embeddings": None}
STACK = {
    "encoder": {"num_layers": 3, "hidden_size": 4, "directions": "forward", "residual_from": None},
    **decoder(),
}
CHOICES: dict[str, list[Changes]] = {
    "embedding_size": [{}, {"embedding_size": 6}],
    "encoder.num_layers": [{}, encoder(num_layers=1), encoder(num_layers=3)],
    "encoder.hidden_size": [{}, encoder(hidden_size=5)],
    "encoder.cell": [encoder(cell=c) for c in ("lstm", "gru", "rnn", "layer_norm_lstm")],
    "encoder.directions": [
        encoder(num_layers=3, residual_from=3, directions=directions)
        for directions in ("both", "bottom", "forward", "backward")
    ],
    "encoder.residual_from": [
        encoder(num_layers=3, residual_from=number) for number in (None, 2, 3)
    ],
    "attention": [{}, {"attention": None}],
    "attention.kind": [
        {**EQUAL, **attention(kind=kind)} for kind in ("dot", "scaled_dot", "general", "additive")
    ],
    "attention.size": [additive(), additive(size=9)],
    "attention.query": [{**FED, **attention(query=q)} for q in ("bottom", "top", "previous")],
    "attention.num_heads": [additive(num_heads=heads, size=6) for heads in (1, 2, 3)],
    "attention.window": [attention(), attention(window=1), attention(window=2)],
    "attention.coverage": [additive(), additive(coverage=True)],
    # the two ways to train it translate alike: tests/test_training_variational.py
    "attention.variational": [attention(), attention(variational="sampled")],
    "decoder.num_layers": [{}, decoder(num_layers=1), decoder()],
    "decoder.hidden_size": [{}, decoder(num_layers=2, hidden_size=5)],
    "decoder.cell": [decoder(cell=c) for c in ("lstm", "gru", "rnn", "layer_norm_lstm")],
    "decoder.feedback": [decoder(feedback=f) for f in (None, "context", "attentional")],
    "decoder.readout": [
        {**NOT_TIED, **decoder(readout=r)} for r in ("attentional", "maxout", "direct", "hidden")
    ],
    "decoder.readout_size": [NOT_TIED, {**NOT_TIED, **decoder(readout_size=6)}],
    "decoder.residual_from": [decoder(residual_from=number) for number in (None, 2, 3)],
    "bridge": [{**STACK, "bridge": b} for b in ("linear", "mean", "copy", "learned", "zero")],
    "tied_embeddings": [{"tied_embeddings": tied} for tied in (None, "output", "all")],
}
PAIRS = [
    pytest.param(*pair, id=f"{key} {number}")
    for key, choices in CHOICES.items()
    for number, pair in enumerate(itertools.combinations(choices, 2))
]


@pytest.mark.parametrize(("before", "after"), PAIRS)
def test_a_setting_changes_what_comes_out(before: Changes, after: Changes) -> None:
    assert torch.equal(outcome(before), outcome(before))
    assert not torch.allclose(outcome(before), outcome(after))


def settings(tree: Mapping[str, object], prefix: str = "") -> Iterator[str]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from settings(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def test_every_setting_of_a_model_is_tried_here() -> None:
    others = ("recurrent", "shared_over_time")
    tried = {*CHOICES, *(f"dropout.{key}" for key in (*DROPPED, *others))} - {"attention"}
    assert tried == set(settings(ModelRecipe().model_dump()))


def choices_of(schema: Any, section: str, key: str) -> set[object]:
    """What a setting may be, where the recipe counts that up."""
    field = schema["$defs"][section]["properties"][key]
    kinds = field.get("anyOf", [field])
    return {value for kind in kinds for value in kind.get("enum", ())}


@pytest.mark.parametrize(
    ("section", "key", "tried"),
    [
        ("EncoderRecipe", "cell", "encoder.cell"),
        ("EncoderRecipe", "directions", "encoder.directions"),
        ("AttentionRecipe", "kind", "attention.kind"),
        ("AttentionRecipe", "query", "attention.query"),
        ("DecoderRecipe", "cell", "decoder.cell"),
        ("DecoderRecipe", "feedback", "decoder.feedback"),
        ("DecoderRecipe", "readout", "decoder.readout"),
    ],
)
def test_every_choice_of_a_setting_is_tried_here(section: str, key: str, tried: str) -> None:
    place = section.removesuffix("Recipe").lower()
    values = set()
    for changes in CHOICES[tried]:
        part = changes[place]
        assert isinstance(part, Mapping)
        values.add(part[key])
    expected = choices_of(ModelRecipe.model_json_schema(), section, key)
    assert values - {None} == expected
    assert len(expected) > 1


# Dropout settings: the part of zeros in what each place gives or reads while training


DROPPED: dict[str, set[str]] = {
    "embedding": {"encoder.embedding", "decoder.embedding"},
    "word": {"encoder.embedding", "decoder.embedding"},
    "layers": {"encoder.layers.1", "decoder.attention"},
    "readout": {"output_layer"},
}
PLACES = sorted(set().union(*DROPPED.values()))
NO_DROPOUT = {"embedding": 0.0, "word": 0.0, "layers": 0.0, "readout": 0.0}
B, T = 30, 20


def train_once(dropout: Mapping[str, object], feedback: str | None = None) -> dict[str, Tensor]:
    """What each place gives or reads for sentences without padding, (B, T, its size)."""
    model = build({"dropout": {**NO_DROPOUT, **dropout}, **decoder(feedback=feedback)}).train()
    noted: dict[str, list[Tensor]] = {}

    def note(name: str) -> Callable[..., None]:
        def hook(_: object, inputs: tuple[Tensor, ...], outputs: Tensor) -> None:
            values = outputs if name.endswith("embedding") else inputs[0]
            noted.setdefault(name, []).append(values.detach())

        return hook

    for name in PLACES:
        model.get_submodule(name).register_forward_hook(note(name))
    torch.manual_seed(1)
    token_ids = torch.arange(B * T).view(B, T) % 9 + 2
    model(token_ids, torch.full((B,), T), token_ids, torch.ones(B, T, dtype=torch.bool))
    return {name: torch.cat(steps, dim=-2).view(B, T, -1) for name, steps in noted.items()}


FEEDBACK = pytest.mark.parametrize("feedback", [None, "context", "attentional"])


@pytest.mark.parametrize("key", DROPPED)
@FEEDBACK
def test_a_dropout_works_where_it_is_named_for(key: str, feedback: str | None) -> None:
    given = train_once({key: 0.4}, feedback)
    zeros = {name: float(values.eq(0).double().mean()) for name, values in given.items()}
    expected = {name: 0.4 if name in DROPPED[key] else 0.0 for name in PLACES}
    assert zeros == pytest.approx(expected, abs=0.06)


def test_word_dropout_takes_whole_tokens() -> None:
    for key, whole in {"word": 1.0, "embedding": 0.0}.items():
        vectors = train_once({key: 0.4})["decoder.embedding"]
        dropped = vectors.eq(0)
        most = dropped.all(dim=-1).float().sum() / dropped.any(dim=-1).float().sum()
        assert float(most) == pytest.approx(whole, abs=0.05)


@pytest.mark.parametrize("key", ["embedding", "layers", "readout"])
@pytest.mark.parametrize("shared_over_time", [False, True])
@FEEDBACK
def test_one_mask_may_serve_all_steps(
    shared_over_time: bool, key: str, feedback: str | None
) -> None:
    given = train_once({key: 0.4, "shared_over_time": shared_over_time}, feedback)
    for name in DROPPED[key]:
        dropped = given[name].eq(0)
        assert torch.equal(dropped, dropped[:, :1].expand_as(dropped)) == shared_over_time
        assert not torch.equal(dropped[:1].expand_as(dropped), dropped)


@FEEDBACK
def test_recurrent_dropout_draws_the_weights_of_every_layer_once(
    feedback: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[tuple[int, ...], float]] = []

    def note(shape: tuple[int, ...], probability: float, like: Tensor) -> Tensor:
        drawn.append((shape, probability))
        return torch.ones(shape).to(like)

    monkeypatch.setattr(recurrent, "keep_mask", note)
    train_once({"recurrent": 0.4}, feedback)
    # Four gates of 3 units, two layers both ways; four of 4, three layers.
    assert drawn == [((12, 3), 0.4)] * 4 + [((16, 4), 0.4)] * 3


# Weights


def build_fresh(tied_embeddings: str | None, *, source: int = 13, target: int = 13) -> Seq2Seq:
    recipe = ModelRecipe.model_validate({**SIZES, "tied_embeddings": tied_embeddings})
    return build_model(recipe, source_vocab_size=source, target_vocab_size=target, pad_id=0)


@pytest.mark.parametrize(("tied_embeddings", "num_tensors"), [(None, 3), ("output", 2), ("all", 1)])
def test_tied_tensors_are_one(tied_embeddings: str | None, num_tensors: int) -> None:
    model = build_fresh(tied_embeddings)
    source = model.encoder.embedding.table.weight
    target = model.decoder.embedding.table.weight
    output = model.output_layer.weight
    assert len({id(weight) for weight in (source, target, output)}) == num_tensors
    assert (target is output) == (tied_embeddings is not None)
    assert (source is target) == (tied_embeddings == "all")
    # What an optimizer gets, and what a copy on another device keeps.
    sizes = [weight.numel() for weight in model.double().parameters()]
    assert sizes.count(13 * 5) == num_tensors


def test_each_side_has_the_size_of_its_vocabulary() -> None:
    model = build_fresh("output", source=13, target=11)
    assert model.encoder.embedding.table.weight.shape == (13, 5)
    assert model.decoder.embedding.table.weight.shape == (11, 5)
    assert model.output_layer.out_features == 11


def test_the_output_layer_starts_without_favourites() -> None:
    assert build_fresh("output").output_layer.bias.tolist() == [0.0] * 13


def test_the_same_seed_makes_the_same_weights() -> None:
    torch.manual_seed(7)
    first = build_fresh("output").state_dict()
    second = build_fresh("output").state_dict()
    torch.manual_seed(7)
    again = build_fresh("output").state_dict()
    assert all(torch.equal(weight, again[name]) for name, weight in first.items())
    assert not all(torch.equal(weight, second[name]) for name, weight in first.items())


def test_one_table_for_all_needs_one_vocabulary() -> None:
    complaint = (
        "^tied_embeddings 'all' needs vocabularies of one size, got source 13 and target 11$"
    )
    with pytest.raises(ValueError, match=complaint):
        build_fresh("all", source=13, target=11)
