"""Token ids to length-bucketed batches, in an order that a seed and an epoch reproduce.

Integers become tensors here and nowhere else. Knows nothing of text or models. `batches` says what
a batch holds, `buckets` which pairs share one and in which order, `drawing` which pairs an epoch
has where corpora have weights.
"""

from nmt.batching.batches import (
    Batch,
    BatchDataset,
    SampledBatches,
    TokenSampler,
    TokenSequences,
    TokenStore,
    pad_ids,
)
from nmt.batching.buckets import LengthBuckets, NumberedBatches
from nmt.batching.drawing import WeightedDraw

__all__ = [
    "Batch",
    "BatchDataset",
    "LengthBuckets",
    "NumberedBatches",
    "SampledBatches",
    "TokenSampler",
    "TokenSequences",
    "TokenStore",
    "WeightedDraw",
    "pad_ids",
]
