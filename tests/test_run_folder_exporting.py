import contextlib
import errno
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_run import SOURCES, write_run

from nmt import Translator
from nmt.cli.main import main
from nmt.confidence import ConfidenceModel, dump_confidence
from nmt.confidence.features import FEATURES
from nmt.errors import CheckpointError, NMTError
from nmt.run_folder import RunFolder, export_file, opened
from nmt.run_folder.exporting import EXPORTED

NAMES = [
    "README.md",
    "confidence.json",
    "model.safetensors",
    "recipe.yaml",
    "shortlist.safetensors",
    "source.model",
    "target.model",
    "versions.json",
]


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A run with all that there may be in a run folder."""
    run = write_run(tmp_path / "run")
    neutral = (0.0,) * len(FEATURES)
    confidence = ConfidenceModel(neutral, (1.0,) * len(FEATURES), neutral, 0.0)
    run.confidence_file.write_text(dump_confidence(confidence), encoding="utf-8", newline="\n")
    for file in (run.card_file, run.log_file, run.metrics_file, run.last_checkpoint):
        file.touch()
    run.shortlist_file.touch()  # read only where it is asked for
    return run


def listed(folder: Path) -> list[str]:
    return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*"))


def test_an_exported_folder_is_a_run_folder_without_what_training_needs(
    run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "out"
    assert main(["export", str(run.path), str(out)]) == 0
    assert capsys.readouterr() == (f"{out} translates: nmt translate --model {out}\n", "")
    assert listed(out) == NAMES
    for name in listed(out):
        assert (out / name).read_bytes() == (run.path / name).read_bytes()
    assert listed(out.parent) == ["out", *(f"out/{name}" for name in listed(out))]
    shutil.rmtree(run.path)
    assert Translator.load(out).has_confidence


def test_one_file_translates_as_its_run_does(
    run: RunFolder,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out, source = tmp_path / "out.nmt", tmp_path / "source"
    assert main(["export", str(run.path), str(out), "--one-file"]) == 0
    capsys.readouterr()
    source.write_text("".join(f"{line}\n" for line in SOURCES), encoding="utf-8", newline="\n")
    expected = Translator.load(run.path).translate(SOURCES)
    with zipfile.ZipFile(out) as archive:
        archive.extractall(tmp_path / "unpacked")
    shutil.rmtree(run.path)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    translator = Translator.load(out)
    assert translator.translate(SOURCES) == expected
    assert translator.has_confidence
    assert Translator.load(tmp_path / "unpacked").translate(SOURCES) == expected
    assert (
        main(
            [
                "translate",
                "--model",
                str(out),
                "--input",
                str(source),
                "--output",
                str(tmp_path / "target"),
            ]
        )
        == 0
    )
    target = (tmp_path / "target").read_text(encoding="utf-8")
    assert target == "".join(f"{line}\n" for line in expected)
    assert main(["info", str(out)]) == 0
    assert capsys.readouterr().out.startswith(f"run folder  {out}\nlanguages   de to en\n")
    assert listed(scratch) == []  # what was unpacked is gone


def test_equal_runs_give_equal_files(run: RunFolder, tmp_path: Path) -> None:
    other = RunFolder(shutil.copytree(run.path, tmp_path / "other"))
    export_file(run, tmp_path / "a")
    export_file(other, tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("options", [[], ["--one-file"]])
@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_what_is_there_is_left_alone(
    kind: str,
    options: list[str],
    run: RunFolder,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    if kind == "file":
        out.write_bytes(b"mine")
    elif kind == "folder":
        out.mkdir()
    else:
        out.symlink_to(tmp_path / "nowhere")
    assert main(["export", str(run.path), str(out), *options]) == 2
    assert capsys.readouterr() == ("", f"nmt: {out} is there already; choose another name\n")
    assert listed(tmp_path / "nowhere") == []
    assert kind != "file" or out.read_bytes() == b"mine"


@pytest.mark.parametrize("options", [[], ["--one-file"]])
def test_a_run_that_is_not_whole_is_not_exported(
    options: list[str], run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = run.weights_file.read_bytes()
    run.weights_file.write_bytes(data[:-1])
    assert main(["export", str(run.path), str(tmp_path / "out"), *options]) == 2
    assert "model.safetensors: damaged" in capsys.readouterr().err
    assert listed(tmp_path) == ["run", *(f"run/{name}" for name in listed(run.path))]


@pytest.mark.parametrize("options", [[], ["--one-file"]])
def test_a_place_that_cannot_be_written_is_one_line(
    options: list[str], run: RunFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    out = tmp_path / "file" / "out"
    assert main(["export", str(run.path), str(out), *options]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"nmt: {out}: cannot write: ")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "place"), [([], "shutil.copyfile"), (["--one-file"], "shutil.copyfileobj")]
)
def test_a_disk_that_is_full_is_one_line_and_leaves_nothing(
    options: list[str],
    place: str,
    run: RunFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(place, fail)
    out = tmp_path / "out"
    before = listed(tmp_path)
    assert main(["export", str(run.path), str(out), *options]) == 2
    reason = "No space left on device; make room and give the same command again"
    assert capsys.readouterr() == ("", f"nmt: {out}: cannot write: {reason}\n")
    assert listed(tmp_path) == before


@pytest.fixture
def exported(run: RunFolder, tmp_path: Path) -> Path:
    export_file(run, tmp_path / "exported")
    return tmp_path / "exported"


def repacked(file: Path, change: Callable[[zipfile.ZipFile, dict[str, bytes]], None]) -> None:
    """Write an archive anew; `change` writes what comes before, or changes the files."""
    with zipfile.ZipFile(file) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(file, "w") as archive:
        change(archive, files)
        for name, data in files.items():
            archive.writestr(name, data)


def add(name: str) -> Callable[[zipfile.ZipFile, dict[str, bytes]], None]:
    return lambda archive, files: archive.writestr(name, b"made to harm")


def compress(archive: zipfile.ZipFile, files: dict[str, bytes]) -> None:
    del files["README.md"]
    archive.writestr("README.md", bytes(10**7), compress_type=zipfile.ZIP_DEFLATED)


def twice(archive: zipfile.ZipFile, files: dict[str, bytes]) -> None:
    archive.writestr("recipe.yaml", b"")
    with pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("recipe.yaml", b"")
    files.pop("recipe.yaml")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (add("../../outside"), "must hold files of a run alone, got '../../outside'"),
        (add("/etc/outside"), "must hold files of a run alone, got '/etc/outside'"),
        (add("report/"), "must hold files of a run alone, got 'report/'"),
        (
            add("checkpoints/last.ckpt"),
            "must hold files of a run alone, got 'checkpoints/last.ckpt'",
        ),
        (compress, "must be without compression"),
        (twice, "must hold each file once"),
        (lambda _, files: files.pop("source.model") and None, "source.model is missing"),
        (lambda _, files: files.clear(), "recipe.yaml is missing"),
        (lambda _, files: files.update({"recipe.yaml": b"a: ["}), "/recipe.yaml:1: not valid YAML"),
        (
            lambda _, files: files.update({"model.safetensors": b"cos\nsystem\n(S'true'\ntR."}),
            "/model.safetensors: damaged or not safetensors",
        ),
    ],
)
def test_a_file_made_to_harm_is_refused_and_writes_nothing(
    change: Callable[[zipfile.ZipFile, dict[str, bytes]], None],
    complaint: str,
    exported: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    repacked(exported, change)
    scratch = exported.with_name("scratch")
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    before = listed(exported.parent)
    assert main(["translate", "--model", str(exported), "--input", "/dev/null"]) == 2
    output = capsys.readouterr()
    assert output.err.startswith(f"nmt: {exported}")
    assert complaint in output.err
    assert str(scratch) not in output.err
    assert output.err.count("\n") == 1
    assert listed(exported.parent) == before


def test_an_archive_that_lies_about_its_sizes_fills_no_disk(exported: Path, tmp_path: Path) -> None:
    data = bytearray(exported.read_bytes())
    entry = data.rindex(b"PK\x01\x02")  # the last file's entry in the list
    struct.pack_into("<II", data, entry + 20, 4 * 10**9, 4 * 10**9)
    exported.write_bytes(data)
    with (
        pytest.raises(CheckpointError, match=r"says that it holds 4,\d{3},\d{3},\d{3} bytes"),
        opened(exported),
    ):
        pass


def test_a_byte_that_has_changed_is_found(exported: Path) -> None:
    data = bytearray(exported.read_bytes())
    data[data.index(b"model.safetensors") + 2000] ^= 1
    exported.write_bytes(data)
    with pytest.raises(CheckpointError, match="Bad CRC-32"), opened(exported):
        pass


@pytest.mark.parametrize("content", [b"", b"PK\x05\x06" + bytes(18), b"\x80\x04cos\nsystem\n"])
def test_a_file_that_is_no_run_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    message = r"file: (damaged or not an exported run|recipe\.yaml is missing)"
    with pytest.raises(CheckpointError, match=message), opened(tmp_path / "file"):
        pass


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("victim")
    export_file(write_run(folder / "run"), folder / "file")
    return folder / "file"


@settings(max_examples=60)
@given(place=st.integers(-700, 300), byte=st.integers(0, 255))
def test_any_byte_of_the_list_of_files_changed_is_read_or_refused(
    place: int, byte: int, victim: Path
) -> None:
    before = victim.read_bytes()
    changed = bytearray(before)
    changed[place] = byte
    victim.write_bytes(changed)
    try:
        with contextlib.suppress(NMTError), opened(victim) as folder:
            assert set(listed(folder.path)) <= set(EXPORTED)
    finally:
        victim.write_bytes(before)


def test_what_needs_a_folder_says_so_of_a_file(
    exported: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "--model", str(exported)]) == 2
    assert capsys.readouterr().err.startswith(
        f"nmt: {exported}: must be a run folder here, got a file; an exported one is a ZIP archive"
    )
