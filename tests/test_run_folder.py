import json
import os
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import safetensors.torch
import torch
from tiny_run import SOURCES, TARGETS, write_run

from nmt import Translator
from nmt.errors import CheckpointError, NMTError, TokenizerError
from nmt.run_folder import (
    RunFolder,
    average_weights,
    load_run,
    read_weights,
    set_weights,
    write_atomically,
    write_weights,
)
from nmt.run_folder.weights import FORMAT_VERSION
from nmt.tokenizer import Tokenizer

OUTPUT_BIAS = "output_layer.bias"
SOURCE_TABLE = "encoder.embedding.table.weight"


@pytest.fixture(scope="module")
def written_run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return write_run(tmp_path_factory.mktemp("runs") / "tiny")


@pytest.fixture
def run(written_run: RunFolder, tmp_path: Path) -> RunFolder:
    """A whole run folder to do damage to."""
    shutil.copytree(written_run.path, tmp_path / "run")
    return RunFolder(tmp_path / "run")


def rewrite(run: RunFolder, changes: dict[str, torch.Tensor | None]) -> None:
    """Write the run's weights again, some changed; None takes one away."""
    weights = read_weights(run.weights_file) | changes
    write_weights(
        run.weights_file,
        {name: weight for name, weight in weights.items() if weight is not None},
    )


def assert_refused(run: RunFolder, message: str) -> None:
    """Loading must fail with this message, the folder or a file of it in front, in one line."""
    with pytest.raises(CheckpointError) as raised:
        load_run(run.path)
    complaint = str(raised.value)
    assert complaint.startswith(str(run.path))
    assert "\n" not in complaint
    assert re.search(message, complaint), complaint


def test_a_written_run_is_read_back_whole(run: RunFolder) -> None:
    loaded = load_run(run.path)
    state = loaded.model.state_dict()
    weights = read_weights(run.weights_file)
    assert weights.keys() < state.keys()
    assert all(torch.equal(weight, state[name]) for name, weight in weights.items())
    assert loaded.recipe == run.recipe
    assert loaded.source_tokenizer.decode(loaded.source_tokenizer.encode(SOURCES[0])) == SOURCES[0]
    assert loaded.target_tokenizer.decode(loaded.target_tokenizer.encode(TARGETS[0])) == TARGETS[0]
    assert not any(part.training for part in loaded.model.modules())


def test_the_two_sides_keep_their_own_tokenizers(tmp_path: Path, run: RunFolder) -> None:
    source = Tokenizer.train(SOURCES, run.recipe.tokenizer.model_copy(update={"vocab_size": 24}))
    target = Tokenizer.train(TARGETS, run.recipe.tokenizer.model_copy(update={"vocab_size": 20}))
    folder = RunFolder(tmp_path / "two")
    folder.make()
    folder.start(run.recipe, (source, target), {})
    assert [tokenizer.vocab_size for tokenizer in folder.tokenizers] == [24, 20]
    model = folder.build_model()
    write_weights(folder.weights_file, model.state_dict())
    loaded = load_run(folder.path)
    assert len(loaded.model.state_dict()[SOURCE_TABLE]) == 24
    assert len(loaded.model.state_dict()[OUTPUT_BIAS]) == 20


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        ("missing", "missing: no such run folder$"),
        ("file", "file: must be a run folder here, got a file; an exported one is a ZIP archive"),
    ],
)
def test_what_is_no_folder_is_refused(folder: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert_refused(RunFolder(tmp_path / folder), message)


@pytest.mark.parametrize(
    "name", ["recipe.yaml", "source.model", "target.model", "model.safetensors"]
)
def test_a_missing_file_is_named(name: str, run: RunFolder) -> None:
    (run.path / name).unlink()
    assert_refused(run, f": {name} is missing; not a whole run folder$")


@pytest.mark.parametrize("num_bytes", [0, 4, 100, -1])
def test_cut_off_weights_are_refused(num_bytes: int, run: RunFolder) -> None:
    run.weights_file.write_bytes(run.weights_file.read_bytes()[:num_bytes])
    assert_refused(run, r"model\.safetensors: damaged or not safetensors \(.+\)$")


@pytest.mark.parametrize("section", ["decoding:", "evaluation:", "  bleu_tokenizer:"])
def test_a_recipe_without_its_end_is_refused(section: str, run: RunFolder) -> None:
    text = run.recipe_file.read_text(encoding="utf-8")
    run.recipe_file.write_text(text[: text.index(section)], encoding="utf-8", newline="\n")
    message = r"recipe\.yaml: the end is missing; the file is cut off$"
    with pytest.raises(CheckpointError, match=message):
        load_run(run.path)


def test_a_recipe_of_a_version_with_fewer_keys_is_read(run: RunFolder) -> None:
    recipe = run.recipe
    text = run.recipe_file.read_text(encoding="utf-8")
    (line,) = re.findall("    identical: true\n", text)
    run.recipe_file.write_text(text.replace(line, ""), encoding="utf-8", newline="\n")
    assert load_run(run.path).recipe == recipe


def test_a_recipe_from_before_there_were_penalties_is_read(run: RunFolder) -> None:
    recipe = run.recipe
    lines = run.recipe_file.read_text(encoding="utf-8").split("\n")
    new = (
        "normalization",
        "coverage_penalty",
        "min_length_ratio",
        "min_target_length",
        "no_repeat_ngram_size",
    )
    kept = [line for line in lines if line.strip().partition(":")[0] not in new]
    assert len(kept) == len(lines) - len(new)
    run.recipe_file.write_text("\n".join(kept), encoding="utf-8", newline="\n")
    assert load_run(run.path).recipe == recipe


def test_a_damaged_tokenizer_is_refused(run: RunFolder) -> None:
    run.target_tokenizer_file.write_bytes(b"nothing of the kind")
    with pytest.raises(TokenizerError, match=r"target\.model: not a SentencePiece model"):
        load_run(run.path)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (
            {"format_version": "3", "nmt_version": "9.1.0"},
            r"must be one of 1, 2, got 3 \(written by nmt 9\.1\.0; this is nmt ",
        ),
        (None, r"must be one of 1, 2, got None \(written by nmt another program; this is nmt "),
    ],
)
def test_weights_of_another_format_are_refused(
    metadata: dict[str, str] | None, message: str, run: RunFolder
) -> None:
    weights = read_weights(run.weights_file)
    safetensors.torch.save_file(weights, run.weights_file, metadata)
    assert_refused(run, rf"model\.safetensors: format version {message}")


# What the weights of the first format were called, of one encoder and two decoder layers.
FIRST_NAMES = {
    "encoder.embedding.table.weight",
    *(
        f"encoder.layers.0.{kind}_{way}_l0{suffix}"
        for kind in ("weight", "bias")
        for way in ("ih", "hh")
        for suffix in ("", "_reverse")
    ),
    *(f"bridge.projections.{state}.{kind}" for state in (0, 1) for kind in ("weight", "bias")),
    "decoder.attention.key_projection.weight",
    "decoder.embedding.table.weight",
    *(
        f"decoder.{layer}.{kind}_{way}_l0"
        for layer in ("bottom", "upper.0")
        for kind in ("weight", "bias")
        for way in ("ih", "hh")
    ),
    "decoder.readout.weight",
    "decoder.readout.bias",
    "output_layer.bias",
}
# The model section of a recipe of that time.
FIRST_RECIPE = """\
model:
  embedding_size: 8
  encoder:
    num_layers: 1
    hidden_size: 4
  attention:
    kind: general
    size: null
  decoder:
    num_layers: 2
    hidden_size: 8
  bridge: linear
  dropout:
    embedding: 0.3
    layers: 0.3
    readout: 0.3
    word: 0.0
    shared_over_time: false
  tied_embeddings: output
"""


def test_a_run_of_the_first_format_is_read_under_todays_names(run: RunFolder) -> None:
    expected = load_run(run.path).model.state_dict()
    before = Translator.load(run.path).translate(SOURCES)
    first = {
        name.replace("lower.0", "bottom").replace("readout.projection", "readout"): weight
        for name, weight in read_weights(run.weights_file).items()
    }
    assert first.keys() == FIRST_NAMES
    metadata = {"format_version": "1", "nmt_version": "0.1.0"}
    safetensors.torch.save_file(first, run.weights_file, metadata)
    text = run.recipe_file.read_text(encoding="utf-8")
    start, end = text.index("model:\n"), text.index("training:\n")
    text = text[:start] + FIRST_RECIPE + text[end:]
    run.recipe_file.write_text(text, encoding="utf-8", newline="\n")
    state = load_run(run.path).model.state_dict()
    assert state.keys() == expected.keys()
    assert all(torch.equal(weight, expected[name]) for name, weight in state.items())
    assert Translator.load(run.path).translate(SOURCES) == before


def test_weights_are_written_in_todays_format(run: RunFolder) -> None:
    with safetensors.safe_open(run.weights_file, framework="pt") as file:
        assert file.metadata()["format_version"] == "2"


@pytest.mark.parametrize(("side", "weight"), [("source", SOURCE_TABLE), ("target", OUTPUT_BIAS)])
def test_weights_of_another_vocabulary_are_refused(side: str, weight: str, run: RunFolder) -> None:
    old = read_weights(run.weights_file)[weight]
    rewrite(run, {weight: torch.cat((old, old[:2]))})
    assert_refused(
        run,
        f": weights have 36 {side} embeddings, {side}.model has 34 pieces; "
        "these files are not of one run$",
    )


def test_weights_of_another_shape_are_refused(run: RunFolder) -> None:
    rewrite(run, {SOURCE_TABLE: read_weights(run.weights_file)[SOURCE_TABLE][:, :7]})
    assert_refused(
        run,
        rf"model\.safetensors: weight {SOURCE_TABLE!r} must have the shape \(34, 8\), "
        r"got \(34, 7\); not of the run's recipe$",
    )


@pytest.mark.parametrize(
    ("name", "weight", "what"),
    [("extra", torch.ones(1), "not of this model"), (OUTPUT_BIAS, None, "missing")],
)
def test_a_weight_too_many_or_too_few_is_named(
    name: str, weight: torch.Tensor | None, what: str, run: RunFolder
) -> None:
    rewrite(run, {name: weight})
    assert_refused(run, rf"weight {name!r} is {what}; not of the run's recipe$")


@pytest.mark.parametrize("tied", ["null", "output", "all"])
def test_weights_that_are_one_are_written_once(tied: str, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", f"model.tied_embeddings={tied}")
    sharing = {
        "null": 0,  # three tables of 34 vectors: source, target, output
        "output": 1,
        "all": 2,
    }
    weights = read_weights(run.weights_file)
    tables = [name for name, weight in weights.items() if weight.shape == (34, 8)]
    assert len(tables) == 3 - sharing[tied]
    assert len(run.build_model().state_dict()) - len(weights) == sharing[tied]
    state = load_run(run.path).model.state_dict()
    assert all(torch.equal(weight, state[name]) for name, weight in weights.items())


def test_equal_weights_are_equal_files(tmp_path: Path) -> None:
    weights = {"b": torch.arange(3.0), "a": torch.ones(2, 2), "ä": torch.zeros(1)}
    files = [tmp_path / str(number) for number in range(20)]
    for file in files:
        write_weights(file, weights)
    assert len({file.read_bytes() for file in files}) == 1
    read = read_weights(files[0])
    assert read.keys() == weights.keys()
    assert all(torch.equal(read[name], weights[name]) for name in weights)


def test_shared_weights_reach_every_place(run: RunFolder) -> None:
    model = load_run(run.path).model
    assert model.output_layer.weight is model.decoder.embedding.table.weight
    model.output_layer.weight.data.zero_()
    set_weights(model, read_weights(run.weights_file), name="weights")
    assert model.decoder.embedding.table.weight.abs().sum() > 0


def test_the_mean_of_weights_is_over_each_number(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a", "b", "c")]
    values = ([1.0, 2.0], [3.0, 4.0], [8.0, 0.0])
    for file, row in zip(files, values, strict=True):
        write_weights(file, {"weight": torch.tensor(row)})
    assert average_weights(files)["weight"].tolist() == [4.0, 2.0]
    assert average_weights(files[:2])["weight"].tolist() == [2.0, 3.0]
    assert average_weights(files[2:])["weight"].tolist() == [8.0, 0.0]


@pytest.mark.parametrize(("content", "expected"), [("é\n", b"\xc3\xa9\n"), (b"\xff", b"\xff")])
def test_text_is_written_as_utf8_and_bytes_as_they_are(
    content: str | bytes, expected: bytes, tmp_path: Path
) -> None:
    write_atomically(tmp_path / "file", content)
    assert (tmp_path / "file").read_bytes() == expected
    assert os.listdir(tmp_path) == ["file"]  # noqa: PTH208


@pytest.mark.parametrize("place", ["os.fsync", "pathlib.Path.replace"])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    write_atomically(tmp_path / "file", "old")
    with monkeypatch.context() as patched:
        patched.setattr(place, refuse)
        message = r"/file: cannot write: No space left on device; make room and give the same "
        with pytest.raises(NMTError, match=message):
            write_atomically(tmp_path / "file", "new")
    assert (tmp_path / "file").read_text(encoding="utf-8") == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_the_room_that_training_needs_is_seen_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def leave(free: int) -> None:
        usage = SimpleNamespace(total=10**9, used=0, free=free)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)

    folder = RunFolder(tmp_path / "run")
    folder.make()
    # three checkpoints of three times the weights; 3 + 2 kept; those to translate with
    needed = 4 * 1_000_000 * (9 + 5 + 1) + 5_000_000
    leave(needed)
    folder.check_space(num_weights=1_000_000, num_kept=3)
    leave(needed - 1)
    message = (
        f"{folder.path}: must have 65.0 MB free for weights and checkpoints, got 65.0 MB; "
        "make room or choose another --run-dir"
    )
    with pytest.raises(NMTError, match=f"^{re.escape(message)}$"):
        folder.check_space(num_weights=1_000_000, num_kept=3)
    # a moving average is in each of the three checkpoints
    leave(needed + 3 * 4 * 1_000_000)
    folder.check_space(num_weights=1_000_000, num_kept=3, with_average=True)
    leave(needed + 3 * 4 * 1_000_000 - 1)
    with pytest.raises(NMTError, match=r"must have 77\.0 MB free"):
        folder.check_space(num_weights=1_000_000, num_kept=3, with_average=True)
    # what an earlier start has written already needs no room
    leave(needed - 1)
    folder.last_checkpoint.write_bytes(b"x")
    folder.check_space(num_weights=1_000_000, num_kept=3)


@pytest.mark.parametrize(
    ("parent", "reason"), [("missing", "No such file or directory"), ("file", "Not a directory")]
)
def test_a_file_that_cannot_be_is_refused(parent: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(NMTError, match=f"{parent}/new: cannot write: {reason}$"):
        write_atomically(tmp_path / parent / "new", "text")


def test_a_folder_below_a_file_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(NMTError, match=r"file/run: cannot write a run folder there: Not a dir"):
        RunFolder(tmp_path / "file" / "run").make()


def test_a_run_has_begun_when_its_recipe_is_there(run: RunFolder) -> None:
    assert run.is_started
    run.recipe_file.unlink()
    assert not run.is_started


@pytest.mark.parametrize(
    ("name", "is_foreign"),
    [
        ("source.model", False),
        ("versions.json", False),
        ("checkpoints", False),
        (".recipe.yaml.123.part", False),
        ("README.md", True),  # somebody's, and it would be overwritten
        ("thesis.tex", True),
    ],
)
def test_only_what_a_cut_off_start_leaves_may_lie_about(
    name: str, is_foreign: bool, tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path)
    assert not folder.holds_other_files()
    (tmp_path / name).write_text("", encoding="utf-8")
    assert folder.holds_other_files() == is_foreign


def test_only_an_empty_folder_is_taken_back(run: RunFolder, tmp_path: Path) -> None:
    with run.held():
        pass
    assert run.is_started
    fresh = RunFolder(tmp_path / "fresh")
    with fresh.held():
        assert fresh.checkpoints.is_dir()
    assert not fresh.path.exists()


def test_what_a_killed_run_has_left_is_swept_away(run: RunFolder) -> None:
    left = [run.path / ".recipe.yaml.123.part", run.checkpoints / ".last.ckpt.7.part"]
    kept = [run.path / "notes.part", run.checkpoints / ".other.part"]
    for file in (*left, *kept):
        file.write_bytes(b"half")
    with run.held():
        assert not any(file.exists() for file in left)
    assert all(file.exists() for file in kept)
    assert not run.lock_file.exists()


def test_a_folder_has_room_for_one_run_at_a_time(run: RunFolder) -> None:
    with run.held():
        other = RunFolder(run.path)
        message = (
            rf"^{re.escape(str(run.path))}: process {os.getpid()} on .+ is training here; "
            "wait for its end or choose another --run-dir$"
        )
        with pytest.raises(CheckpointError, match=message), other.held():
            pass
        assert run.checkpoints.is_dir()
        assert run.lock_file.exists()
    with other.held() as killed:
        assert killed is None


def test_the_checkpoint_before_the_last_one_is_kept(run: RunFolder) -> None:
    for content in (b"one", b"two", b"three"):
        run.keep_checkpoint(content)
    assert run.last_checkpoint.read_bytes() == b"three"
    assert run.previous_checkpoint.read_bytes() == b"two"


@pytest.mark.parametrize("read", [b"new\0", b"ne", b"nex", b""])
def test_a_checkpoint_that_reads_back_otherwise_takes_no_place(
    read: bytes, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.keep_checkpoint(b"older")
    run.keep_checkpoint(b"old")

    def forget(path: Path) -> None:
        path.write_bytes(read)

    monkeypatch.setattr("nmt.run_folder.folder.flush", forget)
    message = r"last\.ckpt: the disk gives back other bytes than were written to it$"
    with pytest.raises(NMTError, match=message):
        run.keep_checkpoint(b"new")
    assert run.last_checkpoint.read_bytes() == b"old"
    assert run.previous_checkpoint.read_bytes() == b"older"
    assert len(list(run.checkpoints.iterdir())) == 2


@pytest.mark.parametrize("name", ["previous.ckpt", "last.ckpt"])
def test_no_moment_of_a_save_leaves_a_run_without_a_checkpoint(
    name: str, run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.keep_checkpoint(b"older")
    run.keep_checkpoint(b"old")
    true_replace = Path.replace

    def refuse(self: Path, target: Path) -> Path:
        if target.name == name:
            raise OSError(28, "No space left on device")
        return true_replace(self, target)

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(NMTError, match=r"last\.ckpt: cannot write: No space left on device; make"):
        run.keep_checkpoint(b"new")
    assert b"old" in {file.read_bytes() for file in run.checkpoints.iterdir()}


@pytest.mark.parametrize("num_bytes", [1, 12, 16])  # at 16 the é is cut in two
def test_a_last_line_cut_off_is_left_out_of_the_metrics(num_bytes: int, run: RunFolder) -> None:
    entry = {"epoch": 1, "step": 3, "seconds": 1.5, "loss": 2.5}
    first = json.dumps(entry) + "\n"
    cut = (first + '{"sample": "été"}\n').encode("utf-8")[: len(first) + num_bytes]
    assert (num_bytes == 16) == cut.endswith(b"\xc3")
    run.metrics_file.write_bytes(cut)
    assert run.metrics() == [entry]


@pytest.mark.parametrize("value", ['"1"', "null", "true", "[]"])
def test_metrics_that_are_none_are_refused(value: str, run: RunFolder) -> None:
    line = f'{{"epoch": 1, "step": {value}, "seconds": 1.5, "loss": 2.5}}\n'
    run.metrics_file.write_text(line, encoding="utf-8", newline="\n")
    message = (
        rf"metrics\.jsonl: step must be a whole number, got {re.escape(repr(json.loads(value)))}$"
    )
    with pytest.raises(CheckpointError, match=message):
        run.metrics()


def test_what_is_not_yet_there_is_empty(run: RunFolder) -> None:
    run.versions_file.unlink()
    assert (run.metrics(), run.scores(), run.versions()) == ([], [], {})


def test_scores_and_versions_are_what_the_files_say(run: RunFolder) -> None:
    scores = [{"name": "BLEU", "value": 37.6, "signature": "nrefs:1"}]
    run.report.mkdir()
    (run.report / "scores.json").write_text(json.dumps(scores), encoding="utf-8")
    assert run.scores() == scores
    content = {"format_version": 1, "scores": scores}
    (run.report / "scores.json").write_text(json.dumps(content), encoding="utf-8")
    assert run.scores() == scores
    assert run.versions()["seed"] == 7


def test_a_run_folder_translates_wherever_it_is(run: RunFolder, tmp_path: Path) -> None:
    before = Translator.load(run.path).translate(SOURCES)
    run.path.rename(tmp_path / "elsewhere")
    assert Translator.load(tmp_path / "elsewhere").translate(SOURCES) == before


@pytest.mark.parametrize("version", ["1", FORMAT_VERSION])
def test_a_run_folder_of_every_format_is_read_for_ever(version: str) -> None:
    """These folders were written when the formats were new, and are never written again."""
    path = Path(__file__).parent / "run_folders" / f"format-{version}"
    with safetensors.safe_open(path / "model.safetensors", framework="pt") as file:
        assert file.metadata()["format_version"] == version
    expected = json.loads((path / "expected.json").read_text(encoding="utf-8"))
    found = list(Translator.load(path).translate_detailed(expected["sources"]))
    assert [translation.score for translation in found] == pytest.approx(
        expected["scores"], abs=1e-3
    )


def test_there_is_a_run_folder_of_every_format() -> None:
    folders = {path.name for path in (Path(__file__).parent / "run_folders").iterdir()}
    assert folders == {f"format-{number}" for number in range(1, int(FORMAT_VERSION) + 1)}
