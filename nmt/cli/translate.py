"""`nmt translate`: lines of text in, lines of text out."""

import logging
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from nmt.cli import searching
from nmt.cli.asked import Asked, Errors
from nmt.cli.declaring import choice, whole_number
from nmt.cli.options import (
    Alignments,
    BatchSize,
    BeamSize,
    DeviceOption,
    EnsembleOption,
    Int8,
    LengthPenalty,
    Models,
    ShortlistOption,
    Threads,
    To,
    Workers,
)
from nmt.cli.streams import check_output, open_input, open_output, read_windows, write_lines
from nmt.errors import DataError, NMTError

if TYPE_CHECKING:
    from nmt.translator import Mark, ParallelTranslator, Translation


_Input = Annotated[
    Path | None,
    typer.Option("--input", metavar="FILE", help="One sentence a line. By default stdin."),
]
_Output = Annotated[
    Path | None, typer.Option("--output", metavar="FILE", help="By default stdout.")
]
_ErrorsOption = Annotated[
    Errors,
    choice("--errors", "Stop at bytes that are not UTF-8, or put U+FFFD there.", Errors),
]
_NBest = Annotated[
    int | None,
    whole_number(
        "--n-best",
        "Write up to N lines for each line, the best first, in the form INDEX ||| TRANSLATION "
        "||| SCORE. INDEX counts the input's lines from 0.",
    ),
]
_Json = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Write an object a line: text, score, confidence, hypotheses, pieces, alignment.",
    ),
]


def translate_command(
    model: Models,
    ensemble: EnsembleOption = None,
    to: To = None,
    input_file: _Input = None,
    output_file: _Output = None,
    errors: _ErrorsOption = "strict",
    n_best: _NBest = None,
    as_json: _Json = False,
    alignments: Alignments = None,
    beam_size: BeamSize = None,
    length_penalty: LengthPenalty = None,
    normalization: searching.NormalizationOption = None,
    coverage_penalty: searching.CoveragePenalty = None,
    min_length_ratio: searching.MinLengthRatio = None,
    max_length_ratio: searching.MaxLengthRatio = None,
    min_length: searching.MinLength = None,
    max_length: searching.MaxLength = None,
    no_repeat_ngram: searching.NoRepeatNgram = None,
    keep_repeats: searching.KeepRepeats = False,
    split_sentences: searching.SplitSentences = False,
    groups: searching.Groups = None,
    diversity_penalty: searching.DiversityPenalty = None,
    sample: searching.Sample = None,
    temperature: searching.Temperature = None,
    top_k: searching.TopK = None,
    top_p: searching.TopP = None,
    seed: searching.Seed = None,
    mbr: searching.Mbr = None,
    prefix_file: searching.PrefixFile = None,
    glossary: searching.GlossaryFile = None,
    glossary_mode: searching.GlossaryModeOption = None,
    protect_numbers: searching.ProtectNumbers = False,
    preference_bonus: searching.PreferenceBonus = None,
    avoid: searching.AvoidFile = None,
    int8: Int8 = False,
    shortlist: ShortlistOption = False,
    batch_size: BatchSize = None,
    device: DeviceOption = "auto",
    threads: Threads = None,
    workers: Workers = None,
) -> None:
    """Translate text: one line for each line, in order, blank for blank."""
    # `Asked` has a field for each of these, and complains of one that it does not know.
    _translate(Asked(**locals()))


def _translate(asked: Asked) -> None:
    # What can go wrong goes wrong before anything slow begins, and before old output is gone.
    with ExitStack() as stack:
        stack.enter_context(_notices())
        source = stack.enter_context(open_input(asked.input_file))
        _check_files(asked, source)
        asked.check()
        prefixes = _read_prefixes(asked)
        import torch

        if asked.threads is not None:
            torch.set_num_threads(asked.threads)
        translator = stack.enter_context(asked.load())
        _check_abilities(asked, translator)
        windows = read_windows(
            source,
            name=str(asked.input_file or "<stdin>"),
            size=translator.window_size,
            errors=asked.errors,
        )
        if source.isatty():
            windows = _with_prompt(windows)
        target = stack.enter_context(open_output(asked.output_file))
        links = asked.alignments and stack.enter_context(open_output(asked.alignments))
        num_lines = 0
        for translations in _translate_windows(translator, windows, prefixes, asked):
            lines = list(_output_lines(translations, asked, first_index=num_lines))
            write_lines(target, lines, name=str(asked.output_file or "<stdout>"))
            if links:
                write_lines(links, _links_of(translations), name=str(asked.alignments))
            num_lines += len(translations)


class _Notices(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        print(f"nmt: {record.getMessage()}", file=sys.stderr)


@contextmanager
def _notices() -> Iterator[None]:
    """Print warnings as what else is said."""
    log, handler = logging.getLogger("nmt"), _Notices(logging.WARNING)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


def _check_files(asked: Asked, source: BinaryIO) -> None:
    check_output(asked.output_file, source=source)
    if asked.alignments is not None:
        check_output(asked.alignments, source=source)
    others = {
        "--alignments": asked.alignments,
        "--prefix-file": asked.prefix_file,
        "--glossary": asked.glossary,
        "--avoid": asked.avoid,
    }
    for target in ("--output", "--alignments"):
        written = others.pop(target, asked.output_file)
        for option, file in others.items():
            if written and file and written.resolve() == file.resolve():
                raise NMTError(f"{file}: {target} and {option} must be two files")


def _check_abilities(asked: Asked, translator: "ParallelTranslator") -> None:
    """See that the models can give what is asked for; say so once where it is a lesser thing."""
    names = ", ".join(map(str, asked.model))
    if asked.alignments and not translator.has_attention:
        raise NMTError(f"--alignments needs a model with attention, got {names}")
    if asked.as_json and not translator.has_confidence:
        reason = f"{names} has no confidence.json, which nmt evaluate --fit-confidence makes"
        if len(asked.model) > 1:
            reason = "an ensemble has none"
        if asked.shortlist:
            reason = "it holds for all tokens, not for those of a shortlist"
        print(f"nmt: confidence is null: {reason}", file=sys.stderr)


def _read_prefixes(asked: Asked) -> list[str] | None:
    """Read the prefixes, and count the lines of an input that can be read twice."""
    if asked.prefix_file is None:
        return None
    from nmt.corpus.files import read_lines

    prefixes = read_lines(asked.prefix_file)
    if asked.input_file is not None and asked.input_file.is_file():
        with asked.input_file.open("rb") as stream:
            _check_prefixes(asked, len(prefixes), num_lines=sum(1 for _ in stream))
    return prefixes


def _check_prefixes(asked: Asked, num_prefixes: int, *, num_lines: int, more: str = "") -> None:
    if num_prefixes != num_lines:
        raise DataError(
            f"{asked.prefix_file} has {num_prefixes} lines, {asked.input_file or '<stdin>'} has "
            f"{num_lines}{more}; each line must have a prefix, perhaps a blank one"
        )


def _translate_windows(
    translator: "ParallelTranslator",
    windows: Iterable[list[str]],
    prefixes: list[str] | None,
    asked: Asked,
) -> Iterator[list["Translation"]]:
    """Yield the translations of each window; at the end say which were translated in parts.

    Where a line cannot be translated as asked, those before it are yielded before the complaint.
    """
    num_lines = num_long = 0
    marks: Counter[Mark] = Counter()
    for window in windows:
        numbers = range(num_lines + 1, num_lines + 1 + len(window))
        own = None if prefixes is None else prefixes[num_lines : num_lines + len(window)]
        lines = window if own is None else window[: len(own)]
        translations: list[Translation] = []
        refusal: NMTError | None = None
        try:
            for translation in translator.translate_detailed(lines, prefixes=own, numbers=numbers):
                translations.append(translation)
        except NMTError as error:
            refusal = error
        yield translations
        if refusal:
            raise refusal
        num_lines += len(window)
        if prefixes is not None and num_lines > len(prefixes):
            _check_prefixes(asked, len(prefixes), num_lines=num_lines, more=" or more")
        num_long += sum(translation.num_parts > 1 for translation in translations)
        marks.update(mark for translation in translations for mark in translation.marks)
    if prefixes is not None:
        _check_prefixes(asked, len(prefixes), num_lines=num_lines)
    if num_long and not asked.split_sentences:
        print(
            f"nmt: {num_long} of {num_lines} lines had more than {translator.max_source_length} "
            "tokens and were translated in parts",
            file=sys.stderr,
        )
    _tell_of_placeholders(marks, num_lines)


def _tell_of_placeholders(marks: "Counter[Mark]", num_lines: int) -> None:
    """Say what became of placeholders, where not all is well."""
    if marks["lost"]:
        print(
            f"nmt: {marks['lost']} of {num_lines} lines have placeholders that the model left out; "
            "they were put where it looked at them",
            file=sys.stderr,
        )
    if marks["unprotected"]:
        print(
            f"nmt: {marks['unprotected']} of {num_lines} lines have placeholders that the model "
            "has no symbols for (tokenizer.placeholders of its recipe); they were translated as "
            "text",
            file=sys.stderr,
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


def _output_lines(
    translations: Iterable["Translation"], asked: Asked, *, first_index: int
) -> Iterator[str]:
    if asked.as_json:
        import json

        from nmt.translator import translation_record

        for translation in translations:
            yield json.dumps(translation_record(translation), ensure_ascii=False, allow_nan=False)
    elif asked.n_best is not None:
        for index, translation in enumerate(translations, start=first_index):
            for hypothesis in translation.hypotheses:
                yield f"{index} ||| {hypothesis.text} ||| {hypothesis.score:.4f}"
    else:
        for translation in translations:
            yield translation.text


def _links_of(translations: Iterable["Translation"]) -> Iterator[str]:
    from nmt.alignment import pharaoh

    return (pharaoh(translation.alignment.words) for translation in translations)
