"""BLEU as sacreBLEU counts it, and by which of its tokenizers the words of a language are told."""

import functools
import logging
from typing import TYPE_CHECKING

from nmt.errors import RecipeError

# sacreBLEU is imported where it is used: it loads NumPy and tables, and `--help` needs neither.
if TYPE_CHECKING:
    from sacrebleu.metrics.bleu import BLEU

_log = logging.getLogger(__name__)

# The languages for which words between spaces are the wrong unit, by two- and three-letter code.
_TOKENIZERS = {
    "zh": "zh",
    "zho": "zh",
    "cmn": "zh",
    "ja": "ja-mecab",
    "jpn": "ja-mecab",
    "ko": "ko-mecab",
    "kor": "ko-mecab",
}


def build_bleu(tokenizer: str) -> "BLEU":
    """Return BLEU with one of sacreBLEU's tokenizers.

    Raises:
        RecipeError: The tokenizer is unknown or not installed.
    """
    from sacrebleu.metrics.bleu import BLEU

    if tokenizer not in BLEU.TOKENIZERS:
        known = ", ".join(repr(name) for name in BLEU.TOKENIZERS)
        raise RecipeError(f"bleu_tokenizer must be one of {known}, got {tokenizer!r}")
    try:
        # `force` changes no number; it silences a warning about tokenized text.
        return BLEU(tokenize=tokenizer, force=True)
    except (RuntimeError, OSError) as error:  # its package is missing; its file cannot be fetched
        reason = " ".join(str(error).split())
        raise RecipeError(f"bleu_tokenizer {tokenizer!r} cannot be used here: {reason}") from error


def tokenizer_for(target_lang: str) -> str:
    """Return the tokenizer for a language: `char`, with a notice, where it is not installed."""
    language = target_lang.replace("_", "-").split("-")[0].lower()  # zh of zh-CN, zho of zho_Hans
    tokenizer = _TOKENIZERS.get(language, "13a")
    try:
        build_bleu(tokenizer)
    except RecipeError:  # MeCab is a package of its own
        extra = tokenizer.removesuffix("-mecab")
        _notify_once(
            f"BLEU is counted over characters: {tokenizer!r}, the tokenizer for {target_lang!r}, "
            f"is not installed; install sacrebleu[{extra}] to count words"
        )
        return "char"
    return tokenizer


@functools.cache
def _notify_once(notice: str) -> None:
    _log.warning(notice)
