from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from nmt.errors import NMTError
from nmt.training.curves import draw_curves


def entry(epoch: int, *, train_loss: float | None = 2.0) -> dict[str, object]:
    scores = {"BLEU": 10.0 * epoch, "chrF2": 20.0 * epoch}
    return {
        "epoch": epoch,
        "train_loss": train_loss,
        "loss": 1.0,
        "learning_rate": 1e-3,
        **scores,
    }


@pytest.mark.parametrize("num_entries", [1, 3])
def test_three_panels_are_drawn(num_entries: int, tmp_path: Path) -> None:
    file = tmp_path / "curves.png"
    draw_curves([entry(epoch) for epoch in range(1, num_entries + 1)], file)
    height, width, _ = imread(file).shape
    assert width > 2 * height
    assert list(tmp_path.iterdir()) == [file]


def test_every_number_is_drawn_over_its_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: dict[str, list[tuple[float, float]]] = {}

    def read_off(figure: Figure, *_: object, **__: object) -> None:
        for axes in figure.axes:
            for line in axes.get_lines():
                points = np.column_stack((line.get_xdata(), line.get_ydata()))
                lines[str(line.get_label())] = [(x, y) for x, y in points.tolist()]

    monkeypatch.setattr(Figure, "savefig", read_off)
    draw_curves([entry(2), entry(4)], tmp_path / "curves.png")
    assert lines == {
        "training (smoothed)": [(2, 2), (4, 2)],
        "validation": [(2, 1), (4, 1)],
        "BLEU": [(2, 20), (4, 40)],
        "chrF2": [(2, 40), (4, 80)],
        "at the epoch's end": [(2, 1e-3), (4, 1e-3)],
    }


def test_a_missing_training_loss_leaves_a_gap(tmp_path: Path) -> None:
    file = tmp_path / "curves.png"
    draw_curves([entry(1, train_loss=None), entry(2)], file)
    assert imread(file).ndim == 3


def test_the_old_picture_stays_where_the_new_one_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    file = tmp_path / "curves.png"
    draw_curves([entry(1)], file)
    old = file.read_bytes()
    monkeypatch.setattr("os.fsync", refuse)
    with pytest.raises(
        NMTError, match=r"curves\.png: cannot write: No space left on device; make room "
    ):
        draw_curves([entry(1), entry(2)], file)
    assert file.read_bytes() == old
    assert list(tmp_path.iterdir()) == [file]
