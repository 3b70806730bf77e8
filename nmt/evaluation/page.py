"""Reports as pages for people: one file of HTML that asks nothing of anybody, and Markdown.

Everything that comes from outside is escaped, in one place. Knows what a report says, not how it
was counted; the words and the looks are in `templates/`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from nmt import __version__
from nmt.evaluation.comparison import Comparison
from nmt.evaluation.contents import AttentionTable, Calibration, Curves, Report, Sentence
from nmt.evaluation.differences import Run, closest, differences
from nmt.evaluation.plots import Line, calibration_plot, line_plot

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

_NUM_SAMPLES = 8
# What HTML forbids, and what would hide in a page: controls, and halves and ends of code planes.
_FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
# The page stays small: more sentences than this stand in scores.json alone.
_MAX_LISTED, _MAX_LISTED_CHARACTERS = 1000, 1_000_000
_MAX_SHOWN_CHARACTERS = 2000
_MAX_TABLE_WORDS = 45


def render_page(report: Report) -> str:
    """Return a report as a page of HTML."""
    template = _environment(is_html=True).get_template("report.html")
    overall = {score.name: score.value for score in report.scores}
    return template.render(
        report=report,
        overall=overall,
        scales={name: _scale(report, name) for name in ("BLEU", "chrF2")},
        highlights=[
            ("Worst", "the lowest chrF2", _numbered(report, report.highlights.worst)),
            (
                "Typical",
                "nearest to the median chrF2",
                _numbered(report, report.highlights.typical),
            ),
            ("Best", "the highest chrF2", _numbered(report, report.highlights.best)),
        ],
        listed=_numbered(report, range(_num_listed(report.sentences))),
    )


def render_comparison(comparison: Comparison) -> str:
    """Return a comparison as a page of HTML."""
    template = _environment(is_html=True).get_template("comparison.html")
    return template.render(comparison=comparison)


def render_overview(reports: Sequence[tuple[str, Report]]) -> str:
    """Return a page that leads to several reports, each by the folder it lies in beside it."""
    return _environment(is_html=True).get_template("overview.html").render(reports=reports)


def render_markdown(report: Report) -> str:
    """Return the scores and some translations as Markdown."""
    numbers = _even_places(len(report.sentences))
    return (
        _environment(is_html=False)
        .get_template("report.md")
        .render(report=report, samples=_numbered(report, numbers))
    )


@cache
def _environment(*, is_html: bool) -> Environment:
    # Imported late: only a report needs it.
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("nmt.evaluation"),
        undefined=StrictUndefined,
        autoescape=is_html,
        finalize=_finalize if is_html else None,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["cell"] = _escape_cell
    environment.filters["line"] = _on_one_line
    environment.filters["cut"] = _cut
    environment.globals.update(
        compared=compared,
        draws_losses=_losses_plot,
        draws_scores=_scores_plot,
        draws_calibration=_calibration_plot,
        fits=_fits,
        version=__version__,
    )
    return environment


def _finalize(value: Any) -> Any:
    """Replace what must not stand in a page, in whatever comes from outside."""
    from markupsafe import Markup

    if isinstance(value, str) and not isinstance(value, Markup):
        return _FORBIDDEN.sub("\ufffd", value)
    return value


def compared(hypothesis: str, references: Sequence[str], lang: str) -> tuple[list[Run], list[Run]]:
    """Return a hypothesis and the closest of its references with what they share."""
    hypothesis = _cut(hypothesis)
    reference = closest(hypothesis, [_cut(one) for one in references], lang=lang)
    return differences(hypothesis, reference, lang=lang)


def _numbered(report: Report, places: Sequence[int]) -> list[tuple[int, Sentence]]:
    return [(place + 1, report.sentences[place]) for place in places]


def _even_places(count: int) -> list[int]:
    num_samples = min(_NUM_SAMPLES, count)
    return [count * sample // num_samples for sample in range(num_samples)]


def _num_listed(sentences: Sequence[Sentence]) -> int:
    """Return how many sentences, from the first on, a page has room for."""
    size = 0
    for number, one in enumerate(sentences[:_MAX_LISTED]):
        size += sum(len(_cut(text)) for text in (one.source, one.hypothesis, *one.references))
        if size > _MAX_LISTED_CHARACTERS:
            return number
    return min(len(sentences), _MAX_LISTED)


def _scale(report: Report, name: str) -> tuple[int, int]:
    """Return round numbers around all scores of parts: the ends of their bars."""
    parts = [bucket.scores[name] for grouping in report.groupings for bucket in grouping.buckets]
    values = [value for part in parts for value in (part.value, *(part.interval or ()))]
    low, high = min(values, default=0), max(values, default=100)
    # never a scale without length, where all is right
    return max(0, min(90, 10 * int(low // 10))), min(100, 10 * int(high // 10 + 1))


def _fits(table: AttentionTable) -> bool:
    return max(len(table.source_words), len(table.target_words)) <= _MAX_TABLE_WORDS


def _losses_plot(curves: Curves) -> Markup | None:
    lines = [
        Line("training", "second", [one.train_loss for one in curves.epochs]),
        Line("validation", "first", [one.loss for one in curves.epochs]),
    ]
    return _curves_plot(curves, lines, "Loss for each target token over the epochs")


def _scores_plot(curves: Curves) -> Markup | None:
    lines = [
        Line("BLEU", "first", [one.bleu for one in curves.epochs]),
        Line("chrF2", "second", [one.chrf2 for one in curves.epochs]),
    ]
    return _curves_plot(curves, lines, "BLEU and chrF2 on the validation set over the epochs")


def _curves_plot(curves: Curves, lines: Sequence[Line], label: str) -> Markup | None:
    if all(value is None for line in lines for value in line.values):
        return None
    epochs = [one.epoch for one in curves.epochs]
    marked = ", ".join(map(str, curves.chosen))
    return line_plot(
        epochs, lines, marked=curves.chosen, label=f"{label}; chosen: epoch {marked}; see the table"
    )


def _calibration_plot(calibration: Calibration) -> Markup:
    points = [(one.confidence, one.quality, one.count) for one in calibration.bins]
    label = "Quality that came true over the confidence foretold; see the table"
    return calibration_plot(points, label=label)


def _cut(text: str) -> str:
    """Return as much of a text as a page shows."""
    if len(text) <= _MAX_SHOWN_CHARACTERS:
        return text
    return f"{text[:_MAX_SHOWN_CHARACTERS]} ... ({len(text):,} characters)"


def _escape_cell(text: str) -> str:
    return text.replace("|", "\\|")  # a bare | would end the table's cell


def _on_one_line(text: str) -> str:
    return text.replace("\r", " ").replace("\n", " ")
