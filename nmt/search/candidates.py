"""The highest of many values, ties in order: what every search chooses with."""

import torch
from torch import Tensor

IMPOSSIBLE = float("-inf")

# So many values more than are asked for are looked at where some are equal.
_MORE = 16
# Of many values first the greatest of every so many are compared, which is several times as fast.
_EACH = 16
_MANY_VALUES = 2**16


def highest(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Find the highest values of each row; of equal ones, those in lower columns.

    Args:
        values: Any number in each row, (N, C).
        count: How many to find, at least 1; a row that is shorter gives all it has.

    Returns:
        The values, highest first, and their columns, int64, both (N, min(count, C)).
    """
    # `topk` may choose any of equals. One value more than asked shows whether it had to choose.
    best, columns = _some_highest(values, min(count + 1, values.size(1)))
    tied = (best[:, 1:] == best[:, :-1]).any(dim=1)
    best, columns = best[:, :count], columns[:, :count]
    if tied.any():
        best[tied], columns[tied] = _in_order(values[tied], count)
    return best, columns


def _some_highest(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Do as `values.topk(count)`, which may choose any of equal values.

    They stand in the parts of a row that have the highest maxima, in no more than `count` of them.
    The columns of a part lie far apart, so that memory is read in long stretches.
    """
    num_columns = values.size(1)
    num_parts = num_columns // _EACH
    if values.numel() < _MANY_VALUES or num_parts < count:
        return values.topk(count)
    num_parted = num_parts * _EACH
    maxima = torch.unflatten(values[:, :num_parted], 1, (_EACH, num_parts)).amax(dim=1)
    parts = maxima.topk(count).indices  # (N, count)
    starts = torch.arange(0, num_parted, num_parts, device=values.device)
    columns = (parts[:, :, None] + starts).flatten(1)
    rest = torch.arange(num_parted, num_columns, device=values.device)
    columns = torch.cat((columns, rest.expand(len(values), -1)), dim=1)
    best, places = values.gather(1, columns).topk(count)
    return best, columns.gather(1, places)


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
