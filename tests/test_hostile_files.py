"""Files made to do harm, or by chance: nothing in them is run, and each gets one clear line."""

import contextlib
import io
import json
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_run import write_run
from toy import QUICK, toy_recipe, write_quick_corpus

from nmt.cli.main import main
from nmt.corpus import load_pairs
from nmt.errors import CheckpointError, NMTError, RecipeError
from nmt.recipe import JsonlSet, TsvSet, load_recipe, parse_recipe
from nmt.run_folder import RunFolder, load_run, read_weights, write_weights
from nmt.training import train

OUTPUT_BIAS = "output_layer.bias"


class Command:
    """Runs a command when it is unpickled."""

    def __init__(self, sign: Path) -> None:
        self.sign = sign

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.sign}",)


def pickled(sign: Path) -> bytes:
    return pickle.dumps(Command(sign))


def in_archive(sign: Path) -> bytes:
    """As torch itself would save it."""
    buffer = io.BytesIO()
    torch.save({"state_dict": Command(sign)}, buffer)
    return buffer.getvalue()


def test_the_pickles_here_do_run_a_command_where_they_are_trusted(tmp_path: Path) -> None:
    sign = tmp_path / "sign"
    pickle.loads(pickled(sign))  # noqa: S301 - made right here
    assert sign.exists()
    sign.unlink()
    torch.load(io.BytesIO(in_archive(sign)), weights_only=False)
    assert sign.exists()


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return write_run(tmp_path / "run")


def refused(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> str:
    """Give a command that must end with 2 and one line; return the line."""
    assert main(arguments) == 2
    output = capfd.readouterr()
    assert output.out == ""
    assert output.err.count("\n") == 1, output.err
    assert output.err.startswith("nmt: ")
    return output.err


@pytest.mark.parametrize("make", [pickled, in_archive])
@pytest.mark.parametrize(
    "name",
    ["recipe.yaml", "model.safetensors", "source.model", "target.model", "confidence.json"],
)
def test_a_pickle_in_place_of_any_file_runs_nothing(
    name: str,
    make: Callable[[Path], bytes],
    run: RunFolder,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    (run.path / name).write_bytes(make(tmp_path / "sign"))
    assert name in refused(["translate", "--model", str(run.path), "--input", "/dev/null"], capfd)
    assert not (tmp_path / "sign").exists()


@pytest.mark.parametrize("make", [pickled, in_archive])
def test_a_pickle_in_place_of_a_checkpoint_runs_nothing(
    make: Callable[[Path], bytes], tmp_path: Path
) -> None:
    write_quick_corpus(tmp_path)
    recipe = toy_recipe(tmp_path, *QUICK)
    run = train(recipe, tmp_path / "run")
    for file in (run.card_file, run.weights_file):
        file.unlink()
    run.last_checkpoint.write_bytes(make(tmp_path / "sign"))
    message = r"last\.ckpt: (damaged or cut off|not a checkpoint that can be read safely)"
    with pytest.raises(CheckpointError, match=message):
        train(recipe, run.path)
    assert not (tmp_path / "sign").exists()


def lie(data: bytes, change: Callable[[dict[str, Any]], None]) -> bytes:
    """Return a safetensors file with another header."""
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    change(header)
    written = json.dumps(header).encode()
    return struct.pack("<Q", len(written)) + written + data[8 + size :]


def set_entry(key: str, value: object) -> Callable[[dict[str, Any]], None]:
    return lambda header: header[OUTPUT_BIAS].update({key: value})


@pytest.mark.parametrize(
    "change",
    [
        set_entry("data_offsets", [0, 10**15]),
        set_entry("data_offsets", [-4, 0]),
        set_entry("data_offsets", [8, 4]),
        set_entry("shape", [10**15]),
        set_entry("shape", [2**63, 2**63]),
        set_entry("shape", [-1]),
        set_entry("dtype", "F64"),
        set_entry("dtype", "PICKLE"),
        lambda header: header.update({OUTPUT_BIAS: None}),
        lambda header: header.update({"../../../etc/passwd": header.pop(OUTPUT_BIAS)}),
        lambda header: header.update({"__metadata__": {"format_version": 2}}),
    ],
)
def test_a_lying_header_is_refused(
    change: Callable[[dict[str, Any]], None], run: RunFolder, capfd: pytest.CaptureFixture[str]
) -> None:
    run.weights_file.write_bytes(lie(run.weights_file.read_bytes(), change))
    assert "model.safetensors" in refused(
        ["translate", "--model", str(run.path), "--input", "/dev/null"], capfd
    )


@pytest.mark.parametrize("size", [0, 7, 10**9, 10**15, 2**64 - 1])
def test_a_header_of_a_size_that_cannot_be_is_refused(size: int, run: RunFolder) -> None:
    data = run.weights_file.read_bytes()
    run.weights_file.write_bytes(struct.pack("<Q", size) + data[8:])
    with pytest.raises(CheckpointError, match=r"model\.safetensors: damaged or not safetensors \("):
        load_run(run.path)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (torch.full((34,), float("nan")), "must be finite numbers, got some that are not; damaged"),
        (torch.full((34,), float("-inf")), "must be finite numbers, got some that are not"),
        (torch.ones(34, dtype=torch.int64), "must be of a floating point type, got torch.int64"),
        (torch.ones(34, 1), r"must have the shape \(34,\), got \(34, 1\)"),
    ],
)
def test_weights_that_are_no_weights_are_refused(
    weight: torch.Tensor, message: str, run: RunFolder
) -> None:
    write_weights(run.weights_file, read_weights(run.weights_file) | {OUTPUT_BIAS: weight})
    with pytest.raises(CheckpointError, match=rf"weight {OUTPUT_BIAS!r} {message}"):
        load_run(run.path)


HEAD = "data: {source_lang: de, target_lang: en, train: {tsv: a}, validation: {tsv: b}}\n"
TRAINING = "training: {max_sentences: 2}\n"


@pytest.mark.parametrize(
    "tag",
    [
        "!!python/object/apply:os.system ['touch {sign}']",
        "!!python/object/new:os.system ['touch {sign}']",
        "!!python/name:os.system",
        "!!python/module:os",
        "!command 'touch {sign}'",
    ],
)
@pytest.mark.parametrize("where", [HEAD + TRAINING + "model: {tag}\n", "{tag}\n"])
def test_a_tag_in_a_recipe_runs_nothing(tag: str, where: str, tmp_path: Path) -> None:
    sign = tmp_path / "sign"
    text = where.replace("{tag}", tag.format(sign=sign))
    with pytest.raises(RecipeError, match=r"^recipe") as raised:
        parse_recipe(text, name="recipe")
    assert "\n" not in str(raised.value)
    assert not sign.exists()


BOMB = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOMB, r"recipe: a recipe must have at most 10,000 values$"),
        ("a: " + "[" * 5000, r"recipe: a recipe must not be nested so deeply$"),
    ],
)
def test_a_recipe_that_would_fill_the_memory_is_refused(text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        parse_recipe(text, name="recipe")


def test_a_recipe_as_long_as_a_corpus_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_bytes(b"# long\n" * 200_000)
    message = r"recipe\.yaml: a recipe must have at most 1,000,000 bytes$"
    with pytest.raises(RecipeError, match=message):
        load_recipe(file)


@pytest.mark.parametrize(
    "setting",
    [
        "model.encoder.hidden_size",
        "model.encoder.num_layers",
        "model.decoder.hidden_size",
        "model.decoder.num_layers",
        "model.embedding_size",
        "tokenizer.vocab_size",
        "training.threads",
        "training.num_workers",
    ],
)
def test_an_absurd_size_is_refused_where_it_is_read(setting: str) -> None:
    message = rf"^override: {setting} must be <= \d+, got 1000000000000$"
    with pytest.raises(RecipeError, match=message):
        parse_recipe(HEAD + TRAINING, name="recipe", overrides=[f"{setting}=1000000000000"])


def test_a_run_that_asks_for_more_than_its_weights_takes_no_memory(run: RunFolder) -> None:
    """Fifty billion numbers: to make them would end the process."""
    text = run.recipe_file.read_text(encoding="utf-8")
    text = text.replace("hidden_size: 8\n", "hidden_size: 65536\n")
    run.recipe_file.write_text(text, encoding="utf-8", newline="\n")
    assert RunFolder(run.path).recipe.model.decoder.hidden_size == 65536
    with pytest.raises(CheckpointError, match=r"must have the shape \(131072,\), got \(16,\)"):
        load_run(run.path)


@pytest.fixture(scope="module")
def checkpointed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a corpus and a run that has trained and must only be finished."""
    folder = tmp_path_factory.mktemp("checkpointed")
    write_quick_corpus(folder)
    run = train(toy_recipe(folder, *QUICK), folder / "run")
    run.card_file.unlink()
    run.weights_file.unlink()
    return folder


@pytest.mark.parametrize(
    "change",
    [
        lambda found: found.update(state_dict={"weight": torch.ones(1)}),
        lambda found: found["state_dict"].update(
            {name: weight[:0] for name, weight in found["state_dict"].items()}
        ),
        lambda found: next(iter(found["state_dict"].values())).fill_(float("nan")),
        lambda found: found.pop("state_dict"),
        lambda found: found.pop("optimizer_states"),
        lambda found: found["optimizer_states"][0]["state"][0].update(exp_avg=torch.ones(3)),
        lambda found: found.pop("nmt"),
        lambda found: found["nmt"].update(format_version=99),
        lambda found: found["nmt"].update(format_version=torch.ones(2)),
        lambda found: found["nmt"]["position"].update(batch=-1),
        lambda found: found["nmt"]["position"].update(epoch="../../etc"),
        lambda found: found["nmt"].update(position=None),
        lambda found: found["nmt"]["position"].update(batch=10**9),
        lambda found: found["nmt"].pop("random_states"),
        lambda found: found["nmt"].update(random_states=[1, 2, 3]),
        lambda found: found["nmt"]["random_states"].update(torch=torch.ones(3)),
        lambda found: found["nmt"]["random_states"].update(cuda=["../../etc"]),
        lambda found: found["nmt"]["random_states"]["python"][1].fill_(-1),
        lambda found: found["nmt"]["random_states"]["numpy"].__setitem__(1, 10**9),
        lambda found: found.pop("loops"),
        lambda found: found.update(loops=[1, 2]),
        lambda found: found.update(loops={"fit_loop": "x"}),
        lambda found: found["loops"]["fit_loop"].update(state_dict=torch.ones(2)),
        lambda found: found["loops"]["fit_loop"]["epoch_progress"].update(current={"ready": "x"}),
        lambda found: found["loops"]["fit_loop"]["epoch_progress"]["current"].update(processed=-1),
        lambda found: found["loops"]["validate_loop"].pop("batch_progress"),
        lambda found: found.pop("lr_schedulers"),
        lambda found: found.update(lr_schedulers=[]),
        lambda found: found.update(lr_schedulers=[{"step": 3}]),
        lambda found: found["lr_schedulers"][0].update(step=3),
        lambda found: found["lr_schedulers"][0].update(last_epoch="x"),
        lambda found: found["lr_schedulers"][0].update(last_epoch=float("nan")),
        lambda found: found["lr_schedulers"][0].update(base_lrs=[1.0, 2.0]),
        lambda found: found["lr_schedulers"][0].update(_last_lr=torch.ones(9)),
        lambda found: found["optimizer_states"][0].update(param_groups=[]),
        lambda found: found["optimizer_states"][0]["param_groups"][0].update(lr="x"),
        lambda found: found["optimizer_states"][0]["param_groups"][0].update(params=[0]),
        lambda found: found["optimizer_states"][0]["state"][0].pop("exp_avg_sq"),
        lambda found: found["optimizer_states"][0]["state"][0].update(step="x"),
        lambda found: found["optimizer_states"][0]["state"].update(nobody={}),
        lambda found: found.update(optimizer_states=[]),
        lambda found: found.update(epoch="x"),
        lambda found: found.pop("global_step"),
        lambda found: found.pop("callbacks"),
        lambda found: found["callbacks"].update(Validation=None),
        lambda found: found["callbacks"]["Validation"].update(best=[["x", 1]]),
        lambda found: found["callbacks"]["Validation"].update(best=[[1.0, -1]]),
        lambda found: found["callbacks"]["Validation"].update(since_gain="x"),
        lambda found: found.pop("pytorch-lightning_version"),
        lambda found: found.update({"pytorch-lightning_version": "0.0.1"}),
        lambda found: found.update({"pytorch-lightning_version": "2.x"}),
    ],
)
def test_a_checkpoint_of_other_content_is_refused(
    change: Callable[[dict[str, Any]], object], checkpointed: Path
) -> None:
    run = RunFolder(checkpointed / "run")
    whole = run.last_checkpoint.read_bytes()
    found = torch.load(run.last_checkpoint, weights_only=True)
    change(found)
    torch.save(found, run.last_checkpoint)
    try:
        with pytest.raises(CheckpointError) as raised:
            train(toy_recipe(checkpointed, *QUICK), run.path)
        assert "\n" not in str(raised.value)
        assert "delete it to train from the start" in str(raised.value)
    finally:
        run.last_checkpoint.write_bytes(whole)


# What stands in a file, or something like it.
ANYTHING = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=200).map(str.encode),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
        max_leaves=10,
    ).map(lambda tree: json.dumps(tree).encode()),
)
TRIES = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def only_house_errors(call: Callable[[], object]) -> None:
    """Call something that may refuse in the house's own words, and in no others."""
    with contextlib.suppress(NMTError):
        call()


@TRIES
@given(text=st.text(max_size=200) | st.text("ab:[]{}&*!-#,'\"|>%@ \n\t", max_size=60))
def test_any_text_is_a_recipe_or_refused(text: str) -> None:
    only_house_errors(lambda: parse_recipe(text, name="recipe"))
    only_house_errors(lambda: parse_recipe(HEAD + TRAINING + text, name="recipe"))
    only_house_errors(lambda: parse_recipe(HEAD + TRAINING, name="recipe", overrides=[text]))


@TRIES
@given(key=st.sampled_from(["model", "training", "tokenizer", "decoding", "data"]), value=ANYTHING)
def test_any_section_is_a_recipe_or_refused(key: str, value: bytes) -> None:
    text = HEAD + TRAINING + f"{key}: {value.decode('utf-8', 'replace')}"
    only_house_errors(lambda: parse_recipe(text, name="recipe"))


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return write_run(tmp_path_factory.mktemp("victim") / "run")


@pytest.mark.parametrize(
    "name",
    [
        "recipe.yaml",
        "model.safetensors",
        "source.model",
        "confidence.json",
        "versions.json",
        "metrics.jsonl",
        "report/scores.json",
    ],
)
@TRIES
@given(content=ANYTHING)
def test_any_content_of_a_file_of_a_run_is_read_or_refused(
    name: str, content: bytes, victim: RunFolder
) -> None:
    file = victim.path / name
    file.parent.mkdir(exist_ok=True)
    before = file.read_bytes() if file.exists() else None
    file.write_bytes(content)
    try:
        only_house_errors(lambda: load_run(victim.path))
        assert main(["info", str(victim.path)]) in (0, 2)
    finally:
        if before is None:
            file.unlink()
        else:
            file.write_bytes(before)


@TRIES
@given(place=st.integers(0, 3000), byte=st.integers(0, 255))
def test_any_byte_changed_in_the_weights_is_read_or_refused(
    place: int, byte: int, victim: RunFolder
) -> None:
    before = victim.weights_file.read_bytes()
    changed = bytearray(before)
    changed[place % len(before)] = byte
    victim.weights_file.write_bytes(changed)
    try:
        only_house_errors(lambda: load_run(victim.path))
    finally:
        victim.weights_file.write_bytes(before)


@TRIES
@given(content=ANYTHING)
def test_any_content_of_a_corpus_is_read_or_refused(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "corpus"
    file.write_bytes(content)
    only_house_errors(lambda: list(load_pairs(TsvSet(tsv=str(file)))))
    only_house_errors(lambda: list(load_pairs(JsonlSet(jsonl=str(file)))))
