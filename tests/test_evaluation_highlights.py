import numpy as np

from nmt.evaluation.highlights import highlights


def test_best_worst_and_typical_are_picked() -> None:
    scores = np.arange(30, dtype=np.float64)
    picked = highlights(scores, [9] * 30)
    assert picked.worst == (0, 1, 2, 3, 4)
    assert picked.best == (29, 28, 27, 26, 25)
    assert picked.typical == (14, 15, 13, 16, 12)  # around 14.5


def test_short_sentences_are_left_out_where_there_are_others() -> None:
    picked = highlights(np.array([1.0, 50.0, 99.0, 100.0]), [2, 9, 9, 1])
    assert (picked.worst, picked.typical, picked.best) == ((1,), (), (2,))
    picked = highlights(np.array([1.0, 50.0, 99.0]), [2, 2, 1])
    assert (picked.worst, picked.typical, picked.best) == ((0,), (1,), (2,))


def test_of_equal_sentences_the_longer_is_the_best() -> None:
    assert highlights(np.full(3, 100.0), [5, 8, 6]).best == (1,)


def test_no_sentence_stands_twice() -> None:
    for count in range(1, 9):
        picked = highlights(np.zeros(count), [5] * count)
        places = [*picked.worst, *picked.typical, *picked.best]
        assert len(places) == len(set(places)) == min(count, len(places))
        assert picked.best
