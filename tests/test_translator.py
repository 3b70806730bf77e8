"""Text in, text out: as many lines as came, in their order, whatever is in them."""

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import product
from pathlib import Path
from threading import Barrier

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scripted_engine import Ids, ScriptedEngine
from tiny_run import SOURCES, write_run
from torch import Tensor

from nmt.engine import Engine, FoldedEngine
from nmt.errors import CheckpointError, DataError, NMTError
from nmt.model import DecoderState, EncoderOutput
from nmt.recipe import DecodingRecipe, TokenizerRecipe
from nmt.risk import Ranking, Utility, rank_candidates, weights_of
from nmt.run_folder import RunFolder, load_run
from nmt.search import SamplingOptions
from nmt.tokenizer import Tokenizer
from nmt.translator import Request, Translation, Translator

SENTENCES = ["A man rides a horse.", "Two dogs run fast, said he.", "The cat sat on the mat!"]
TOKENIZER = Tokenizer.train(SENTENCES, TokenizerRecipe(vocab_size=285))
LINE_BREAK_ID = TOKENIZER.line_break_ids[0]


class CopyEngine:
    """Says what it hears, and next to it, less loudly, a few tokens that are never the same twice.

    `lengths` notes the source lengths of each batch, EOS included.
    """

    device = torch.device("cpu")
    has_attention = True

    def __init__(self) -> None:
        self.lengths: list[list[int]] = []

    def encode(
        self, source_ids: Tensor, source_lengths: Tensor
    ) -> tuple[EncoderOutput, DecoderState]:
        self.lengths.append(source_lengths.tolist())
        mask = torch.arange(source_ids.size(1)) < source_lengths.unsqueeze(1)
        place = torch.zeros(1, len(source_ids), 1, dtype=torch.long)
        nothing = torch.empty(len(source_ids), 0)
        state = DecoderState(place, place, feedback=nothing, coverage=nothing)
        return EncoderOutput(source_ids, source_ids, mask), state

    def step(
        self, token_ids: Tensor, state: DecoderState, encoder_output: EncoderOutput
    ) -> tuple[Tensor, DecoderState, Tensor]:
        place = state.hidden[0].clamp(max=encoder_output.states.size(1) - 1)  # (N, 1)
        log_probs = torch.full((len(token_ids), TOKENIZER.vocab_size), -50.0)
        log_probs.scatter_(1, encoder_output.states.gather(1, place), -0.25)
        attention = torch.zeros(encoder_output.states.shape).scatter_(1, place, 1)
        return log_probs, replace(state, hidden=state.hidden + 1), attention


def make_translator(
    engine: Engine | None = None,
    *,
    tokenizer: Tokenizer = TOKENIZER,
    beam_size: int = 2,
    length_penalty: float = 1.0,
    max_source_length: int = 1000,
    split_sentences: bool = False,
    batch_size: int = 2,
    num_hypotheses: int = 1,
) -> Translator:
    return Translator(
        tokenizer,
        tokenizer,
        engine or CopyEngine(),
        DecodingRecipe.model_construct(
            beam_size=beam_size,
            length_penalty=length_penalty,
            max_length_ratio=1.0,
            max_target_length=1000,
            max_source_length=max_source_length,
            split_sentences=split_sentences,
            batch_size=batch_size,
        ),
        request=Request(num_hypotheses=num_hypotheses),
    )


def as_tokenized(line: str) -> str:
    return TOKENIZER.decode(TOKENIZER.encode(line))


@pytest.mark.parametrize("beam_size", [1, 2, 5])
def test_lines_come_back_in_their_order(beam_size: int) -> None:
    lines = [
        "The cat sat.",
        "A man rides a horse and two dogs.",
        "Two",
        "A cat",
        "",
        "The mat!",
    ] * 7
    assert make_translator(beam_size=beam_size).translate(lines) == lines


strange = st.sampled_from("\r\n\t\0\x0b\x0c\x1c\x85\u2028\u2029\u3000\u200b\ufeff\u2581\u2585 <s>")
texts = st.text(
    st.characters(exclude_categories=["Cs"]) | strange | st.sampled_from("abc. "), max_size=8
)


@settings(max_examples=50)
@given(lines=st.lists(texts, max_size=40))
@example(lines=["a\rb", "\r", "a\u2028b", "\u2028", "a\x85b", "a\x0cb", "a\0b", "\0", "a\nb", "\n"])
def test_any_text_stays_one_line_in_its_place(lines: list[str]) -> None:
    translations = make_translator(beam_size=1, batch_size=2).translate(lines)
    assert translations == [as_tokenized(line) for line in lines]
    assert not any("\n" in line or "\r" in line for line in translations)


@pytest.mark.parametrize(
    "line",
    [
        "😀😀👩\u200d👧",
        "مرحبا بالعالم! Hello, שלום.",
        "ሰላም ለዓለም።",
        "Ελλάδα и Россия 日本",
        "\u202eright to left\u202c",
        "\ufdd0\U0010fffe",
        "a" * 1000,
    ],
)
@pytest.mark.parametrize("longest", [30, 1000])
def test_what_the_tokenizer_has_never_seen_comes_through(line: str, longest: int) -> None:
    [translation] = make_translator(beam_size=1, max_source_length=longest).translate([line])
    assert translation == line


def test_control_characters_and_blank_lines_do_not_move_a_line() -> None:
    lines = ["\0", "a\0\x07b", "\x1b[31mred", "   ", "\x7f", "\u200b", "b"]
    translations = make_translator(beam_size=1).translate(lines)
    assert translations == [as_tokenized(line) for line in lines]
    assert (translations[3], translations[-1]) == ("", "b")


def test_what_is_no_text_is_refused_after_the_lines_before_it() -> None:
    translations = make_translator().translate_detailed(["a", "b\udc80", "c"], numbers=range(7, 10))
    assert next(translations).text == "a"
    complaint = r"^line 8 must be text that UTF-8 can hold, got '\\udc80' as its character 2$"
    with pytest.raises(DataError, match=complaint):
        next(translations)


def test_very_long_lines_fill_a_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nmt.translator.translator.WINDOW_CHARACTERS", 10)
    asked = 0

    def lines() -> Iterator[str]:
        nonlocal asked
        for line in ["aaaa", "bbbbbb", "c", "d"]:
            asked += 1
            yield line

    translations = make_translator(batch_size=2).translate_detailed(lines())
    assert next(translations).text == "aaaa"
    assert asked == 2
    assert [one.text for one in translations] == ["bbbbbb", "c", "d"]


def test_line_ends_are_no_part_of_the_lines() -> None:
    lines = [SENTENCES[0], "", SENTENCES[1]]
    identity = TokenizerRecipe(vocab_size=285, normalization_rule_name="identity")
    translator = make_translator(CopyEngine(), tokenizer=Tokenizer.train(SENTENCES, identity))
    for end in ("\n", "\r\n"):
        assert translator.translate(f"{line}{end}" for line in lines) == translator.translate(lines)


def test_blank_lines_are_blank_and_do_not_reach_the_model() -> None:
    engine = CopyEngine()
    translations = list(make_translator(engine).translate_detailed(["", " \t", "\u3000", "\u200b"]))
    assert engine.lengths == []
    for translation in translations:
        assert (translation.text, translation.score, translation.num_parts) == ("", 0.0, 0)
        assert [hypothesis.text for hypothesis in translation.hypotheses] == [""]


def test_a_batch_holds_lines_of_like_length_and_no_more_than_it_may() -> None:
    engine = CopyEngine()
    lines = ["a" * length for length in (3, 9, 1, 7, 5)]
    make_translator(engine, batch_size=2).translate(lines)
    sizes = sorted((len(TOKENIZER.encode(line)) + 1 for line in lines), reverse=True)
    assert engine.lengths == [sizes[:2], sizes[2:4], sizes[4:]]


def test_a_stream_without_end_is_translated_as_it_comes() -> None:
    asked = 0

    def endless() -> Iterator[str]:
        nonlocal asked
        while True:
            asked += 1
            yield f"{asked}"

    translator = make_translator(batch_size=2)
    translations = translator.translate_detailed(endless())
    assert [next(translations).text for _ in range(3)] == ["1", "2", "3"]
    assert asked == translator.window_size == 32


def test_score_and_log_probability_are_those_of_the_search() -> None:
    line = "The cat sat."
    length = len(TOKENIZER.encode(line)) + 1
    [translation] = make_translator(length_penalty=2.0).translate_detailed([line])
    best = translation.hypotheses[0]
    assert best.text == translation.text == line
    assert best.log_prob == pytest.approx(-0.25 * length)
    assert (
        best.score == translation.score == pytest.approx(-0.25 * length / ((5 + length) / 6) ** 2)
    )


@pytest.mark.parametrize(
    "unwanted",
    [TOKENIZER.pad_id, TOKENIZER.bos_id, TOKENIZER.unk_id, *TOKENIZER.line_break_ids],
)
def test_what_is_no_text_of_a_line_is_never_said(unwanted: int) -> None:
    [wanted] = TOKENIZER.encode("a")[1:]

    def script(source: Ids, prefix: Ids) -> list[float]:
        likes = {unwanted: 0.0, wanted: -1.0} if len(prefix) < 3 else {TOKENIZER.eos_id: 0.0}
        return [likes.get(token, -9.0) for token in range(TOKENIZER.vocab_size)]

    engine = ScriptedEngine(script)
    assert make_translator(engine, beam_size=1).translate(["x"]) == ["aaa"]


def test_a_line_break_that_comes_all_the_same_becomes_a_space() -> None:
    class Breaking(Tokenizer):
        def decode(self, token_ids: Sequence[int]) -> str:
            return "one\r\ntwo\nthree\rfour"

    breaking = Breaking(TOKENIZER.model)
    assert make_translator(tokenizer=breaking).translate(["x"]) == ["one two three four"]


# Long lines


def test_a_long_line_is_translated_in_parts_and_nothing_of_it_is_lost() -> None:
    line = " ".join(SENTENCES * 5)
    longest = max(len(TOKENIZER.encode(sentence)) for sentence in SENTENCES)
    engine = CopyEngine()
    translator = make_translator(engine, max_source_length=longest)
    short, long = translator.translate_detailed(["A cat", line])
    assert (short.text, short.num_parts) == ("A cat", 1)
    # Each sentence fits, so each is a part.
    assert (long.text, long.num_parts) == (line, 15)
    assert max(max(lengths) for lengths in engine.lengths) == longest + 1
    assert translator.max_source_length == longest


def test_sentences_are_translated_by_themselves_with_their_own_spacing() -> None:
    line = "\t".join([*SENTENCES, *SENTENCES]).replace("!\t", "!  ")
    whole, *singles = make_translator(split_sentences=True).translate_detailed([line, *SENTENCES])
    assert (whole.text, whole.num_parts) == (line, 6)
    assert [single.num_parts for single in singles] == [1, 1, 1]
    assert whole.score == pytest.approx(2 * sum(single.score for single in singles))
    [together] = make_translator().translate_detailed([line])
    assert (together.text, together.num_parts) == (as_tokenized(line), 1)


@settings(max_examples=50, deadline=None)
@given(lines=st.lists(texts, max_size=20), longest=st.integers(20, 30), split=st.booleans())
def test_any_text_in_parts_stays_one_line_in_its_place(
    lines: list[str], longest: int, split: bool
) -> None:
    translator = make_translator(beam_size=1, max_source_length=longest, split_sentences=split)
    translations = translator.translate(lines)
    for line, translation in zip(lines, translations, strict=True):
        assert "".join(translation.split()) == "".join(as_tokenized(line).split())
        assert len(f"a{translation}a".splitlines()) == 1 or translation == as_tokenized(line)


def test_hypotheses_of_parts_are_joined_to_the_best_of_the_line() -> None:
    a, b = (TOKENIZER.encode(letter)[1] for letter in "ab")
    liked = [{a: -0.5, b: -2.0}, {b: -0.25, a: -1.0}]
    parts = [tuple(TOKENIZER.encode(text)) for text in ("c c.", "d d.")]

    def script(source: Ids, prefix: Ids) -> list[float]:
        likes = {TOKENIZER.eos_id: 0.0} if prefix else liked[parts.index(source[:-1])]
        return [likes.get(token, -90.0) for token in range(TOKENIZER.vocab_size)]

    longest = max(len(part) for part in parts)
    translator = make_translator(
        ScriptedEngine(script),
        num_hypotheses=3,
        beam_size=3,
        length_penalty=0.0,
        max_source_length=longest,
    )
    [translation] = translator.translate_detailed(["c c. d d."])
    found = [(one.text, one.log_prob, one.score) for one in translation.hypotheses]
    every = [
        (f"{'ab'[x == b]} {'ab'[y == b]}", liked[0][x] + liked[1][y])
        for x, y in product((a, b), (a, b))
    ]
    best = sorted(every, key=lambda one: -one[1])[:3]
    assert found == [(text, log_prob, log_prob) for text, log_prob in best]
    assert translation.num_parts == 2


# What else can be asked for


def run_in_detail(run: Path, request: Request, lines: Sequence[str]) -> list[Translation]:
    decoding = DecodingRecipe(beam_size=4, max_target_length=8, batch_size=3)
    translator = Translator.load(run, decoding=decoding, request=request)
    return list(translator.translate_detailed(lines))


def texts_of(translation: Translation) -> list[str]:
    return [one.text for one in translation.hypotheses]


def test_samples_are_drawn_in_any_company_alike_and_by_their_seed(run: Path) -> None:
    lines = [*SOURCES, *SOURCES]
    request = Request(num_hypotheses=5, sampling=SamplingOptions(num_samples=5))
    drawn = [texts_of(one) for one in run_in_detail(run, request, lines)]
    assert drawn[: len(SOURCES)] == drawn[len(SOURCES) :]
    assert [len(texts) for texts in drawn[: len(SOURCES)]] == [5, 5, 1, 5, 5]
    assert drawn[2] == [""]
    assert len(set(drawn[0])) > 1
    fewer = replace(request, num_hypotheses=2)
    assert [texts_of(one) for one in run_in_detail(run, fewer, lines)] == [
        texts[:2] for texts in drawn
    ]
    other = replace(request, sampling=SamplingOptions(num_samples=5, seed=1))
    assert [texts_of(one) for one in run_in_detail(run, other, lines)] != drawn


def test_the_samples_of_parts_are_joined_one_by_one(run: Path) -> None:
    request = Request(num_hypotheses=3, sampling=SamplingOptions(num_samples=3))
    words = ["Katze", "Hund"]
    [tokenizer, _] = RunFolder(run).tokenizers
    longest = max(map(len, tokenizer.encode_batch(words)))
    decoding = DecodingRecipe(max_target_length=8, max_source_length=longest)
    translator = Translator.load(run, decoding=decoding, request=request)
    [whole] = translator.translate_detailed([" ".join(words)])
    parts = list(translator.translate_detailed(words))
    assert whole.num_parts == 2
    assert [one.log_prob for one in whole.hypotheses] == [
        one.log_prob + other.log_prob
        for one, other in zip(*(part.hypotheses for part in parts), strict=True)
    ]


@pytest.mark.parametrize("sampling", [None, SamplingOptions(num_samples=6)])
@pytest.mark.parametrize("utility", ["chrF2", "BLEU"])
def test_minimum_bayes_risk_chooses_among_all_that_is_there(
    run: Path, sampling: SamplingOptions | None, utility: Utility
) -> None:
    count = 4 if sampling is None else 6
    every = run_in_detail(run, Request(num_hypotheses=count, sampling=sampling), SOURCES)
    best = run_in_detail(run, Request(sampling=sampling, utility=utility), SOURCES)
    several = run_in_detail(
        run, Request(num_hypotheses=2, sampling=sampling, utility=utility), SOURCES
    )
    for candidates, chosen, some in zip(every, best, several, strict=True):
        if not candidates.num_parts:
            assert chosen == candidates
            continue
        log_probs = [one.log_prob for one in candidates.hypotheses]
        weights = None if sampling else [weights_of(log_probs)]
        [ranking] = rank_candidates([texts_of(candidates)], weights=weights, utility=utility)
        first = ranking.order[0]
        assert chosen.text == candidates.hypotheses[first].text
        assert chosen.score == chosen.hypotheses[0].score == ranking.expected_utilities[first]
        assert chosen.log_prob == candidates.hypotheses[first].log_prob
        assert texts_of(some) == [texts_of(candidates)[place] for place in ranking.order[:2]]


@pytest.mark.parametrize(
    ("overrides", "tokenizer"),
    [
        ([], "13a"),
        (["data.target_lang=zh"], "zh"),
        (["data.source_lang=zh", "data.reverse=true"], "zh"),
        (["data.target_lang=zh", "evaluation.bleu_tokenizer=char"], "char"),
    ],
)
def test_risk_tells_the_words_of_bleu_as_the_evaluation_does(
    tmp_path: Path, overrides: list[str], tokenizer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = []

    def rank(candidates: list[list[str]], **options: object) -> list[Ranking]:
        used.append(options["bleu_tokenizer"])
        return [Ranking((0,), (1.0,) * len(candidates[0]))]

    monkeypatch.setattr("nmt.translator.translator.rank_candidates", rank)
    path = write_run(tmp_path / "run", *overrides).path
    Translator.load(path, request=Request(utility="BLEU")).translate(["nein"])
    assert used == [tokenizer]


def test_groups_are_searched_apart(run: Path) -> None:
    plain = run_in_detail(run, Request(num_hypotheses=4), ["ein Hund"])
    grouped = run_in_detail(
        run, Request(num_hypotheses=4, num_groups=2, diversity_penalty=3.0), ["ein Hund"]
    )
    assert texts_of(plain[0]) != texts_of(grouped[0])


@pytest.mark.parametrize(
    "changes",
    [
        {"normalization": "plain"},
        {"coverage_penalty": 2.0},
        {"min_length_ratio": 3.0},
        {"min_target_length": 16},
        {"max_target_length": 5},
        {"no_repeat_ngram_size": 1},
    ],
    ids=str,
)
def test_every_setting_of_the_recipe_changes_what_comes_out(
    trained_run: RunFolder, changes: dict[str, object]
) -> None:
    decoding = DecodingRecipe(beam_size=2, max_target_length=40)

    def found(decoding: DecodingRecipe) -> list[tuple[str, float]]:
        translator = Translator.load(trained_run.path, decoding=decoding)
        lines = ["5 5 5 5", "1 2 3 4 5 6 7 8"]
        return [(one.text, one.score) for one in translator.translate_detailed(lines)]

    assert found(decoding) != found(decoding.model_copy(update=changes))


def test_a_model_without_an_end_stops_at_the_ratio(run: Path) -> None:
    """One that has learned nothing goes on as long as it may."""
    decoding = DecodingRecipe(max_length_ratio=0.5)
    [translation] = Translator.load(run, decoding=decoding).translate_detailed(["ein Hund"])
    [tokenizer, _] = RunFolder(run).tokenizers
    assert len(translation.hypotheses[0].token_log_probs) == 10 + math.ceil(
        0.5 * (len(tokenizer.encode("ein Hund")) + 1)
    )


def test_translations_start_with_their_prefixes(run: Path) -> None:
    translator = Translator.load(run)
    lines, prefixes = ["nein", "", "ein Hund"], ["a c", " ", ""]
    found = list(translator.translate_detailed(lines, prefixes=prefixes))
    assert found[0].text.startswith("a c")
    free = list(translator.translate_detailed(lines))
    assert found[1:] == free[1:]
    assert found[0] != free[0]


def test_lines_before_one_that_cannot_be_translated_as_asked_come_out_first(run: Path) -> None:
    translator = Translator.load(run, batch_size=1)
    lines = ["nein", "ein Hund", "nein"] * 10
    prefixes = [""] * 30
    prefixes[19] = "a cat runs and runs and runs"
    found: list[Translation] = []
    translations = translator.translate_detailed(
        lines, prefixes=prefixes, numbers=range(101, 101 + len(lines))
    )
    with pytest.raises(
        DataError, match=r"^line 120: prefix must have less than 8 tokens, which is the limit"
    ):
        found.extend(translations)
    # what came before the complaint has been kept
    assert [one.text for one in found] == translator.translate(lines[:19])


def test_a_blank_line_cannot_have_a_prefix(run: Path) -> None:
    translations = Translator.load(run).translate_detailed(["nein", " "], prefixes=["", "a"])
    next(translations)
    with pytest.raises(DataError, match="line 2: a blank line must have a blank prefix, got 'a'"):
        next(translations)


def test_as_many_prefixes_as_lines_must_come(run: Path) -> None:
    translator = Translator.load(run)
    [alone] = translator.translate_detailed(["nein"], prefixes=["a"])
    for num_lines, num_prefixes, complaint in (
        (2, 1, "line 2 must have a prefix, perhaps a blank one, got none"),
        (1, 2, "prefixes must be as many as the 1 lines, got more"),
        (0, 1, "prefixes must be as many as the 0 lines, got more"),
    ):
        found = translator.translate_detailed(["nein"] * num_lines, prefixes=["a"] * num_prefixes)
        # those that have one come first
        assert [next(found) for _ in range(min(num_lines, num_prefixes))] == [alone][:num_lines]
        with pytest.raises(DataError, match=f"^{complaint}$"):
            next(found)


def test_what_a_model_cannot_do_is_refused(tmp_path: Path) -> None:
    blind = write_run(tmp_path / "run", "model.attention=null").path
    translator = Translator.load(blind)
    assert not translator.has_attention
    [translation] = translator.translate_detailed(["nein"])
    with pytest.raises(NMTError, match="the model must have attention to align words"):
        _ = translation.alignment
    with pytest.raises(NMTError, match=r"coverage_penalty must be 0 .* without attention, got 0.5"):
        Translator.load(blind, decoding=DecodingRecipe(coverage_penalty=0.5))
    with pytest.raises(NMTError, match=r"beam_size must be <= 34, the pieces .*, got 35"):
        Translator.load(blind, beam_size=35)
    assert Translator.load(blind, beam_size=34).translate([""]) == [""]


def test_more_than_is_drawn_cannot_be_wanted() -> None:
    with pytest.raises(ValueError, match=r"num_hypotheses must be .* num_samples \(3\), got 4"):
        Request(num_hypotheses=4, sampling=SamplingOptions(num_samples=3))


# Wrong calls


def test_a_single_string_is_refused() -> None:
    with pytest.raises(
        TypeError, match=r"lines must be a list of lines .* got one string: 'A cat'"
    ):
        make_translator().translate("A cat")


def test_values_out_of_range_are_named() -> None:
    with pytest.raises(ValueError, match="batch_size must be >= 1, got 0"):
        make_translator(batch_size=0)
    with pytest.raises(ValueError, match="max_source_length must be >= 1, got -3"):
        make_translator(max_source_length=-3)
    with pytest.raises(
        ValueError, match=r"num_hypotheses must be from 1 to beam_size \(2\), got 3"
    ):
        make_translator(num_hypotheses=3)


# From a run folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = ("decoding.max_source_length=50", "decoding.batch_size=3")
    return write_run(tmp_path_factory.mktemp("runs") / "run", *settings).path


def test_a_run_folder_is_enough_to_translate_as_its_recipe_says(run: Path) -> None:
    trained = load_run(run)
    by_hand = Translator(
        trained.source_tokenizer,
        trained.target_tokenizer,
        FoldedEngine(trained.model),
        DecodingRecipe(beam_size=2, max_target_length=8, max_source_length=50, batch_size=3),
    )
    translator = Translator.load(run)
    found = list(translator.translate_detailed(SOURCES))
    assert found == list(by_hand.translate_detailed(SOURCES))
    assert translator.translate(SOURCES) == [translation.text for translation in found]
    assert any(translation.text for translation in found)
    assert (translator.max_source_length, translator.window_size) == (50, 48)


def test_what_is_asked_for_goes_before_the_recipe(run: Path) -> None:
    translator = Translator.load(
        run, device="auto", beam_size=5, length_penalty=0.0, batch_size=1, num_hypotheses=4
    )
    assert translator.window_size == 16
    [translation] = translator.translate_detailed(["ein Hund"])
    assert len(translation.hypotheses) == 4
    # Without a length penalty the two are one.
    assert [hypothesis.score for hypothesis in translation.hypotheses] == [
        hypothesis.log_prob for hypothesis in translation.hypotheses
    ]


def test_a_real_model_translates_a_line_the_same_in_any_company(run: Path) -> None:
    lines = [*SOURCES, " ".join(SOURCES * 3), "Hund", "eine"]
    alone = Translator.load(run, batch_size=1).translate(lines)
    together = Translator.load(run, batch_size=20).translate(lines)
    backwards = Translator.load(run, batch_size=2).translate(lines[::-1])
    assert alone == together == backwards[::-1]


def test_one_translator_serves_many_threads_and_models_do_not_disturb_each_other(
    run: Path, trained_run: RunFolder
) -> None:
    translators = [
        Translator.load(run, batch_size=2),
        Translator.load(trained_run.path, batch_size=3),
        Translator.load([run, run], batch_size=2),
    ]
    lines = [[*SOURCES, "der Hund"], ["1 2 3", "5 5", "9 8 7 6", "4"], [*SOURCES[::-1]]]
    expected = [
        list(translator.translate_detailed(of_one))
        for translator, of_one in zip(translators, lines, strict=True)
    ]
    together = Barrier(6)

    def work(number: int) -> list[Translation]:
        translator, of_one = translators[number % 3], lines[number % 3]
        together.wait()
        return [one for _ in range(5) for one in translator.translate_detailed(of_one)]

    with ThreadPoolExecutor(6) as pool:
        for number, found in enumerate(pool.map(work, range(6))):
            texts = [(one.text, one.num_parts) for one in expected[number % 3]]
            assert [(one.text, one.num_parts) for one in found] == texts * 5


def test_a_run_that_is_not_there_or_a_device_that_is_not_here_is_refused(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(CheckpointError, match="nowhere: no such run folder"):
        Translator.load(run / "nowhere")
    with pytest.raises(NMTError, match=r"device must be .* got 'cuda'"):
        Translator.load(run, device="cuda")
