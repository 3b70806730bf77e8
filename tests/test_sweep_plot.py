from pathlib import Path

import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread
from sweeping import result

from nmt.sweep.plot import draw
from nmt.sweep.record import Row
from nmt.sweep.table import Summary, summarize


def summaries(num_rows: int = 3) -> list[Summary]:
    results = (result(1, 30.0, 50.0, 2.0), result(2, 33.0, 51.0, 1.5))
    rows = [Row(name="baseline", values={}, results=results)]
    rows += [Row(name=f"{n}", values={"model.bridge": f"{n}" * 90}) for n in range(1, num_rows - 1)]
    rows.append(Row(name="z", values={"model.bridge": "zero"}, results=(result(1, 35.0),)))
    return summarize(rows)


def test_a_picture_grows_with_its_rows(tmp_path: Path) -> None:
    heights = []
    for num_rows in (2, 12):
        draw(summaries(num_rows), tmp_path / "sweep.png")
        heights.append(imread(tmp_path / "sweep.png").shape[0])
    assert heights[1] > 2 * heights[0]
    assert [file.name for file in tmp_path.iterdir()] == ["sweep.png"]


def test_each_run_has_a_dot_and_each_setting_a_line_at_its_mean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: dict[str, list[tuple[str, list[float], list[float]]]] = {}
    labels: list[str] = []

    def read_off(figure: Figure, *_: object, **__: object) -> None:
        labels.extend(text.get_text() for text in figure.axes[0].get_yticklabels())
        for axes in figure.axes:
            drawn[axes.get_title()] = [
                (str(line.get_marker()), list(line.get_xdata()), list(line.get_ydata()))  # type: ignore[arg-type]
                for line in axes.get_lines()
                if line.get_marker() != "None"
            ]

    monkeypatch.setattr(Figure, "savefig", read_off)
    draw(summaries(), tmp_path / "sweep.png")
    assert drawn["BLEU"] == [
        ("o", [30.0, 33.0], [0, 0]),
        ("|", [31.5], [0]),
        ("o", [35.0], [2]),
        ("|", [35.0], [2]),
    ]
    assert drawn["loss (less is better)"][:2] == [("o", [2.0, 1.5], [0, 0]), ("|", [1.75], [0])]
    assert list(drawn) == ["BLEU", "chrF2", "loss (less is better)"]
    assert [labels[0], labels[2]] == ["baseline", "model.bridge=zero"]
    assert len(labels[1]) == 60


@pytest.mark.parametrize(
    ("key", "title", "num_lines"),
    [("model.bridge", "loss (less is better)", 1), ("tokenizer", "loss (tokenizers differ)", 0)],
)
def test_losses_of_different_tokenizers_have_no_line_of_the_baseline(
    key: str, title: str, num_lines: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dotted: dict[str, int] = {}

    def read_off(figure: Figure, *_: object, **__: object) -> None:
        for axes in figure.axes:
            styles = [line.get_linestyle() for line in axes.get_lines()]
            dotted[axes.get_title()] = styles.count(":")

    monkeypatch.setattr(Figure, "savefig", read_off)
    rows = [
        Row(name="baseline", values={}, results=(result(1, 30.0),)),
        Row(name="a", values={key: "b"}, results=(result(1, 31.0),)),
    ]
    draw(summarize(rows), tmp_path / "sweep.png")
    assert dotted == {"BLEU": 1, "chrF2": 1, title: num_lines}
