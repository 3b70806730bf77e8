import pytest

from nmt.corpus import SentencePair
from nmt.errors import DataError
from nmt.evaluation import evaluate
from nmt.recipe import Recipe, parse_recipe

RECIPE = """
data:
  source_lang: zh
  target_lang: en
  reverse: {reverse}
  train: {{tsv: train.tsv}}
  validation: {{tsv: validation.tsv}}
training: {{max_sentences: 1}}
evaluation: {{metrics: [TER, BLEU], bleu_tokenizer: {tokenizer}}}
"""
PAIRS = [SentencePair("eine Katze", "a cat"), SentencePair("nein", "no")]


def recipe(*, reverse: str = "false", tokenizer: str = "null") -> Recipe:
    return parse_recipe(RECIPE.format(reverse=reverse, tokenizer=tokenizer), name="recipe")


def test_an_evaluation_holds_all_that_a_report_needs() -> None:
    evaluation = evaluate(["one cat", "no"], PAIRS, recipe(), model="runs/a", test_set="b.tsv")
    assert (evaluation.model, evaluation.test_set) == ("runs/a", "b.tsv")
    assert evaluation.sources == ["eine Katze", "nein"]
    assert evaluation.references == ["a cat", "no"]
    assert evaluation.hypotheses == ["one cat", "no"]
    assert [score.name for score in evaluation.scores] == ["TER", "BLEU"]
    assert evaluation.scores[0].value == pytest.approx(100 / 3)  # one edit for three words


@pytest.mark.parametrize(
    ("changes", "tokenizer"),
    [({}, "13a"), ({"reverse": "true"}, "zh"), ({"tokenizer": "intl"}, "intl")],
)
def test_the_recipe_says_how_bleu_cuts_words(changes: dict[str, str], tokenizer: str) -> None:
    evaluation = evaluate(
        ["one cat", "no"], PAIRS, recipe(**changes), model="runs/a", test_set="b.tsv"
    )
    assert f"|tok:{tokenizer}|" in evaluation.scores[1].signature


def test_a_missing_translation_is_an_error() -> None:
    message = "every hypothesis must have a reference, got 1 hypotheses and 2 references"
    with pytest.raises(DataError, match=f"^{message}$"):
        evaluate(["a cat"], PAIRS, recipe(), model="runs/a", test_set="b.tsv")
