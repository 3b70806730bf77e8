"""Diverse beam search: groups of beams that each avoid what the groups before them chose.

After Vijayakumar et al. (2018), with the Hamming diversity. A sentence is searched once for each
group, the groups side by side: row g of its G rows is group g.
"""

from collections.abc import Sequence
from itertools import chain, zip_longest

import torch
from torch import Tensor

from nmt.search.allocation import Extensions, choose
from nmt.search.demands import Demands
from nmt.search.hypothesis import Hypothesis
from nmt.search.options import SearchOptions


def repeat_for_groups(
    source_lengths: Tensor, demands: Sequence[Demands] | None, num_groups: int
) -> tuple[Tensor, Sequence[Demands] | None]:
    """Return lengths, (B,), and demands of the sentences, once for each group, (B*G,)."""
    if demands is not None and len(demands) == len(source_lengths):
        demands = [one for one in demands for _ in range(num_groups)]
    return source_lengths.repeat_interleave(num_groups), demands


def choose_in_turn(
    extensions: Extensions, places: Tensor, options: SearchOptions
) -> tuple[Tensor, Tensor]:
    """Choose candidates for every group of beams, the first groups first.

    A group ranks a token lower by `diversity_penalty` for each beam of an earlier group of the same
    sentence that has just chosen it. This bears on the choice alone: log-probabilities and scores
    stay what they are.

    Args:
        extensions: Of N·W rows; N is sentences times groups.
        places: How many places each beam has left, (N, 1), int64.
        options: Names the groups, their size and the penalty.

    Returns:
        The columns of the candidates, (N, C), int64, as `choose` gives them, and which are
        possible and have a place, (N, C), bool.
    """
    num_rows, vocab_size = extensions.log_probs.shape
    num_beams = num_rows // len(places)
    if options.num_groups == 1:
        columns, possible = choose(extensions, num_beams, options.group_size)
        return columns, possible & _have_places(columns, places)
    rows = torch.arange(num_rows, device=places.device).view(-1, options.num_groups, num_beams)
    places = places.view(-1, options.num_groups, 1)
    counts = extensions.log_probs.new_zeros(len(rows), vocab_size)
    chosen, kept = [], []
    for group in range(options.num_groups):
        costs = (options.diversity_penalty * counts).repeat_interleave(num_beams, dim=0)
        mine = extensions.select(rows[:, group].flatten()).less(costs)
        columns, possible = choose(mine, num_beams, options.group_size)  # (N/G, C)
        possible = possible & _have_places(columns, places[:, group])
        counts = counts.scatter_add(1, columns % vocab_size, possible.float())
        chosen.append(columns)
        kept.append(possible)
    return torch.stack(chosen, dim=1).flatten(0, 1), torch.stack(kept, dim=1).flatten(0, 1)


def _have_places(columns: Tensor, places: Tensor) -> Tensor:
    """Tell which of the candidates, (N, C), there are places for, (N, 1)."""
    return torch.arange(columns.size(1), device=columns.device) < places


def join_groups(
    found: Sequence[list[Hypothesis]], num_groups: int, num_hypotheses: int
) -> list[list[Hypothesis]]:
    """Join what the groups of each sentence found.

    Every group gives its best, then every group its second best, and so on; what was given before
    is left out.

    Args:
        found: The hypotheses of each group of each sentence, best first.
        num_groups: Groups of a sentence.
        num_hypotheses: How many to keep for a sentence at most.

    Returns:
        The hypotheses of each sentence, best score first.
    """
    if num_groups == 1:
        return list(found)
    joined = []
    for start in range(0, len(found), num_groups):
        groups = found[start : start + num_groups]
        rounds = chain.from_iterable(zip_longest(*groups))
        distinct: dict[tuple[int, ...], Hypothesis] = {}
        for one in rounds:
            if one is not None and len(distinct) < num_hypotheses:
                distinct.setdefault(one.token_ids, one)
        joined.append(sorted(distinct.values(), key=lambda one: -one.score))
    return joined
