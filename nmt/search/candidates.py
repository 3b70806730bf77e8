"""The highest of many values, ties in order: what every search chooses with."""

import torch
from torch import Tensor

IMPOSSIBLE = float("-inf")


def highest(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Find the highest values of each row; of equal ones, those in lower columns.

    Args:
        values: Any number in each row, (N, C).
        count: How many to find, at least 1; a row that is shorter gives all it has.

    Returns:
        The values, highest first, and their columns, int64, both (N, min(count, C)).
    """
    # `topk` may choose any of equals. One value more than asked shows whether it had to choose.
    best, columns = values.topk(min(count + 1, values.size(1)))
    tied = (best[:, 1:] == best[:, :-1]).any(dim=1)
    best, columns = best[:, :count], columns[:, :count]
    if tied.any():
        ordered = torch.sort(values[tied], dim=1, descending=True, stable=True)
        best[tied] = ordered.values[:, :count]
        columns[tied] = ordered.indices[:, :count]
    return best, columns
