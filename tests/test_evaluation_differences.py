import pytest

from nmt.evaluation.differences import Run, closest, differences


def test_what_both_say_in_the_same_order_is_shared() -> None:
    hypothesis, reference = differences("a black dog runs .", "the dog runs fast .", lang="en")
    assert hypothesis == [Run("a black", False), Run(" dog runs .", True)]
    assert reference == [
        Run("the", False),
        Run(" dog runs ", True),
        Run("fast", False),
        Run(" .", True),
    ]


@pytest.mark.parametrize(
    ("first", "second"), [("", ""), ("", "a b"), (" a  b ", "b a"), ("猫", "狗")]
)
def test_runs_joined_are_the_texts(first: str, second: str) -> None:
    runs = differences(first, second, lang="en")
    assert ["".join(run.text for run in side) for side in runs] == [first, second]


def test_characters_are_compared_where_there_are_no_spaces() -> None:
    hypothesis, _ = differences("我有猫", "我有狗", lang="zh")
    assert hypothesis == [Run("我有", True), Run("猫", False)]


def test_the_closest_reference_shares_most() -> None:
    assert (
        closest("a dog runs", ["no", "the dog runs", "a dog runs fast"], lang="en")
        == "a dog runs fast"
    )
    assert closest("x", ["b", "a"], lang="en") == "b"
