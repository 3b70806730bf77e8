"""Source tokens to the best target tokens. Knows a model as `encode` and `step`; no strings."""

from nmt.search.beam import beam_search
from nmt.search.greedy import greedy_search
from nmt.search.hypothesis import Hypothesis
from nmt.search.options import SearchOptions

__all__ = ["Hypothesis", "SearchOptions", "beam_search", "greedy_search"]
