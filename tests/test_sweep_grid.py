import re

import pytest
from sweeping import grid, read

from nmt.errors import RecipeError
from nmt.sweep.grid import label, read_axis


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("model.bridge=zero,mean", ("zero", "mean")),
        ("training.learning_rate=1e-3, 0.002", (0.001, 0.002)),
        ("training.adam_betas=[0.9,0.98],[0.9,0.999]", ([0.9, 0.98], [0.9, 0.999])),
        ("model.attention=null,{kind: dot, window: 2}", (None, {"kind": "dot", "window": 2})),
        ("tokenizer.joint=true", (True,)),
        ("data.train={source: 'a,b', target: c}", ({"source": "a,b", "target": "c"},)),
    ],
)
def test_values_are_a_yaml_list_without_brackets(text: str, values: tuple[object, ...]) -> None:
    axis = read_axis(text)
    assert (axis.key, axis.values) == (text.partition("=")[0], values)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("training.seed", "--set must be section.key=value,value,..., got 'training.seed'"),
        ("a..b=1", "--set must be section.key=value,value,..., got 'a..b=1'"),
        ("model.bridge=", "--set model.bridge must have at least one value, got ''"),
        ("model.bridge=[a", "--set 'model.bridge=[a': the values must be a YAML list without its"),
        ("training.seed=1,2", "--set training.seed: the seeds are those of --seeds"),
        ("data.test=null", "--set data.test: a sweep never looks at the test set"),
        ("data.test.source=a", "--set data.test.source: a sweep never looks at the test set"),
        ("data.validation.tsv=a", "--set data.validation.tsv: all runs are compared on one"),
        ("evaluation.bleu_tokenizer=char", "--set evaluation.bleu_tokenizer: all runs are scored"),
        ("evaluation={metrics: [BLEU]}", "--set evaluation: all runs are scored alike"),
        ("data.reverse=true", "--set data.reverse: all runs translate in one direction"),
        ("data.source_lang=fr", "--set data.source_lang: all runs translate in one direction"),
        ("data.target_lang=fr", "--set data.target_lang: all runs translate in one direction"),
        ("training.device=cpu", "--set training.device: the devices are those of --devices"),
        ("training.threads=1,2", "--set training.threads: runs at a time share the threads"),
        (
            "training={max_sentences: 2, seed: 7}",
            "--set training: settings of training are changed one by one, such as ",
        ),
        ("data.train.tsv=a", "--set data.train.tsv: sets of a corpus are changed as a whole"),
    ],
)
def test_what_is_no_setting_of_a_sweep_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(RecipeError, match=f"^{re.escape(complaint)}"):
        read_axis(text)


def test_each_value_goes_with_each_of_the_others_and_the_recipe_itself_comes_first() -> None:
    settings = grid("training.learning_rate=0.002,0.004", "model.bridge=zero,mean")
    # 0.001 and linear are the recipe's own
    assert [setting.name for setting in settings] == [
        "baseline",
        "model.bridge=zero,training.learning_rate=0.002",
        "model.bridge=mean,training.learning_rate=0.002",
        "model.bridge=zero,training.learning_rate=0.004",
        "model.bridge=mean,training.learning_rate=0.004",
    ]
    rates = [setting.recipe.training.learning_rate for setting in settings]
    assert rates == [0.001, 0.002, 0.002, 0.004, 0.004]
    bridges = [setting.recipe.model.bridge for setting in settings]
    assert bridges == ["linear", "zero", "mean", "zero", "mean"]


def test_one_at_a_time_is_each_value_against_the_recipe() -> None:
    texts = ("training.learning_rate=0.002,0.004", "model.bridge=zero")
    names = [setting.name for setting in grid(*texts, one_at_a_time=True)]
    assert names == [
        "baseline",
        "training.learning_rate=0.002",
        "training.learning_rate=0.004",
        "model.bridge=zero",
    ]


def test_the_recipes_own_values_make_no_other_rows() -> None:
    settings = grid("training.learning_rate=1e-3,2e-3,0.002", "model.bridge=linear,zero")
    assert [setting.name for setting in settings] == [
        "baseline",
        "model.bridge=zero",
        "training.learning_rate=0.002",
        "model.bridge=zero,training.learning_rate=0.002",
    ]


def test_no_run_knows_the_test_set_and_each_has_its_seed() -> None:
    assert read([]).data.test is not None
    for setting in grid("model.bridge=zero"):
        assert setting.recipe.data.test is None
        assert setting.with_seed(3).training.seed == 3
        assert setting.with_seed(1) == setting.recipe


def test_names_do_not_hang_on_the_rest_of_the_grid() -> None:
    (alone,) = grid("training.learning_rate=0.002")[1:]
    among = grid("model.bridge=linear,zero", "training.learning_rate=1e-3,2e-3,5e-3")
    assert alone in among


def test_names_are_safe_for_files_and_no_two_are_alike() -> None:
    settings = grid(
        "data.train={tsv: a/b},{tsv: a b},{tsv: 'ä:b'},{tsv: CON},{tsv: ../b}",
        "training.adam_betas=[0.9,0.98],[0.9,0.99]",
        "tokenizer.user_defined_symbols=[<a>],[<b>],[" + ",".join(f"s{n}" for n in range(99)) + "]",
    )
    names = [setting.name for setting in settings]
    assert len(names) == 1 + 5 * 2 * 3
    assert len({name.casefold() for name in names}) == len(names)
    for name in names:
        assert re.fullmatch(r"[A-Za-z][A-Za-z0-9._=,+-]{1,149}", name)


def test_a_setting_is_called_in_a_table_by_what_was_asked_for() -> None:
    settings = grid("model.attention=null,{kind: dot}", "training.adam_betas=[0.9, 0.98]")
    assert [label(setting.values) for setting in settings] == [
        "baseline",
        "model.attention=null, training.adam_betas=[0.9,0.98]",
        'model.attention={"kind":"dot"}, training.adam_betas=[0.9,0.98]',
    ]


@pytest.mark.parametrize(
    ("texts", "complaint"),
    [
        (
            ["training.warmup=5"],
            "--set training.warmup=5: override: unknown key 'training.warmup'; did you mean",
        ),
        (
            ["model.bridge=zero", "training.max_epochs=4,0"],
            "--set model.bridge=zero, training.max_epochs=0: override: training.max_epochs must "
            "be >= 1, got 0",
        ),
        (["model.bridge=zero", "model.bridge=mean"], "--set model.bridge must be given once"),
    ],
)
def test_a_wrong_value_is_refused_and_named(texts: list[str], complaint: str) -> None:
    with pytest.raises(RecipeError, match=f"^{re.escape(complaint)}"):
        grid(*texts)


@pytest.mark.parametrize(
    ("change", "fixed"),
    [
        ("validation: {tsv: other.tsv}", "data.validation"),
        ("validation: {tsv: validation.tsv}, reverse: true", "data.reverse"),
    ],
)
def test_a_whole_section_does_not_change_what_runs_have_in_common(change: str, fixed: str) -> None:
    section = "source_lang: de, target_lang: en, train: {tsv: b.tsv}"
    with pytest.raises(RecipeError, match=rf"^--set data=.*: {fixed} must be the recipe's: all "):
        grid(f"data={{{section}, {change}}}")


def test_a_whole_section_may_change_the_rest() -> None:
    section = "source_lang: de, target_lang: en, validation: {tsv: validation.tsv}"
    (found,) = grid(f"data={{{section}, train: {{tsv: b.tsv}}}}")[1:]
    assert found.recipe.data.train != read([]).data.train
