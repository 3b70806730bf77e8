"""`nmt demo`: the whole road on the built-in corpus, then a prompt to try the translator."""

import random
import re
import sys
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from nmt.run_folder import RunFolder
    from nmt.translator import Translator

_NUM_SHOWN = 5
_NUM_WORDS = 12
_WORD = re.compile(r"\w+(?:'\w+)?")
_FIRST_WORDS_OF_QUESTIONS = frozenset(
    ("am", "are", "can", "do", "does", "has", "have", "is", "may", "must", "should", "was", "were")
)
_NEXT = """\
Next, a translator of your own. Put sentences and their translations into two files, line n of one
being the translation of line n of the other, keep some hundred lines apart for validation and for
testing, and name them (two CPU cores learn 30,000 pairs in under an hour):

  nmt train multi30k_en_de_cpu --run-dir runs/mine data.source_lang=en data.target_lang=de \\
      data.train.source=train.en data.train.target=train.de \\
      data.validation.source=val.en data.validation.target=val.de \\
      data.test.source=test.en data.test.target=test.de

This demo's translator stays in {run}:

  nmt translate --model {run}      nmt evaluate --model {run}      nmt info {run}"""


def demo_command(
    run_dir: Annotated[
        Path, typer.Option(help="Where the demo's translator goes; it is kept.")
    ] = Path("runs/demo"),
) -> None:
    """Train on the built-in corpus, evaluate, show translations, translate what you type.

    Needs no data and no network, and takes about two minutes. The corpus is artificial: English
    and German sentences from a small grammar.
    """
    from nmt.recipe import find_recipe, load_recipe
    from nmt.training import train
    from nmt.translator import Translator

    print(
        "The demo learns artificial English-German sentences, drawn from a small grammar.",
        file=sys.stderr,
    )
    folder = train(load_recipe(find_recipe("demo")), run_dir)
    _show_scores(folder)
    _show_translations(folder)
    if sys.stdin.isatty():
        _translate_typed(Translator.load(folder.path))
    print()
    print(_NEXT.format(run=folder.path))


def _show_scores(folder: "RunFolder") -> None:
    print()
    print(
        "Scores on artificial sentences that put nouns beside adjectives and verbs as no training"
    )
    print("sentence does (100 is perfect, for TER 0):")
    for score in folder.scores():
        print(f"  {score['name']} = {score['value']:.2f}  {score['signature']}")


def _show_translations(folder: "RunFolder") -> None:
    """Print some sentences of the test set with their translations, and the reference if other."""
    from nmt.corpus import load_pairs, read_lines

    test = folder.recipe.data.test
    if test is None:
        return
    hypotheses = read_lines(folder.report / "hypotheses.txt")
    print()
    print("Some of them, translated:")
    pairs = load_pairs(test)
    for pair, hypothesis in list(zip(pairs, hypotheses, strict=True))[:_NUM_SHOWN]:
        print(f"  {pair.source}")
        print(f"    {hypothesis}")
        if hypothesis != pair.target:
            print(f"    (reference: {pair.target})")


def _translate_typed(translator: "Translator") -> None:
    """Translate lines from the terminal until an empty one or the end of the input."""
    from nmt.corpus.grammar import known_words

    words = known_words()
    print()
    print("Type one English sentence at a time; an empty line ends. Some words that it knows:")
    print(f"  {_listed(random.Random(1).sample(words, _NUM_WORDS))}")
    while True:
        print("> ", end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline().strip()
        if not line:
            return
        notice = unknown_words_notice(line, words)
        if notice:
            print(f"  ({notice})")
        print(f"  {translator.translate([as_sentence(line)])[0]}", flush=True)


def unknown_words_notice(line: str, words: Sequence[str]) -> str:
    """Say which words of a line were never seen in training, and name some that were.

    Args:
        line: What was typed.
        words: All words of the training language, lower case.

    Returns:
        One line, empty where all words are known.
    """
    known = set(words)
    typed = dict.fromkeys(word.lower() for word in _WORD.findall(line))
    unknown = [word for word in typed if word not in known]
    if not unknown:
        return ""
    alike = dict.fromkeys(
        near for word in unknown for near in get_close_matches(word, words, 3, 0.7)
    )
    known_ones = list(alike) or random.Random(line).sample(list(words), 6)
    return f"it never saw {_listed(unknown)}; it knows, for instance, {_listed(known_ones)}"


def as_sentence(line: str) -> str:
    """Return a line with the capital and the end that all of the demo's sentences have."""
    sentence = line[:1].upper() + line[1:]
    if sentence.endswith((".", "?", "!")):
        return sentence
    is_question = line.split()[0].lower() in _FIRST_WORDS_OF_QUESTIONS
    return f"{sentence}?" if is_question else f"{sentence}."


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words)
