"""From a recipe to a model: each setting shows, and tied tensors are one."""

from collections.abc import Iterator, Mapping

import pytest
import torch
from small_models import SIZES, build, logits_of, make_batch
from torch import Tensor

from nmt.model import Seq2Seq, build_model
from nmt.recipe import ModelRecipe


@torch.no_grad()
def outcome(changes: Mapping[str, object]) -> Tensor:
    return logits_of(build(changes, target_vocab_size=13), make_batch())


# Before and after the change of one setting. The weights are formulas of their names and places,
# so nothing but the setting itself can make the difference.
Change = tuple[Mapping[str, object], Mapping[str, object]]
ADDITIVE = {"attention": {"kind": "additive"}}
CHANGES: dict[str, Change] = {
    "embedding_size": ({}, {"embedding_size": 6}),
    "encoder.num_layers": ({}, {"encoder": {"num_layers": 3, "hidden_size": 3}}),
    "encoder.hidden_size": ({}, {"encoder": {"num_layers": 2, "hidden_size": 5}}),
    "attention.kind": ({}, ADDITIVE),
    "attention.size": (ADDITIVE, {"attention": {"kind": "additive", "size": 9}}),
    "decoder.num_layers": ({}, {"decoder": {"num_layers": 3, "hidden_size": 4}}),
    "decoder.hidden_size": ({}, {"decoder": {"num_layers": 2, "hidden_size": 5}}),
    "bridge": ({}, {"bridge": "zero"}),
    "tied_embeddings": ({}, {"tied_embeddings": None}),
}


@pytest.mark.parametrize(("before", "after"), CHANGES.values(), ids=CHANGES.keys())
def test_a_setting_changes_what_comes_out(
    before: Mapping[str, object], after: Mapping[str, object]
) -> None:
    assert torch.equal(outcome(before), outcome(before))
    assert not torch.allclose(outcome(before), outcome(after))


def test_tying_all_embeddings_changes_what_comes_out() -> None:
    assert not torch.allclose(outcome({}), outcome({"tied_embeddings": "all"}))


def settings(tree: Mapping[str, object], prefix: str = "") -> Iterator[str]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from settings(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def test_every_setting_of_a_model_is_tried_here() -> None:
    tried = {*CHANGES, *(f"dropout.{key}" for key in (*DROPPED, "shared_over_time"))}
    assert tried == set(settings(ModelRecipe().model_dump()))


# Dropout settings: the part of zeros in what each place gives while training


DROPPED: dict[str, set[str]] = {
    "embedding": {"encoder.embedding", "decoder.embedding"},
    "word": {"encoder.embedding", "decoder.embedding"},
    "layers": {"encoder.dropout", "decoder.dropout"},
    "readout": {"decoder.readout_dropout"},
}
PLACES = sorted(set().union(*DROPPED.values()))


def train_once(dropout: Mapping[str, object]) -> dict[str, Tensor]:
    """What each place gives for sentences without padding, (B, T, its size)."""
    none = {"embedding": 0.0, "word": 0.0, "layers": 0.0, "readout": 0.0}
    model = build({**SIZES, "dropout": {**none, **dropout}}).train()
    given: dict[str, Tensor] = {}

    def note(name: str) -> None:
        def hook(_: object, __: object, values: Tensor) -> None:
            given.setdefault(name, values.detach())

        model.get_submodule(name).register_forward_hook(hook)

    for name in PLACES:
        note(name)
    torch.manual_seed(1)
    token_ids = torch.arange(30 * 20).view(30, 20) % 9 + 2  # (B, T)
    model(token_ids, torch.full((30,), 20), token_ids, torch.ones(30, 20, dtype=torch.bool))
    return given


@pytest.mark.parametrize("key", DROPPED)
def test_a_dropout_works_where_it_is_named_for(key: str) -> None:
    zeros = {name: float(v.eq(0).float().mean()) for name, v in train_once({key: 0.4}).items()}
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
def test_one_mask_may_serve_all_steps(shared_over_time: bool, key: str) -> None:
    given = train_once({key: 0.4, "shared_over_time": shared_over_time})
    for name in DROPPED[key]:
        dropped = given[name].eq(0)
        assert torch.equal(dropped, dropped[:, :1].expand_as(dropped)) == shared_over_time


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


def test_dot_attention_of_unequal_sizes_is_refused() -> None:
    complaint = "^dot attention needs equal sizes, got decoder 4 and encoder states 6; use general$"
    with pytest.raises(ValueError, match=complaint):
        build({"attention": {"kind": "dot"}})
