"""Alignments: hand-made attention, and a model that is known to look where it copies from."""

from pathlib import Path

import pytest
import torch
from scripted_engine import BOS, EOS, ScriptedEngine, attended_place, pad_sources, random_script
from small_models import build, make_batch

from nmt.alignment import Links, pharaoh, piece_links, word_links
from nmt.corpus.links import read_links
from nmt.engine import ModelEngine, force_targets
from nmt.search import SearchOptions, beam_search

# Three target pieces and EOS look at four source pieces and EOS.
ATTENTION = torch.tensor(
    [
        [0.1, 0.6, 0.1, 0.1, 0.1],
        [0.3, 0.0, 0.1, 0.4, 0.2],
        [0.2, 0.1, 0.1, 0.0, 0.6],
        [0.0, 0.0, 0.9, 0.0, 0.1],
    ]
)
# Of the source, pieces 0 and 1 are a word, and 2 and 3; of the target, 0 is one, and 1 and 2.
SOURCE_WORDS = [0, 0, 1, 1]
TARGET_WORDS = [0, 1, 1]


def test_a_target_piece_is_linked_to_where_it_looked_most() -> None:
    """The third looks most at EOS, which is no piece; EOS itself links to nothing."""
    assert piece_links(ATTENTION) == ((0, 2), (1, 0), (3, 1))


def test_of_equals_the_first_is_taken() -> None:
    # many, so that a search for the maximum in several lanes would show
    assert piece_links(torch.full((2, 100), 0.01)) == ((0, 0),)
    late = torch.tensor([0.0] * 70 + [0.01] * 29 + [0.71]).expand(2, 100)
    assert piece_links(late) == ((70, 0),)


def test_a_piece_that_looked_at_no_piece_has_no_link() -> None:
    attention = torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.4, 0.6], [0.5, 0.5, 0.0]])
    assert piece_links(attention) == ((1, 1),)


@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (3, 1)])
def test_without_pieces_there_are_no_links(shape: tuple[int, int]) -> None:
    assert piece_links(torch.ones(shape)) == ()


def test_half_precision_will_do() -> None:
    assert piece_links(ATTENTION.bfloat16()) == piece_links(ATTENTION)


def test_a_model_without_attention_is_refused() -> None:
    batch = make_batch()
    (target, *_) = force_targets(
        ModelEngine(build({"attention": None})),
        batch.source_ids,
        batch.source_lengths,
        [[4, 5], [6], [7], []],
        bos_id=2,
        eos_id=3,
    )
    message = r"^attention must be above 0 somewhere in each row; the model has none$"
    with pytest.raises(ValueError, match=message):
        piece_links(target.attention)


def test_the_links_of_a_hypothesis_are_where_its_own_tokens_were_found() -> None:
    """The scripted engine looks at a place that follows from the tokens before: every step's."""
    source = (3, 4, 5, 6, 7, 2, 4, EOS)
    options = SearchOptions(
        beam_size=4,
        num_hypotheses=4,
        length_penalty=0.0,
        max_length_ratio=1.0,
        max_target_length=6,
        bos_id=BOS,
        eos_id=EOS,
        banned_ids=(BOS,),
    )
    engine = ScriptedEngine(random_script(5, vocab_size=8, num_levels=50))
    (hypotheses,) = beam_search(engine, *pad_sources([source]), options)
    assert max(len(hypothesis.token_ids) for hypothesis in hypotheses) > 2
    for hypothesis in hypotheses:
        places = [
            attended_place(source, hypothesis.token_ids[:step])
            for step in range(len(hypothesis.token_ids))
        ]
        expected = sorted(
            (place, step) for step, place in enumerate(places) if place < len(source) - 1
        )
        assert piece_links(hypothesis.attention) == tuple(expected)


def test_words_are_linked_where_their_pieces_are() -> None:
    assert word_links(piece_links(ATTENTION), SOURCE_WORDS, TARGET_WORDS) == (
        (0, 0),
        (0, 1),
        (1, 1),
    )


def test_two_words_are_linked_once() -> None:
    links = [(0, 0), (1, 1), (1, 2), (2, 0)]
    assert word_links(links, [0, 0, 0], [0, 0, 0]) == ((0, 0),)
    assert word_links(links, [0, 0, 1], [0, 1, 1]) == ((0, 0), (0, 1), (1, 0))


def test_a_piece_of_no_word_links_nothing() -> None:
    links = [(0, 0), (0, 1), (1, 0)]
    assert word_links(links, [0, -1], [0, 1]) == ((0, 0), (0, 1))
    assert word_links(links, [0, 1], [0, -1]) == ((0, 0), (1, 0))


def test_links_are_written_as_aligners_write_them(tmp_path: Path) -> None:
    links: Links = ((0, 0), (1, 2), (10, 2))
    assert pharaoh(links) == "0-0 1-2 10-2"
    assert pharaoh(()) == ""
    file = tmp_path / "links.txt"
    file.write_text(pharaoh(links) + "\n", encoding="utf-8", newline="\n")
    assert list(read_links(file, [("a b c d e f g h i j k", "x y z")])) == [links]
