"""BLEU's tokenizer: by the language, or as asked; see also `test_evaluation_scores.py`."""

import pytest
from sacrebleu.tokenizers import tokenizer_ja_mecab, tokenizer_ko_mecab

from nmt.bleu import build_bleu, tokenizer_for
from nmt.errors import RecipeError


@pytest.mark.parametrize(
    ("target_lang", "tokenizer"),
    [("de", "13a"), ("zh-CN", "zh"), ("cmn_Hans", "zh"), ("zhx", "13a")],
)
def test_the_language_names_the_tokenizer(target_lang: str, tokenizer: str) -> None:
    assert tokenizer_for(target_lang) == tokenizer


@pytest.mark.parametrize("target_lang", ["jpn", "ko-KR"])
def test_without_mecab_words_are_characters(
    target_lang: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (tokenizer_ja_mecab, tokenizer_ko_mecab):
        monkeypatch.setattr(module, "MeCab", None)
    assert tokenizer_for(target_lang) == "char"
    with pytest.raises(RecipeError, match="bleu_tokenizer 'ja-mecab' cannot be used here: "):
        build_bleu("ja-mecab")


def test_words_are_told_as_asked() -> None:
    metric = build_bleu("char")
    # one of four characters is another: three of the pairs, two of the triples, one quadruple
    assert metric.corpus_score(["abcd x"], [["abcd y"]]).precisions[0] == pytest.approx(80)
