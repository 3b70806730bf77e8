import re
from pathlib import Path
from urllib.error import URLError

import pytest
import sacrebleu.dataset

from nmt.errors import DataError
from nmt.evaluation import Segments, check_script, segments_of_files, segments_of_sacrebleu


def write(path: Path, *lines: str) -> Path:
    path.write_bytes("".join(f"{line}\n" for line in lines).encode())
    return path


def test_files_make_a_test_set_with_several_references(tmp_path: Path) -> None:
    source = write(tmp_path / "a.de", "eins", "zwei")
    first, second = write(tmp_path / "b", "one", "two"), write(tmp_path / "c", "1", "2")
    segments = segments_of_files(source, [first, second])
    assert segments == Segments(
        f"{source} + {first} + {second}", ["eins", "zwei"], [["one", "two"], ["1", "2"]]
    )


def test_unequal_numbers_of_lines_are_refused_with_the_line(tmp_path: Path) -> None:
    source = write(tmp_path / "a.de", "eins", "zwei", "drei " * 30)
    reference = write(tmp_path / "b.en", "one", "two")
    message = (
        f"{source} has 3 lines, {reference} has 2; parallel files must have equal numbers of "
        f"lines, from line 3 of {source} on they have not: '{('drei ' * 30)[:60]}...'"
    )
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        segments_of_files(source, [reference])
    message = f"from line 3 of {source} on"
    with pytest.raises(DataError, match=re.escape(message)):
        segments_of_files(reference, [source])


@pytest.mark.parametrize("empty", ["a", "b"])
def test_empty_files_are_refused(tmp_path: Path, empty: str) -> None:
    files = {name: write(tmp_path / name, *([] if name == empty else ["x"])) for name in "ab"}
    message = f"{files[empty]} must have at least one line, got an empty file"
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        segments_of_files(files["a"], [files["b"]])


def test_references_in_another_script_are_refused() -> None:
    pieces = ["▁the", "▁dog", "a", "é", "ß", "."] * 10
    segments = Segments("t.ru", ["the dog runs"], [["собака бежит через большой парк, ok"]])
    message = (
        "t.ru: references must be in the script that the model writes, Latin, got Cyrillic; "
        "are these files of another language?"
    )
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        check_script(segments, pieces)
    check_script(segments, [*pieces, "▁собака"])
    check_script(Segments("t", ["x"], [["собака"]]), pieces)  # too short to tell


def test_sacrebleus_own_sets_are_known_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [str(write(tmp_path / "s", "Hallo Welt ")), str(write(tmp_path / "r", "Hello world"))]
    known = type(sacrebleu.dataset.DATASETS["wmt14"])
    monkeypatch.setattr(known, "get_source_file", lambda self, pair: files[0])
    monkeypatch.setattr(known, "get_reference_files", lambda self, pair: files[1:])
    segments = segments_of_sacrebleu("wmt14", "de-en")
    assert segments == Segments("wmt14 de-en", ["Hallo Welt"], [["Hello world"]])


def test_an_unknown_set_is_refused_with_what_is_near() -> None:
    message = "test set must be one of sacreBLEU's, got 'wtm14'; did you mean 'wmt14'?"
    with pytest.raises(DataError, match=f"^{re.escape(message)}$"):
        segments_of_sacrebleu("wtm14", "en-de")
    with pytest.raises(DataError, match=r"got '\?'; `sacrebleu --list` names them$"):
        segments_of_sacrebleu("?", "en-de")


def test_a_set_without_these_languages_is_refused() -> None:
    with pytest.raises(
        DataError, match=r"^test set 'wmt14' must be asked for one of cs-en, .* 'en-xx'$"
    ):
        segments_of_sacrebleu("wmt14", "en-xx")


@pytest.mark.parametrize("error", [URLError("no network"), SystemExit(1)])
def test_a_set_that_cannot_be_fetched_is_refused(
    error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: object, pair: str) -> str:
        raise error

    known = type(sacrebleu.dataset.DATASETS["wmt14"])
    monkeypatch.setattr(known, "get_source_file", refuse)
    message = f"test set 'wmt14' for en-de is not here and cannot be fetched ({error}); fetch it"
    with pytest.raises(DataError, match=f"^{re.escape(message)}"):
        segments_of_sacrebleu("wmt14", "en-de")
