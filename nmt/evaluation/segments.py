"""A test set: what is translated and what people wrote for it, and where such sets come from.

Knows files, recipes and sacreBLEU's own sets; nothing of models.
"""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nmt.bleu import References
from nmt.corpus import SentencePair, describe_set, load_pairs, read_lines
from nmt.errors import DataError, RecipeError
from nmt.evaluation.words import count_scripts
from nmt.run_folder import RunFolder

_SHOWN_CHARACTERS = 60
# Letters of a script that make it the references' own, and those of it that a language may have.
_MOST, _HARDLY_ANY = 0.9, 0.001
# Fewer letters tell no script.
_MIN_LETTERS = 20


@dataclass(frozen=True, slots=True)
class Segments:
    """A test set.

    Args:
        name: What people call it.
        sources: The lines to translate, at least one.
        references: For each translator, what he wrote for every source.
    """

    name: str
    sources: Sequence[str]
    references: References

    @classmethod
    def of_pairs(cls, name: str, pairs: Sequence[SentencePair]) -> Segments:
        """Return pairs as a test set: their targets are the references."""
        return cls(name, [pair.source for pair in pairs], [[pair.target for pair in pairs]])


def segments_of_recipe(folder: RunFolder) -> Segments:
    """Return the test set that a run's recipe names.

    Raises:
        RecipeError: It names none.
        DataError: It cannot be read.
    """
    data = folder.recipe.data
    if data.test is None:
        raise RecipeError(f"{folder.recipe_file} has no data.test; give --source and --reference")
    return Segments.of_pairs(describe_set(data.test), load_pairs(data.test, reverse=data.reverse))


def segments_of_files(source: Path, references: Sequence[Path]) -> Segments:
    """Read a test set from files, line n of each belonging together.

    Raises:
        DataError: A file cannot be read or is empty, or they are not of equal length.
    """
    lines = {file: read_lines(file) for file in (source, *references)}
    for file in references:
        _check_parallel(source, lines[source], file, lines[file])
    name = " + ".join(map(str, (source, *references)))
    return Segments(name, lines[source], [lines[file] for file in references])


def _check_parallel(source: Path, sources: list[str], file: Path, lines: list[str]) -> None:
    for name, found in ((source, sources), (file, lines)):
        if not found:
            raise DataError(f"{name} must have at least one line, got an empty file")
    if len(sources) == len(lines):
        return
    longer, texts, number = (
        (source, sources, len(lines)) if len(sources) > len(lines) else (file, lines, len(sources))
    )
    text = texts[number]
    shown = text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."
    raise DataError(
        f"{source} has {len(sources)} lines, {file} has {len(lines)}; parallel files must have "
        f"equal numbers of lines, from line {number + 1} of {longer} on they have not: {shown!r}"
    )


def segments_of_sacrebleu(name: str, direction: str) -> Segments:
    """Return one of sacreBLEU's own test sets, which it fetches where it is not here yet.

    Args:
        name: Such as `wmt14`; see `sacrebleu --list`.
        direction: Such as `en-de`.

    Raises:
        DataError: There is no such set, not for these languages, or it cannot be fetched.
    """
    from sacrebleu.dataset import DATASETS
    from sacrebleu.utils import get_langpairs_for_testset, get_reference_files, get_source_file

    if name not in DATASETS:
        raise DataError(f"test set must be one of sacreBLEU's, got {name!r}{_near(name, DATASETS)}")
    directions = sorted(get_langpairs_for_testset(name))
    if direction not in directions:
        raise DataError(
            f"test set {name!r} must be asked for one of {', '.join(directions)}, got {direction!r}"
        )
    try:
        # it would print and leave by itself; what it leaves with says nothing
        with contextlib.redirect_stdout(None):
            files = [get_source_file(name, direction), *get_reference_files(name, direction)]
    except (OSError, SystemExit) as error:
        raise DataError(
            f"test set {name!r} for {direction} is not here and cannot be fetched ({error}); "
            f"fetch it elsewhere with `sacrebleu -t {name} -l {direction} --echo src` and copy "
            "~/.sacrebleu"
        ) from error
    source, *references = ([line.rstrip() for line in read_lines(file)] for file in files)
    return Segments(f"{name} {direction}", source, references)


def _near(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else "; `sacrebleu --list` names them"


def check_script(segments: Segments, pieces: Sequence[str]) -> None:
    """See that the references are in a script that the model can write at all.

    Args:
        segments: The test set.
        pieces: What the model writes with.

    Raises:
        DataError: They are in one of which hardly any letter is among the pieces.
    """
    found = count_scripts(line for lines in segments.references for line in lines)
    num_letters = found.total()
    if num_letters < _MIN_LETTERS:
        return
    script, count = found.most_common(1)[0]
    known = count_scripts(pieces)
    if count >= _MOST * num_letters and known[script] < _HARDLY_ANY * known.total():
        usual = known.most_common(1)[0][0].capitalize()
        raise DataError(
            f"{segments.name}: references must be in the script that the model writes, {usual}, "
            f"got {script.capitalize()}; are these files of another language?"
        )
