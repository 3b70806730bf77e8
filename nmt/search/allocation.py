"""Which candidates get the places of a beam: the best ones, or the best of every bank in turn."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nmt.search.candidates import IMPOSSIBLE, highest
from nmt.search.phrases import NO_TOKEN
from nmt.search.required import Outlook


@dataclass(frozen=True, slots=True)
class Extensions:
    """Every row with every next token.

    Attributes:
        log_probs: Log-probabilities, minus infinity where the token is forbidden, (R, V).
        ranked: What they are ranked by, (R, V).
        outlook: What they mean for required phrases; None where there are none in the batch.
    """

    log_probs: Tensor
    ranked: Tensor
    outlook: Outlook | None

    def select(self, rows: Tensor) -> Extensions:
        """Return the given rows in the given order; `rows`: (any,), int64."""
        outlook = self.outlook and self.outlook.select(rows)
        return Extensions(self.log_probs[rows], self.ranked[rows], outlook)

    def less(self, costs: Tensor) -> Extensions:
        """Return them ranked lower by the costs, (R, V)."""
        return replace(self, ranked=self.ranked - costs)


def choose(extensions: Extensions, num_beams: int, count: int) -> tuple[Tensor, Tensor]:
    """Choose candidates for the beam of every sentence.

    Without required phrases they are the best ones. With them every bank, the candidates that have
    met equally many required tokens, gives its best, from the fullest bank down, then its second
    best, and so on: dynamic beam allocation (Post & Vilar 2018), where banks that are short of
    candidates leave their places to the others.

    Args:
        extensions: Of N·W rows, those of a sentence side by side; beams are W wide.
        num_beams: W.
        count: How many candidates to choose, at least 1; all are chosen where there are fewer.

    Returns:
        Their columns among the W·V of the sentence, first the one that is to get the first place,
        (N, C), int64; of equals the lower column comes first. And which of them are possible,
        (N, C), bool; the others come last.
    """
    if extensions.outlook is None:
        best, columns = highest(_side_by_side(extensions.ranked, num_beams), count)
        return columns, best > IMPOSSIBLE
    values, columns, banks = _pool(extensions.ranked, extensions.outlook, num_beams, count)
    order = columns.argsort(dim=1)
    order = order.gather(1, values.gather(1, order).argsort(dim=1, descending=True, stable=True))
    order = order.gather(1, banks.gather(1, order).argsort(dim=1, descending=True, stable=True))
    turns = _places_in_run(banks.gather(1, order))
    possible = values.gather(1, order) > IMPOSSIBLE
    turns = turns.masked_fill(~possible, turns.size(1))
    order = order.gather(1, turns.argsort(dim=1, stable=True)[:, :count])
    return columns.gather(1, order), values.gather(1, order) > IMPOSSIBLE


def _pool(
    ranked: Tensor, outlook: Outlook, num_beams: int, count: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Gather all that might be chosen: every token that matters, and the best of the others.

    The others of a row are all of one bank, so that no more than `count` of them can be chosen.

    Returns:
        Values, columns among the W·V of the sentence, and banks, all (N, any).
    """
    known = outlook.token_ids != NO_TOKEN
    token_ids = outlook.token_ids.clamp(min=0)  # (R, I)
    values = ranked.gather(1, token_ids).masked_fill(~known, IMPOSSIBLE)
    others = ranked.clone()
    rows, places = known.nonzero(as_tuple=True)
    others[rows, token_ids[rows, places]] = IMPOSSIBLE
    best, columns = highest(others, count)  # (R, C)
    beams = torch.arange(len(ranked), device=ranked.device) % num_beams
    first_columns = (beams * ranked.size(1)).unsqueeze(1)
    pool_values = torch.cat([best, values], dim=1)
    pool_columns = torch.cat([columns, token_ids], dim=1) + first_columns
    pool_banks = torch.cat([outlook.other_banks.unsqueeze(1).expand_as(best), outlook.banks], dim=1)
    return (
        _side_by_side(pool_values, num_beams),
        _side_by_side(pool_columns, num_beams),
        _side_by_side(pool_banks, num_beams),
    )


def _side_by_side(values: Tensor, num_beams: int) -> Tensor:
    """Join the rows of each sentence, (N*W, C), to one."""
    return values.reshape(-1, num_beams * values.size(1))  # (N, W*C)


def _places_in_run(values: Tensor) -> Tensor:
    """Count from 0 within each run of equal values of a row, (N, C)."""
    places = torch.arange(values.size(1), device=values.device).expand_as(values)
    begins = torch.ones_like(values, dtype=torch.bool)
    begins[:, 1:] = values[:, 1:] != values[:, :-1]
    return places - places.masked_fill(~begins, 0).cummax(dim=1).values
