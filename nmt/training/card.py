"""The model card: what a person finds in a run folder before anything else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nmt.recipe import Recipe

_CARD = """\
# {name}: translates {source_lang} into {target_lang}

A recurrent encoder-decoder, {num_weights:,} weights, trained on {num_pairs} sentence
pairs. It translates by itself, without a network:

    python translate.py --model {path} < source.txt > target.txt
    nmt translate --model {path} < source.txt > target.txt

| test score | value | signature |
|---|---|---|
{scores}

What it has not seen in training it translates badly; it knows no facts, and it may leave out or
make up. It is fit for text like its training data.

| what | |
|---|---|
| training set | {train_set} |
| validation set | {validation_set} |
| test set | {test_set} |
| weights chosen by | {chosen} |
{origin}| written by | nmt {version}, torch {torch} |

`recipe.yaml` says all of how it was trained; `versions.json` holds the hashes of its data.
"""


def model_card(
    recipe: Recipe,
    *,
    path: str,
    sets: Mapping[str, str],
    num_pairs: int | None,
    num_weights: int,
    chosen: str,
    versions: Mapping[str, Any],
    scores: Sequence[Mapping[str, Any]],
) -> str:
    """Return the card in Markdown.

    Args:
        recipe: What was trained.
        path: The run folder as the commands shall name it.
        sets: Names of the sets `train`, `validation` and `test`.
        num_pairs: Pairs trained on; None where nobody knows.
        num_weights: Weights of the model, shared ones once.
        chosen: How the weights were chosen.
        versions: What is in `versions.json`.
        scores: What is in `scores.json`; empty where there is no test set.
    """
    rows = [
        f"| {score['name']} | {score['value']:.2f} | `{_cell(score['signature'])}` |"
        for score in scores
    ]
    source_lang, target_lang = recipe.data.direction
    return _CARD.format(
        name=path.rstrip("/").split("/")[-1],
        source_lang=source_lang,
        target_lang=target_lang,
        num_weights=num_weights,
        num_pairs="a stream of" if num_pairs is None else f"{num_pairs:,}",
        path=path,
        scores="\n".join(rows) or "| not tested | | |",
        train_set=_cell(sets["train"]),
        validation_set=_cell(sets["validation"]),
        test_set=_cell(sets.get("test", "none")),
        chosen=chosen,
        origin=_origin(recipe),
        version=versions["nmt"],
        torch=versions["torch"],
    )


def _origin(recipe: Recipe) -> str:
    """Return the row that says which run a training started from; nothing where it was none."""
    if recipe.finetune is None:
        return ""
    return f"| fine-tuned from | {_cell(recipe.finetune.run)} |\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")  # a bare | would end the table's cell
