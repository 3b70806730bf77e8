"""Each paper's recipe against the paper's equations, and its model at the paper's size."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import pytest
import torch
from plain_model import (
    Decoded,
    Encoded,
    Weights,
    bahdanau_decoder,
    bahdanau_encoder,
    default_decoder,
    default_encoder,
    gnmt_decoder,
    gnmt_encoder,
    luong_decoder,
    luong_encoder,
    rnmt_plus_decoder,
    rnmt_plus_encoder,
    sutskever_decoder,
    sutskever_encoder,
)
from small_models import build_of, weights_of

from nmt.model import Seq2Seq, build_model
from nmt.recipe import find_recipe, load_recipe

SOURCE_IDS = torch.tensor([[4, 5, 6, 7, 3], [8, 9, 3, 0, 0]])  # (B, S)
SOURCE_LENGTHS = torch.tensor([5, 3])
TARGET_IDS = torch.tensor([[2, 4, 5, 6], [2, 7, 7, 1]])  # (B, T)


class Paper(NamedTuple):
    """A recipe made small, and its paper's equations."""

    recipe: str
    overrides: Sequence[str]
    encoder: Callable[[Weights, Sequence[int]], Encoded]
    decoder: Callable[[Weights, Encoded, Sequence[int]], Decoded]


def sizes(layers: int, *, embedding: int, encoder: int, decoder: int) -> list[str]:
    return [
        f"model.embedding_size={embedding}",
        f"model.encoder.num_layers={layers}",
        f"model.encoder.hidden_size={encoder}",
        f"model.decoder.num_layers={layers}",
        f"model.decoder.hidden_size={decoder}",
    ]


SUTSKEVER = sizes(2, embedding=5, encoder=4, decoder=4)
BAHDANAU = [
    *sizes(1, embedding=5, encoder=3, decoder=4),
    "model.attention.size=7",
    "model.decoder.readout_size=6",
]
LUONG = sizes(2, embedding=5, encoder=4, decoder=4)
GNMT = [*sizes(3, embedding=5, encoder=3, decoder=4), "model.attention.size=7"]
RNMT_PLUS = [*sizes(3, embedding=5, encoder=4, decoder=3), "model.attention.size=12"]
DEFAULT = sizes(3, embedding=5, encoder=3, decoder=4)
GRU = ["model.encoder.cell=gru", "model.decoder.cell=gru"]


def luong(*overrides: str, **settings: object) -> Paper:
    decoder = partial(luong_decoder, **settings)  # type: ignore[arg-type]
    return Paper("luong2015", [*LUONG, *overrides], luong_encoder, decoder)


PAPERS = {
    "sutskever": Paper("sutskever2014", SUTSKEVER, sutskever_encoder, sutskever_decoder),
    "bahdanau": Paper("bahdanau2015", BAHDANAU, bahdanau_encoder, bahdanau_decoder),
    "bahdanau, gated units": Paper(
        "bahdanau2015",
        [*BAHDANAU, *GRU],
        partial(bahdanau_encoder, cell="gru"),
        partial(bahdanau_decoder, cell="gru"),
    ),
    "bahdanau, coverage": Paper(
        "bahdanau2015",
        [*BAHDANAU, "model.attention.coverage=true"],
        bahdanau_encoder,
        partial(bahdanau_decoder, covers=True),
    ),
    "luong": luong(),
    "luong, dot": luong("model.attention.kind=dot", kind="dot"),
    "luong, scaled dot": luong("model.attention.kind=scaled_dot", kind="scaled_dot"),
    "luong, concat": luong("model.attention.kind=additive", kind="additive"),
    "luong, local-p": luong("model.attention.window=1", window=1),
    "luong, local-p and dot": luong(
        "model.attention.window=2", "model.attention.kind=dot", window=2, kind="dot"
    ),
    "luong, no input feeding": luong("model.decoder.feedback=null", input_feeding=False),
    "luong, local-p and no input feeding": luong(
        "model.decoder.feedback=null", "model.attention.window=1", window=1, input_feeding=False
    ),
    "gnmt": Paper("gnmt2016", GNMT, gnmt_encoder, gnmt_decoder),
    "rnmt+": Paper("rnmtplus2018", RNMT_PLUS, rnmt_plus_encoder, rnmt_plus_decoder),
    "gnmt v2": Paper("gnmt_v2", DEFAULT, default_encoder, default_decoder),
}


@pytest.mark.parametrize("paper", PAPERS.values(), ids=PAPERS.keys())
@torch.no_grad()
def test_a_recipe_computes_what_its_paper_says(paper: Paper) -> None:
    recipe = load_recipe(find_recipe(paper.recipe), paper.overrides)
    model = build_of(recipe.model)
    weights = weights_of(model)
    source, state = model.encode(SOURCE_IDS, SOURCE_LENGTHS)
    readouts, end, attention = model.decoder(TARGET_IDS, state, source)
    logits = model.output_layer(readouts)
    for row, length in enumerate(SOURCE_LENGTHS.tolist()):
        encoded = paper.encoder(weights, SOURCE_IDS[row, :length].tolist())
        assert_same(source.states[row, :length], encoded.states)
        expected = paper.decoder(weights, encoded, TARGET_IDS[row].tolist())
        assert_same(logits[row], expected.logits)
        assert_same(attention[row, :, :length], expected.attention)
        assert attention[row, :, length:].eq(0).all()
        assert_same(end.hidden[:, row], [hidden for hidden, _ in expected.layers])
        if recipe.model.decoder.cell != "gru":
            assert_same(end.cell[:, row], [cell for _, cell in expected.layers])


def assert_same(found: torch.Tensor, expected: list[list[float]]) -> None:
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64))


def test_what_the_papers_differ_in_shows() -> None:
    """With these weights no two of the models above agree: none can stand in for another."""
    model_of = {
        name: build_of(load_recipe(find_recipe(paper.recipe), paper.overrides).model)
        for name, paper in PAPERS.items()
    }
    mask = torch.ones_like(TARGET_IDS, dtype=torch.bool)
    given = {
        name: model(SOURCE_IDS, SOURCE_LENGTHS, TARGET_IDS, mask)[0].flatten().tolist()
        for name, model in model_of.items()
    }
    assert len({tuple(round(value, 6) for value in logits) for logits in given.values()}) == len(
        PAPERS
    )


# The papers' sizes: the weights counted by hand, as wide as the recipes' 8,000 pieces

V = 8000


def lstm(inputs: int, units: int) -> int:
    """Four gates, each with two biases, or with a gain and a bias where it is normalised."""
    return 4 * units * (inputs + units) + 8 * units


def linear(inputs: int, outputs: int, *, bias: bool = True) -> int:
    return inputs * outputs + (outputs if bias else 0)


NUM_WEIGHTS = {
    "sutskever2014": 2 * V * 1000 + 8 * lstm(1000, 1000) + linear(1000, V),
    "bahdanau2015": 2 * V * 620
    + 2 * lstm(620, 1000)
    + (linear(2000, 1000) + 1000 * 1000 + 1000)  # U, W and v of the energies
    + 2 * linear(2000, 1000)  # to the first hidden and cell state
    + lstm(620 + 2000, 1000)
    + linear(1000 + 2000 + 620, 2 * 500)  # pairs for the maxout
    + linear(500, V),
    "luong2015": 2 * V * 1000
    + 4 * lstm(1000, 1000)
    + 1000 * 1000  # `general`
    + lstm(1000 + 1000, 1000)  # input feeding
    + 3 * lstm(1000, 1000)
    + linear(2000, 1000)
    + linear(1000, V),
    "gnmt2016": 2 * V * 1024
    + (2 * lstm(1024, 1024) + lstm(2048, 1024) + 6 * lstm(1024, 1024))
    + (linear(1024, 1024) + 1024 * 1024 + 1024)
    + 8 * lstm(1024 + 1024, 1024)
    + linear(1024, V),
    "rnmtplus2018": 2 * V * 1024
    + (2 * lstm(1024, 1024) + 5 * 2 * lstm(2048, 1024))
    + (linear(2048, 1024) + 1024 * 1024 + 1024 + 2048 * 2048)  # each head's part of the context
    + 2 * linear(2048, 8 * 1024)
    + 8 * lstm(1024 + 2048, 1024)
    + linear(1024 + 2048, V),
    "gnmt_v2": 2 * V * 1024
    + 4 * 2 * lstm(1024, 512)
    + 1024 * 1024
    + 2 * linear(1024, 4 * 1024)
    + (lstm(1024, 1024) + 3 * lstm(1024 + 1024, 1024))
    + linear(2048, 1024)
    + V,  # the output layer's own is its bias
}
# Encoder layers, width of its states, decoder layers below and above the attention, their width
SHAPES = {
    "sutskever2014": (4, 1000, 4, 0, 1000),
    "bahdanau2015": (1, 2000, 1, 0, 1000),
    "luong2015": (4, 1000, 4, 0, 1000),
    "gnmt2016": (8, 1024, 1, 7, 1024),
    "rnmtplus2018": (6, 2048, 1, 7, 1024),
    "gnmt_v2": (4, 1024, 1, 3, 1024),
}


def full_size(name: str) -> Seq2Seq:
    with torch.device("meta"):
        recipe = load_recipe(find_recipe(name)).model
        return build_model(recipe, source_vocab_size=V, target_vocab_size=V, pad_id=0)


@pytest.mark.parametrize("name", NUM_WEIGHTS)
def test_a_recipe_has_its_papers_sizes(name: str) -> None:
    model = full_size(name)
    decoder = model.decoder
    widths = {layer.hidden_size for layer in (*decoder.lower, *decoder.upper)}
    shape = (
        len(model.encoder.layers),
        model.encoder.state_size,
        len(decoder.lower),
        len(decoder.upper),
        *widths,
    )
    assert shape == SHAPES[name]
    assert sum(weight.numel() for weight in model.parameters()) == NUM_WEIGHTS[name]


def test_every_paper_is_tried_here() -> None:
    folder = find_recipe("gnmt2016").parent
    names = {file.stem for file in folder.glob("*.yaml")}
    assert names == NUM_WEIGHTS.keys() == {paper.recipe for paper in PAPERS.values()}
