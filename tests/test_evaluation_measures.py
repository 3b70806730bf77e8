import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sacrebleu import BLEU, CHRF, TER

from nmt.evaluation.measures import Measure
from nmt.evaluation.metrics import METRICS

REFERENCES = [
    ["the cat sat on the mat .", "a dog runs", "no", "it is a very fine day today"],
    ["a cat was sitting on a mat.", "the dog is running", "", "what a fine day it is"],
]
HYPOTHESES = ["the cat sits on the mat.", "a dog runs fast", "no", "it is a fine day"]


def metric_of(name: str) -> Any:
    return {"BLEU": BLEU(), "chrF2": CHRF(), "chrF++": CHRF(word_order=2), "TER": TER()}[name]


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("num_references", [1, 2])
def test_all_and_each_score_what_sacrebleu_says(name: str, num_references: int) -> None:
    references = REFERENCES[:num_references]
    measure = Measure(name, references, target_lang="en")
    counts = measure.count(HYPOTHESES)
    metric = metric_of(name)
    assert measure.score(counts) == metric.corpus_score(HYPOTHESES, references).score
    assert measure.signature == str(metric.get_signature())
    assert f"nrefs:{num_references}|" in measure.signature
    expected = [
        metric.corpus_score([hypothesis], [[lines[place]] for lines in references]).score
        for place, hypothesis in enumerate(HYPOTHESES)
    ]
    assert measure.score_each(counts).tolist() == expected
    some = measure.score(counts[1:3])
    part = [lines[1:3] for lines in references]
    assert some == metric.corpus_score(HYPOTHESES[1:3], part).score


def test_intervals_are_those_of_sacrebleus_own_command(tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    words = ["a", "b", "c", "d", "e", "f", "g", "h"]
    references = [" ".join(generator.choice(words, 9)) for _ in range(60)]
    hypotheses = [f"{line[:-2]} {generator.choice(words)}" for line in references]
    for name, lines in (("ref", references), ("hyp", hypotheses)):
        (tmp_path / name).write_bytes("".join(f"{line}\n" for line in lines).encode())
    command = "ref -i hyp -m bleu chrf ter --confidence --confidence-n 200 -w 4 -f json"
    result = subprocess.run(
        [sys.executable, "-m", "sacrebleu", *command.split()],
        cwd=tmp_path,
        capture_output=True,
        check=True,
    )
    for said, name in zip(json.loads(result.stdout), ("BLEU", "chrF2", "TER"), strict=True):
        measure = Measure(name, [references], target_lang="en")
        counts = measure.count(hypotheses)
        lower, upper = measure.interval(counts, resamples=200)
        assert said["score"] == round(measure.score(counts), 4)
        assert said["confidence_mean"] == round((lower + upper) / 2, 4)
        assert said["confidence_var"] == round((upper - lower) / 2, 4)


def test_the_seed_is_sacrebleus(monkeypatch: pytest.MonkeyPatch) -> None:
    measure = Measure("chrF2", REFERENCES[:1], target_lang="en")
    counts = measure.count(HYPOTHESES)
    usual = measure.interval(counts)
    assert measure.interval(counts) == usual
    monkeypatch.setenv("SACREBLEU_SEED", "7")
    assert measure.interval(counts) != usual
    monkeypatch.setenv("SACREBLEU_SEED", "None")
    assert measure.interval(counts, resamples=50) != measure.interval(counts, resamples=50)
