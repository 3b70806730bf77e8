"""What preferred phrases add, and that it is taken back."""

from dataclasses import replace

import pytest
import torch
from scripted_engine import BOS, EOS, Ids, ScriptedEngine, pad_sources

from nmt.search import Demands, SearchOptions, beam_search
from nmt.search.preferred import Preferred

A, B, C = 2, 3, 4
CPU = torch.device("cpu")
OPTIONS = SearchOptions(
    beam_size=2,
    num_hypotheses=1,
    length_penalty=0.0,
    max_length_ratio=1.0,
    max_target_length=6,
    bos_id=BOS,
    eos_id=EOS,
    banned_ids=(BOS,),
    preference_bonus=2.0,
)


def test_a_begun_phrase_counts_until_a_wrong_token_and_a_met_one_for_good() -> None:
    preferred = Preferred([Demands(preferred=((A, B, C), (B,), (B,)))], 0.5, CPU)
    sentences = torch.tensor([0])
    assert preferred.most.tolist() == [2.0]
    log_probs = torch.tensor([[-1.0, -2.0, -3.0, -4.0, -5.0]])
    # Behind A nothing is met and one token begun; behind A B one phrase is met, two tokens begun.
    behind_a, behind_b = torch.tensor([[1, 0]]), torch.tensor([[2, 1]])
    assert preferred.add_bonuses(log_probs, sentences, behind_a).tolist() == [
        [-1.0, -2.0, -2.5, -2.5, -5.0]
    ]
    assert preferred.add_bonuses(log_probs, sentences, behind_b).tolist() == [
        [-0.5, -1.5, -2.0, -3.5, -3.0]
    ]
    assert preferred.bonuses(sentences, behind_b).tolist() == [0.5]


def script(source: Ids, prefix: Ids) -> list[float]:
    """C, then EOS; A B costs 3 more, and A is all there is of it behind C."""
    rows = {(): [0.0, -9.0, -4.0, -9.0, -1.0], (A,): [0.0, -9.0, -9.0, 0.0, -9.0]}
    return rows.get(prefix, [0.0, 0.0, -9.0, -9.0, -9.0])


@pytest.mark.parametrize(
    ("bonus", "tokens", "log_prob", "score"),
    [(1.0, (C,), -1.0, -1.0), (1.75, (A, B), -4.0, -0.5), (4.0, (A, B), -4.0, 4.0)],
)
def test_a_preferred_phrase_is_taken_where_its_bonus_is_worth_it(
    bonus: float, tokens: Ids, log_prob: float, score: float
) -> None:
    options = replace(OPTIONS, preference_bonus=bonus)
    demands = [Demands(preferred=((A, B),))]
    [[found]] = beam_search(ScriptedEngine(script), *pad_sources([(7,)]), options, demands)
    assert (found.token_ids, found.log_prob, found.score) == (tokens, log_prob, score)


def test_the_length_penalty_divides_the_bonus_too() -> None:
    options = replace(OPTIONS, length_penalty=1.0, normalization="plain", preference_bonus=4.0)
    demands = [Demands(preferred=((A, B),))]
    [[found]] = beam_search(ScriptedEngine(script), *pad_sources([(7,)]), options, demands)
    assert found.token_ids == (A, B)
    assert found.score == pytest.approx(4 / 3)


def late_bloomer(source: Ids, prefix: Ids) -> list[float]:
    """EOS at once is best, then C, then A, behind which B is certain."""
    rows = {
        (): [-9.0, -0.5, -2.0, -9.0, -1.0],
        (A,): [-9.0, -9.0, -9.0, 0.0, -9.0],
    }
    return rows.get(prefix, [-9.0, 0.0, -9.0, -9.0, -9.0])


@pytest.mark.parametrize(
    ("options", "preferred", "score"),
    [
        # EOS has -0.5 at once; A has -2 then, and only the bonus of A B lifts it above that.
        (OPTIONS, ((A, B),), 2.0),
        # C has (-1 + 2) / 2. At the limit of length no bonus would be worth as much any more.
        (
            replace(OPTIONS, beam_size=3, length_penalty=1.0, max_target_length=20),
            ((A, B), (C,)),
            2 / 3,
        ),
    ],
)
def test_a_search_goes_on_while_a_bonus_may_still_come(
    options: SearchOptions, preferred: tuple[Ids, ...], score: float
) -> None:
    options = replace(options, normalization="plain")
    demands = [Demands(preferred=preferred)]
    [[found]] = beam_search(ScriptedEngine(late_bloomer), *pad_sources([(7,)]), options, demands)
    assert found.token_ids == (A, B)
    assert found.score == pytest.approx(score)
