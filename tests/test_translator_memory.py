"""Too little memory: smaller batches, the same translations, and one notice."""

import logging

import pytest
import torch
from test_translator import CopyEngine, make_translator
from torch import Tensor

from nmt.errors import NMTError
from nmt.model import DecoderState, EncoderOutput

CPU_ERROR = RuntimeError(
    "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you "
    "tried to allocate 400000000000 bytes. Error code 12 (Cannot allocate memory)"
)


class SmallEngine(CopyEngine):
    """Has memory for so many sentences at once."""

    def __init__(self, room: int, error: Exception) -> None:
        super().__init__()
        self.room = room
        self.error = error
        self.tried: list[int] = []

    def encode(
        self, source_ids: Tensor, source_lengths: Tensor
    ) -> tuple[EncoderOutput, DecoderState]:
        self.tried.append(len(source_ids))
        if len(source_ids) > self.room:
            raise self.error
        return super().encode(source_ids, source_lengths)


LINES = [f"line {number}" for number in range(20)]


@pytest.mark.parametrize(
    "error",
    [CPU_ERROR, torch.OutOfMemoryError("CUDA out of memory."), MemoryError()],
    ids=["cpu", "cuda", "python"],
)
def test_batches_are_halved_and_no_line_is_lost(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    engine = SmallEngine(3, error)
    translator = make_translator(engine, batch_size=16, beam_size=1)
    with caplog.at_level(logging.WARNING):
        assert translator.translate(LINES) == LINES
        assert engine.tried == [16, 8, 4, *[2] * 10]
        assert translator.translate(LINES[:4]) == LINES[:4]
    assert engine.tried[13:] == [2, 2]  # what was too large is not tried again
    assert caplog.messages == ["out of memory with 16 sentences at once; going on with fewer"]


def test_where_one_sentence_is_too_much_it_is_said() -> None:
    translator = make_translator(SmallEngine(0, CPU_ERROR), batch_size=4, beam_size=1)
    complaint = r"^out of memory with one sentence of \d+ tokens; lower the beam size"
    with pytest.raises(NMTError, match=complaint):
        translator.translate(LINES)


def test_other_errors_are_not_taken_for_it() -> None:
    engine = SmallEngine(3, RuntimeError("shapes do not fit"))
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        make_translator(engine, batch_size=16).translate(LINES)
    assert engine.tried == [16]


def test_pytorch_says_so_in_these_words() -> None:
    with pytest.raises(RuntimeError, match="DefaultCPUAllocator"):
        torch.empty(1 << 60, dtype=torch.uint8)
