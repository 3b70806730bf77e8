"""Small models whose weights are a formula, so that a test can tell what changed them."""

import zlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from nmt.batching import Batch, BatchDataset
from nmt.model import Seq2Seq, build_model
from nmt.recipe import ModelRecipe

PAD, BOS, EOS = 0, 2, 3
SOURCE_VOCAB_SIZE, TARGET_VOCAB_SIZE = 13, 11

Changes = Mapping[str, object]

# No two sizes are equal where the recipe allows it: swapped axes then show.
SIZES: Changes = {
    "embedding_size": 5,
    "encoder": {"num_layers": 2, "hidden_size": 3},
    "decoder": {"num_layers": 2, "hidden_size": 4},
}


def member(
    cell: str, asks: tuple[str, str | None] | None, *, coverage: bool = False, readout: str
) -> Changes:
    """Changes to the small recipe; `asks`: query and feedback, None without attention."""
    query, feedback = asks or (None, None)
    return {
        "encoder": {"num_layers": 2, "hidden_size": 3, "cell": cell},
        "attention": query and {"kind": "additive", "query": query, "coverage": coverage},
        "decoder": {
            "num_layers": 3,
            "hidden_size": 4,
            "cell": cell,
            "feedback": feedback,
            "readout": readout,
            "residual_from": 2,
        },
        "tied_embeddings": None,
    }


ASKS: tuple[tuple[str, str | None], ...] = (
    ("bottom", None),
    ("bottom", "context"),
    ("bottom", "attentional"),
    ("top", None),
    ("top", "context"),
    ("top", "attentional"),
    ("previous", "context"),
)
READOUTS = ("attentional", "maxout", "direct", "hidden")


def is_legal(asks: tuple[str, str | None], readout: str) -> bool:
    if asks[1] == "attentional":
        return readout == "attentional"
    return (*asks, readout) != ("top", None, "hidden")


# Every way in which a decoder can ask and feed back, with each kind of unit.
FAMILY: dict[str, Changes] = {
    f"{cell}, {asks and ', '.join(map(str, asks))}": member(
        cell, asks, coverage=asks is not None, readout="attentional"
    )
    for cell in ("lstm", "gru", "rnn", "layer_norm_lstm")
    for asks in (*ASKS, None)
}
# The same of LSTMs with every readout, with and without coverage, and what can be added.
WHOLE_FAMILY: dict[str, Changes] = {
    **FAMILY,
    **{
        f"lstm, {asks[0]}, {asks[1]}, {readout}{', coverage' if coverage else ''}": member(
            "lstm", asks, coverage=coverage, readout=readout
        )
        for asks in ASKS
        for readout in READOUTS
        for coverage in (False, True)
        if is_legal(asks, readout)
    },
    **{f"lstm, None, {readout}": member("lstm", None, readout=readout) for readout in READOUTS},
    "window": {
        "attention": {"window": 1, "query": "top"},
        "decoder": {"num_layers": 2, "hidden_size": 4, "feedback": "attentional"},
    },
    "heads": {
        "attention": {"kind": "general", "num_heads": 2},
        "decoder": {"num_layers": 2, "hidden_size": 4, "feedback": "context"},
    },
    "scaled_dot": {
        "attention": {"kind": "scaled_dot", "query": "top"},
        "decoder": {"num_layers": 2, "hidden_size": 6},
    },
    "dot, heads": {
        "attention": {"kind": "dot", "num_heads": 2},
        "decoder": {"num_layers": 2, "hidden_size": 6},
    },
    "one layer": {
        "attention": {"query": "previous"},
        "decoder": {"num_layers": 1, "hidden_size": 4, "feedback": "context", "readout": "maxout"},
    },
    "unlike units": {
        "encoder": {"num_layers": 2, "hidden_size": 3, "cell": "gru"},
        "decoder": {"num_layers": 2, "hidden_size": 4, "cell": "layer_norm_lstm"},
    },
    **{
        f"{directions}, {bridge}": {
            "encoder": {
                "num_layers": 3,
                "hidden_size": 4,
                "directions": directions,
                "residual_from": 3,
            },
            "decoder": {"num_layers": 3, "hidden_size": 4},
            "bridge": bridge,
        }
        for directions, bridge in (
            ("both", "mean"),
            ("both", "learned"),
            ("both", "zero"),
            ("forward", "copy"),
            ("backward", "copy"),
            ("backward", "mean"),
            ("bottom", "linear"),
        )
    },
}

# Models that sum over source positions.
VARIATIONAL: dict[str, Changes] = {
    "variational": {"attention": {"variational": "sampled"}},
    "variational, top": {"attention": {"variational": "enumerated", "query": "top"}},
    "variational, previous, context": {
        "attention": {"kind": "additive", "query": "previous", "variational": "enumerated"},
        "decoder": {"num_layers": 2, "hidden_size": 4, "feedback": "context", "readout": "maxout"},
    },
    "variational, coverage, direct": {
        "attention": {"kind": "additive", "coverage": True, "variational": "sampled"},
        "decoder": {"num_layers": 2, "hidden_size": 4, "readout": "direct"},
        "tied_embeddings": None,
    },
}

# Unequal lengths, the longest neither first nor last.
SOURCES = [[4, 5], [6, 7, 8, 9], [10], [11, 12, 4]]
TARGETS = [[4, 5, 6], [7], [8, 9, 10, 4], []]


def make_batch() -> Batch:
    dataset = BatchDataset(SOURCES, TARGETS, pad_id=PAD, bos_id=BOS, eos_id=EOS)
    return dataset[range(len(SOURCES))]


def fill(module: nn.Module) -> None:
    """Set every weight to a wave that its own name starts, whatever other weights there are."""
    with torch.no_grad():
        for name, weight in module.named_parameters():
            places = torch.arange(weight.numel(), dtype=torch.float64).view_as(weight)
            weight.copy_(0.7 * torch.sin(1.7 * places + zlib.crc32(name.encode()) % 1000))
        for part in module.modules():
            if isinstance(part, nn.Embedding) and part.padding_idx is not None:
                part.weight[part.padding_idx] = 0


def build(changes: Changes | None = None, *, target_vocab_size: int = TARGET_VOCAB_SIZE) -> Seq2Seq:
    """Return a small model, ready to translate, in float64; `changes` are those to its recipe."""
    recipe = ModelRecipe.model_validate({**SIZES, **(changes or {})})
    return build_of(recipe, target_vocab_size=target_vocab_size)


def build_of(recipe: ModelRecipe, *, target_vocab_size: int = TARGET_VOCAB_SIZE) -> Seq2Seq:
    """Return the model of a recipe, ready to translate, in float64 with weights of the formula."""
    model = build_model(
        recipe,
        source_vocab_size=SOURCE_VOCAB_SIZE,
        target_vocab_size=target_vocab_size,
        pad_id=PAD,
    )
    fill(model)
    return model.double().eval()


def weights_of(module: nn.Module) -> dict[str, Any]:
    """The weights by name, as nested lists: what the plain model reads."""
    return {name: weight.tolist() for name, weight in module.state_dict().items()}


def logits_of(model: Seq2Seq, batch: Batch) -> Tensor:
    """Logits at the real target positions, (N, V)."""
    logits, _ = score(model, batch)
    return logits


def score(model: Seq2Seq, batch: Batch) -> tuple[Tensor, Tensor]:
    """Logits at the real target positions, (N, V), and the attention, (B, T, S)."""
    logits, attention = model(
        batch.source_ids, batch.source_lengths, batch.target_input_ids, batch.target_mask
    )
    return logits, attention
