"""Source tokens to the best target tokens. Knows a model as `encode` and `step`; no strings."""

from nmt.search.beam import beam_search
from nmt.search.demands import Demands
from nmt.search.hypothesis import Hypothesis
from nmt.search.options import NORMALIZATIONS, Normalization, SamplingOptions, SearchOptions
from nmt.search.paths import greedy_search, sample

__all__ = [
    "NORMALIZATIONS",
    "Demands",
    "Hypothesis",
    "Normalization",
    "SamplingOptions",
    "SearchOptions",
    "beam_search",
    "greedy_search",
    "sample",
]
