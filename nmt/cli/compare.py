"""`nmt compare`: says whether systems differ by more than chance, and where."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt.errors import DataError

if TYPE_CHECKING:
    from nmt.evaluation import Comparison, Ground, System

_SIGNIFICANT = 0.05

_Systems = Annotated[
    list[Path],
    typer.Argument(
        metavar="SYSTEM...",
        help="Run folders, reports or files with a hypothesis on each line; the first is what the "
        "others are held against.",
        show_default=False,
    ),
]
_Reference = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FILE",
        help="What people wrote, line by line; give several. [those of the reports]",
    ),
]
_Source = Annotated[
    Path | None, typer.Option(metavar="FILE", help="What was translated. [that of the reports]")
]
_Languages = Annotated[
    str | None,
    typer.Option(
        "--language-pair",
        "-l",
        metavar="PAIR",
        help="The languages, such as en-de; BLEU's tokenizer follows. [those of the reports]",
    ),
]
_Metrics = Annotated[
    list[str] | None,
    typer.Option(
        "--metric",
        metavar="NAME",
        help="BLEU, chrF2, chrF++ or TER; give several. [BLEU and chrF2]",
    ),
]
_BleuTokenizer = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="What BLEU counts as words. [as in the reports, or by the language]"
    ),
]
_Resamples = Annotated[
    int, typer.Option(min=2, metavar="N", help="Resamples of the paired bootstrap.")
]
_Trials = Annotated[
    int, typer.Option(min=2, metavar="N", help="Trials of the approximate randomization.")
]
_ReportFolder = Annotated[
    Path, typer.Option("--report", metavar="DIR", help="Where to write the comparison.")
]
_Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace the report that is there already.")
]


def compare_command(
    systems: _Systems,
    reference: _Reference = None,
    source: _Source = None,
    language_pair: _Languages = None,
    metric: _Metrics = None,
    bleu_tokenizer: _BleuTokenizer = None,
    resamples: _Resamples = 1000,
    trials: _Trials = 10_000,
    report: _ReportFolder = Path("comparison"),
    overwrite: _Overwrite = False,
) -> None:
    """Compare systems on the same references: scores, significance, wins and losses."""
    from nmt.evaluation import (
        Effort,
        check_metrics,
        compare,
        make_report_folder,
        read_system,
        write_comparison,
    )

    found = [read_system(path) for path in systems]
    metrics = metric or ["BLEU", "chrF2"]
    ground = _ground(found, source, reference or [], language_pair, bleu_tokenizer)
    check_metrics(metrics, target_lang=ground.direction[1], bleu_tokenizer=ground.bleu_tokenizer)
    make_report_folder(report, overwrite=overwrite)
    comparison = compare(
        [(system.name, system.hypotheses) for system in found],
        ground,
        metrics=metrics,
        effort=Effort(resamples=resamples, trials=trials),
    )
    write_comparison(report, comparison)
    _print_table(comparison)
    print(f"comparison in {report / 'index.html'}", file=sys.stderr)


def _ground(
    systems: "Sequence[System]",
    source: Path | None,
    references: Sequence[Path],
    language_pair: str | None,
    bleu_tokenizer: str | None,
) -> "Ground":
    """Return what all systems have in common.

    Raises:
        DataError: They have not.
    """
    from nmt.corpus import read_lines
    from nmt.evaluation import Ground, check_alike
    from nmt.evaluation.properties import properties_of
    from nmt.evaluation.segments import Segments

    given = [read_lines(file) for file in references] or None
    check_alike(systems, given)
    told = next((system.told for system in systems if system.told is not None), None)
    known = given if given is not None else (told.references if told else [])
    direction = told.direction if told else ("", "")
    if language_pair is not None:
        source_lang, dash, target_lang = language_pair.partition("-")
        if not (source_lang and dash and target_lang):
            raise DataError(
                f"--language-pair must be two languages such as en-de, got {language_pair!r}"
            )
        direction = source_lang, target_lang
    if bleu_tokenizer is None and told is not None and language_pair is None:
        bleu_tokenizer = _tokenizer_of(told.signatures.get("BLEU", ""))
    sources = told.sources if told else None
    properties = told.properties if told else None
    if source is not None:
        sources = read_lines(source)
        if len(sources) != len(known[0]):
            raise DataError(
                f"{source} has {len(sources)} lines, the references have {len(known[0])}; "
                "parallel files must have equal numbers of lines"
            )
        properties = properties_of(Segments("", sources, known), direction=direction)
    name = told.test_set if told else " + ".join(map(str, references))
    return Ground(
        test_set=name,
        sources=sources,
        references=known,
        properties=properties,
        direction=direction,
        bleu_tokenizer=bleu_tokenizer,
    )


def _tokenizer_of(signature: str) -> str | None:
    """Return BLEU's tokenizer by its signature; None where it is not one to be asked for."""
    from sacrebleu.metrics.bleu import BLEU

    parts = dict(part.split(":", 1) for part in signature.split("|") if ":" in part)
    name = parts.get("tok")
    return name if name in BLEU.TOKENIZERS else None


def _print_table(comparison: "Comparison") -> None:
    for metric in comparison.metrics:
        print(f"{metric.name}  {metric.bootstrap_signature}  {metric.randomization_signature}")
        first = metric.systems[0]
        for row in metric.systems:
            line = f"  {row.value:.2f} (μ = {row.mean:.2f} ± {row.half_width:.2f})"
            if row.p_bootstrap is not None and row.p_randomization is not None:
                # equal scores are no difference, whatever chance is counted to
                may_differ = row.value != first.value and comparison.num_sentences > 1
                bootstrap, randomization = (
                    _p(value, may_differ=may_differ)
                    for value in (row.p_bootstrap, row.p_randomization)
                )
                line += f"  p = {bootstrap} bootstrap, {randomization} randomization"
            print(f"{line}  {row.system}")
    if comparison.num_sentences == 1:
        print("warning: of one sentence intervals and p mean nothing", file=sys.stderr)


def _p(value: float, *, may_differ: bool) -> str:
    return f"{value:.4f}{'*' if may_differ and value < _SIGNIFICANT else ''}"
