"""The demo as a newcomer runs it, on a few sentences, and what it says to what is typed."""

import io
from collections.abc import Sequence
from pathlib import Path

import pytest

from nmt import recipe as recipes
from nmt.cli.demo import as_sentence, unknown_words_notice
from nmt.cli.main import main
from nmt.corpus.grammar import draw_pairs, known_words
from nmt.recipe import BuiltinSet, Recipe, find_recipe
from nmt.run_folder import RunFolder

SMALL = (
    "data.train={builtin: grammar, split: train, sentences: 200}",
    "data.validation={builtin: grammar, split: validation, sentences: 5}",
    "data.test={builtin: grammar, split: test, sentences: 7}",
    "tokenizer={vocab_size: 500}",
    "model.embedding_size=8",
    "model.encoder={num_layers: 1, hidden_size: 4}",
    "model.decoder={num_layers: 2, hidden_size: 8}",
    "training.max_epochs=1",
    "training.warmup_steps=1",
    "decoding={beam_size: 1, max_target_length: 8}",
)


class Terminal(io.StringIO):
    """Typed lines."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def small_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the demo's recipe small; the folder that its run goes to."""
    monkeypatch.chdir(tmp_path)
    load_recipe = recipes.load_recipe

    def load_small(path: Path, overrides: Sequence[str] = ()) -> Recipe:
        return load_recipe(path, [*overrides, *SMALL])

    monkeypatch.setattr(recipes, "load_recipe", load_small)
    return tmp_path / "runs" / "demo"


def test_the_demo_trains_scores_and_says_how_to_go_on(
    small_demo: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("not a terminal: nobody asks\n"))
    assert main(["demo"]) == 0
    output = capfd.readouterr()
    scores = RunFolder(small_demo).scores()
    assert [score["name"] for score in scores] == ["BLEU", "chrF2", "chrF++", "TER"]
    for score in scores:
        assert f"  {score['name']} = {score['value']:.2f}  {score['signature']}\n" in output.out
    assert "artificial" in output.out
    assert "artificial" in output.err
    for pair in draw_pairs(split="test", count=5):
        assert f"  {pair.source}\n" in output.out
        assert f"    (reference: {pair.target})\n" in output.out
    assert "data.train.source=train.en" in output.out
    assert "nmt translate --model runs/demo" in output.out
    assert "Type one English sentence" not in output.out
    assert ">" not in output.err


def test_what_is_typed_is_translated(
    small_demo: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert main(["demo"]) == 0
    capfd.readouterr()
    monkeypatch.setattr("sys.stdin", Terminal("the dogg sleeps\nThe dog sleeps.\n\nnot read\n"))
    assert main(["demo"]) == 0
    output = capfd.readouterr()
    assert "is trained already" in output.err
    assert output.err.count("> ") == 3
    (notice,) = [line for line in output.out.split("\n") if "never saw" in line]
    assert notice.startswith("  (it never saw dogg; it knows, for instance, ")
    assert "dog" in notice.removesuffix(")").split(", ")
    from nmt import Translator

    (expected,) = Translator.load(small_demo).translate(["The dog sleeps."])
    typed = output.out[output.out.index("Type one English sentence") :]
    assert f"\n  {expected}\n" in typed
    assert "nmt train multi30k_en_de_cpu" in typed


@pytest.mark.parametrize("ending", [["the dog sleeps"], []])
def test_the_end_of_the_input_ends_the_prompt(
    ending: list[str], small_demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal("\n".join(ending)))
    assert main(["demo", "--run-dir", "elsewhere"]) == 0
    assert RunFolder("elsewhere").scores()
    assert not small_demo.exists()


def test_known_words_are_not_noticed() -> None:
    assert unknown_words_notice("The dog, the Dog!", ["dog", "the"]) == ""
    assert unknown_words_notice("% ...", ["dog"]) == ""


def test_unknown_words_are_named_with_words_like_them() -> None:
    words = ["dog", "doctor", "house", "houses", "the"]
    assert (
        unknown_words_notice("The hous and the hous", words)
        == "it never saw hous, and; it knows, for instance, house, houses"
    )


def test_some_words_are_named_where_none_is_alike() -> None:
    words = ["dog", "doctor", "house", "houses", "the", "cat", "bird"]
    notice = unknown_words_notice("Xylophon", words)
    told, _, named = notice.partition("; it knows, for instance, ")
    assert told == "it never saw xylophon"
    assert len(set(named.split(", ")) & set(words)) == 6


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("the dog sleeps", "The dog sleeps."),
        ("The dog sleeps.", "The dog sleeps."),
        ("does it?", "Does it?"),
        ("does it", "Does it?"),
        ("Is it", "Is it?"),
        ("x", "X."),
    ],
)
def test_a_typed_line_becomes_a_sentence(line: str, sentence: str) -> None:
    assert as_sentence(line) == sentence


def test_the_demo_learns_from_the_grammar_alone() -> None:
    data = recipes.load_recipe(find_recipe("demo")).data
    for split, one in (("train", data.train), ("validation", data.validation), ("test", data.test)):
        assert isinstance(one, BuiltinSet)
        assert one.split == split


def test_every_known_word_is_one_word() -> None:
    assert len(known_words()) > 100
    assert list(known_words()) == sorted(set(known_words()))
    assert all(word == word.lower() and " " not in word for word in known_words())
