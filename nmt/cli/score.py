"""`nmt score`: how likely a model holds given translations, and n-best lists in its order."""

import json
import math
import sys
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt.cli.options import (
    Alignments,
    BatchSize,
    DeviceOption,
    EnsembleOption,
    Models,
    Threads,
    To,
    average_of,
)
from nmt.cli.streams import check_output, open_output, write_lines
from nmt.errors import DataError, NMTError

if TYPE_CHECKING:
    from nmt.translator import TranslatedHypothesis

_SEPARATOR = " ||| "

_Source = Annotated[
    Path, typer.Option(metavar="FILE", help="What was translated.", show_default=False)
]
_Target = Annotated[
    Path | None, typer.Option(metavar="FILE", help="The translations, line by line.")
]
_NBestFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Instead: lines INDEX ||| TRANSLATION ||| SCORE, INDEX counting the lines of the "
        "source from 0. They are written again with new scores, the best of each INDEX first.",
    ),
]
_Json = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Write an object a line: log_prob, num_tokens, token_log_probs, pieces, alignment.",
    ),
]


@dataclass(frozen=True, slots=True)
class _Entry:
    """A pair to score; `index`: the place of its source, from 0 on."""

    index: int
    source: str
    target: str


def score_command(
    model: Models,
    source: _Source,
    target: _Target = None,
    n_best_file: _NBestFile = None,
    ensemble: EnsembleOption = None,
    to: To = None,
    as_json: _Json = False,
    alignments: Alignments = None,
    batch_size: BatchSize = None,
    device: DeviceOption = "auto",
    threads: Threads = None,
) -> None:
    """Score given translations: for each pair its log-probability and number of tokens."""
    average = average_of(model, ensemble)
    # What can go wrong goes wrong before anything slow begins.
    entries = _read_entries(source, target, n_best_file)
    if n_best_file is not None and (as_json or alignments is not None):
        raise NMTError("--n-best-file goes with neither --json nor --alignments")
    if alignments is not None:
        check_output(alignments, source=None)
    import torch

    from nmt.translator import Scorer

    if threads is not None:
        torch.set_num_threads(threads)
    scorer = Scorer.load(
        model, device=device, average=average, batch_size=batch_size, target_lang=to
    )
    scored = scorer.score((entry.source, entry.target) for entry in entries)
    if n_best_file is not None:
        _write_n_best(entries, scored)
        return
    if alignments is not None and not scorer.has_attention:
        names = ", ".join(map(str, model))
        raise NMTError(f"--alignments needs a model with attention, got {names}")
    _write_scores(scored, as_json=as_json, alignments=alignments)


def _read_entries(source: Path, target: Path | None, n_best_file: Path | None) -> list[_Entry]:
    """Return what is to be scored.

    Raises:
        NMTError: It is not said what, a file cannot be read, or the files do not fit.
    """
    from nmt.corpus.files import read_lines

    if target is not None and n_best_file is None:
        sources, targets = read_lines(source), read_lines(target)
        if len(sources) != len(targets):
            raise DataError(
                f"{source} has {len(sources)} lines, {target} has {len(targets)}; "
                "parallel files must have equal numbers of lines"
            )
        pairs = enumerate(zip(sources, targets, strict=True))
        return [_Entry(index, *pair) for index, pair in pairs]
    if n_best_file is not None and target is None:
        sources = read_lines(source)
        lines = enumerate(read_lines(n_best_file), start=1)
        return [
            _n_best_entry(line, f"{n_best_file}: line {place}", sources) for place, line in lines
        ]
    raise NMTError("one of --target and --n-best-file must be given")


def _n_best_entry(line: str, place: str, sources: list[str]) -> _Entry:
    """Read a line of an n-best list; its text may hold the sign that parts the fields."""
    first, _, rest = line.partition(_SEPARATOR)
    text, separator, _ = rest.rpartition(_SEPARATOR)
    if not separator or not first.isascii() or not first.isdigit():
        raise DataError(f"{place} must be INDEX ||| TRANSLATION ||| SCORE, got {line!r}")
    index = int(first)
    if index >= len(sources):
        raise DataError(
            f"{place}: INDEX must be below {len(sources)}, the lines of the source, got {index}"
        )
    return _Entry(index, sources[index], text)


def _write_n_best(entries: list[_Entry], scored: Iterable["TranslatedHypothesis"]) -> None:
    """Print the entries of each index together, the best first; of equals the earlier one."""
    of_index: dict[int, list[tuple[float, str]]] = {}
    for entry, hypothesis in zip(entries, scored, strict=True):
        of_index.setdefault(entry.index, []).append((hypothesis.score, entry.target))
    for index, candidates in of_index.items():
        for score, text in sorted(candidates, key=lambda candidate: -candidate[0]):
            print(f"{index}{_SEPARATOR}{text}{_SEPARATOR}{score:.4f}")


def _write_scores(
    scored: Iterable["TranslatedHypothesis"], *, as_json: bool, alignments: Path | None
) -> None:
    """Print a line a pair, and at the end the perplexity of all on stderr."""
    from nmt.alignment import pharaoh
    from nmt.translator import score_record

    log_probs: list[float] = []
    num_tokens = 0
    with ExitStack() as stack:
        links = alignments and stack.enter_context(open_output(alignments))
        for hypothesis in scored:
            count = len(hypothesis.token_log_probs)
            if as_json:
                print(json.dumps(score_record(hypothesis), ensure_ascii=False, allow_nan=False))
            else:
                print(f"{hypothesis.log_prob:.4f}\t{count}")
            if links:
                write_lines(links, [pharaoh(hypothesis.alignment.words)], name=str(alignments))
            log_probs.append(hypothesis.log_prob)
            num_tokens += count
    if num_tokens:
        perplexity = math.exp(-math.fsum(log_probs) / num_tokens)
        print(f"perplexity {perplexity:.4f} of {num_tokens} tokens", file=sys.stderr)
