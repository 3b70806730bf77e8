"""The metrics by the names that people know, each a metric of sacreBLEU's.

Knows which settings belong to a name and to a language; counts nothing itself.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nmt.errors import RecipeError

if TYPE_CHECKING:
    from sacrebleu.metrics.base import Metric
    from sacrebleu.metrics.bleu import BLEU

_log = logging.getLogger(__name__)

METRICS = ("BLEU", "chrF2", "chrF++", "TER")

# The languages for which words between spaces are the wrong unit, by two- and three-letter code.
_BLEU_TOKENIZERS = {
    "zh": "zh",
    "zho": "zh",
    "cmn": "zh",
    "ja": "ja-mecab",
    "jpn": "ja-mecab",
    "ko": "ko-mecab",
    "kor": "ko-mecab",
}

# One translator's lines; several translators' are several references for each segment.
References = Sequence[Sequence[str]]


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

    kept: dict[str, Any] = {"references": references}
    match name:
        case "BLEU" if bleu_tokenizer is not None:
            return _build_bleu_as_asked(bleu_tokenizer, kept)
        case "BLEU":
            return _build_bleu_for(target_lang, kept)
        case "chrF2":
            return CHRF(**kept)
        case "chrF++":
            return CHRF(word_order=2, **kept)
        case "TER":
            return TER(**kept)
        case _:
            known = ", ".join(map(repr, METRICS))
            raise RecipeError(f"metric must be one of {known}, got {name!r}")


def _build_bleu_as_asked(tokenizer: str, kept: dict[str, Any]) -> BLEU:
    from sacrebleu.metrics.bleu import BLEU

    if tokenizer not in BLEU.TOKENIZERS:
        known = ", ".join(repr(name) for name in BLEU.TOKENIZERS)
        raise RecipeError(f"bleu_tokenizer must be one of {known}, got {tokenizer!r}")
    try:
        return _build_bleu(tokenizer, kept)
    except (RuntimeError, OSError) as error:  # its package is missing; its file cannot be fetched
        reason = " ".join(str(error).split())
        raise RecipeError(f"bleu_tokenizer {tokenizer!r} cannot be used here: {reason}") from error


def _build_bleu_for(target_lang: str, kept: dict[str, Any]) -> BLEU:
    language = target_lang.replace("_", "-").split("-")[0].lower()  # zh of zh-CN, zho of zho_Hans
    tokenizer = _BLEU_TOKENIZERS.get(language, "13a")
    try:
        return _build_bleu(tokenizer, kept)
    except RuntimeError:  # MeCab is a package of its own
        extra = tokenizer.removesuffix("-mecab")
        _notify_once(
            f"BLEU is counted over characters: {tokenizer!r}, the tokenizer for {target_lang!r}, "
            f"is not installed; install sacrebleu[{extra}] to count words"
        )
        return _build_bleu("char", kept)


def _build_bleu(tokenizer: str, kept: dict[str, Any]) -> BLEU:
    from sacrebleu.metrics.bleu import BLEU

    # `force` changes no number; it silences a warning about tokenized text that the report gives.
    return BLEU(tokenize=tokenizer, force=True, **kept)


@functools.cache
def _notify_once(notice: str) -> None:
    _log.warning(notice)
