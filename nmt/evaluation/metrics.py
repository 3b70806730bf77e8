"""The metrics by the names that people know, each a metric of sacreBLEU's.

Knows which settings belong to a name and to a language; counts nothing itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nmt.bleu import References, build_bleu, tokenizer_for
from nmt.errors import RecipeError

if TYPE_CHECKING:
    from sacrebleu.metrics.base import Metric

METRICS = ("BLEU", "chrF2", "chrF++", "TER")


def build_metric(
    name: str,
    *,
    target_lang: str,
    bleu_tokenizer: str | None = None,
    references: References | None = None,
) -> Metric:
    """Return a metric of sacreBLEU's.

    Args:
        name: One of `METRICS`.
        target_lang: Language of the texts; BLEU's tokenizer follows it.
        bleu_tokenizer: One of sacreBLEU's, instead of the one that follows from the language.
        references: What to hold translations against, counted once and kept.

    Raises:
        RecipeError: The metric or the tokenizer is unknown or not installed.
    """
    # Imported late: sacreBLEU loads numpy and tables, and `--help` needs neither.
    from sacrebleu.metrics.chrf import CHRF
    from sacrebleu.metrics.ter import TER

    match name:
        case "BLEU" if bleu_tokenizer is not None:
            return build_bleu(bleu_tokenizer, references=references)
        case "BLEU":
            return build_bleu(tokenizer_for(target_lang), references=references)
        case "chrF2":
            return CHRF(references=references)
        case "chrF++":
            return CHRF(word_order=2, references=references)
        case "TER":
            return TER(references=references)
        case _:
            known = ", ".join(map(repr, METRICS))
            raise RecipeError(f"metric must be one of {known}, got {name!r}")
