"""A bar for work that takes long: pairs done and time left, on stderr."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def counting(name: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show a bar where stderr is a terminal, and give what moves it on by so many.

    Args:
        name: What is done.
        total: How much there is to do; null where nobody knows.
    """
    # Not rich's own opinion, which FORCE_COLOR may change: escapes would fill a log file.
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    # only who waits at a terminal needs it
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(name, total=total)
        yield lambda count: progress.advance(task, count)
