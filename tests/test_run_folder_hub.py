"""Runs on the hub, by way of a server on this machine and the hub's own client in a process."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from standing_hub import Hub, standing_hub
from tiny_run import SOURCES, VERSIONS, write_run

from nmt import Translator
from nmt.cli.main import main
from nmt.run_folder import RunFolder
from nmt.run_folder.hub import hub_card, hub_name
from nmt.training.card import model_card

ROOT = Path(__file__).parent.parent
EXPORTED = ["README.md", "model.safetensors", "recipe.yaml", "source.model", "target.model"]


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with standing_hub() as hub:
        yield hub


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run with a card, and with what is nobody's business."""
    run = write_run(tmp_path_factory.mktemp("hub") / "run")
    sets = {"train": "train.tsv", "validation": "validation.tsv"}
    card = model_card(
        run.recipe,
        path="runs/mine",
        sets=sets,
        num_pairs=5,
        num_weights=6,
        chosen="loss",
        versions=VERSIONS,
        scores=[],
    )
    run.card_file.write_text(card, encoding="utf-8", newline="\n")
    run.log_file.write_text("secret\n", encoding="utf-8", newline="\n")
    (run.checkpoints / "last.ckpt").write_bytes(b"secret")
    (run.path / "token").write_text("secret\n", encoding="utf-8", newline="\n")
    return run


def nmt(
    hub: Hub, folder: Path, *arguments: str, stdin: str = ""
) -> "subprocess.CompletedProcess[str]":
    """Run a command in a process whose hub is this one: the client looks where it is on import."""
    hidden = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "HF_TOKEN")
    environment = {key: value for key, value in os.environ.items() if key not in hidden}
    code = "import sys; from nmt.cli.main import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        cwd=folder,
        env=environment
        | {
            "PYTHONPATH": str(ROOT),
            "HF_ENDPOINT": hub.address,
            "HF_HOME": str(folder / "hf"),
            "HF_TOKEN": "hf_of_the_test",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_XET": "1",
        },
    )


def test_what_is_pushed_is_what_is_exported_and_others_translate_with_it(
    hub: Hub, run: RunFolder, tmp_path: Path
) -> None:
    pushed = nmt(hub, tmp_path, "push", str(run.path), "me/tiny", "--private")
    assert pushed.returncode == 0, pushed.stderr
    command = "nmt translate --model hub:me/tiny"
    assert pushed.stdout == f"{hub.address}/me/tiny\n{command}\n"
    assert hub.created[-1]["visibility"] == "private"
    assert hub.tokens == {"Bearer hf_of_the_test"}
    files = hub.repositories["me/tiny"]
    assert sorted(files) == [*EXPORTED, "versions.json"]
    for name in (*EXPORTED[1:], "versions.json"):
        assert files[name] == (run.path / name).read_bytes()
    assert files["README.md"].decode() == hub_card(run, "me/tiny")

    # what else lies there is not even fetched
    files["setup.py"] = b"raise SystemExit"
    files["../../outside"] = b""
    lines = "".join(f"{line}\n" for line in SOURCES)
    translated = nmt(hub, tmp_path, *command.split()[1:], stdin=lines)
    assert translated.returncode == 0, translated.stderr
    expected = Translator.load(run.path).translate(SOURCES)
    assert translated.stdout == "".join(f"{line}\n" for line in expected)
    assert set(hub.fetched) == {*EXPORTED, "versions.json"}
    assert not list(tmp_path.rglob("setup.py")) + list(tmp_path.rglob("outside"))

    again = nmt(hub, tmp_path, "push", str(run.path), "me/tiny")
    complaint = "hub:me/tiny is there already; add --update to put this run on top of it"
    assert (again.returncode, again.stdout, again.stderr) == (2, "", f"nmt: {complaint}\n")
    del files["recipe.yaml"]
    updated = nmt(hub, tmp_path, "push", str(run.path), "me/tiny", "--update")
    assert updated.returncode == 0, updated.stderr
    assert "recipe.yaml" in files


def test_a_name_that_is_not_on_the_hub_is_one_line(hub: Hub, tmp_path: Path) -> None:
    missing = nmt(hub, tmp_path, "translate", "--model", "hub:me/none")
    assert missing.returncode == 2
    assert missing.stderr.startswith(
        f"nmt: hub:me/none: cannot be fetched from {hub.address} (404 Client Error"
    )
    assert missing.stderr.count("\n") == 1


def test_a_run_without_a_card_is_not_pushed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_run(tmp_path / "run")
    assert main(["push", str(run.path), "me/tiny"]) == 2
    complaint = "README.md, the model card, is missing; nmt train writes it at the end"
    assert capsys.readouterr() == ("", f"nmt: {run.path}: {complaint}\n")


@pytest.mark.parametrize(
    "name", ["tiny", "../tiny", "me/../tiny", "me/tiny/more", "", "/", "me/.."]
)
def test_a_name_that_none_can_have_is_one_line(
    name: str, run: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    complaint = f"nmt: a run on the hub must be named owner/name, got {name!r}\n"
    assert main(["push", str(run.path), name]) == 2
    assert capsys.readouterr() == ("", complaint)
    assert main(["translate", "--model", f"hub:{name}", "--input", os.devnull]) == 2
    assert capsys.readouterr().err.startswith("nmt: a run on the hub must be named owner/name, got")


def test_without_a_network_it_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """The tests' own setting keeps the client offline."""
    assert main(["translate", "--model", "hub:me/tiny", "--input", os.devnull]) == 2
    error = capsys.readouterr().err
    assert error.startswith("nmt: hub:me/tiny: cannot be fetched from https://")
    assert error.count("\n") == 1


def test_what_stands_behind_hub_is_its_name() -> None:
    assert hub_name("hub:me/tiny@v1") == hub_name(Path("hub:me/tiny@v1")) == "me/tiny@v1"
    assert hub_name("runs/hub:me") is None
    assert hub_name(Path("runs/a")) is None


def test_the_card_of_the_hub_has_its_languages_and_its_name(run: RunFolder) -> None:
    card = hub_card(run, "me/tiny")
    assert card.startswith('---\nlanguage:\n- "de"\n- "en"\nlibrary_name: nmt\n')
    assert "nmt translate --model hub:me/tiny < source.txt > target.txt\n" in card
    assert "python translate.py --model hub:me/tiny < source.txt > target.txt\n" in card
    assert "--model runs/mine" not in card
