"""`nmt evaluate`: translates a test set, prints its scores and writes a report."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt.cli.options import (
    BatchSize,
    BeamSize,
    Device,
    DeviceOption,
    LengthPenalty,
    Model,
    Threads,
)
from nmt.errors import NMTError, RecipeError

if TYPE_CHECKING:
    from nmt.corpus import SentencePair
    from nmt.run_folder import RunFolder
    from nmt.translator import Translator


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


def evaluate_command(
    model: Model,
    source: _Source = None,
    reference: _Reference = None,
    report: _Report = None,
    beam_size: BeamSize = None,
    length_penalty: LengthPenalty = None,
    batch_size: BatchSize = None,
    device: DeviceOption = Device.auto,
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
    pairs, test_set = _load_test_set(folder, source, reference)
    check_metrics(
        recipe.evaluation.metrics,
        target_lang=recipe.data.direction[1],
        bleu_tokenizer=recipe.evaluation.bleu_tokenizer,
    )
    if threads is not None:
        torch.set_num_threads(threads)
    translator = Translator.load(
        model,
        device=device.value,
        beam_size=beam_size,
        length_penalty=length_penalty,
        batch_size=batch_size,
    )
    make_report_folder(report_folder)

    hypotheses = _translate(translator, [pair.source for pair in pairs])
    evaluation = evaluate(hypotheses, pairs, recipe, model=str(model), test_set=test_set)
    write_report(report_folder, evaluation)
    for score in evaluation.scores:
        print(score)
    print(f"report in {report_folder}", file=sys.stderr)


def _load_test_set(
    folder: "RunFolder", source: Path | None, reference: Path | None
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
    data = folder.recipe.data
    if data.test is None:
        raise RecipeError(f"{folder.recipe_file} has no data.test; give --source and --reference")
    return load_pairs(data.test, reverse=data.reverse), describe_set(data.test)


def _translate(translator: "Translator", lines: list[str]) -> list[str]:
    """Translate all lines, with a progress bar where stderr is a terminal."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    translations = track(
        translator.translate_detailed(lines),
        description="translating",
        total=len(lines),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    return [translation.text for translation in translations]
