"""Scores of translations against references, each with the signature that makes it comparable.

Knows lines of text; which model wrote them is no matter here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nmt.bleu import References
from nmt.errors import DataError
from nmt.evaluation.metrics import build_metric


@dataclass(frozen=True, slots=True)
class Score:
    """One metric's value for a whole test set.

    Args:
        name: The metric, such as "BLEU".
        value: In per cent; for TER less is better.
        signature: How it was computed, in sacreBLEU's words.
        interval: Lower and upper bound of a 95 % confidence interval, where one was computed.
    """

    name: str
    value: float
    signature: str
    interval: tuple[float, float] | None = None

    def __str__(self) -> str:
        """Say it in one line, the interval as `sacrebleu --confidence` does."""
        spread = ""
        if self.interval is not None:
            lower, upper = self.interval
            spread = f" (μ = {(lower + upper) / 2:.2f} ± {(upper - lower) / 2:.2f})"
        return f"{self.name} = {self.value:.2f}{spread}  {self.signature}"


def compute_scores(
    hypotheses: Sequence[str],
    references: Sequence[str],
    *,
    metrics: Sequence[str],
    target_lang: str,
    bleu_tokenizer: str | None = None,
) -> list[Score]:
    """Score translations against one reference each.

    Args:
        hypotheses: Detokenized translations, one line each.
        references: What people wrote for the same lines; a blank one counts as it is.
        metrics: Any of "BLEU", "chrF2", "chrF++", "TER".
        target_lang: Language of both; BLEU's tokenizer follows it.
        bleu_tokenizer: One of sacreBLEU's, instead of the one that follows from the language.

    Returns:
        One score for each metric, in the order asked for.

    Raises:
        DataError: There is nothing to score, or not one reference for each hypothesis.
        RecipeError: A metric or a tokenizer is unknown or not installed.
    """
    check_lines(hypotheses, [references])
    scores = []
    for name in metrics:
        metric = build_metric(name, target_lang=target_lang, bleu_tokenizer=bleu_tokenizer)
        value = metric.corpus_score(hypotheses, [references]).score
        scores.append(Score(name, value, str(metric.get_signature())))
    return scores


def check_lines(hypotheses: Sequence[str], references: References) -> None:
    """See that every hypothesis has its references.

    Raises:
        DataError: There is nothing to score, or not one reference for each hypothesis.
    """
    for lines in references:
        if len(hypotheses) != len(lines):
            raise DataError(
                f"every hypothesis must have a reference, "
                f"got {len(hypotheses)} hypotheses and {len(lines)} references"
            )
    if not hypotheses:
        raise DataError("a test set must have at least one sentence, got none")


def check_metrics(
    metrics: Sequence[str], *, target_lang: str, bleu_tokenizer: str | None = None
) -> None:
    """Raise what `compute_scores` would raise of its metrics: before hours of work, not after.

    Args:
        metrics: As for `compute_scores`.
        target_lang: As for `compute_scores`.
        bleu_tokenizer: As for `compute_scores`.

    Raises:
        RecipeError: A metric or a tokenizer is unknown or not installed.
    """
    for name in metrics:
        build_metric(name, target_lang=target_lang, bleu_tokenizer=bleu_tokenizer)
