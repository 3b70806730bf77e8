"""The highest of many values, ties in order: what every search chooses with."""

from torch import Tensor

IMPOSSIBLE = float("-inf")

# So many values more than are asked for are looked at where some are equal.
_MORE = 16


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
        best[tied], columns[tied] = _in_order(values[tied], count)
    return best, columns


def _in_order(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Do as `highest`, for rows in which some of the highest values are equal."""
    size = values.size(1)
    best, columns = values.topk(min(count + _MORE, size))
    if best.size(1) == size or (best[:, count - 1] > best[:, -1]).all():  # all equals are here
        columns, order = columns.sort(dim=1)
        best = best.gather(1, order)
        best, order = best.sort(dim=1, descending=True, stable=True)
        columns = columns.gather(1, order)
    else:
        best, columns = values.sort(dim=1, descending=True, stable=True)
    return best[:, :count], columns[:, :count]
