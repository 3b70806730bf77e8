"""`nmt evaluate`: translates a test set, prints its scores and writes a report."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
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
from nmt.errors import DataError, NMTError, RecipeError

if TYPE_CHECKING:
    from nmt.corpus import SentencePair
    from nmt.run_folder import RunFolder
    from nmt.translator import Translation, Translator


_Source = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="What to translate. [test set of the recipe]"),
]
_Reference = Annotated[
    Path | None, typer.Option(metavar="FILE", help="What people wrote, line by line.")
]
_Report = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Where to write the report. [RUN/report, for files of your own RUN/report-SOURCE]",
    ),
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
    report: _Report = None,
    fit_confidence: _FitConfidence = False,
    to: To = None,
    beam_size: BeamSize = None,
    length_penalty: LengthPenalty = None,
    batch_size: BatchSize = None,
    device: DeviceOption = "auto",
    threads: Threads = None,
) -> None:
    """Translate a test set, print its scores and write a report."""
    # Imported here: `nmt --help` loads no torch.
    import torch

    from nmt.evaluation import check_metrics, evaluate, make_report_folder, write_report
    from nmt.run_folder import RunFolder
    from nmt.translator import Translator

    folder = RunFolder(model)
    recipe = folder.recipe
    # Not RUN/report for other texts: `nmt info` and the model card speak of the recipe's test set.
    report_folder = report or (
        folder.report if source is None else folder.path / f"report-{source.name}"
    )
    # What can go wrong goes wrong before the translating.
    pairs, test_set = _load_test_set(folder, source, reference, to)
    target_lang = to or recipe.data.direction[1]
    check_metrics(
        recipe.evaluation.metrics,
        target_lang=target_lang,
        bleu_tokenizer=recipe.evaluation.bleu_tokenizer,
    )
    if threads is not None:
        torch.set_num_threads(threads)
    if fit_confidence:
        _fit_confidence(folder, device)
    translator = Translator.load(
        model,
        device=device,
        beam_size=beam_size,
        length_penalty=length_penalty,
        batch_size=batch_size,
        target_lang=to,
    )
    make_report_folder(report_folder)

    translations = _translate(translator, [pair.source for pair in pairs])
    hypotheses = [translation.text for translation in translations]
    names = {"model": str(model), "test_set": test_set, "target_lang": target_lang}
    evaluation = evaluate(hypotheses, pairs, recipe, **names)
    write_report(report_folder, evaluation)
    for score in evaluation.scores:
        print(score)
    if translator.has_confidence:
        _report_calibration(report_folder, translations, [pair.target for pair in pairs])
    print(f"report in {report_folder}", file=sys.stderr)


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


def _report_calibration(
    report: Path, translations: "Sequence[Translation]", references: "Sequence[str]"
) -> None:
    """Say how well the confidence has told the quality of a test set, in numbers and a picture."""
    import numpy as np

    from nmt.confidence import calibration_bins, expected_calibration_error, reliability_plot
    from nmt.run_folder import write_atomically
    from nmt.translator import sentence_qualities

    told = [
        (translation.confidence, translation.text, reference)
        for translation, reference in zip(translations, references, strict=True)
        if translation.confidence is not None
    ]
    if not told:
        return
    confidences = np.array([confidence for confidence, _, _ in told])
    qualities = sentence_qualities([text for _, text, _ in told], [ref for _, _, ref in told])
    error = expected_calibration_error(confidences, qualities)
    bins = [asdict(one) for one in calibration_bins(confidences, qualities)]
    numbers = {"expected_calibration_error": error, "bins": bins}
    write_atomically(report / "calibration.json", json.dumps(numbers, indent=2) + "\n")
    write_atomically(report / "calibration.png", reliability_plot(confidences, qualities))
    print(f"confidence: expected calibration error {error:.3f}", file=sys.stderr)


def _load_test_set(
    folder: "RunFolder", source: Path | None, reference: Path | None, to: str | None
) -> tuple[list["SentencePair"], str]:
    """Return the pairs of the files given, or else of the recipe's test set, and the set's name."""
    from nmt.corpus import describe_set, load_pairs
    from nmt.recipe import FileSet

    if source is not None and reference is not None:
        files = FileSet(source=str(source), target=str(reference))
        return load_pairs(files), describe_set(files)
    if source is not None or reference is not None:
        alone = "--reference" if source is None else "--source"
        raise NMTError(f"--source and --reference must be given together, got {alone} alone")
    if to is not None:
        raise NMTError("--to needs --source and --reference: the recipe's test set has a language")
    data = folder.recipe.data
    if data.test is None:
        raise RecipeError(f"{folder.recipe_file} has no data.test; give --source and --reference")
    return load_pairs(data.test, reverse=data.reverse), describe_set(data.test)


def _translate(translator: "Translator", lines: list[str]) -> "list[Translation]":
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
