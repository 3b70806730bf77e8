"""One evaluation: a model's translations of a test set, and what they score. Knows no models."""

from collections.abc import Sequence
from dataclasses import dataclass

from nmt.corpus import SentencePair
from nmt.evaluation.scores import Score, compute_scores
from nmt.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One model's translations of one test set, and what they scored.

    Args:
        model: Name of the model as the reader knows it, such as its run folder.
        test_set: Name of the test set.
        sources: The lines that were translated.
        references: What people wrote for them.
        hypotheses: What the model wrote for them, each in one line.
        scores: Scores of the hypotheses against the references.
    """

    model: str
    test_set: str
    sources: Sequence[str]
    references: Sequence[str]
    hypotheses: Sequence[str]
    scores: Sequence[Score]


def evaluate(
    hypotheses: Sequence[str],
    pairs: Sequence[SentencePair],
    recipe: Recipe,
    *,
    model: str,
    test_set: str,
    target_lang: str | None = None,
) -> Evaluation:
    """Score translations of a test set by the metrics that a recipe asks for.

    Args:
        hypotheses: One translation for each pair's source, in order.
        pairs: The test set; its targets are the references.
        recipe: Says the metrics and the target language.
        model: Name of the model as the reader knows it.
        test_set: Name of the test set.
        target_lang: The language of the references; None is the recipe's.

    Raises:
        DataError: The numbers of hypotheses and pairs differ, or are zero.
        RecipeError: A metric or a tokenizer is unknown or not installed.
    """
    references = [pair.target for pair in pairs]
    scores = compute_scores(
        hypotheses,
        references,
        metrics=recipe.evaluation.metrics,
        target_lang=target_lang or recipe.data.direction[1],
        bleu_tokenizer=recipe.evaluation.bleu_tokenizer,
    )
    sources = [pair.source for pair in pairs]
    return Evaluation(model, test_set, sources, references, hypotheses, scores)
