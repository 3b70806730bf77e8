"""What came out of a sweep, as numbers and as a table: means over seeds, and differences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from nmt.sweep.grid import label
from nmt.sweep.record import MEASURES, Result, Row

_DECIMALS = {"BLEU": 2, "chrF2": 2, "loss": 4}
_NOTHING = "–"
# Tokenizers are trained on the training sets; a run that is fine-tuned has those of another.
_MAKING_TOKENIZERS = ("data.", "tokenizer.", "finetune.run.", "finetune.add_pieces.")


@dataclass(frozen=True, slots=True)
class Spread:
    """One measure over the seeds of a setting.

    Attributes:
        mean: Over the seeds.
        least: Of the seeds.
        greatest: Of the seeds.
        difference: By how much the mean is above the baseline's, over the seeds that both have;
            None where there is none, for the baseline itself, and for losses of other tokenizers.
    """

    mean: float
    least: float
    greatest: float
    difference: float | None


@dataclass(frozen=True, slots=True)
class Summary:
    """A row of the table.

    Attributes:
        row: What it is of.
        spreads: By measure; empty where no run has ended well.
        seconds: Mean time of a training; None where no run has ended well.
        num_weights: Of the model; None likewise.
    """

    row: Row
    spreads: Mapping[str, Spread]
    seconds: float | None
    num_weights: int | None

    @property
    def has_other_tokens(self) -> bool:
        """Whether it has losses that are not of the baseline's tokens."""
        return bool(self.spreads) and _may_change_tokens(self.row)

    def as_record(self) -> dict[str, Any]:
        """Return the numbers for `sweep.json`."""
        spreads = {name: asdict(spread) for name, spread in self.spreads.items()}
        return {**spreads, "seconds": self.seconds, "num_weights": self.num_weights}


def summarize(rows: Sequence[Row]) -> list[Summary]:
    """Return each row with its means, and what lies between it and the first one.

    Args:
        rows: The baseline first.
    """
    baseline = rows[0]
    return [_summary(row, None if row is baseline else baseline) for row in rows]


def table(summaries: Sequence[Summary]) -> str:
    """Return the table as Markdown, with what its numbers are and what has failed below it."""
    best = {name: _best(summaries, name) for name in MEASURES}
    head = ["setting", "seeds"]
    for name in MEASURES:
        head += [name, "difference"]
    cells = [[*head, "minutes", "weights"]]
    cells += [_cells(summary, best) for summary in summaries]
    return "\n".join([*_markdown(cells), "", *_notes(summaries)]) + "\n"


def _summary(row: Row, baseline: Row | None) -> Summary:
    if not row.results:
        return Summary(row, {}, None, None)
    return Summary(
        row=row,
        spreads={name: _spread(name, row, baseline) for name in MEASURES},
        seconds=fmean(result.seconds for result in row.results),
        num_weights=row.results[0].num_weights,
    )


def _may_change_tokens(row: Row) -> bool:
    return any(key == "finetune" or f"{key}.".startswith(_MAKING_TOKENIZERS) for key in row.values)


def _spread(name: str, row: Row, baseline: Row | None) -> Spread:
    values = [result.measures[name] for result in row.results]
    found = _by_seed(row.results, name)
    if baseline is None or (name == "loss" and _may_change_tokens(row)):
        known = {}
    else:
        known = _by_seed(baseline.results, name)
    differences = [found[seed] - known[seed] for seed in found if seed in known]
    return Spread(
        mean=fmean(values),
        least=min(values),
        greatest=max(values),
        difference=fmean(differences) if differences else None,
    )


def _by_seed(results: Sequence[Result], name: str) -> dict[int, float]:
    return {result.seed: result.measures[name] for result in results}


def _best(summaries: Sequence[Summary], name: str) -> float | None:
    """Return the best mean of a measure; None where there is nothing to choose from."""
    means = [summary.spreads[name].mean for summary in summaries if summary.spreads]
    if len(means) < 2 or (name == "loss" and any(one.has_other_tokens for one in summaries)):
        return None
    return min(means) if name == "loss" else max(means)


def _cells(summary: Summary, best: Mapping[str, float | None]) -> list[str]:
    row = summary.row
    failed = f", {len(row.failures)} failed" if row.failures else ""
    cells = [label(row.values).replace("|", "\\|"), f"{len(row.results)}{failed}"]
    for name in MEASURES:
        spread = summary.spreads.get(name)
        if spread is None:
            cells += [_NOTHING, _NOTHING]
            continue
        digits = _DECIMALS[name]
        mean = f"{spread.mean:.{digits}f}"
        if spread.mean == best[name]:
            mean = f"**{mean}**"
        if len(row.results) > 1:
            mean += f" ({spread.least:.{digits}f}–{spread.greatest:.{digits}f})"
        difference = spread.difference
        cells += [mean, _NOTHING if difference is None else f"{difference:+.{digits}f}"]
    cells.append(_NOTHING if summary.seconds is None else f"{summary.seconds / 60:.1f}")
    cells.append(_NOTHING if summary.num_weights is None else f"{summary.num_weights:,}")
    return cells


def _markdown(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table, in columns also where nothing but text is shown."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    for number, row in enumerate(rows):
        padded = [
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield f"| {' | '.join(padded)} |"
        if number == 0:
            first, *others = ("-" * width for width in widths)
            yield f"| {' | '.join([first, *(f'{rule[1:]}:' for rule in others)])} |"


def _notes(summaries: Sequence[Summary]) -> Iterator[str]:
    """Yield what the numbers are, and why there are none."""
    results = [result for summary in summaries for result in summary.row.results]
    if results:
        sizes = " or ".join(f"{size:,}" for size in sorted({one.num_sentences for one in results}))
        yield (
            f"Validation set, {sizes} sentences, the weights that a run translates with; loss: the "
            "least of a run's validations, for each token. Mean over the seeds (least–greatest), "
            "the best mean in bold. Difference: to the baseline, over the seeds that both have. "
            "Minutes: of a training, validations included."
        )
        if any(one.has_other_tokens for one in summaries):
            yield (
                "Losses of different tokenizers cannot be compared, their tokens are others; other "
                "training data makes other tokenizers."
            )
        yield ""
        signatures = dict.fromkeys(
            f"{name}: {signature}" for one in results for name, signature in one.signatures.items()
        )
        yield from (f"- {signature}" for signature in signatures)
    failed = [(one.row, failure) for one in summaries for failure in one.row.failures]
    if failed:
        yield from [*([""] if results else []), "Failed:", ""]
        for row, failure in failed:
            yield f"- {label(row.values)}, seed {failure.seed}: {failure.reason}"
