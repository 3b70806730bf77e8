"""`nmt evaluate`: translates test sets, prints their scores and writes a report."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt.cli.options import (
    BatchSize,
    BeamSize,
    DeviceOption,
    LengthPenalty,
    Model,
    Threads,
    To,
)
from nmt.errors import DataError, NMTError

if TYPE_CHECKING:
    from nmt.evaluation import Report, Segments, TrainingText
    from nmt.recipe import Recipe
    from nmt.run_folder import RunFolder
    from nmt.translator import Translation, Translator

_SETS, _SCORES = "Test sets", "Scores"

_Source = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FILE",
        help="What to translate; give several for several test sets. [test set of the recipe]",
        rich_help_panel=_SETS,
    ),
]
_Reference = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FILE",
        help="What people wrote, line by line; give several for one source as its references. "
        "With several sources as many for each, those of the first source first.",
        rich_help_panel=_SETS,
    ),
]
_TestSet = Annotated[
    list[str] | None,
    typer.Option(
        "--test-set",
        "-t",
        metavar="NAME",
        help="One of sacreBLEU's own test sets, such as wmt14; fetched where it is not here.",
        rich_help_panel=_SETS,
    ),
]
_Direction = Annotated[
    str | None,
    typer.Option(
        "--language-pair",
        "-l",
        metavar="PAIR",
        help="The languages of --test-set, such as en-de. [those of the recipe]",
        rich_help_panel=_SETS,
    ),
]
_Metrics = Annotated[
    list[str] | None,
    typer.Option(
        "--metric",
        metavar="NAME",
        help="BLEU, chrF2, chrF++, TER or COMET; give several. [those of the recipe, and COMET "
        "where it is installed]",
        rich_help_panel=_SCORES,
    ),
]
_BleuTokenizer = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="What BLEU counts as words: 13a, intl, zh, char, ... [the recipe's, or the target "
        "language's]",
        rich_help_panel=_SCORES,
    ),
]
_WithoutTraining = Annotated[
    bool,
    typer.Option(
        "--without-training-data",
        help="Do not read the training data: quicker, and without what it explains.",
        rich_help_panel=_SCORES,
    ),
]
_ReportFolder = Annotated[
    Path | None,
    typer.Option(
        "--report",
        metavar="DIR",
        help="Where to write the report. [RUN/report, for other test sets RUN/report-NAME]",
    ),
]
_Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace the report that is there already.")
]
_FitConfidence = Annotated[
    bool,
    typer.Option(
        "--fit-confidence",
        help="First learn, on the recipe's validation set, how good to expect translations, as "
        "training does at its end, and write it to RUN/confidence.json.",
    ),
]


def evaluate_command(
    model: Model,
    source: _Source = None,
    reference: _Reference = None,
    test_set: _TestSet = None,
    language_pair: _Direction = None,
    metric: _Metrics = None,
    bleu_tokenizer: _BleuTokenizer = None,
    without_training_data: _WithoutTraining = False,
    report: _ReportFolder = None,
    overwrite: _Overwrite = False,
    fit_confidence: _FitConfidence = False,
    to: To = None,
    beam_size: BeamSize = None,
    length_penalty: LengthPenalty = None,
    batch_size: BatchSize = None,
    device: DeviceOption = "auto",
    threads: Threads = None,
) -> None:
    """Translate test sets, print their scores and write a report."""
    # Imported here: `nmt --help` loads no torch.
    import torch

    from nmt.evaluation import NUM_ALTERNATIVES, make_report_folder
    from nmt.run_folder import RunFolder
    from nmt.translator import Translator

    folder = RunFolder(model)
    recipe = _with_metrics(folder.recipe, metric, bleu_tokenizer)
    # What can go wrong goes wrong before the translating.
    if to is not None and not source:
        raise NMTError("--to needs --source and --reference: other test sets have a language")
    sets = _load_test_sets(folder, source or [], reference or [], test_set or [], language_pair)
    report_folder = report or _default_folder(folder, sets, is_own=not (source or test_set))
    _check(folder, recipe, sets, target_lang=to)
    if threads is not None:
        torch.set_num_threads(threads)
    _check_unwritten(report_folder, sets, overwrite=overwrite)
    if fit_confidence:
        _fit_confidence(folder, device)
    beam = beam_size or recipe.decoding.beam_size
    translator = Translator.load(
        model,
        device=device,
        beam_size=beam_size,
        length_penalty=length_penalty,
        batch_size=batch_size,
        num_hypotheses=min(NUM_ALTERNATIVES, beam),
        target_lang=to,
    )
    make_report_folder(report_folder, overwrite=overwrite)
    training = None if without_training_data else _training_text(folder, sets)
    reports = []
    for segments in sets:
        translations = _translate(translator, segments.sources)
        reports.append(_evaluate(folder, recipe, segments, translations, training, to))
        _print_scores(reports[-1], has_name=len(sets) > 1)
    _write(report_folder, reports)


def _with_metrics(
    recipe: "Recipe", metrics: Sequence[str] | None, bleu_tokenizer: str | None
) -> "Recipe":
    """Return the recipe with other metrics, where they were asked for."""
    from nmt.evaluation import require_comet

    changes: dict[str, object] = {}
    if metrics:
        # no metric of sacreBLEU's, and reported wherever it is here
        changes["metrics"] = tuple(name for name in metrics if name != "COMET")
        if "COMET" in metrics:
            require_comet()
    if bleu_tokenizer is not None:
        changes["bleu_tokenizer"] = bleu_tokenizer
    evaluation = recipe.evaluation.model_copy(update=changes)
    return recipe.model_copy(update={"evaluation": evaluation})


def _load_test_sets(
    folder: "RunFolder",
    sources: Sequence[Path],
    references: Sequence[Path],
    names: Sequence[str],
    direction: str | None,
) -> "list[Segments]":
    """Return the test sets that were asked for; the recipe's where none was.

    Raises:
        NMTError: What was asked for does not go together, or a set cannot be read.
    """
    from nmt.evaluation import segments_of_files, segments_of_recipe, segments_of_sacrebleu

    if bool(sources) != bool(references):
        alone = "--source" if sources else "--reference"
        raise NMTError(f"--source and --reference must be given together, got {alone} alone")
    if direction is not None and not names:
        raise NMTError("--language-pair belongs to --test-set, got it alone")
    if not sources and not names:
        return [segments_of_recipe(folder)]
    sets = []
    if sources:
        share, rest = divmod(len(references), len(sources))
        if rest:
            raise NMTError(
                "--reference must be given equally often for each --source, "
                f"got {len(references)} for {len(sources)}"
            )
        sets = [
            segments_of_files(source, references[place * share : (place + 1) * share])
            for place, source in enumerate(sources)
        ]
    wanted = direction or "-".join(folder.recipe.data.direction)
    return sets + [segments_of_sacrebleu(name, wanted) for name in names]


def _default_folder(folder: "RunFolder", sets: "Sequence[Segments]", *, is_own: bool) -> Path:
    """Return where to write: not RUN/report for other texts than the recipe's.

    `nmt info` and the model card speak of that one.
    """
    from nmt.evaluation.report import folder_names

    if is_own:
        return folder.report
    names = folder_names([segments.name for segments in sets])
    return folder.path / f"report-{'-'.join(names)}"


def _check(
    folder: "RunFolder", recipe: "Recipe", sets: "Sequence[Segments]", *, target_lang: str | None
) -> None:
    """See that the metrics are known and the references are of the model's language."""
    from nmt.evaluation import check_metrics, check_script

    check_metrics(
        recipe.evaluation.metrics,
        target_lang=target_lang or recipe.data.direction[1],
        bleu_tokenizer=recipe.evaluation.bleu_tokenizer,
    )
    tokenizer = folder.tokenizers[1]
    pieces = tokenizer.pieces(range(tokenizer.vocab_size))
    for segments in sets:
        check_script(segments, pieces)


def _check_unwritten(report: Path, sets: "Sequence[Segments]", *, overwrite: bool) -> None:
    """See that no report is there, or may be replaced; make nothing yet.

    Raises:
        DataError: One is there.
    """
    from nmt.evaluation.report import check_no_report, folder_names

    if overwrite:
        return
    check_no_report(report)
    if len(sets) > 1:
        for name in folder_names([segments.name for segments in sets]):
            check_no_report(report / name)


def _fit_confidence(folder: "RunFolder", device: str) -> None:
    """Learn a confidence as training does, also where there is one, and write it."""
    from nmt.confidence import dump_confidence
    from nmt.corpus import load_pairs
    from nmt.run_folder import write_atomically
    from nmt.translator import FEWEST_PAIRS, Translator, learn_confidence

    data = folder.recipe.data
    pairs = load_pairs(data.validation, reverse=data.reverse)
    learned = learn_confidence(Translator.load(folder.path, device=device), pairs)
    if learned is None:
        raise DataError(
            f"{folder.recipe_file}: data.validation must have at least {FEWEST_PAIRS} pairs that "
            f"are not too long to learn a confidence from, got {len(pairs)} in all"
        )
    write_atomically(folder.confidence_file, dump_confidence(learned.model))
    print(
        f"confidence learned from {learned.num_pairs} validation sentences: expected calibration "
        f"error {learned.error:.3f}",
        file=sys.stderr,
    )


def _training_text(folder: "RunFolder", sets: "Sequence[Segments]") -> "TrainingText | str":
    from nmt.evaluation import training_text_of_run

    return training_text_of_run(folder, [line for segments in sets for line in segments.sources])


def _evaluate(
    folder: "RunFolder",
    recipe: "Recipe",
    segments: "Segments",
    translations: "Sequence[Translation]",
    training: "TrainingText | str | None",
    target_lang: str | None,
) -> "Report":
    from nmt.evaluation import Known, detail_of, evaluate

    details = [detail_of(translation) for translation in translations]
    known = Known(details=details, metrics=folder.metrics())
    if training is not None:
        known = Known(details=details, metrics=folder.metrics(), training=training)
    return evaluate(
        [translation.text for translation in translations],
        segments,
        recipe,
        model=str(folder.path),
        known=known,
        target_lang=target_lang,
    )


def _write(folder: Path, reports: "Sequence[Report]") -> None:
    from nmt.evaluation import write_report, write_reports

    if len(reports) == 1:
        write_report(folder, reports[0])
    else:
        write_reports(folder, reports)
    print(f"report in {folder / 'index.html'}", file=sys.stderr)


def _print_scores(report: "Report", *, has_name: bool) -> None:
    if has_name:
        print(f"{report.test_set}:")
    for score in report.scores:
        print(score)
    for suspicion in report.suspicions:
        print(f"warning: {suspicion.message}", file=sys.stderr)
    if report.calibration is not None:
        error = report.calibration.error
        print(f"confidence: expected calibration error {error:.3f}", file=sys.stderr)


def _translate(translator: "Translator", lines: Sequence[str]) -> "list[Translation]":
    """Translate all lines, with a progress bar where stderr is a terminal."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return list(
        track(
            translator.translate_detailed(lines),
            description="translating",
            total=len(lines),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
    )
