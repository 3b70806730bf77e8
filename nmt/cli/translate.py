"""`nmt translate`: lines of text in, lines of text out."""

import math
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt.cli.options import BatchSize, BeamSize, Device, DeviceOption, Model, Threads
from nmt.cli.streams import open_input, open_output, read_windows, write_lines
from nmt.errors import NMTError

if TYPE_CHECKING:
    from nmt.translator import Translation


_Input = Annotated[
    Path | None,
    typer.Option("--input", metavar="FILE", help="One sentence a line. By default stdin."),
]
_Output = Annotated[
    Path | None, typer.Option("--output", metavar="FILE", help="By default stdout.")
]
_LengthPenalty = Annotated[
    float | None,
    typer.Option(min=0, help="Favours long output; 0 is none. By default as in the recipe."),
]
_NBest = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        help="Write up to N lines for each line, the best first, in the form INDEX ||| TRANSLATION "
        "||| SCORE. INDEX counts the input's lines from 0.",
    ),
]


def translate_command(
    model: Model,
    input_file: _Input = None,
    output_file: _Output = None,
    beam_size: BeamSize = None,
    length_penalty: _LengthPenalty = None,
    n_best: _NBest = None,
    batch_size: BatchSize = None,
    device: DeviceOption = Device.auto,
    threads: Threads = None,
) -> None:
    """Translate text: one line for each line, in order, blank for blank."""
    if length_penalty is not None and not math.isfinite(length_penalty):
        raise NMTError(f"--length-penalty must be a number >= 0, got {length_penalty}")
    with open_input(input_file) as source, open_output(output_file, source=source) as target:
        # Not sooner: a file that cannot be opened is found before anything slow begins.
        import torch

        from nmt.translator import Translator

        _check_n_best(n_best, beam_size, model)
        if threads is not None:
            torch.set_num_threads(threads)
        translator = Translator.load(
            model,
            device=device,
            beam_size=beam_size,
            length_penalty=length_penalty,
            batch_size=batch_size,
            num_hypotheses=n_best or 1,
        )
        input_name, output_name = str(input_file or "<stdin>"), str(output_file or "<stdout>")
        windows = read_windows(source, name=input_name, size=translator.window_size)
        num_lines = num_long = 0
        for window in _with_prompt(windows) if source.isatty() else windows:
            translations = list(translator.translate_detailed(window))
            if n_best is None:
                lines = [translation.text for translation in translations]
            else:
                lines = list(_n_best_lines(translations, first_index=num_lines))
            write_lines(target, lines, name=output_name)
            num_lines += len(window)
            num_long += sum(translation.num_parts > 1 for translation in translations)
    if num_long:
        print(
            f"nmt: {num_long} of {num_lines} lines had more than {translator.max_source_length} "
            "tokens and were translated in parts",
            file=sys.stderr,
        )


def _check_n_best(n_best: int | None, beam_size: int | None, model: Path) -> None:
    """See that the beam is wide enough, which only the run's recipe may know."""
    from nmt.run_folder import RunFolder

    if n_best is None:
        return
    if beam_size is None:
        beam_size = RunFolder(model).recipe.decoding.beam_size
    if n_best > beam_size:
        raise NMTError(
            f"--n-best must be <= the beam size ({beam_size}), got {n_best}; raise --beam-size"
        )


def _with_prompt(windows: Iterator[list[str]]) -> Iterator[list[str]]:
    """Show someone at a terminal where to write."""
    while True:
        print("> ", end="", file=sys.stderr, flush=True)
        window = next(windows, None)
        if window is None:
            return
        yield window


def _n_best_lines(translations: Iterable["Translation"], *, first_index: int) -> Iterator[str]:
    for index, translation in enumerate(translations, start=first_index):
        for hypothesis in translation.hypotheses:
            yield f"{index} ||| {hypothesis.text} ||| {hypothesis.score:.4f}"
