import pytest

from nmt.evaluation.words import count_scripts, is_unspaced, parts_of, words_of


@pytest.mark.parametrize(
    ("text", "lang", "words"),
    [
        ("A T-shirt, isn't it? 3.5", "en", ["A", "T-shirt", "isn't", "it", "3", "5"]),
        ("我有3只猫。", "zh", ["我", "有", "3", "只", "猫"]),
        ("", "en", []),
    ],
)
def test_words_are_what_people_call_so(text: str, lang: str, words: list[str]) -> None:
    assert words_of(text, lang) == words


@pytest.mark.parametrize("text", ["A T-shirt,  isn't\u2028it?", "我有3只猫。 <b>"])
def test_parts_joined_are_the_text(text: str) -> None:
    assert "".join(parts_of(text, "en")) == text
    assert "".join(parts_of(text, "zh")) == text
    assert parts_of("猫狗 a", "zh") == ["猫", "狗", " ", "a"]


def test_languages_without_spaces_are_known_by_any_code() -> None:
    assert [is_unspaced(lang) for lang in ("zh-CN", "jpn_Jpan", "TH", "de", "zhx")] == [
        True,
        True,
        True,
        False,
        False,
    ]


def test_scripts_are_counted_by_letters() -> None:
    assert count_scripts(["cat кот 3", "猫 חתול"]) == {
        "LATIN": 3,
        "CYRILLIC": 3,
        "CJK": 1,
        "HEBREW": 4,
    }
