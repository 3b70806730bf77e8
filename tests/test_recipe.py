"""Recipes: reading, overriding, complaining, writing back, and the ones that come with us."""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from nmt.errors import RecipeError
from nmt.model import build_model
from nmt.recipe import (
    BuiltinSet,
    CleaningRecipe,
    CorpusSet,
    CsvSet,
    DataRecipe,
    FileSet,
    HubSet,
    JsonlSet,
    Recipe,
    Section,
    StreamingRecipe,
    TrainingRecipe,
    TsvSet,
    differences,
    dump_recipe,
    find_recipe,
    load_recipe,
    parse_recipe,
)

RECIPES = sorted((Path(__file__).parent.parent / "recipes").rglob("*.y*ml"))

EXAMPLE = """\
data:
  source_lang: en
  target_lang: no
  train: {source: train.en, target: train.no}
  validation:
    source: val.en
    target: val.no
training:
  max_tokens: 4000
"""


def parse(text: str, *overrides: str) -> Recipe:
    return parse_recipe(text, name="tiny.yaml", overrides=overrides)


def assert_refused(text: str, complaint: str, overrides: Sequence[str] = ()) -> None:
    with pytest.raises(RecipeError, match=f"^{re.escape(complaint)}$"):
        parse(text, *overrides)


# Reading


def test_what_a_recipe_does_not_say_has_a_default() -> None:
    recipe = Recipe(
        data=DataRecipe(
            source_lang="en",
            target_lang="no",
            train=FileSet(source="train.en", target="train.no"),
            validation=FileSet(source="val.en", target="val.no"),
        ),
        training=TrainingRecipe(max_tokens=4000),
    )
    assert parse(EXAMPLE) == recipe


def test_a_recipe_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "tiny.yaml"
    path.write_text(EXAMPLE, encoding="utf-8", newline="\n")
    assert load_recipe(path) == parse(EXAMPLE)
    overrides = ["training.seed=7"]
    assert load_recipe(str(path), overrides) == parse(EXAMPLE, *overrides)


@pytest.mark.parametrize("text", [f"\ufeff{EXAMPLE}", EXAMPLE.replace("\n", "\r\n")])
def test_an_editor_on_windows_changes_nothing(text: str) -> None:
    assert parse(text) == parse(EXAMPLE)


def test_yaml_is_of_version_1_2() -> None:
    recipe = parse(
        EXAMPLE
        + "  learning_rate: 2e-3\n"
        + "evaluation: {bleu_tokenizer: 12:30}\n"
        + "tokenizer: {user_defined_symbols: [no, on, off, y, 1:2]}\n"
    )
    assert recipe.data.target_lang == "no"
    assert recipe.training.learning_rate == 0.002
    assert recipe.evaluation.bleu_tokenizer == "12:30"
    assert recipe.tokenizer.user_defined_symbols == ("no", "on", "off", "y", "1:2")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{source: a.en, target: a.de}", FileSet(source="a.en", target="a.de")),
        ("{tsv: a.tsv}", TsvSet(tsv="a.tsv")),
        ("{tsv: a.tsv, source: 3, target: de}", TsvSet(tsv="a.tsv", source=3, target="de")),
        ("{csv: a.csv}", CsvSet(csv="a.csv", source=1, target=2, delimiter=",")),
        ("{csv: a, delimiter: ;}", CsvSet(csv="a", source=1, target=2, delimiter=";")),
        ("{jsonl: a}", JsonlSet(jsonl="a", source="source", target="target")),
        ("{jsonl: a, source: en, target: de}", JsonlSet(jsonl="a", source="en", target="de")),
        (
            "{hub: me/texts, split: test, source: en, target: de}",
            HubSet(hub="me/texts", config=None, split="test", source="en", target="de"),
        ),
        (
            "{hub: me/texts, config: en-de, split: test, source: en, target: de}",
            HubSet(hub="me/texts", config="en-de", split="test", source="en", target="de"),
        ),
        (
            "{builtin: grammar, split: test, sentences: 9}",
            BuiltinSet(builtin="grammar", split="test", sentences=9, seed=1, distance=None),
        ),
    ],
)
def test_a_set_is_one_of_six_kinds(text: str, expected: CorpusSet) -> None:
    assert parse(EXAMPLE, "data.target_lang=de", f"data.test={text}").data.test == expected


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{tsv: a, source: 0}", "data.test.source: must be a column's number, from 1 on, or its "),
        ("{csv: a, target: true}", "data.test.target: must be a column's number, from 1 on, or "),
        ("{csv: a, delimiter: ab}", "data.test.delimiter: must be one character, but no quote "),
    ],
)
def test_a_column_is_a_number_or_a_name(text: str, complaint: str) -> None:
    with pytest.raises(RecipeError, match=f"^override: {complaint}.*, got (0|True|'ab')$"):
        parse(EXAMPLE, f"data.test={text}")


def test_built_in_sentences_are_english_and_german() -> None:
    test = "data.test={builtin: grammar, split: test, sentences: 9}"
    message = r"data: a built-in set needs source_lang 'en' and target_lang 'de', got 'en' and 'no'"
    with pytest.raises(RecipeError, match=message):
        parse(EXAMPLE, test)
    german = parse(EXAMPLE, test, "data.target_lang=de", "data.reverse=true")
    assert german.data.direction == ("de", "en")


def test_the_direction_follows_reverse() -> None:
    assert parse(EXAMPLE).data.direction == ("en", "no")
    assert parse(EXAMPLE, "data.reverse=true").data.direction == ("no", "en")


def sections(section: Section) -> Iterator[Section]:
    """The section and all that are in it."""
    yield section
    for value in dict(section).values():
        if isinstance(value, Section):
            yield from sections(value)


def test_a_recipe_cannot_be_changed() -> None:
    found = list(sections(parse(EXAMPLE)))
    assert len(found) == 14
    for section in found:
        for key in type(section).model_fields:
            with pytest.raises(ValidationError, match="Instance is frozen"):
                setattr(section, key, getattr(section, key))
    assert len({parse(EXAMPLE), parse(EXAMPLE)}) == 1


# Complaints


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            "a: b: c",
            "tiny.yaml:1: not valid YAML: mapping values are not allowed here",
        ),
        ("a:\n\tb: 1", "tiny.yaml:2: not valid YAML: found character '\\t' that cannot start any"),
        ("a: 1\nb: *c", "tiny.yaml:2: not valid YAML: found undefined alias 'c'"),
        ("a: 1\n---\nb: 1", "tiny.yaml:2: not valid YAML: but found another document"),
        ("a: \x01", "tiny.yaml: not valid YAML: unacceptable character #x0001: "),
        (
            "",
            "tiny.yaml: a recipe must be a mapping with the sections data and training, got None",
        ),
        (
            "- data",
            "tiny.yaml: a recipe must be a mapping with the sections data and training, "
            "got ['data']",
        ),
        ("data: 1\ndata: 2", "tiny.yaml:2: duplicate key 'data'"),
        (EXAMPLE + "  max_tokens: 9\n", "tiny.yaml:10: duplicate key 'max_tokens'"),
    ],
)
def test_what_is_no_recipe_at_all_is_said_with_its_line(text: str, complaint: str) -> None:
    with pytest.raises(RecipeError, match=f"^{re.escape(complaint)}") as caught:
        parse(text)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "missing.yaml"
    with pytest.raises(RecipeError, match=f"^{re.escape(str(missing))}: cannot read the recipe: "):
        load_recipe(missing)
    broken = tmp_path / "latin1.yaml"
    broken.write_bytes("# für\n".encode("latin-1"))
    complaint = f"{broken}: not valid UTF-8 at byte 3"
    with pytest.raises(RecipeError, match=f"^{re.escape(complaint)}$"):
        load_recipe(broken)


def test_a_recipe_that_comes_along_is_found_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shipped = RECIPES[0]
    assert find_recipe(shipped.stem) == shipped
    (tmp_path / shipped.stem).mkdir()  # as a run folder may be called
    assert find_recipe(shipped.stem) == shipped
    (tmp_path / "mine.yaml").touch()
    assert find_recipe("mine.yaml") == Path("mine.yaml")
    with pytest.raises(RecipeError, match=rf"^mine: no such recipe; .*{shipped.stem}"):
        find_recipe("mine")


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("  warmup: 4", "unknown key 'training.warmup'; did you mean 'training.warmup_steps'?"),
        ("tokeniser: {}", "unknown key 'tokeniser'; did you mean 'tokenizer'?"),
        (
            "model: {encoder: {hidden: 4}}",
            "unknown key 'model.encoder.hidden'; did you mean 'model.encoder.hidden_size'?",
        ),
        # Of another section, where no key of the same one is near.
        ("  beam_size: 4", "unknown key 'training.beam_size'; did you mean 'decoding.beam_size'?"),
        ("learning_rate: 4", "unknown key 'learning_rate'; did you mean 'training.learning_rate'?"),
        ("  xyz: 4", "unknown key 'training.xyz'"),
    ],
)
def test_an_unknown_key_is_named_with_its_line_and_the_likeliest(line: str, complaint: str) -> None:
    assert_refused(f"{EXAMPLE}{line}\n", f"tiny.yaml:10: {complaint}")


def test_a_key_of_another_kind_of_set_is_not_proposed_to_itself() -> None:
    assert_refused(
        EXAMPLE.replace("train: {source", "train: {tsv: train.tsv, split: train, source"),
        "tiny.yaml:4: unknown key 'data.train.split'",
    )


def test_a_missing_key_is_named_with_the_line_of_its_section() -> None:
    assert_refused(
        EXAMPLE.replace("    target: val.no\n", ""),
        "tiny.yaml:5: data.validation.target is missing",
    )


def test_every_complaint_is_made_at_once() -> None:
    text = """\
data:
  source_lang: english
  target_lang: de
  train: train.tsv
training:
  max_epoch: 3
  max_tokens: many
modell: {}
"""
    assert_refused(
        text,
        """\
tiny.yaml has 6 errors:
  tiny.yaml:2: data.source_lang must be a language code such as de or pt-BR, got 'english'
  tiny.yaml:4: data.train must be a section with keys, got 'train.tsv'
  tiny.yaml:1: data.validation is missing
  tiny.yaml:7: training.max_tokens must be a whole number, got 'many'
  tiny.yaml:6: unknown key 'training.max_epoch'; did you mean 'training.max_epochs'?
  tiny.yaml:8: unknown key 'modell'; did you mean 'model'?""",
    )


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("data.source_lang", "1", "must be text, got 1"),
        ("data.source_lang", "d", "must be a language code such as de or pt-BR, got 'd'"),
        ("data.reverse", "yes", "must be true or false, got 'yes'"),
        ("data.train", "null", "must be a section with keys, got None"),
        ("data.train.tsv", "[a, b]", "must be text, got ('a', 'b')"),
        ("data.cleaning.max_characters", "0", "must be >= 1, got 0"),
        ("data.cleaning.max_length_ratio", "0.5", "must be > 1.0, got 0.5"),
        ("data.cleaning.deduplicate", "1", "must be true or false, got 1"),
        ("tokenizer.vocab_size", "'8000'", "must be a whole number, got '8000'"),
        ("tokenizer.vocab_size", "8000.0", "must be a whole number, got 8000.0"),
        ("tokenizer.vocab_size", "true", "must be a whole number, got True"),
        ("tokenizer.model_type", "Unigram", "must be 'unigram' or 'bpe', got 'Unigram'"),
        ("tokenizer.character_coverage", "0", "must be > 0.0, got 0"),
        ("tokenizer.character_coverage", "1.1", "must be <= 1.0, got 1.1"),
        ("tokenizer.user_defined_symbols", "<a>", "must be a list, got '<a>'"),
        ("tokenizer.user_defined_symbols", "{a: 1}", "must be a list, got {'a': 1}"),
        ("model", "7", "must be a section with keys, got 7"),
        ("model.embedding_size", "-1", "must be >= 1, got -1"),
        ("model.encoder", "[2, 256]", "must be a section with keys, got (2, 256)"),
        (
            "model.attention.kind",
            "mlp",
            "must be 'dot', 'scaled_dot', 'general' or 'additive', got 'mlp'",
        ),
        ("model.attention.num_heads", "0", "must be >= 1, got 0"),
        ("model.attention.window", "0", "must be >= 1, got 0"),
        ("model.attention.query", "middle", "must be 'bottom', 'top' or 'previous', got 'middle'"),
        ("model.encoder.num_layers", "0", "must be >= 1, got 0"),
        ("model.encoder.residual_from", "1", "must be >= 2, got 1"),
        (
            "model.encoder.cell",
            "LSTM",
            "must be 'lstm', 'gru', 'rnn' or 'layer_norm_lstm', got 'LSTM'",
        ),
        (
            "model.encoder.directions",
            "right",
            "must be 'both', 'bottom', 'forward' or 'backward', got 'right'",
        ),
        ("model.decoder.num_layers", "0", "must be >= 1, got 0"),
        ("model.decoder.residual_from", "1", "must be >= 2, got 1"),
        ("model.decoder.feedback", "all", "must be 'context' or 'attentional', got 'all'"),
        (
            "model.decoder.readout",
            "null",
            "must be 'attentional', 'maxout', 'direct' or 'hidden', got None",
        ),
        ("model.decoder.readout_size", "0", "must be >= 1, got 0"),
        ("model.dropout.recurrent", "1", "must be < 1.0, got 1"),
        ("model.dropout.embedding", "1", "must be < 1.0, got 1"),
        ("model.dropout.word", "-0.1", "must be >= 0.0, got -0.1"),
        ("model.dropout.layers", ".nan", "must be a finite number, got nan"),
        (
            "model.bridge",
            "null",
            "must be 'linear', 'mean', 'copy', 'learned' or 'zero', got None",
        ),
        ("training.coverage_loss", "0", "must be > 0.0, got 0"),
        ("training.ema", "1", "must be < 1.0, got 1"),
        ("training.mixed_cross_entropy", "0", "must be > 0.0, got 0"),
        ("training.mixed_cross_entropy", "1", "must be < 1.0, got 1"),
        ("training.r_drop", "0", "must be > 0.0, got 0"),
        ("training.scheduled_sampling", "1.1", "must be <= 1.0, got 1.1"),
        ("training.learning_rate", "fast", "must be a number, got 'fast'"),
        ("training.learning_rate", "true", "must be a number, got True"),
        ("training.learning_rate", ".inf", "must be a finite number, got inf"),
        ("training.adam_betas", "[0.9, 0.99, 1]", "must be at most 2 long, got (0.9, 0.99, 1)"),
        ("training.seed", "4294967296", "must be < 4294967296, got 4294967296"),
        ("training.average_checkpoints", "1", "must be >= 2, got 1"),
        ("decoding.length_penalty", "-0.6", "must be >= 0.0, got -0.6"),
        ("decoding.normalization", "mean", "must be 'wu' or 'plain', got 'mean'"),
        ("decoding.coverage_penalty", "-0.2", "must be >= 0.0, got -0.2"),
        ("decoding.min_length_ratio", "-1", "must be >= 0.0, got -1"),
        ("decoding.min_target_length", "0", "must be >= 1, got 0"),
        ("decoding.no_repeat_ngram_size", "0", "must be >= 1, got 0"),
        ("evaluation.bleu_tokenizer", "7", "must be text, got 7"),
        (
            "data.train.tsv",
            f"[{'x' * 100}]",
            f"must be text, got ('{'x' * 75}...",
        ),
    ],
)
def test_a_wrong_value_is_said_with_what_it_must_be(key: str, value: str, complaint: str) -> None:
    assert_refused(EXAMPLE, f"override: {key} {complaint}", [f"{key}={value}"])


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("training.adam_betas=[0.9]", "override: training.adam_betas.1 is missing"),
        ("training.adam_betas=[0.9, 2]", "override: training.adam_betas.1 must be < 1.0, got 2"),
        (
            "evaluation.metrics=[BLEU, ROUGE]",
            "override: evaluation.metrics.1 must be 'BLEU', 'chrF2', 'chrF++' or 'TER', "
            "got 'ROUGE'",
        ),
    ],
)
def test_an_entry_of_a_list_is_named_by_its_place(override: str, complaint: str) -> None:
    assert_refused(EXAMPLE, complaint, [override])


@pytest.mark.parametrize(
    ("overrides", "complaint"),
    [
        (
            ["training.max_sentences=64"],
            "tiny.yaml:8: training: one of max_tokens and max_sentences must be given and the "
            "other null, got 4000 and 64",
        ),
        (
            ["training.max_epochs=5", "training.validate_every=2"],
            "tiny.yaml:8: training: max_epochs must be a multiple of validate_every, so that the "
            "last epoch is validated, got 5 and 2",
        ),
        (
            ["training.max_tokens=null"],
            "tiny.yaml:8: training: one of max_tokens and max_sentences must be given and the "
            "other null, got None and None",
        ),
        (
            ["model.attention={kind: dot, size: 8}"],
            "override: model.attention: size is for additive attention only, got 8 with kind 'dot'",
        ),
        (
            ["model.tied_embeddings=all", "tokenizer.joint=false"],
            "tiny.yaml: model.tied_embeddings 'all' needs tokenizer.joint true; "
            "use 'output' with two tokenizers",
        ),
    ],
)
def test_values_that_do_not_fit_each_other_are_refused(
    overrides: list[str], complaint: str
) -> None:
    assert_refused(EXAMPLE, complaint, overrides)


ONE_WAY = "encoder: {num_layers: 2, hidden_size: 512, directions: forward}"


@pytest.mark.parametrize(
    ("model", "complaint"),
    [
        (
            "attention: {num_heads: 3}",
            "attention.num_heads must divide decoder.hidden_size (512), got 3",
        ),
        (
            "encoder: {hidden_size: 3}, attention: {num_heads: 4}",
            "attention.num_heads must divide the width of the encoder states (6), got 4",
        ),
        (
            "attention: {kind: additive, size: 9, num_heads: 2}",
            "attention.num_heads must divide attention.size (9), got 2",
        ),
        (
            "encoder: {hidden_size: 100}, attention: {kind: dot}",
            "attention.kind 'dot' needs encoder states of the decoder's hidden_size, "
            "got 200 and 512; use 'general'",
        ),
        (
            "encoder: {directions: forward}, attention: {kind: scaled_dot}",
            "attention.kind 'scaled_dot' needs encoder states of the decoder's hidden_size, "
            "got 256 and 512; use 'general'",
        ),
        (
            "attention: {query: previous}",
            "attention.query 'previous' needs decoder.feedback 'context', got None",
        ),
        (
            "attention: {query: previous}, decoder: {feedback: attentional}",
            "attention.query 'previous' needs decoder.feedback 'context', got 'attentional'",
        ),
        (
            "attention: {query: top}, decoder: {readout: hidden}, tied_embeddings: null",
            "decoder.readout 'hidden' leaves the context unread: no layer is above the attention "
            "and decoder.feedback is null; use 'attentional' or feed it back",
        ),
        (
            "decoder: {num_layers: 1, readout: hidden}, tied_embeddings: null",
            "decoder.readout 'hidden' leaves the context unread: no layer is above the attention "
            "and decoder.feedback is null; use 'attentional' or feed it back",
        ),
        (
            "decoder: {feedback: attentional, readout: maxout}",
            "decoder.feedback 'attentional' needs decoder.readout 'attentional', got 'maxout'",
        ),
        (
            "attention: null, decoder: {feedback: attentional}",
            "decoder.feedback must be null without attention, got 'attentional'",
        ),
        (
            "attention: null, decoder: {feedback: context}",
            "decoder.feedback must be null without attention, got 'context'",
        ),
        (
            "attention: null, bridge: zero",
            "bridge 'zero' needs attention: without both the decoder would know nothing of the "
            "source",
        ),
        (
            "attention: null, bridge: learned",
            "bridge 'learned' needs attention: without both the decoder would know nothing of the "
            "source",
        ),
        (
            "attention: {variational: sampled}, decoder: {feedback: attentional}",
            "attention.variational needs decoder.feedback null or 'context', got 'attentional'",
        ),
        (
            "attention: {variational: sampled}, decoder: {readout: hidden}",
            "attention.variational needs a decoder.readout that reads the context, got 'hidden'; "
            "use 'attentional', 'maxout' or 'direct'",
        ),
        (
            "bridge: copy, encoder: {num_layers: 3}",
            "bridge 'copy' needs one encoder layer for each decoder layer with final states of its "
            "hidden_size, got [512, 512, 512] for 2 of 512",
        ),
        (
            "bridge: copy, encoder: {directions: bottom, residual_from: null}",
            "bridge 'copy' needs one encoder layer for each decoder layer with final states of its "
            "hidden_size, got [512, 256] for 2 of 512",
        ),
        (
            "decoder: {readout: direct}",
            "tied_embeddings 'output' needs a readout of the embedding_size (512), got 1024 from "
            "decoder.readout 'direct'; use null",
        ),
        (
            "decoder: {readout: hidden, hidden_size: 300}, tied_embeddings: all",
            "tied_embeddings 'all' needs a readout of the embedding_size (512), got 300 from "
            "decoder.readout 'hidden'; use null",
        ),
        (
            "decoder: {readout_size: 500}",
            "tied_embeddings 'output' needs a readout of the embedding_size (512), got 500 from "
            "decoder.readout 'attentional'; use null",
        ),
    ],
)
def test_parts_of_a_model_that_do_not_fit_are_refused(model: str, complaint: str) -> None:
    assert_refused(EXAMPLE, f"override: model: {complaint}", [f"model={{{model}}}"])


@pytest.mark.parametrize(
    ("section", "values", "complaint"),
    [
        (
            "encoder",
            "{directions: bottom}",
            "residual_from must be >= 3 or null with directions 'bottom', got 2: the second layer "
            "reads both directions and gives one",
        ),
        (
            "attention",
            "{kind: general, coverage: true}",
            "coverage is for additive attention only, got True with kind 'general'",
        ),
        (
            "attention",
            "{kind: scaled_dot, size: 8}",
            "size is for additive attention only, got 8 with kind 'scaled_dot'",
        ),
        (
            "attention",
            "{variational: enumerated, num_heads: 2}",
            "variational needs one head and no window, got num_heads 2 and window None",
        ),
        (
            "attention",
            "{variational: sampled, window: 3}",
            "variational needs one head and no window, got num_heads 1 and window 3",
        ),
        (
            "decoder",
            "{readout: direct, readout_size: 8}",
            "readout_size is for the readouts 'attentional' and 'maxout', got 8 with 'direct'",
        ),
        (
            "decoder",
            "{readout: hidden, readout_size: 8}",
            "readout_size is for the readouts 'attentional' and 'maxout', got 8 with 'hidden'",
        ),
    ],
)
def test_settings_of_a_part_that_do_not_fit_are_refused(
    section: str, values: str, complaint: str
) -> None:
    key = f"model.{section}"
    assert_refused(EXAMPLE, f"override: {key}: {complaint}", [f"{key}={values}"])


ALIGNED = "data.train={source: a, target: b, alignment: c}"


@pytest.mark.parametrize(
    ("overrides", "got"),
    [
        ([ALIGNED], "None and alignments for train"),
        (["training.guided_alignment=0.5"], "0.5 and alignments for no set"),
        (
            [
                ALIGNED,
                "data.test={source: a, target: b, alignment: c}",
                "training.guided_alignment=0.5",
            ],
            "0.5 and alignments for train, test",
        ),
    ],
)
def test_alignments_and_their_loss_go_together(overrides: list[str], got: str) -> None:
    assert_refused(
        EXAMPLE,
        "tiny.yaml: training.guided_alignment and data.train.alignment go together, and no other "
        f"set takes an alignment, got {got}",
        overrides,
    )
    taken = parse(EXAMPLE, ALIGNED, "training.guided_alignment=0.5")
    assert taken.training.guided_alignment == 0.5


def test_one_table_of_embeddings_starts_from_one_file() -> None:
    assert_refused(
        EXAMPLE,
        "tiny.yaml: training.target_embeddings must be null with model.tied_embeddings 'all', got "
        "'v.txt'; source_embeddings are those of both sides",
        ["training.target_embeddings=v.txt", "model.tied_embeddings=all"],
    )


def test_a_coverage_penalty_needs_attention() -> None:
    assert_refused(
        EXAMPLE,
        "tiny.yaml: decoding.coverage_penalty needs attention, got 0.2 with none",
        ["decoding.coverage_penalty=0.2", "model.attention=null"],
    )


def test_the_least_length_is_no_greater_than_the_greatest() -> None:
    lengths = ["decoding.min_target_length=9", "decoding.max_target_length={}"]
    fits, not_fits = (lengths[1].format(length) for length in (9, 8))
    assert parse_recipe(EXAMPLE, name="tiny.yaml", overrides=[lengths[0], fits])
    assert_refused(
        EXAMPLE,
        "tiny.yaml: decoding: min_target_length must be <= max_target_length (8), got 9",
        [lengths[0], not_fits],
    )


@pytest.mark.parametrize("key", ["coverage_loss", "guided_alignment"])
def test_a_loss_on_attention_needs_attention(key: str) -> None:
    assert_refused(
        EXAMPLE,
        f"tiny.yaml: training.{key} needs attention, got 0.5 with none",
        [f"training.{key}=0.5", "model.attention=null"],
    )


def test_the_models_own_tokens_are_read_or_wanted_but_not_both() -> None:
    mixed = "training.mixed_cross_entropy=0.5"
    assert_refused(
        EXAMPLE,
        "tiny.yaml:8: training: mixed_cross_entropy must be null with scheduled_sampling, got 0.5 "
        "and 0.2: what is likeliest behind tokens of the model's own is no other way to go on from "
        "the reference's",
        [mixed, "training.scheduled_sampling=0.2"],
    )
    assert parse(EXAMPLE, mixed).training.mixed_cross_entropy == 0.5


def test_two_passes_of_r_drop_need_masks_that_differ() -> None:
    none = "embedding: 0, layers: 0, readout: 0, recurrent: 0.5"  # weights are dropped for both
    assert_refused(
        EXAMPLE,
        "tiny.yaml: training.r_drop needs model.dropout.embedding, layers, readout or word above "
        "0, got 5.0 with none: its two passes would be alike",
        ["training.r_drop=5", f"model.dropout={{{none}}}"],
    )
    for key in ("embedding", "layers", "readout", "word"):
        some = f"model.dropout={{embedding: 0, layers: 0, readout: 0, {key}: 0.1}}"
        some = some.replace(f"{key}: 0, ", "")
        assert parse(EXAMPLE, "training.r_drop=5", some).training.r_drop == 5


@pytest.mark.parametrize("setting", ["r_drop=5", "mixed_cross_entropy=0.5"])
def test_variational_attention_has_a_loss_of_its_own(setting: str) -> None:
    key, value = setting.split("=")
    sampled = "model.attention.variational=sampled"
    assert_refused(
        EXAMPLE,
        f"tiny.yaml: training.{key} must be null with model.attention.variational, "
        f"got {float(value)}",
        [f"training.{setting}", sampled],
    )
    attention = parse(EXAMPLE, sampled).model.attention
    assert attention is not None
    assert attention.variational == "sampled"


@pytest.mark.parametrize(
    "model",
    [
        "encoder: {directions: bottom, num_layers: 1}",
        "encoder: {directions: bottom, residual_from: 3}",
        "encoder: {hidden_size: 256}, attention: {kind: scaled_dot, num_heads: 8}",
        "attention: {query: previous}, decoder: {feedback: context, num_layers: 1}",
        "attention: {query: top}, decoder: {feedback: context, readout: hidden}",
        "decoder: {readout: hidden}",
        "decoder: {readout: direct}, tied_embeddings: null",
        "decoder: {readout: maxout, readout_size: 300}, tied_embeddings: null",
        "bridge: copy",
        f"attention: null, bridge: copy, {ONE_WAY}",
        "attention: null, bridge: mean",
    ],
)
def test_parts_of_a_model_that_fit_are_taken_and_built(model: str) -> None:
    recipe = parse(EXAMPLE, f"model={{{model}}}").model
    with torch.device("meta"):
        built = build_model(recipe, source_vocab_size=9, target_vocab_size=9, pad_id=0)
    assert built.encoder.state_size == recipe.encoder.state_size


def test_values_that_fit_each_other_are_taken() -> None:
    recipe = parse(
        EXAMPLE,
        "training.max_tokens=null",
        "training.max_sentences=64",
        "model.attention={kind: additive, size: 8}",
        "model.tied_embeddings=all",
    )
    assert (recipe.training.max_tokens, recipe.training.max_sentences) == (None, 64)
    assert recipe.model.attention is not None
    assert (recipe.model.attention.size, recipe.model.tied_embeddings) == (8, "all")


# Overrides


def test_an_override_changes_one_setting() -> None:
    changed = parse(EXAMPLE, "model.encoder.num_layers=3")
    assert differences(parse(EXAMPLE), changed) == ["model.encoder.num_layers: 2 -> 3"]


def test_the_last_of_equal_overrides_wins() -> None:
    assert parse(EXAMPLE, "training.seed=5", "training.seed=6").training.seed == 6
    recipe = parse(EXAMPLE, "data.cleaning.max_characters=5", "data.cleaning={deduplicate: true}")
    assert recipe.data.cleaning == CleaningRecipe(deduplicate=True)


def test_the_value_of_an_override_is_all_behind_the_first_equals_sign() -> None:
    recipe = parse(EXAMPLE, "data.train={source: a=b, target: c}", " evaluation.bleu_tokenizer=x=y")
    assert recipe.data.train == FileSet(source="a=b", target="c")
    assert recipe.evaluation.bleu_tokenizer == "x=y"


def test_overriding_a_part_of_a_set_replaces_the_whole_set() -> None:
    recipe = parse(EXAMPLE, "data.train.tsv=train.tsv")
    assert recipe.data.train == TsvSet(tsv="train.tsv")
    assert recipe.data.validation == parse(EXAMPLE).data.validation
    recipe = parse(EXAMPLE, "data.train.source=a.en", "training.seed=3", "data.train.target=a.de")
    assert recipe.data.train == FileSet(source="a.en", target="a.de")


def test_half_a_set_is_not_completed_from_the_file() -> None:
    assert_refused(
        EXAMPLE, "override: data.train.target is missing", ["data.train.source=other.en"]
    )


def test_the_file_is_named_where_no_override_is_at_fault() -> None:
    text = EXAMPLE.replace("4000", "none")
    assert_refused(
        text,
        "tiny.yaml has 2 errors:\n"
        "  override: training.max_epochs must be >= 1, got 0\n"
        "  tiny.yaml:9: training.max_tokens must be a whole number, got 'none'",
        ["training.max_epochs=0"],
    )


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("training.seed", "override must be section.key=value, got 'training.seed'"),
        ("=5", "override must be section.key=value, got '=5'"),
        ("training..seed=5", "override must be section.key=value, got 'training..seed=5'"),
        ("training.seed=[5", "override 'training.seed=[5' is not valid YAML; quote its value"),
        (
            "data.source_lang.x=5",
            "override 'data.source_lang.x=5': 'source_lang' holds a value, not a section",
        ),
        (
            "training.warmup=5",
            "override: unknown key 'training.warmup'; did you mean 'training.warmup_steps'?",
        ),
    ],
)
def test_a_bad_override_is_refused(override: str, complaint: str) -> None:
    assert_refused(EXAMPLE, complaint, [override])


# Writing back, and comparing

TRICKY = [
    "",
    " ",
    "no",
    "null",
    "~",
    "12:30",
    "2e-3",
    "0x1F",
    "2001-12-14",
    "a: b",
    "- a",
    "\x85",
    "a\u2028",
    "#",
    "'",
]
TEXT = st.sampled_from(TRICKY) | st.text(
    st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]), max_size=6
)
PROBABILITY = st.floats(min_value=0, max_value=1, exclude_max=True)
ANY_SET: dict[str, st.SearchStrategy[object]] = {
    "source_lang": st.none(),
    "target_lang": st.none(),
    "weight": st.just(1.0),
}
FILES = st.fixed_dictionaries(
    {
        **ANY_SET,
        "weight": st.floats(min_value=0, max_value=1000, exclude_min=True),
        "source": TEXT,
        "target": TEXT,
        "alignment": st.none(),
    }
)
SETTINGS: dict[str, st.SearchStrategy[object]] = {
    "data.source_lang": st.sampled_from(["no", "on", "de", "pt-BR", "zh_Hant"]),
    "data.reverse": st.booleans(),
    "data.train": FILES | st.lists(FILES, min_size=1, max_size=3).map(tuple),
    "data.validation": st.fixed_dictionaries(
        {**ANY_SET, "jsonl": TEXT, "source": TEXT, "target": TEXT}
    ),
    "data.test": st.fixed_dictionaries(
        {
            **ANY_SET,
            "hub": TEXT,
            "streaming": st.none(),
            "config": st.none() | TEXT,
            "split": TEXT,
            "source": TEXT,
            "target": TEXT,
        }
    ),
    "data.cleaning.max_length_ratio": st.none() | st.floats(min_value=1.01, max_value=1e300),
    "tokenizer.user_defined_symbols": st.lists(TEXT, max_size=3).map(tuple),
    "model.dropout.word": PROBABILITY,
    "model.tied_embeddings": st.none() | st.sampled_from(["output", "all"]),
    "training.learning_rate": st.floats(min_value=1e-300, max_value=1e300),
    "training.adam_betas": st.tuples(PROBABILITY, PROBABILITY),
    "training.patience": st.none() | st.integers(min_value=1, max_value=10**30),
    "training.seed": st.integers(min_value=0, max_value=2**32 - 1),
    "evaluation.bleu_tokenizer": st.none() | TEXT,
}


def value_at(recipe: Recipe, key: str) -> object:
    """The setting that a dotted key names, in plain types."""
    value: object = recipe.model_dump()
    for part in key.split("."):
        assert isinstance(value, dict)
        value = value[part]
    return value


def as_override(key: str, value: object) -> str:
    # JSON is YAML but for one character that it does not escape.
    return f"{key}={json.dumps(value)}".replace("\x7f", r"\u007f")


@settings(max_examples=25)
@given(st.fixed_dictionaries({}, optional=SETTINGS))
def test_a_recipe_written_and_read_again_is_the_same(chosen: dict[str, object]) -> None:
    recipe = parse(EXAMPLE, *(as_override(key, value) for key, value in chosen.items()))
    for key, value in chosen.items():
        assert value_at(recipe, key) == value
    assert parse(dump_recipe(recipe)) == recipe


@pytest.mark.parametrize(
    "name", ["\x85", "a\x85b", "\u2028", "a\u2029", "\r", "a\nb", "\ufeff", " "]
)
def test_odd_names_come_back_from_a_written_recipe(name: str) -> None:
    recipe = parse(EXAMPLE, as_override("data.test.tsv", name))
    assert parse(dump_recipe(recipe)) == recipe


def test_a_written_recipe_says_everything() -> None:
    name = "Füße " * 40 + "am Ende.tsv"
    written = dump_recipe(parse(EXAMPLE, f"data.test.tsv={name}"))
    assert "\n  learning_rate: 0.001\n" in written
    assert "\n    deduplicate: true\n" in written
    assert f"\n    tsv: {name}\n" in written
    assert written.endswith("\n")


def test_differences_name_old_and_new_values() -> None:
    old = parse(EXAMPLE)
    assert differences(old, parse(EXAMPLE)) == []
    new = parse(
        EXAMPLE, "data.validation.tsv=val.tsv", "training.seed=5", "model.tied_embeddings=null"
    )
    assert differences(old, new) == [
        "data.validation.source: 'val.en' -> 1",
        "data.validation.target: 'val.no' -> 2",
        "model.tied_embeddings: 'output' -> None",
        "training.seed: 1 -> 5",
        "data.validation.tsv: None -> 'val.tsv'",
    ]


# The recipes that come with us


def test_there_are_recipes() -> None:
    assert RECIPES


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_loads_and_its_model_is_built(path: Path) -> None:
    assert path.read_text(encoding="utf-8").startswith("# ")
    recipe = load_recipe(path)
    with torch.device("meta"):
        model = build_model(
            recipe.model,
            source_vocab_size=recipe.tokenizer.vocab_size,
            target_vocab_size=recipe.tokenizer.vocab_size,
            pad_id=0,
        )
    assert model.output_layer.out_features == recipe.tokenizer.vocab_size


# Several sets, several languages

LIST = """\
data:
  source_lang: en
  target_lang: de
  train:
    - {source: a.en, target: a.de, weight: 2.5}
    - tsv: b.tsv
      weight: 0.5
  validation: {tsv: v.tsv}
training: {max_tokens: 4000}
"""


def test_training_sets_may_be_a_list() -> None:
    data = parse(LIST).data
    assert [(name, one.weight) for name, one in data.named_train_sets()] == [
        ("train.0", 2.5),
        ("train.1", 0.5),
    ]
    assert parse(EXAMPLE).data.named_train_sets()[0][0] == "train"
    assert list(data.named_sets()) == ["train.0", "train.1", "validation"]
    assert parse(dump_recipe(parse(LIST))) == parse(LIST)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("weight: 0.5", "weight: 0", "tiny.yaml:7: data.train.1.weight must be > 0.0, got 0"),
        ("weight: 2.5", "weight: -1", "tiny.yaml:5: data.train.0.weight must be > 0.0, got -1"),
        ("weight: 2.5", "weight: .nan", "data.train.0.weight must be a finite number, got nan"),
        (
            "weight: 0.5",
            "wieght: 0.5",
            "tiny.yaml:7: unknown key 'data.train.1.wieght'; did you mean 'data.train.1.weight'?",
        ),
        ("tsv: b.tsv", "source: b", "tiny.yaml:6: data.train.1.target is missing"),
        (
            "{tsv: v.tsv}",
            "{tsv: v.tsv, weight: 2}",
            "data: validation: only training sets have a weight, got 2",
        ),
        (
            "weight: 0.5",
            "source_lang: fr",
            "data: train.1: the languages must be those of the recipe, en to de, got fr to de; for "
            "a model of several directions set data.language_tags to true",
        ),
    ],
)
def test_faults_of_a_set_in_a_list_are_named(old: str, new: str, complaint: str) -> None:
    assert old in LIST
    with pytest.raises(RecipeError, match=re.escape(complaint)):
        parse(LIST.replace(old, new))


def test_a_list_of_training_sets_must_have_one() -> None:
    with pytest.raises(RecipeError, match=r"data\.train must have at least one entry, got \(\)"):
        parse(EXAMPLE, "data.train=[]")


HUB = "{hub: me/texts, split: train, source: en, target: de, streaming: %s}"
STREAM = HUB % "{batches_per_epoch: 9}"


def test_a_set_of_the_hub_may_be_streamed() -> None:
    recipe = parse(EXAMPLE, f"data.train={STREAM}")
    assert recipe.data.streaming == StreamingRecipe(batches_per_epoch=9, shuffle_buffer=100_000)
    assert parse(dump_recipe(recipe)) == recipe
    longer = parse(EXAMPLE, f"data.train={STREAM}", "data.train.streaming.batches_per_epoch=10")
    assert longer.data.streaming == StreamingRecipe(batches_per_epoch=10)
    assert parse(EXAMPLE).data.streaming is None


@pytest.mark.parametrize(
    ("overrides", "complaint"),
    [
        (
            [f"data.train=[{STREAM}]"],
            "data: train.0: a set with streaming must be the only training set; leave streaming "
            "out, or give no list",
        ),
        (
            [f"data.validation={STREAM}"],
            "data: validation: a set with streaming must be the only training set; leave streaming "
            "out, or give no list",
        ),
        (
            [f"data.train={STREAM.replace('hub:', 'weight: 2, hub:')}"],
            "data: train: a set with streaming has no weight, got 2; batches_per_epoch says how "
            "much of it an epoch has",
        ),
        (
            [f"data.train={STREAM}", "training.num_workers=2"],
            "training.num_workers must be 0 with data.train.streaming, got 2; a stream is read in "
            "the process that trains",
        ),
        (
            [f"data.train={HUB % '{}'}"],
            "data.train.streaming.batches_per_epoch is missing",
        ),
        (
            [f"data.train={STREAM}", "data.train.streaming.shuffle_buffer=0"],
            "data.train.streaming.shuffle_buffer must be >= 1, got 0",
        ),
    ],
)
def test_streams_have_rules(overrides: list[str], complaint: str) -> None:
    with pytest.raises(RecipeError, match=f": {re.escape(complaint)}$"):
        parse(EXAMPLE, *overrides)


def test_with_tags_sets_may_be_of_other_languages() -> None:
    several = LIST.replace("weight: 0.5", "target_lang: fr").replace(
        "  train:", "  language_tags: true\n  train:"
    )
    data = parse(several).data
    assert data.target_langs == ("de", "fr")
    assert data.tag_of("fr") == "<2fr>"
    assert [data.direction_of(one) for one in data.named_sets().values()] == [
        ("en", "de"),
        ("en", "fr"),
        ("en", "de"),
    ]
    turned = parse(several, "data.reverse=true").data
    assert turned.direction_of(turned.named_sets()["train.1"]) == ("fr", "en")
    assert turned.target_langs == ("en",)
    assert parse(LIST).data.tag_of("de") is None


GRAMMAR = "{builtin: grammar, split: train, sentences: 9, source_lang: de, target_lang: en}"


def test_built_in_sentences_may_be_turned_where_there_are_tags() -> None:
    parse(LIST, f"data.train={GRAMMAR}", "data.language_tags=true")
    with pytest.raises(RecipeError, match="a built-in set needs source_lang 'en'"):
        parse(LIST, f"data.train={GRAMMAR}")


# Subword sampling


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ("{sampling_alpha: 0}", "tokenizer.sampling_alpha must be > 0.0, got 0"),
        ("{sampling_alpha: 1.5}", "tokenizer.sampling_alpha must be <= 1.0, got 1.5"),
    ],
)
def test_sampling_settings_that_do_not_fit_are_refused(settings: str, complaint: str) -> None:
    with pytest.raises(RecipeError, match=re.escape(complaint)):
        parse(EXAMPLE, f"tokenizer={settings}")
