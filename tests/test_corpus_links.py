"""Word alignments as aligners write them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy import write_lines

from nmt.corpus import load_pairs
from nmt.corpus.links import read_links
from nmt.errors import DataError
from nmt.recipe import FileSet

SOURCES = ["a b c", "d", ""]
TARGETS = ["A B", "D E", "F"]
PAIRS = list(zip(SOURCES, TARGETS, strict=True))


def write(folder: Path, *lines: str) -> Path:
    file = folder / "links"
    write_lines(file, list(lines))
    return file


def test_links_are_pairs_of_word_numbers(tmp_path: Path) -> None:
    file = write(tmp_path, "0-0 2-1  1-1", "0-1", "")
    expected = [((0, 0), (2, 1), (1, 1)), ((0, 1),), ()]
    assert list(read_links(file, PAIRS)) == expected


def test_reversing_a_set_turns_its_links_around(tmp_path: Path) -> None:
    file = write(tmp_path, "0-0 2-1", "0-1", "")
    write_lines(tmp_path / "s", SOURCES)
    write_lines(tmp_path / "t", TARGETS)
    corpus_set = FileSet(
        source=str(tmp_path / "s"), target=str(tmp_path / "t"), alignment=str(file)
    )
    assert [pair.links for pair in load_pairs(corpus_set)] == [((0, 0), (2, 1)), ((0, 1),), ()]
    reversed_pairs = load_pairs(corpus_set, reverse=True)
    assert [pair.links for pair in reversed_pairs] == [((0, 0), (1, 2)), ((1, 0),), ()]
    assert reversed_pairs[0].source == "A B"


def test_without_an_alignment_there_are_no_links(tmp_path: Path) -> None:
    write_lines(tmp_path / "s", SOURCES)
    write_lines(tmp_path / "t", TARGETS)
    pairs = load_pairs(FileSet(source=str(tmp_path / "s"), target=str(tmp_path / "t")))
    assert [pair.links for pair in pairs] == [None] * 3


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("0-0 1", r"line 2: a link must be two numbers such as 0-1, got '1'$"),
        ("0-0-0", r"line 2: a link must be two numbers such as 0-1, got '0-0-0'$"),
        ("0-2", r"line 2: link '0-2' must be between words that are there, the sentences have 1 "),
        ("1-0", r"line 2: link '1-0' must be between words that are there, .* have 1 and 2$"),
    ],
)
def test_what_is_no_link_is_named_with_its_line(line: str, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=complaint):
        list(read_links(write(tmp_path, "0-0", line, ""), PAIRS))


def test_every_pair_has_a_line(tmp_path: Path) -> None:
    complaint = "links has 2 lines, its corpus has 3; an alignment file must have a line for each"
    with pytest.raises(DataError, match=complaint):
        list(read_links(write(tmp_path, "", ""), PAIRS))


@given(links=st.lists(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4))), max_size=5))
def test_what_was_written_is_read(
    links: list[list[tuple[int, int]]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    lines = [" ".join(f"{i}-{j}" for i, j in one) for one in links]
    sentence = ["v w x y z"] * len(links)
    file = write(tmp_path_factory.mktemp("links"), *lines)
    assert list(read_links(file, zip(sentence, sentence, strict=True))) == [
        tuple(one) for one in links
    ]
