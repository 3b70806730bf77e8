import hashlib
import itertools
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from small_models import VARIATIONAL, build
from stopping import StoppedError
from toy import QUICK, toy_recipe, write_lines, write_quick_corpus

from nmt import Translator
from nmt.cli.main import main
from nmt.errors import CheckpointError, NMTError, RecipeError, TokenizerError
from nmt.recipe import FinetuneRecipe, Part, load_recipe
from nmt.run_folder import RunFolder, export_file, read_weights
from nmt.tokenizer import Tokenizer
from nmt.training import train
from nmt.training.finetuning import freeze
from nmt.training.module import TranslationModule

SOURCE_TABLE, OUTPUT_BIAS = "encoder.embedding.table.weight", "output_layer.bias"
# Beside QUICK: what makes every part have weights of its own.
APART = (*QUICK, "model.tied_embeddings=null")
PREFIXES: dict[Part, tuple[str, ...]] = {
    "embeddings": ("encoder.embedding.", "decoder.embedding."),
    "encoder": ("encoder.layers.",),
    "bridge": ("bridge.",),
    "attention": ("decoder.attention.",),
    "decoder": ("decoder.lower.", "decoder.upper.", "decoder.readout."),
    "output_layer": ("output_layer.",),
}


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a corpus, and with two runs: `base`, and `tied`, whose embeddings are one."""
    folder = tmp_path_factory.mktemp("ground")
    write_quick_corpus(folder)
    train(toy_recipe(folder, *APART), folder / "base")
    train(toy_recipe(folder, *QUICK), folder / "tied")
    return folder


def finetune(ground: Path, name: str, *arguments: str, base: str = "base") -> RunFolder:
    assert main(["finetune", str(ground / base), *arguments, "--run-dir", str(ground / name)]) == 0
    return RunFolder(ground / name)


def refused(
    ground: Path, capsys: pytest.CaptureFixture[str], *arguments: str, base: str = "base"
) -> str:
    """Give a command that must end with 2 and one line, and make no folder; return the line."""
    capsys.readouterr()
    out = ground / "refused"
    assert main(["finetune", str(ground / base), *arguments, "--run-dir", str(out)]) == 2
    output = capsys.readouterr()
    assert output.err.count("\n") == 1, output.err
    assert not out.exists()
    return output.err.removeprefix("nmt: ").removesuffix("\n")


def changed_parts(run: RunFolder, base: RunFolder) -> set[str]:
    """The parts some of whose weights are not those of the base."""
    before, now = read_weights(base.weights_file), read_weights(run.weights_file)
    assert before.keys() == now.keys()
    parts = {
        part: [name for name in before if name.startswith(prefixes)]
        for part, prefixes in PREFIXES.items()
    }
    assert sorted(name for names in parts.values() for name in names) == sorted(before)
    return {
        part
        for part, names in parts.items()
        if not all(torch.equal(before[name], now[name]) for name in names)
    }


def test_a_run_goes_on_from_another_with_its_tokenizers_and_a_new_schedule(ground: Path) -> None:
    base = RunFolder(ground / "base")
    files = {file: file.read_bytes() for file in base.path.rglob("*") if file.is_file()}
    # a rate of next to nothing: what it begins with is what it ends with
    run = finetune(ground, "onward", "training.learning_rate=1e-30", "training.seed=5")
    assert changed_parts(run, base) == set()
    for name in ("source.model", "target.model"):
        assert (run.path / name).read_bytes() == (base.path / name).read_bytes()
    assert run.recipe.finetune == FinetuneRecipe(run=str(base.path))
    assert run.recipe.training.seed == 5
    (entry,) = run.metrics()
    assert (entry["epoch"], entry["step"]) == (1, 3)
    digest = hashlib.sha256(base.weights_file.read_bytes()).hexdigest()
    assert run.versions()["finetuned_from"] == {"run": str(base.path), "weights": digest}
    assert base.shortlist_file.exists()
    assert not run.shortlist_file.exists()  # its data has but some of the words
    assert f"| fine-tuned from | {base.path} |" in run.card_file.read_text(encoding="utf-8")
    assert {file: file.read_bytes() for file in base.path.rglob("*") if file.is_file()} == files


def test_new_data_is_named_by_overrides(ground: Path, tmp_path: Path) -> None:
    write_lines(tmp_path / "new.en", ["1 2", "2 3 4", "5 6"] * 6)
    write_lines(tmp_path / "new.de", ["2 1", "4 3 2", "6 5"] * 6)
    new = [
        f"data.train.{side}={tmp_path}/new.{lang}"
        for side, lang in zip(("source", "target"), ("en", "de"), strict=True)
    ]
    new.append("data.cleaning.deduplicate=false")
    run, base = finetune(ground, "new-data", *new), RunFolder(ground / "base")
    assert changed_parts(run, base) == set(PREFIXES)
    before, now = base.versions()["data"], run.versions()["data"]
    assert [name for name in now if now[name] != before[name]] == ["train"]


@pytest.mark.parametrize("part", PREFIXES)
def test_a_frozen_part_stays_as_it_was_and_all_others_learn(part: Part, ground: Path) -> None:
    run = finetune(ground, f"frozen-{part}", "--freeze", part)
    assert changed_parts(run, RunFolder(ground / "base")) == set(PREFIXES) - {part}


def test_several_parts_may_be_frozen(ground: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = finetune(ground, "frozen", "--freeze", "encoder", "--freeze", "embeddings")
    assert changed_parts(run, RunFolder(ground / "base")) == set(PREFIXES) - {
        "encoder",
        "embeddings",
    }
    capsys.readouterr()
    assert main(["info", str(run.path)]) == 0
    line = f"fine-tuned  from {ground / 'base'}; encoder, embeddings frozen\n"
    assert line in capsys.readouterr().out


def test_weights_that_parts_share_stay_if_one_of_them_is_frozen(ground: Path) -> None:
    run = finetune(ground, "frozen-tied", "--freeze", "output_layer", base="tied")
    before, now = (read_weights(one.weights_file) for one in (RunFolder(ground / "tied"), run))
    shared = next(name for name in before if name.endswith("table.weight"))
    assert torch.equal(before[shared], now[shared])
    assert torch.equal(before[OUTPUT_BIAS], now[OUTPUT_BIAS])
    assert changed_parts(run, RunFolder(ground / "tied")) >= {"encoder", "decoder"}


@pytest.mark.parametrize("base", ["base", "tied"])
def test_new_pieces_start_as_the_mean_of_what_they_were_cut_into(base: str, ground: Path) -> None:
    write_lines(ground / "pieces", ["<77>", "123"])
    run = finetune(
        ground,
        f"extended-{base}",
        "--add-pieces",
        str(ground / "pieces"),
        "training.learning_rate=1e-30",
        base=base,
    )
    old, new = RunFolder(ground / base), run
    known, extended = old.tokenizers[0], new.tokenizers[0]
    size = known.vocab_size
    assert extended.pieces(range(size + 2)) == [*known.pieces(range(size)), "<77>", "123"]
    parts = [one for one in known.encode("123") if known.pieces([one]) != ["\u2581"]]
    assert len(parts) >= 2
    before, now = read_weights(old.weights_file), read_weights(new.weights_file)
    assert before.keys() == now.keys()
    for name in before:
        if len(now[name]) != len(before[name]):
            torch.testing.assert_close(now[name][:size], before[name])
            torch.testing.assert_close(now[name][size + 1], before[name][parts].mean(dim=0))
    assert len(now[OUTPUT_BIAS]) == size + 2
    assert size + 1 in extended.encode("4 123 5")
    assert len(Translator.load(run.path).translate(["1 123 <77>"])) == 1


def test_new_pieces_are_learned(ground: Path) -> None:
    write_lines(ground / "pieces", ["1 2".replace(" ", "")])
    write_lines(ground / "new.en", ["12", "3 12", "12 4"] * 4)
    write_lines(ground / "new.de", ["12", "12 3", "4 12"] * 4)
    run = finetune(
        ground,
        "learned",
        "--add-pieces",
        str(ground / "pieces"),
        f"data.train.source={ground}/new.en",
        f"data.train.target={ground}/new.de",
        "data.cleaning.deduplicate=false",
    )
    old, new = RunFolder(ground / "base"), run
    parts = [
        one
        for one in old.tokenizers[0].encode("12")
        if old.tokenizers[0].pieces([one]) != ["\u2581"]
    ]
    for name in (SOURCE_TABLE, OUTPUT_BIAS):
        start = read_weights(old.weights_file)[name][parts].mean(dim=0)
        assert not torch.allclose(read_weights(new.weights_file)[name][-1], start)


def test_the_same_command_again_goes_on_and_another_one_is_refused(
    ground: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = finetune(ground, "again", "--freeze", "bridge")
    before = run.weights_file.read_bytes()
    capsys.readouterr()
    finetune(ground, "again", "--freeze", "bridge")
    assert "is trained already: nothing to do" in capsys.readouterr().err
    assert main(["finetune", str(ground / "base"), "--run-dir", str(run.path)]) == 2
    assert "finetune.freeze: ('bridge',) -> ()" in capsys.readouterr().err
    assert run.weights_file.read_bytes() == before


def test_a_run_that_was_cut_off_ends_as_if_nothing_had_been(
    ground: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is frozen stays so, and what it began with is not taken again."""
    base = ground / "base"
    recipe = toy_recipe(
        ground,
        *APART,
        f"finetune={{run: '{base}', freeze: [encoder], add_pieces: ['<77>']}}",
        "training.max_epochs=2",
        "training.save_every_minutes=1e-9",
    )
    whole = train(recipe, ground / "finetuned-whole")
    true_step, num_steps = TranslationModule.training_step, itertools.count(1)

    def stop(*arguments: Any) -> dict[str, Any]:
        if next(num_steps) == 5:
            raise StoppedError
        return true_step(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(TranslationModule, "training_step", stop)
        with pytest.raises(StoppedError):
            train(recipe, ground / "finetuned-cut")
    shutil.move(base, ground / "moved")  # it is not needed any more
    try:
        run = train(recipe, ground / "finetuned-cut")
    finally:
        shutil.move(ground / "moved", base)
    assert run.weights_file.read_bytes() == whole.weights_file.read_bytes()


def test_a_run_may_start_from_an_exported_file(ground: Path) -> None:
    export_file(RunFolder(ground / "base"), ground / "base.nmt")
    run = finetune(ground, "from-file", "training.learning_rate=1e-30", base="base.nmt")
    assert changed_parts(run, RunFolder(ground / "base")) == set()


def test_the_recipe_alone_trains_the_same(ground: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = str(ground / "base")
    assert main(["finetune", base, "--freeze", "encoder", "--print-recipe"]) == 0
    file = ground / "finetune.yaml"
    file.write_text(capsys.readouterr().out, encoding="utf-8", newline="\n")
    by_recipe = train(load_recipe(file), ground / "by-recipe")
    by_command = finetune(ground, "by-command", "--freeze", "encoder")
    assert by_recipe.weights_file.read_bytes() == by_command.weights_file.read_bytes()


def test_a_base_that_has_changed_in_between_is_refused(ground: Path) -> None:
    """Before the first checkpoint a run still needs what it starts from."""
    base = train(toy_recipe(ground, *APART), ground / "changing")
    run = finetune(ground, "changed", base="changing")
    for file in (run.card_file, run.weights_file, run.last_checkpoint, run.previous_checkpoint):
        file.unlink(missing_ok=True)
    base.weights_file.write_bytes((ground / "again" / "model.safetensors").read_bytes())
    with pytest.raises(CheckpointError, match=r"changing: its weights have changed since the"):
        train(run.recipe, run.path)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (
            ["model.decoder.hidden_size=16"],
            "model.decoder.hidden_size must be that of {base}, whose weights and tokenizers are "
            "kept, got 8 -> 16",
        ),
        (
            ["tokenizer.vocab_size=30"],
            "tokenizer.vocab_size must be that of {base}, whose weights and tokenizers are kept, "
            "got 25 -> 30",
        ),
        (
            [f"--freeze={part}" for part in PREFIXES],
            "finetune.freeze must leave something to train, got all parts",
        ),
        (
            ["--add-pieces", "pieces", "--freeze", "embeddings"],
            "override: finetune: freeze must leave embeddings and output_layer out where "
            "add_pieces adds rows to them, got embeddings",
        ),
        (
            ["training.source_embeddings=vectors"],
            "the recipe of {base}: training.source_embeddings and target_embeddings must be null "
            "with finetune, which brings embeddings of its own",
        ),
        (["--add-pieces", "known"], "finetune.add_pieces must be new, got '1', which is a piece"),
        (["--add-pieces", "blank"], "blank: must have a piece a line, got none"),
        (["--add-pieces", "spaced"], "finetune.add_pieces must be text without white space, and"),
        (["--add-pieces", "twice"], "finetune.add_pieces must differ, got '<a>' more than once"),
        (["--add-pieces", "nowhere"], "nowhere: "),
        (["--freeze", "head"], "override: finetune.freeze"),
    ],
)
def test_what_cannot_be_is_one_line_and_makes_no_folder(
    arguments: list[str],
    complaint: str,
    ground: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(ground)
    write_lines(ground / "pieces", ["<77>"])
    write_lines(ground / "known", ["1"])
    write_lines(ground / "blank", ["", " "])
    write_lines(ground / "spaced", ["a b"])
    write_lines(ground / "twice", ["<a>", "<a>"])
    expected = complaint.format(base=ground / "base")
    assert refused(ground, capsys, *arguments).startswith(expected)


def test_a_base_that_is_none_is_one_line(ground: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(ground, capsys, base="none") == f"{ground / 'none'}: no such run folder"


def test_a_part_without_weights_cannot_be_frozen(ground: Path) -> None:
    model = RunFolder(ground / "base").build_model()
    model.bridge = type(model.bridge).__new__(type(model.bridge))
    torch.nn.Module.__init__(model.bridge)
    with pytest.raises(RecipeError, match=r"finetune\.freeze: this model's bridge has no weights"):
        freeze(model, FinetuneRecipe(run="a", freeze=("bridge",)))


def test_what_guesses_at_the_attention_is_frozen_with_it() -> None:
    model = build(VARIATIONAL["variational"])
    freeze(model, FinetuneRecipe(run="a", freeze=("attention",)))
    frozen = {name for name, weight in model.named_parameters() if not weight.requires_grad}
    names = [name for name, _ in model.named_parameters()]
    parts = ("decoder.attention.", "posterior.")
    assert frozen == {name for name in names if name.startswith(parts)}
    assert all(any(name.startswith(part) for name in frozen) for part in parts)


def test_pieces_that_one_side_has_are_added_to_the_other(ground: Path) -> None:
    tokenizer = RunFolder(ground / "base").tokenizers[0]
    once = tokenizer.with_pieces(["<a>"], key="pieces")
    twice = once.with_pieces(["<a>", "<b>"], key="pieces")
    assert twice.pieces([tokenizer.vocab_size, tokenizer.vocab_size + 1]) == ["<a>", "<b>"]
    assert twice.vocab_size == tokenizer.vocab_size + 2
    again = Tokenizer(twice.model)
    line = "1 <b>2 <a>"
    assert again.encode(line) == twice.encode(line)
    assert again.decode(again.encode(line)) == line
    assert tokenizer.vocab_size in again.encode(line)
    assert again.encode("1 2 3") == tokenizer.encode("1 2 3")


def test_a_piece_that_would_never_be_found_is_refused(ground: Path) -> None:
    tokenizer = RunFolder(ground / "base").tokenizers[0]
    with pytest.raises(TokenizerError, match=r"pieces must be text"):
        tokenizer.with_pieces(["a\tb"], key="pieces")
    with pytest.raises(NMTError, match=r"pieces must be .*'<s>'"):
        tokenizer.with_pieces(["<s>"], key="pieces")
