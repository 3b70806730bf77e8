"""`nmt translate`: lines of text in, lines of text out."""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt.cli.options import BatchSize, BeamSize, Device, DeviceOption, LengthPenalty, Model, Threads
from nmt.cli.streams import check_output, open_input, open_output, read_windows, write_lines
from nmt.errors import NMTError

if TYPE_CHECKING:
    from nmt.translator import Translation, Translator


_Input = Annotated[
    Path | None,
    typer.Option("--input", metavar="FILE", help="One sentence a line. By default stdin."),
]
_Output = Annotated[
    Path | None, typer.Option("--output", metavar="FILE", help="By default stdout.")
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
    length_penalty: LengthPenalty = None,
    n_best: _NBest = None,
    batch_size: BatchSize = None,
    device: DeviceOption = Device.auto,
    threads: Threads = None,
) -> None:
    """Translate text: one line for each line, in order, blank for blank."""
    # What can go wrong goes wrong before anything slow begins, and before old output is gone.
    with open_input(input_file) as source:
        check_output(output_file, source=source)
        _check_n_best(n_best, beam_size, model)
        import torch

        from nmt.translator import Translator

        if threads is not None:
            torch.set_num_threads(threads)
        translator = Translator.load(
            model,
            device=device.value,
            beam_size=beam_size,
            length_penalty=length_penalty,
            batch_size=batch_size,
            num_hypotheses=n_best or 1,
        )
        windows = read_windows(
            source, name=str(input_file or "<stdin>"), size=translator.window_size
        )
        if source.isatty():
            windows = _with_prompt(windows)
        with open_output(output_file) as target:
            name = str(output_file or "<stdout>")
            for lines in _translate_windows(translator, windows, with_n_best=n_best is not None):
                write_lines(target, lines, name=name)


def _translate_windows(
    translator: "Translator", windows: Iterable[list[str]], *, with_n_best: bool
) -> Iterator[list[str]]:
    """Yield the lines to write for each window; at the end say which were translated in parts."""
    num_lines = num_long = 0
    for window in windows:
        translations = list(translator.translate_detailed(window))
        if with_n_best:
            yield list(_n_best_lines(translations, first_index=num_lines))
        else:
            yield [translation.text for translation in translations]
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
            print(file=sys.stderr)
            return
        yield window


def _n_best_lines(translations: Iterable["Translation"], *, first_index: int) -> Iterator[str]:
    for index, translation in enumerate(translations, start=first_index):
        for hypothesis in translation.hypotheses:
            yield f"{index} ||| {hypothesis.text} ||| {hypothesis.score:.4f}"
