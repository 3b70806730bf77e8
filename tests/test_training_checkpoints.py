"""Which checkpoint a run goes on from."""

import io
from pathlib import Path

import pytest
import torch

from nmt.errors import CheckpointError
from nmt.run_folder import RunFolder
from nmt.training.checkpoints import find_checkpoint, find_unlike, is_of_model


def checkpoint(number: int) -> bytes:
    buffer = io.BytesIO()
    torch.save({"number": number, "weights": torch.full((100,), float(number))}, buffer)
    return buffer.getvalue()


def number_of(path: Path | None) -> int:
    assert path is not None
    number: int = torch.load(path, weights_only=True)["number"]
    return number


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """Two checkpoints have been kept."""
    folder = RunFolder(tmp_path)
    folder.make()
    for number in (1, 2):
        folder.keep_checkpoint(checkpoint(number))
    return folder


def flip_a_weight(file: Path) -> None:
    """Change one bit where torch itself does not look."""
    data = bytearray(file.read_bytes())
    data[data.index(torch.full((100,), 2.0).numpy().tobytes()) + 5] ^= 1
    file.write_bytes(data)


def cut_off(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def empty(file: Path) -> None:
    file.write_bytes(b"")


def test_the_last_one_is_gone_on_from(folder: RunFolder, caplog: pytest.LogCaptureFixture) -> None:
    assert number_of(find_checkpoint(folder)) == 2
    assert caplog.text == ""


def test_a_bit_that_has_changed_is_not_seen_by_torch(folder: RunFolder) -> None:
    flip_a_weight(folder.last_checkpoint)
    assert number_of(folder.last_checkpoint) == 2


@pytest.mark.parametrize("damage", [flip_a_weight, cut_off, empty, Path.unlink])
def test_the_one_before_is_gone_on_from_where_the_last_is_damaged(
    damage: object, folder: RunFolder, caplog: pytest.LogCaptureFixture
) -> None:
    assert callable(damage)
    damage(folder.last_checkpoint)
    assert number_of(find_checkpoint(folder)) == 1
    what = "missing" if damage is Path.unlink else "damaged or cut off"
    notice = f"{folder.last_checkpoint} is {what}: going on from previous.ckpt"
    assert notice in caplog.text
    # the damaged one does not become the one before, and nothing is said twice
    caplog.clear()
    assert number_of(find_checkpoint(folder)) == 1
    assert caplog.text == ""
    folder.keep_checkpoint(checkpoint(3))
    assert number_of(folder.previous_checkpoint) == 1


def test_two_damaged_ones_are_refused_and_none_is_no_fault(folder: RunFolder) -> None:
    for file in (folder.last_checkpoint, folder.previous_checkpoint):
        cut_off(file)
    message = r"last\.ckpt: damaged or cut off; delete it to train from the start$"
    with pytest.raises(CheckpointError, match=message):
        find_checkpoint(folder)
    folder.last_checkpoint.unlink()
    with pytest.raises(CheckpointError, match=r"previous\.ckpt: damaged or cut off; delete it"):
        find_checkpoint(folder)
    folder.previous_checkpoint.unlink()
    assert find_checkpoint(folder) is None


def test_weights_and_moments_must_be_those_of_the_model() -> None:
    module = torch.nn.Linear(2, 3)
    moments = {
        number: {
            "step": torch.ones(()),
            "exp_avg": torch.zeros(shape),
            "exp_avg_sq": torch.zeros(shape),
        }
        for number, shape in enumerate([(3, 2), (3,)])
    }
    found = {"state_dict": module.state_dict(), "optimizer_states": [{"state": moments}]}
    assert is_of_model(found, module)
    assert not is_of_model(found, torch.nn.Linear(2, 4))
    moments[1]["exp_avg"] = torch.zeros(4)
    assert not is_of_model(found, module)
    moments[1]["exp_avg"] = torch.tensor([0.0, float("nan"), 0.0])
    assert not is_of_model(found, module)
    del moments[1]["exp_avg"]
    assert not is_of_model(found, module)


WANTED = {"a": [0, 1.0, None], "b": {"c": torch.ones(2), "d": "text", "e": True}}


@pytest.mark.parametrize(
    ("found", "place"),
    [
        (WANTED, None),
        ({"a": (7, 2, True), "b": {"c": torch.zeros(2), "d": "", "e": None}}, None),
        (None, "it"),
        ({"a": [0, 1.0, None]}, "it"),
        ({**WANTED, "x": 1}, "it"),
        ({**WANTED, "a": [0, 1.0]}, "it.a"),
        ({**WANTED, "a": "abc"}, "it.a"),
        ({**WANTED, "a": [-1, 1.0, None]}, "it.a"),
        ({**WANTED, "a": [0.5, 1.0, None]}, "it.a"),
        ({**WANTED, "a": [True, 1.0, None]}, "it.a"),
        ({**WANTED, "a": [0, float("nan"), None]}, "it.a"),
        ({**WANTED, "a": [0, "1", None]}, "it.a"),
        ({**WANTED, "a": [0, 1.0, "x"]}, "it.a"),
        ({**WANTED, "b": {"c": torch.ones(3), "d": "", "e": True}}, "it.b.c"),
        ({**WANTED, "b": {"c": torch.ones(2).int(), "d": "", "e": True}}, "it.b.c"),
        ({**WANTED, "b": {"c": torch.ones(2), "d": 1, "e": True}}, "it.b.d"),
        ({**WANTED, "b": {"c": torch.ones(2), "d": "", "e": "x"}}, "it.b.e"),
    ],
)
def test_what_is_of_another_form_is_found(found: object, place: str | None) -> None:
    assert find_unlike(found, WANTED, "it") == place
