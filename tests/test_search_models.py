"""Search over real models: whatever a decoder carries, it must stay beside its own hypothesis."""

from itertools import product

import pytest
import torch
from small_models import BOS, EOS, FAMILY, PAD, WHOLE_FAMILY, build, make_batch

from nmt.engine import ModelEngine
from nmt.model import Seq2Seq
from nmt.search import Hypothesis, SearchOptions, beam_search, greedy_search

OPTIONS = SearchOptions(
    beam_size=3,
    num_hypotheses=3,
    length_penalty=0.6,
    max_length_ratio=1.0,
    max_target_length=7,
    bos_id=BOS,
    eos_id=EOS,
    banned_ids=(PAD, BOS),
)
MEMBERS = {
    name: WHOLE_FAMILY[name] for name in (*FAMILY, "window", "heads", "one layer", "backward, copy")
}
EVERY_MEMBER = pytest.mark.parametrize("name", MEMBERS)
# The units make no difference to what is carried.
EVERY_WAY = pytest.mark.parametrize(
    "name", [name for name in MEMBERS if not name.startswith(("gru", "rnn", "layer_norm"))]
)


def long_winded(name: str) -> Seq2Seq:
    """A model that does not come to an end at once."""
    model = build(MEMBERS[name])
    with torch.no_grad():
        model.output_layer.bias[EOS] = -2.0
    return model


@torch.no_grad()
def teacher_forced(model: Seq2Seq, row: int, hypothesis: Hypothesis) -> tuple[float, torch.Tensor]:
    """The log-probability of a hypothesis and its attention, by one pass over all of it."""
    batch = make_batch()
    length = int(batch.source_lengths[row])
    tokens = [BOS, *hypothesis.token_ids]
    logits, attention = model(
        batch.source_ids[row : row + 1, :length],
        batch.source_lengths[row : row + 1],
        torch.tensor([tokens]),
        torch.ones(1, len(tokens), dtype=torch.bool),
    )
    labels = torch.tensor([*hypothesis.token_ids, EOS])
    log_probs = torch.log_softmax(logits, dim=-1)
    return float(log_probs.gather(1, labels[:, None]).sum()), attention[0]


@EVERY_MEMBER
def test_a_hypothesis_has_the_log_probability_that_teacher_forcing_gives_it(name: str) -> None:
    model, batch = long_winded(name), make_batch()
    found = beam_search(ModelEngine(model), batch.source_ids, batch.source_lengths, OPTIONS)
    assert [len(hypotheses) for hypotheses in found] == [3] * 4
    assert min(len(hypotheses[0].token_ids) for hypotheses in found) > 2
    for row, hypotheses in enumerate(found):
        for hypothesis in hypotheses:
            log_prob, attention = teacher_forced(model, row, hypothesis)
            assert hypothesis.log_prob == pytest.approx(log_prob, abs=1e-4)
            torch.testing.assert_close(hypothesis.attention, attention)


@EVERY_WAY
def test_a_beam_as_wide_as_all_prefixes_finds_the_best_of_all(name: str) -> None:
    """Of four tokens and at most three places: every translation there is."""
    options = SearchOptions(
        beam_size=20,
        num_hypotheses=1,
        length_penalty=0.0,
        max_length_ratio=1.0,
        max_target_length=3,
        bos_id=BOS,
        eos_id=EOS,
        banned_ids=(PAD, 1, BOS, *range(6, 11)),
    )
    model, batch = long_winded(name), make_batch()
    found = beam_search(ModelEngine(model), batch.source_ids, batch.source_lengths, options)
    letters = (4, 5)
    for row, (hypothesis,) in enumerate(found):
        every = [
            Hypothesis(token_ids, 0.0, 0.0, torch.empty(0))
            for size in range(3)
            for token_ids in product(letters, repeat=size)
        ]
        best = max(every, key=lambda one: teacher_forced(model, row, one)[0])
        assert hypothesis.token_ids == best.token_ids


@EVERY_WAY
def test_greedy_search_is_a_beam_of_one(name: str) -> None:
    options = SearchOptions(
        beam_size=1,
        num_hypotheses=1,
        length_penalty=0.0,
        max_length_ratio=1.0,
        max_target_length=7,
        bos_id=BOS,
        eos_id=EOS,
        banned_ids=(PAD, BOS),
    )
    engine, batch = ModelEngine(long_winded(name)), make_batch()
    greedy, beam = (
        search(engine, batch.source_ids, batch.source_lengths, options)
        for search in (greedy_search, beam_search)
    )
    for (one,), (other,) in zip(greedy, beam, strict=True):
        assert one.token_ids == other.token_ids
        assert one.log_prob == pytest.approx(other.log_prob)
