"""What is compared: run folders, reports and plain files of hypotheses, on the same references."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from nmt.corpus import read_lines
from nmt.errors import DataError
from nmt.evaluation.contents import FORMAT_VERSION
from nmt.evaluation.properties import Properties

_SHOWN_CHARACTERS = 60


@dataclass(frozen=True, slots=True)
class Told:
    """What a report tells beside its hypotheses.

    Args:
        test_set: Name of the test set.
        sources: What was translated.
        references: For each translator, what he wrote.
        properties: What may explain the scores.
        direction: The source and the target language.
        signatures: How each metric was counted.
    """

    test_set: str
    sources: Sequence[str]
    references: Sequence[Sequence[str]]
    properties: Sequence[Properties]
    direction: tuple[str, str]
    signatures: dict[str, str]


@dataclass(frozen=True, slots=True)
class System:
    """One system's translations; `told` is None where they come from a plain file."""

    name: str
    hypotheses: Sequence[str]
    told: Told | None


def read_system(path: Path) -> System:
    """Read a run folder, a report folder or a file with a hypothesis on each line.

    Raises:
        DataError: It is none of them, is damaged, or was written by another version.
    """
    if not path.is_dir():
        hypotheses = read_lines(path)
        if not hypotheses:
            raise DataError(f"{path} must have at least one line, got an empty file")
        return System(str(path), hypotheses, None)
    for file in (path / "scores.json", path / "report" / "scores.json"):
        if file.is_file():
            return _read_report(path, file)
    raise DataError(
        f"{path}: must be a run folder or a report, got a folder without scores.json; "
        "`nmt evaluate` writes it"
    )


def _read_report(path: Path, file: Path) -> System:
    try:
        content = json.loads(file.read_bytes())
        version = content.get("format_version") if isinstance(content, dict) else "none"
        if version != FORMAT_VERSION:
            raise DataError(
                f"{file}: format_version must be {FORMAT_VERSION}, got {version}; "
                "write the report anew with `nmt evaluate --overwrite`"
            )
        return System(str(path), *_read_content(content))
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{file}: damaged ({error!r}); write the report anew") from error


def _read_content(content: dict[str, Any]) -> tuple[list[str], Told]:
    sentences = content["sentences"]
    known = [field.name for field in fields(Properties)]
    told = Told(
        test_set=content["test_set"],
        sources=[one["source"] for one in sentences],
        references=[
            list(lines) for lines in zip(*(one["references"] for one in sentences), strict=True)
        ],
        properties=[
            Properties(**{name: one["properties"][name] for name in known}) for one in sentences
        ],
        direction=(content["source_lang"], content["target_lang"]),
        signatures={one["name"]: one["signature"] for one in content["scores"]},
    )
    return [one["hypothesis"] for one in sentences], told


def check_alike(systems: Sequence[System], references: Sequence[Sequence[str]] | None) -> None:
    """See that all systems are held against the same references and were counted alike.

    Args:
        systems: At least two.
        references: Those of plain files; None where a report is to say them.

    Raises:
        DataError: They are not; says what differs.
    """
    if len(systems) < 2:
        raise DataError(f"systems to compare must be at least 2, got {len(systems)}")
    names = [system.name for system in systems]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"systems to compare must differ, got {twice} twice")
    told = [(system.name, system.told) for system in systems if system.told is not None]
    if references is None and not told:
        raise DataError("files of hypotheses must have references; give --reference")
    known = [("--reference", references)] if references is not None else []
    known += [(name, one.references) for name, one in told]
    expected = len(known[0][1][0])
    for number, lines in enumerate(references or [], start=1):
        if len(lines) != expected:
            raise DataError(
                f"--reference {number} has {len(lines)} lines, the first has {expected}; "
                "parallel files must have equal numbers of lines"
            )
    for name, found in known[1:]:
        _check_references(known[0], (name, found))
    for system in systems:
        if len(system.hypotheses) != expected:
            raise DataError(
                f"{system.name} has {len(system.hypotheses)} hypotheses, {known[0][0]} has "
                f"{expected} references; every hypothesis must have one"
            )
    for name, one in told[1:]:
        _check_signatures(told[0][0], told[0][1].signatures, name, one.signatures)


def _check_references(
    first: tuple[str, Sequence[Sequence[str]]], other: tuple[str, Sequence[Sequence[str]]]
) -> None:
    (name, known), (other_name, found) = first, other
    start = f"{other_name}: references must be those of {name}"
    if len(known) != len(found):
        raise DataError(f"{start}, got {len(found)} for each sentence instead of {len(known)}")
    if len(known[0]) != len(found[0]):
        raise DataError(f"{start}, got {len(found[0])} sentences instead of {len(known[0])}")
    for lines, others in zip(known, found, strict=True):
        for number, (line, text) in enumerate(zip(lines, others, strict=True), start=1):
            if line != text:
                raise DataError(
                    f"{start}, got {_short(text)} instead of {_short(line)} in line {number}"
                )


def _check_signatures(
    name: str, known: dict[str, str], other_name: str, found: dict[str, str]
) -> None:
    for metric in known.keys() & found.keys():
        if known[metric] != found[metric]:
            parts = [signature[metric].split("|") for signature in (known, found)]
            wanted, got = (
                ", ".join(part for part in one if part not in other) or "nothing of it"
                for one, other in (parts, parts[::-1])
            )
            raise DataError(
                f"{other_name}: {metric} must have the signature of {name}, "
                f"got {got} instead of {wanted}"
            )


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}...")
