"""`nmt sweep`: trains a grid of runs of a recipe and says what each setting is worth."""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt.cli.declaring import whole_number
from nmt.cli.options import RecipeName
from nmt.errors import NMTError, SavedAndStoppedError

if TYPE_CHECKING:
    from nmt.sweep.grid import Setting
    from nmt.sweep.record import SweepFolder
    from nmt.sweep.running import Slot
    from nmt.sweep.sweep import Outcome

_Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KEY=VALUE",
        help="Settings that replace the recipe's in all runs, such as training.max_epochs=5.",
        show_default=False,
    ),
]
_Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=A,B,...",
        help="A setting and the values to try. Given several times: each value with each of the "
        "others. A value is YAML: null, '[0.9, 0.98]'.",
    ),
]
_OneAtATime = Annotated[
    bool,
    typer.Option(
        "--one-at-a-time", help="Try each value alone against the recipe, not with the others."
    ),
]
_Seeds = Annotated[int, whole_number("--seeds", "Runs of each setting, with the seeds 1 to N.")]
_SweepDir = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Where all goes. By default runs/NAME-sweep."),
]
_Jobs = Annotated[
    int | None,
    whole_number("--jobs", "Runs trained at a time; they share the CPU threads. [one a device]"),
]
_Devices = Annotated[
    str | None,
    typer.Option(
        metavar="NAMES",
        help="Where to train, such as cuda:0,cuda:1; the runs go to them in turn. [the recipe's]",
    ),
]


def sweep_command(
    recipe: RecipeName,
    overrides: _Overrides = None,
    values: _Set = None,
    one_at_a_time: _OneAtATime = False,
    seeds: _Seeds = 1,
    sweep_dir: _SweepDir = None,
    jobs: _Jobs = None,
    devices: _Devices = None,
) -> None:
    """Train a grid of runs of a recipe; compare them, and the recipe as it is, on validation.

    The same command again goes on where it was; with other values it adds to what is there. The
    test set is not looked at.
    """
    settings = _read_grid(recipe, overrides or [], values or [], one_at_a_time=one_at_a_time)
    # Imported here: `nmt --help` loads no torch, and a wrong value is refused at once.
    from nmt.sweep.record import SweepFolder
    from nmt.sweep.sweep import sweep

    folder = SweepFolder(sweep_dir or Path("runs") / f"{recipe.stem}-sweep")
    outcome = sweep(
        settings,
        folder,
        num_seeds=seeds,
        slots=_slots(devices, jobs),
        say=partial(print, file=sys.stderr, flush=True),
    )
    if outcome.stopped_by is None:
        print(outcome.table, end="", flush=True)
    _leave(outcome, folder)


def _read_grid(
    recipe: Path, overrides: Sequence[str], values: Sequence[str], *, one_at_a_time: bool
) -> "list[Setting]":
    """Return the rows of the grid, all of whose recipes can be read.

    Raises:
        NMTError: One cannot.
    """
    from nmt.recipe import Recipe, find_recipe, load_recipe
    from nmt.sweep.grid import expand, read_axis

    for override in overrides:
        if override.partition("=")[0].strip() == "training.seed":
            raise NMTError(f"{override}: the seeds of a sweep are those of --seeds")
    path = find_recipe(recipe)

    def read(more: Sequence[str]) -> Recipe:
        return load_recipe(path, [*overrides, *more])

    return expand(read, [read_axis(text) for text in values], one_at_a_time=one_at_a_time)


def _slots(devices: str | None, jobs: int | None) -> "list[Slot]":
    """Return the places for runs, which have the devices in turn.

    Raises:
        NMTError: There is no such device here.
    """
    import torch

    from nmt.sweep.running import Slot

    names = _read_devices(devices)
    num_slots = jobs or len(names)
    threads = max(1, torch.get_num_threads() // num_slots) if num_slots > 1 else None
    return [Slot(names[number % len(names)], threads) for number in range(num_slots)]


def _read_devices(devices: str | None) -> list[str | None]:
    import torch

    if devices is None:
        return [None]
    gpus = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    here = ["cpu", *(["cuda"] if gpus else []), *gpus]
    if torch.backends.mps.is_available():
        here.append("mps")
    names = [name.strip() for name in devices.split(",")]
    for name in names:
        if name not in here:
            raise NMTError(f"--devices must be of those here ({', '.join(here)}), got {name!r}")
    return list(names)


def _leave(outcome: "Outcome", folder: "SweepFolder") -> None:
    """Give the sweep its exit code, and say what is left to do."""
    import signal

    if outcome.stopped_by is not None:
        left = (
            f"{folder.path}: stopped by {outcome.stopped_by.name}, {outcome.num_left} to go; "
            "the same command goes on"
        )
        if outcome.stopped_by == signal.SIGINT:
            print(left, file=sys.stderr)
            raise KeyboardInterrupt
        raise SavedAndStoppedError(left)
    # there is no picture of runs that have all failed
    written = (folder.record_file, folder.table_file, folder.plot_file)
    names = ", ".join(file.name for file in written if file.exists())
    print(f"{folder.path}: {names}", file=sys.stderr)
    if not outcome.failures:
        return
    run, reason = next(iter(outcome.failures.items()))
    count = len(outcome.failures)
    failed = "a run failed" if count == 1 else f"{count} runs failed, the first of them"
    complaint = f"{failed}: {run}: {reason}; the same command tries again"
    if outcome.has_defect:
        print(f"nmt: {complaint}", file=sys.stderr)
        raise typer.Exit(1)
    raise NMTError(complaint)
