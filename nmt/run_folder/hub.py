"""Runs on the Hugging Face hub: fetched by name, and pushed as they are exported."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from nmt import __version__
from nmt.errors import CheckpointError, NMTError
from nmt.run_folder.exporting import EXPORTED, export_folder
from nmt.run_folder.folder import RunFolder

_SCHEME = "hub:"
_REPOSITORY = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
_CONFLICT = 409
_COMMAND = re.compile(r"(--model ).*( < )")
_FRONT_MATTER = """\
---
language:
- "{source_lang}"
- "{target_lang}"
library_name: nmt
pipeline_tag: translation
---
"""


def hub_name(run: str | Path) -> str | None:
    """Return what stands behind `hub:`; None where a run is a file or a folder."""
    text = run.as_posix() if isinstance(run, Path) else run
    return text.removeprefix(_SCHEME) if text.startswith(_SCHEME) else None


def fetch(name: str, *, names: tuple[str, ...] = EXPORTED) -> Path:
    """Return the folder of a run on the hub, fetched or out of the hub's own cache.

    Args:
        name: `owner/name`, and behind `@` a revision where it is not the newest.
        names: Files to fetch; no others ever are.

    Raises:
        NMTError: It cannot be had.
    """
    repository, _, revision = name.partition("@")
    _check_name(repository)
    # slow to import, and only the hub needs it
    from huggingface_hub import constants, snapshot_download

    try:
        return Path(
            snapshot_download(repository, revision=revision or None, allow_patterns=list(names))
        )
    except Exception as error:  # network, server and cache each have a tree of their own
        raise NMTError(
            f"{_SCHEME}{name}: cannot be fetched from {constants.ENDPOINT} ({_reason(error)}); "
            "check the name, the network and, for a private one, HF_TOKEN"
        ) from error


def push(folder: RunFolder, repository: str, *, private: bool, update: bool) -> str:
    """Put a run on the hub: what `export_folder` writes, and nothing else.

    Args:
        folder: The run.
        repository: `owner/name`.
        private: Make a new repository private.
        update: Put it on top of what the repository holds, which its history keeps; otherwise the
            repository must be new.

    Returns:
        Where it is now.

    Raises:
        CheckpointError: The run is not whole.
        NMTError: The repository is there already, or the hub cannot be reached or refuses.
    """
    _check_name(repository)
    with tempfile.TemporaryDirectory(prefix="nmt-") as temporary:
        exported = RunFolder(Path(temporary) / "run")
        export_folder(folder, exported.path)
        if not exported.card_file.exists():
            raise CheckpointError(
                f"{folder.path}: README.md, the model card, is missing; nmt train writes it at the "
                "end"
            )
        card = hub_card(exported, repository)
        exported.card_file.write_text(card, encoding="utf-8", newline="\n")
        return _upload(exported.path, repository, private=private, update=update)


def hub_card(folder: RunFolder, repository: str) -> str:
    """Return a run's model card as the hub wants it: what it looks for first, and its own name."""
    source_lang, target_lang = folder.recipe.data.direction
    head = _FRONT_MATTER.format(source_lang=source_lang, target_lang=target_lang)
    card = folder.card_file.read_text(encoding="utf-8")
    return head + _COMMAND.sub(rf"\g<1>{_SCHEME}{repository}\g<2>", card)


def _upload(path: Path, repository: str, *, private: bool, update: bool) -> str:
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import HfHubHTTPError

    api = HfApi()
    try:
        api.create_repo(repository, private=private, exist_ok=update)
        api.upload_folder(
            repo_id=repository,
            folder_path=path,
            commit_message=f"Upload a run of nmt {__version__}",
        )
    except Exception as error:  # as in `fetch`
        response = error.response if isinstance(error, HfHubHTTPError) else None
        if response is not None and response.status_code == _CONFLICT and not update:
            raise NMTError(
                f"{_SCHEME}{repository} is there already; add --update to put this run on top of it"
            ) from error
        raise NMTError(
            f"{_SCHEME}{repository}: cannot be pushed to {constants.ENDPOINT} ({_reason(error)}); "
            "check the name, the network and HF_TOKEN"
        ) from error
    return f"{constants.ENDPOINT}/{repository}"


def _check_name(repository: str) -> None:
    if not _REPOSITORY.fullmatch(repository):
        raise NMTError(f"a run on the hub must be named owner/name, got {repository!r}")


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).split("\n") if line.strip()]
    return lines[0].removesuffix(".") if lines else type(error).__name__
