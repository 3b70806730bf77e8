"""What a watch does inside a program that it knows nothing of. Imports no more than Python has."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Collection
from importlib import import_module
from pathlib import Path
from typing import Any

KILOBYTE = 1024


def peak_memory(process: int) -> int:
    """Return the peak of a process's memory and its children's, added up, in bytes."""
    folder = Path("/proc") / str(process)
    status = (folder / "status").read_text(encoding="utf-8")
    peak = re.search(r"VmHWM:\s+(\d+) kB", status)
    children = {
        int(child)
        for task in (folder / "task").iterdir()
        for child in (task / "children").read_text(encoding="utf-8").split()
    }
    own = int(peak[1]) * KILOBYTE if peak else 0  # a child that has just ended has none
    return own + sum(peak_memory(child) for child in children)


def look_before(owner: Any, name: str, look: Callable[..., None]) -> None:
    """Have a method's arguments looked at before it runs."""
    method = getattr(owner, name)

    def looked_at(*args: Any, **kwargs: Any) -> Any:
        look(*args)
        return method(*args, **kwargs)

    setattr(owner, name, looked_at)


def main_of(module: str) -> Callable[[], Any]:
    """Return the command line of a program."""
    main: Callable[[], Any] = import_module(module).main
    return main


def watch_parser(description: str | None, programs: Collection[str]) -> argparse.ArgumentParser:
    """Return a parser of what every watch is told: a program, its arguments, and where to write."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("program", choices=list(programs))
    parser.add_argument("--result", type=Path, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("arguments", nargs="*")
    return parser
