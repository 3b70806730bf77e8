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

# No two sizes are equal where the recipe allows it: swapped axes then show.
SIZES: Mapping[str, object] = {
    "embedding_size": 5,
    "encoder": {"num_layers": 2, "hidden_size": 3},
    "decoder": {"num_layers": 2, "hidden_size": 4},
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


def build(
    changes: Mapping[str, object] | None = None, *, target_vocab_size: int = TARGET_VOCAB_SIZE
) -> Seq2Seq:
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
