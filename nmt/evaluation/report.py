"""The report of an evaluation: scores for programs, translations for `diff`, a page for people.

Knows texts and their scores; which model wrote the translations is only a name here.
"""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from nmt.errors import DataError
from nmt.evaluation.evaluation import Evaluation
from nmt.evaluation.suspicions import find_suspicions
from nmt.run_folder import write_atomically

_NUM_SAMPLES = 8


def make_report_folder(folder: Path) -> None:
    """Make a folder for a report, so that a wrong path shows before hours of translating.

    Args:
        folder: Where the report is to be; it may exist.

    Raises:
        DataError: The folder cannot be made, or nothing can be written into it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise DataError(f"{folder}: a report cannot be written there ({reason})") from error


def write_report(folder: Path, evaluation: Evaluation) -> None:
    """Write `hypotheses.txt`, `report.md` and, when those are complete, `scores.json`.

    Each file appears whole or not at all; files of an earlier report are replaced.

    Args:
        folder: Where to write; made if it is missing.
        evaluation: What to report.

    Raises:
        NMTError: Nothing can be written there, or the disk is full.
        ValueError: A hypothesis is not one line, or the texts are not of equal number.
    """
    hypotheses = _join_lines(evaluation.hypotheses)
    page = _render_page(evaluation)
    scores = json.dumps([asdict(score) for score in evaluation.scores], indent=2) + "\n"

    make_report_folder(folder)
    write_atomically(folder / "hypotheses.txt", hypotheses)
    write_atomically(folder / "report.md", page)
    write_atomically(folder / "scores.json", scores)


def _join_lines(hypotheses: Sequence[str]) -> str:
    for number, hypothesis in enumerate(hypotheses, start=1):
        if "\n" in hypothesis:
            raise ValueError(f"hypothesis {number} must be one line, got {hypothesis!r}")
    return "".join(f"{hypothesis}\n" for hypothesis in hypotheses)


def _render_page(evaluation: Evaluation) -> str:
    # Imported late: only a report needs it.
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("nmt.evaluation"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["cell"] = _escape_cell
    environment.filters["line"] = _on_one_line
    return environment.get_template("report.md").render(
        evaluation=evaluation,
        length_ratio=_length_ratio(evaluation),
        warnings=find_suspicions(evaluation.sources, evaluation.references, evaluation.hypotheses),
        samples=_take_samples(evaluation),
    )


def _length_ratio(evaluation: Evaluation) -> float | None:
    """Characters of all hypotheses over characters of all references; None where those are none."""
    num_reference_characters = sum(map(len, evaluation.references))
    if num_reference_characters == 0:
        return None
    return sum(map(len, evaluation.hypotheses)) / num_reference_characters


def _take_samples(evaluation: Evaluation) -> list[tuple[int, str, str, str]]:
    """Pick (number, source, reference, hypothesis) at even distances from all of the test set."""
    numbers = range(1, len(evaluation.sources) + 1)
    texts = (evaluation.sources, evaluation.references, evaluation.hypotheses)
    sentences = list(zip(numbers, *texts, strict=True))
    num_samples = min(_NUM_SAMPLES, len(sentences))
    return [sentences[len(sentences) * sample // num_samples] for sample in range(num_samples)]


def _escape_cell(text: str) -> str:
    return text.replace("|", "\\|")  # a bare | would end the table's cell


def _on_one_line(text: str) -> str:
    return text.replace("\r", " ").replace("\n", " ")
