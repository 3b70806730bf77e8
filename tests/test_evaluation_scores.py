import logging
import math
import re
from urllib.error import URLError

import pytest
from sacrebleu.tokenizers import tokenizer_ja_mecab, tokenizer_ko_mecab, tokenizer_spm

from nmt.errors import DataError, RecipeError
from nmt.evaluation import Score, check_metrics, compute_scores

REFERENCES = ["the cat sat on the mat .", "a dog runs", "no"]


def bleu(target_lang: str, bleu_tokenizer: str | None = None) -> Score:
    [score] = compute_scores(
        REFERENCES,
        REFERENCES,
        metrics=["BLEU"],
        target_lang=target_lang,
        bleu_tokenizer=bleu_tokenizer,
    )
    return score


@pytest.fixture
def without_mecab(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (tokenizer_ja_mecab, tokenizer_ko_mecab):
        monkeypatch.setattr(module, "MeCab", None)


@pytest.fixture
def with_mecab(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let words be characters, so that no dictionary need be installed."""
    for tokenizer in (tokenizer_ja_mecab.TokenizerJaMecab, tokenizer_ko_mecab.TokenizerKoMecab):
        monkeypatch.setattr(tokenizer, "__init__", lambda self: None)
        monkeypatch.setattr(tokenizer, "__call__", lambda self, line: " ".join(line))
        monkeypatch.setattr(tokenizer, "signature", lambda self: type(self).__name__)


def test_scores_come_in_the_order_asked_for_with_their_signatures() -> None:
    scores = compute_scores(
        REFERENCES, REFERENCES, metrics=["TER", "BLEU", "chrF2"], target_lang="en"
    )
    assert [(score.name, score.value) for score in scores] == [
        ("TER", 0.0),
        ("BLEU", pytest.approx(100)),
        ("chrF2", pytest.approx(100)),
    ]
    signatures = [re.sub(r"\|version:[\d.]+$", "", score.signature) for score in scores]
    assert signatures == [
        "nrefs:1|case:lc|tok:tercom|norm:no|punct:yes|asian:no",
        "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp",
        "nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no",
    ]


def test_bleu_is_what_papineni_2002_says() -> None:
    # 5 of 6 words, 3 of 5 pairs, 2 of 4 triples, 1 of 3 quadruples; 6 words against 7.
    [score] = compute_scores(
        ["the cat sat on a mat"],
        ["the cat sat on the old mat"],
        metrics=["BLEU"],
        target_lang="en",
    )
    precision = (5 / 6 * 3 / 5 * 2 / 4 * 1 / 3) ** 0.25
    brevity_penalty = math.exp(1 - 7 / 6)
    assert score.value == pytest.approx(100 * precision * brevity_penalty)


def test_ter_is_edits_over_reference_words() -> None:
    [score] = compute_scores(
        ["a dog walks", "no"], ["a dog runs", "no no"], metrics=["TER"], target_lang="en"
    )
    assert score.value == pytest.approx(100 * 2 / 5)


def test_a_score_prints_with_its_signature() -> None:
    assert str(Score("BLEU", 37.6049, "nrefs:1|tok:13a")) == "BLEU = 37.60  nrefs:1|tok:13a"


@pytest.mark.parametrize(
    ("target_lang", "tokenizer"),
    [
        ("en", "13a"),
        ("de", "13a"),
        ("zh", "zh"),
        ("ZH-cn", "zh"),
        ("zho_Hans", "zh"),
        ("cmn", "zh"),
        ("zhx", "13a"),
    ],
)
def test_the_tokenizer_of_bleu_follows_the_target_language(
    target_lang: str, tokenizer: str
) -> None:
    assert f"|tok:{tokenizer}|" in bleu(target_lang).signature


@pytest.mark.usefixtures("with_mecab")
@pytest.mark.parametrize(
    ("target_lang", "tokenizer"),
    [("ja", "JaMecab"), ("jpn_Jpan", "JaMecab"), ("ko", "KoMecab"), ("kor", "KoMecab")],
)
def test_mecab_is_used_where_it_is_installed(target_lang: str, tokenizer: str) -> None:
    assert f"|tok:Tokenizer{tokenizer}|" in bleu(target_lang).signature


@pytest.mark.usefixtures("without_mecab")
@pytest.mark.parametrize(("target_lang", "short"), [("ja-JP", "ja"), ("kor", "ko")])
def test_without_mecab_characters_are_counted_with_one_notice(
    target_lang: str, short: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        score = bleu(target_lang)
        bleu(target_lang)
    assert "|tok:char|" in score.signature
    assert caplog.messages == [
        f"BLEU is counted over characters: '{short}-mecab', the tokenizer for {target_lang!r}, "
        f"is not installed; install sacrebleu[{short}] to count words"
    ]


def test_an_explicit_tokenizer_wins() -> None:
    assert "|tok:intl|" in bleu("zh", "intl").signature


def test_an_unknown_tokenizer_is_an_error_that_lists_the_known() -> None:
    message = "bleu_tokenizer must be one of 'none', 'zh', '13a', 'intl', 'char', "
    with pytest.raises(RecipeError, match=f"^{message}.*, got '13b'$"):
        bleu("en", "13b")
    with pytest.raises(RecipeError, match=f"^{message}.*, got ''$"):
        bleu("en", "")


@pytest.mark.usefixtures("without_mecab")
def test_an_explicit_tokenizer_that_is_not_installed_is_an_error_in_one_line() -> None:
    message = "bleu_tokenizer 'ko-mecab' cannot be used here: Korean tokenization requires"
    with pytest.raises(RecipeError, match=rf"^{message}.* pip install sacrebleu\[ko\]$"):
        bleu("ko", "ko-mecab")


def test_a_tokenizer_that_cannot_be_fetched_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*addresses: str) -> None:
        raise URLError("no network")

    monkeypatch.setattr(tokenizer_spm, "SACREBLEU_DIR", "nowhere")
    monkeypatch.setattr(tokenizer_spm, "download_file", refuse)
    message = "bleu_tokenizer 'flores200' cannot be used here: <urlopen error no network>"
    with pytest.raises(RecipeError, match=f"^{message}$"):
        bleu("en", "flores200")


def test_an_unknown_metric_is_an_error() -> None:
    message = r"metric must be one of 'BLEU', 'chrF2', 'chrF\+\+', 'TER', got 'METEOR'"
    with pytest.raises(RecipeError, match=f"^{message}$"):
        compute_scores(["a"], ["a"], metrics=["METEOR"], target_lang="en")


def test_metrics_are_checked_without_scoring() -> None:
    check_metrics(["BLEU", "chrF2", "TER"], target_lang="zh", bleu_tokenizer="intl")
    with pytest.raises(RecipeError, match=r"got 'METEOR'$"):
        check_metrics(["BLEU", "METEOR"], target_lang="en")
    with pytest.raises(RecipeError, match=r"got '13b'$"):
        check_metrics(["chrF2", "BLEU"], target_lang="en", bleu_tokenizer="13b")


def test_a_missing_reference_is_an_error() -> None:
    message = "every hypothesis must have a reference, got 3 hypotheses and 2 references"
    with pytest.raises(DataError, match=f"^{message}$"):
        compute_scores(["a", "b", "c"], ["a", "b"], metrics=["BLEU"], target_lang="en")


def test_nothing_to_score_is_an_error() -> None:
    message = "a test set must have at least one sentence, got none"
    with pytest.raises(DataError, match=f"^{message}$"):
        compute_scores([], [], metrics=["BLEU"], target_lang="en")


@pytest.mark.parametrize("metric", ["BLEU", "chrF2", "TER"])
@pytest.mark.parametrize(
    ("hypotheses", "references"),
    [(["a", "", "b"], ["", "", "b"]), (["a"], [""]), ([""], [""]), ([""], ["a"])],
)
def test_blank_lines_are_scored_as_they_are(
    metric: str, hypotheses: list[str], references: list[str]
) -> None:
    [score] = compute_scores(hypotheses, references, metrics=[metric], target_lang="en")
    assert 0 <= score.value <= 100
