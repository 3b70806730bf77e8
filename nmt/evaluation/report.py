"""Report folders: scores for programs, translations for `diff`, a page for people."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from nmt.errors import DataError
from nmt.evaluation.comparison import Comparison, dump_comparison
from nmt.evaluation.contents import Report, dump_report
from nmt.evaluation.page import render_comparison, render_markdown, render_overview, render_page
from nmt.run_folder import write_atomically

# What a folder of ours is known by, and what `overwrite` may replace.
_OURS = ("scores.json", "index.html", "report.md", "hypotheses.txt")


def make_report_folder(folder: Path, *, overwrite: bool = False) -> None:
    """Make a folder for a report, so that a wrong path shows before hours of translating.

    Args:
        folder: Where the report is to be; it may exist.
        overwrite: Whether an earlier report may be there.

    Raises:
        DataError: The folder cannot be made, nothing can be written into it, or it holds an earlier
            report.
    """
    if not overwrite:
        check_no_report(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise DataError(f"{folder}: a report cannot be written there ({reason})") from error


def check_no_report(folder: Path) -> None:
    """See that a folder holds no report.

    Raises:
        DataError: It does.
    """
    held = [name for name in _OURS if (folder / name).exists()]
    if held:
        raise DataError(
            f"{folder}: holds a report already ({', '.join(held)}); "
            "choose another --report, or give --overwrite to replace it"
        )


def write_report(folder: Path, report: Report) -> None:
    """Write `hypotheses.txt`, `report.md`, `index.html` and, when those are there, `scores.json`.

    Each file appears whole or not at all; files of an earlier report are replaced.

    Args:
        folder: Where to write; made if it is missing.
        report: What to write.

    Raises:
        NMTError: Nothing can be written there, or the disk is full.
        ValueError: A hypothesis is not one line.
    """
    files = {
        "hypotheses.txt": join_lines([sentence.hypothesis for sentence in report.sentences]),
        "report.md": render_markdown(report),
        "index.html": render_page(report),
        "scores.json": dump_report(report),
    }
    make_report_folder(folder, overwrite=True)
    for name, content in files.items():
        write_atomically(folder / name, content)


def write_comparison(folder: Path, comparison: Comparison) -> None:
    """Write `index.html` and, when that is there, `scores.json` of a comparison.

    Raises:
        NMTError: Nothing can be written there, or the disk is full.
    """
    files = {
        "index.html": render_comparison(comparison),
        "scores.json": dump_comparison(comparison),
    }
    make_report_folder(folder, overwrite=True)
    for name, content in files.items():
        write_atomically(folder / name, content)


def write_reports(folder: Path, reports: Sequence[Report]) -> None:
    """Write a report on each test set into a folder of its own, and a page that leads to them.

    Args:
        folder: Where to write.
        reports: The reports, at least one.

    Raises:
        NMTError, ValueError: As for `write_report`.
    """
    names = folder_names([report.test_set for report in reports])
    for name, report in zip(names, reports, strict=True):
        write_report(folder / name, report)
    overview = render_overview(list(zip(names, reports, strict=True)))
    write_atomically(folder / "index.html", overview)


def folder_names(test_sets: Sequence[str]) -> list[str]:
    """Return a short name for each test set's folder, all of them different."""
    names: list[str] = []
    for number, test_set in enumerate(test_sets, start=1):
        last = test_set.split(" + ")[0].replace("\\", "/").rpartition("/")[2]
        name = re.sub(r"[^\w.-]+", "-", last).strip("-.") or "set"
        names.append(name if name not in names else f"{name}-{number}")
    return names


def join_lines(hypotheses: Sequence[str]) -> str:
    """Return lines as a file holds them.

    Raises:
        ValueError: A hypothesis is not one line.
    """
    for number, hypothesis in enumerate(hypotheses, start=1):
        if "\n" in hypothesis:
            raise ValueError(f"hypothesis {number} must be one line, got {hypothesis!r}")
    return "".join(f"{hypothesis}\n" for hypothesis in hypotheses)
