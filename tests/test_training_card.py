import pytest

from nmt.recipe import Recipe, parse_recipe
from nmt.training.card import model_card

SCORES = [
    {"name": "BLEU", "value": 37.604, "signature": "nrefs:1|tok:13a"},
    {"name": "chrF2", "value": 61.2, "signature": "nrefs:1|nc:6"},
]


def recipe_of(*overrides: str) -> Recipe:
    text = """
data:
  source_lang: en
  target_lang: de
  train: {tsv: train.tsv}
  validation: {tsv: validation.tsv}
training: {max_sentences: 2}
"""
    return parse_recipe(text, name="recipe", overrides=overrides)


def card(
    recipe: Recipe,
    *,
    sets: dict[str, str] | None = None,
    scores: list[dict[str, object]] | None = None,
) -> str:
    return model_card(
        recipe,
        path="runs/multi30k",
        sets=sets or {"train": "train.tsv", "validation": "validation.tsv", "test": "test.tsv"},
        num_pairs=29000,
        num_weights=3456789,
        chosen="validation chrF2",
        versions={"nmt": "0.1.0", "torch": "2.13.0"},
        scores=scores or [],
    )


def test_it_says_what_the_model_is_and_how_to_use_it() -> None:
    lines = card(recipe_of()).split("\n")
    assert lines[0] == "# multi30k: translates en into de"
    assert "    nmt translate --model runs/multi30k < source.txt > target.txt" in lines
    text = " ".join(lines)
    assert "3,456,789 weights, trained on 29,000 sentence pairs" in text


def test_a_reversed_model_translates_the_other_way() -> None:
    assert card(recipe_of("data.reverse=true")).startswith("# multi30k: translates de into en\n")


@pytest.mark.parametrize(
    "row",
    [
        r"| BLEU | 37.60 | `nrefs:1\|tok:13a` |",
        r"| chrF2 | 61.20 | `nrefs:1\|nc:6` |",
        "| training set | train.tsv |",
        "| validation set | validation.tsv |",
        "| test set | test.tsv |",
        "| weights chosen by | validation chrF2 |",
        "| written by | nmt 0.1.0, torch 2.13.0 |",
    ],
)
def test_it_names_scores_with_signatures_and_all_that_they_rest_on(row: str) -> None:
    assert row in card(recipe_of(), scores=SCORES).split("\n")


def test_without_a_test_set_it_says_so() -> None:
    lines = card(recipe_of(), sets={"train": "a", "validation": "b"}).split("\n")
    assert "| not tested | | |" in lines
    assert "| test set | none |" in lines


def test_a_bar_in_a_name_stays_in_its_cell() -> None:
    lines = card(recipe_of(), sets={"train": "a|b", "validation": "c|d", "test": "e|f"}).split("\n")
    assert r"| training set | a\|b |" in lines
    assert r"| validation set | c\|d |" in lines
    assert r"| test set | e\|f |" in lines
