"""Scores of translations against references, each with the signature that makes it comparable.

All counting is sacreBLEU's. Knows lines of text; which model wrote them is no matter here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nmt.bleu import build_bleu, tokenizer_for
from nmt.errors import DataError, RecipeError

if TYPE_CHECKING:
    from sacrebleu.metrics.base import Metric


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
        return f"{self.name} = {self.value:.2f}  {self.signature}"


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
        metrics: Any of "BLEU", "chrF2", "TER".
        target_lang: Language of both; BLEU's tokenizer follows it.
        bleu_tokenizer: One of sacreBLEU's, instead of the one that follows from the language.

    Returns:
        One score for each metric, in the order asked for.

    Raises:
        DataError: There is nothing to score, or not one reference for each hypothesis.
        RecipeError: A metric or a tokenizer is unknown or not installed.
    """
    if len(hypotheses) != len(references):
        raise DataError(
            f"every hypothesis must have a reference, "
            f"got {len(hypotheses)} hypotheses and {len(references)} references"
        )
    if not hypotheses:
        raise DataError("a test set must have at least one sentence, got none")
    scores = []
    for name in metrics:
        metric = _build_metric(name, target_lang, bleu_tokenizer)
        value = metric.corpus_score(hypotheses, [references]).score
        scores.append(Score(name, value, str(metric.get_signature())))
    return scores


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
        _build_metric(name, target_lang, bleu_tokenizer)


def _build_metric(name: str, target_lang: str, bleu_tokenizer: str | None) -> "Metric":
    # Imported late: sacreBLEU loads numpy and tables, and `--help` needs neither.
    from sacrebleu.metrics.chrf import CHRF
    from sacrebleu.metrics.ter import TER

    match name:
        case "BLEU" if bleu_tokenizer is not None:
            return build_bleu(bleu_tokenizer)
        case "BLEU":
            return build_bleu(tokenizer_for(target_lang))
        case "chrF2":
            return CHRF()
        case "TER":
            return TER()
        case _:
            raise RecipeError(f"metric must be one of 'BLEU', 'chrF2', 'TER', got {name!r}")
