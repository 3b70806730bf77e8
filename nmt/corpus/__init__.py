"""Sentence pairs from files and from the hub: reading, checks, cleaning. Knows no tensors."""

from nmt.corpus.check import count_seen, find_swapped
from nmt.corpus.clean import CleaningReport, clean
from nmt.corpus.files import read_lines
from nmt.corpus.grammar import count_pairs, draw_pairs, known_words
from nmt.corpus.load import describe_set, load_numbered_pairs, load_pairs
from nmt.corpus.pairs import SentencePair

__all__ = [
    "CleaningReport",
    "SentencePair",
    "clean",
    "count_pairs",
    "count_seen",
    "describe_set",
    "draw_pairs",
    "find_swapped",
    "known_words",
    "load_numbered_pairs",
    "load_pairs",
    "read_lines",
]
