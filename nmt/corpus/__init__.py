"""Sentence pairs from files and from the hub: reading, checks, cleaning. Knows no tensors.

The built-in grammar has a door of its own, `nmt.corpus.grammar`: who translates needs none of it.
"""

from nmt.corpus.cache import Cache
from nmt.corpus.check import SeenPairs, find_swapped
from nmt.corpus.clean import CleaningReport, clean
from nmt.corpus.files import read_lines
from nmt.corpus.joined import JoinedPairs, JoinedTokens
from nmt.corpus.load import describe_set, load_numbered_pairs, load_pairs
from nmt.corpus.pairs import SentencePair
from nmt.corpus.sampling import PairSampler
from nmt.corpus.stream import PairStream, StreamPlace
from nmt.corpus.tokens import TokenIds, encode_pairs, prepare_tokens
from nmt.corpus.training_set import TrainingSet, fingerprint, prepare_training_sets

__all__ = [
    "Cache",
    "CleaningReport",
    "JoinedPairs",
    "JoinedTokens",
    "PairSampler",
    "PairStream",
    "SeenPairs",
    "SentencePair",
    "StreamPlace",
    "TokenIds",
    "TrainingSet",
    "clean",
    "describe_set",
    "encode_pairs",
    "find_swapped",
    "fingerprint",
    "load_numbered_pairs",
    "load_pairs",
    "prepare_tokens",
    "prepare_training_sets",
    "read_lines",
]
