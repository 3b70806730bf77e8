from pathlib import Path

from tiny_run import write_run

from nmt.corpus import SentencePair
from nmt.evaluation import Segments, TrainingText, read_training_text, training_text_of_run
from nmt.evaluation.properties import Properties, properties_of
from nmt.evaluation.word_accuracy import word_accuracy

PAIRS = [
    SentencePair("Der Hund bellt", "The dog barks"),
    SentencePair("der Hund", "the dog"),
]
TRAINING = read_training_text(PAIRS, ["der Hund ", "die Katze"], direction=("de", "en"))


def test_words_are_counted_without_their_case() -> None:
    assert TRAINING.num_pairs == 2
    assert TRAINING.source_words == {"der": 2, "hund": 2, "bellt": 1}
    assert TRAINING.target_words == {"the": 2, "dog": 2, "barks": 1}
    assert TRAINING.seen == {"der Hund"}


def test_what_cleaning_dropped_was_not_trained_on(tmp_path: Path) -> None:
    for name, lines in (
        ("train", ["a\tb", "c\td", "x\tx"]),
        ("validation", ["e\tf"]),
        ("test", ["c\td"]),
    ):
        (tmp_path / f"{name}.tsv").write_bytes("".join(f"{line}\n" for line in lines).encode())
    sets = [f"data.{name}.tsv={tmp_path / name}.tsv" for name in ("train", "validation", "test")]
    kept = ["data.cleaning.min_pairs=1", "data.cleaning.identical=true"]
    found = training_text_of_run(write_run(tmp_path / "run", *sets, *kept), ["a", "c"])
    assert isinstance(found, TrainingText)
    assert (found.num_pairs, found.seen) == (1, {"a"})


def test_properties_say_what_may_be_hard() -> None:
    segments = Segments(
        "t",
        ["Der Hund sieht Anna", "bellt 3 mal", ""],
        [["The dog sees Anna", "barks thrice", ""], ["A dog", "3 barks", ""]],
    )
    found = properties_of(segments, direction=("de", "en"), training=TRAINING)
    assert found == [
        Properties(4, None, 0, 2, False, True),
        Properties(3, None, 0, 2, True, False),
        Properties(0, None, None, 0, False, False),
    ]
    [bare, *_] = properties_of(segments, direction=("de", "en"))
    assert bare == Properties(4, None, None, None, False, True)


def test_word_accuracy_counts_what_is_found_and_what_is_right() -> None:
    entries = word_accuracy(
        ["The dog dog runs", "x"],
        [["the dog barks", "no"], ["nothing here at all", "barks"]],
        TRAINING,
        target_lang="en",
    )
    found = {one.label: (one.num_reference, one.num_hypothesis, one.num_matched) for one in entries}
    # the first reference of the first, and of the second the first of equals
    assert found == {
        "never": (1, 2, 0),
        "1-4": (3, 3, 2),
        "5-19": (0, 0, 0),
        "20-99": (0, 0, 0),
        "100 and more": (0, 0, 0),
    }
    assert entries[1].recall == entries[1].precision == 2 / 3
    assert entries[2].recall is entries[2].precision is None
