import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from html_check import read_page

from nmt.evaluation import Comparison, Effort, Ground, compare, write_comparison
from nmt.evaluation.page import render_comparison
from nmt.evaluation.properties import Properties

WORDS = ["ein", "Hund", "läuft", "über", "die", "Wiese", "und", "bellt", "laut", "heute"]


def noisy(lines: list[str], share: float, seed: int) -> list[str]:
    generator = np.random.default_rng(seed)
    return [
        " ".join(
            str(generator.choice(WORDS)) if generator.random() < share else word
            for word in line.split()
        )
        for line in lines
    ]


GENERATOR = np.random.default_rng(3)
REFERENCES = [" ".join(GENERATOR.choice(WORDS, GENERATOR.integers(4, 14))) for _ in range(80)]
OTHERS = noisy(REFERENCES, 0.2, 9)
SYSTEMS = {
    f"sys{seed}": noisy(REFERENCES, share, seed) for seed, share in ((1, 0.3), (2, 0.33), (3, 0.5))
}


def ground(*references: list[str], properties: list[Properties] | None = None) -> Ground:
    return Ground(
        test_set="t",
        sources=None,
        references=references,
        properties=properties,
        direction=("", "de"),
        bleu_tokenizer=None,
    )


def compare_all(*references: list[str], effort: Effort, metrics: tuple[str, ...]) -> Comparison:
    return compare(list(SYSTEMS.items()), ground(*references), metrics=metrics, effort=effort)


@pytest.mark.parametrize("num_references", [1, 2])
def test_scores_and_tests_equal_sacrebleus_own_command(tmp_path: Path, num_references: int) -> None:
    references = [REFERENCES, OTHERS][:num_references]
    for name, lines in (*SYSTEMS.items(), *((f"ref{i}", one) for i, one in enumerate(references))):
        (tmp_path / name).write_bytes("".join(f"{line}\n" for line in lines).encode())
    effort = Effort(resamples=300, trials=400)
    metrics = ("BLEU", "chrF2", "TER")
    comparison = compare_all(*references, effort=effort, metrics=metrics)

    files = [f"ref{number}" for number in range(num_references)]
    command = [sys.executable, "-m", "sacrebleu", *files, "-i", *SYSTEMS]
    command += ["-m", "bleu", "chrf", "ter", "-w", "4", "-f", "latex"]
    said = {}
    for kind, times in (("bs", 300), ("ar", 400)):
        options = [f"--paired-{kind}", f"--paired-{kind}-n", str(times)]
        result = subprocess.run([*command, *options], cwd=tmp_path, capture_output=True, check=True)
        said[kind] = result.stdout.decode()
    for column, metric in enumerate(comparison.metrics, start=1):
        for row in metric.systems:
            bootstrap = [row.value, row.mean, row.half_width, row.p_bootstrap]
            assert numbers_of(said["bs"], row.system, column) == written(bootstrap)
            assert numbers_of(said["ar"], row.system, column) == written(
                [row.value, row.p_randomization]
            )
        assert f" {metric.bootstrap_signature}\n" in said["bs"]
        assert f" {metric.randomization_signature}\n" in said["ar"]
    assert f"nrefs:{num_references}|bs:300|" in comparison.metrics[0].bootstrap_signature


def numbers_of(table: str, system: str, column: int) -> list[str]:
    """The numbers in a cell of a table that sacreBLEU has printed."""
    [row] = [line for line in table.split("\n") if line.split("&")[0].strip().endswith(system)]
    return re.findall(r"\d+\.\d{4}", row.split("&")[column])


def written(values: list[float | None]) -> list[str]:
    return [f"{value:.4f}" for value in values if value is not None]


SMALL = Effort(resamples=5, trials=5)


def test_wins_and_losses_are_counted_by_part() -> None:
    properties = [
        Properties(length, None, None, None, length == 1, False) for length in (1, 1, 9, 9)
    ]
    references = ["a b c", "d e f", "g h i", "j k l"]
    systems = [
        ("old", ["a b c", "d e x", "g x x", "j k l"]),
        ("new", ["a b c", "d e f", "g h i", "x y z"]),
    ]
    comparison = compare(
        systems, ground(references, properties=properties), metrics=["BLEU"], effort=SMALL
    )
    [against] = comparison.against
    assert (against.all.wins, against.all.ties, against.all.losses) == (2, 1, 1)
    by_name = {grouping.name: grouping for grouping in against.groupings}
    assert [
        (part.label, part.wins, part.ties, part.losses) for part in by_name["numbers"].parts
    ] == [
        ("without", 1, 0, 1),
        ("with", 1, 1, 0),
    ]
    assert against.gained == (2, 1)  # the most first
    assert against.lost == (3,)
    assert comparison.sentences[3].chrf2[1] == 0


def test_a_comparison_is_written_as_a_sound_page_and_for_programs(tmp_path: Path) -> None:
    systems = [("<a>", ["<script>x</script>", "ja"]), ("b", ["nein", "ja ja"])]
    comparison = compare(
        systems, ground(["<script>y</script>", "ja"]), metrics=["BLEU", "TER"], effort=SMALL
    )
    write_comparison(tmp_path, comparison)
    assert {path.name for path in tmp_path.iterdir()} == {"index.html", "scores.json"}
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert page == render_comparison(comparison)
    assert read_page(page).faults == []
    assert "<script" not in page
    content = json.loads((tmp_path / "scores.json").read_bytes())
    assert content["format_version"] == 1
    assert content["metrics"][1]["systems"][1]["value"] == comparison.metrics[1].systems[1].value


def test_less_ter_is_a_gain_on_the_page() -> None:
    systems = [("old", ["x y", "ja"]), ("new", ["a b", "ja"])]
    comparison = compare(systems, ground(["a b", "ja"]), metrics=["TER"], effort=SMALL)
    assert '<span class="gain">-66.67</span>' in render_comparison(comparison)
