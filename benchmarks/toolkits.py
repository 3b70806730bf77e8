"""Other toolkits to compare with: their virtual environments, and processes that are watched."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

ROOT = Path(__file__).resolve().parent.parent
DECODING = ROOT / "benchmarks" / "decoding"
TITLES = {
    "ours": "nmt",
    "eole": "Eole 0.6.4",
    "opennmt": "OpenNMT-py 3.5.1",
    "joeynmt": "JoeyNMT 2.3.0",
}
TORCH = "torch==2.13.0"
# What a toolkit's own command imports, each list around the toolkit itself: their metadata asks for
# an older PyTorch, or for packages that training never touches.
PACKAGES = {
    "eole": (
        "eole==0.6.4",
        "aiohttp==3.14.5",
        "configargparse==1.9.0",
        "ctranslate2==4.8.5",
        "fastapi==0.165.0",
        "fasttext-wheel==0.9.2",
        "huggingface-hub==2.4.0",
        "numpy==2.4.6",
        "pandas==3.1.1",
        "protobuf==7.36.2",
        "pyahocorasick==2.3.1",
        "pydantic==2.14.3",
        "pyonmttok==1.38.1",
        "pyyaml==6.0.3",
        "rapidfuzz==3.14.6",
        "rich==15.0.0",
        "sacrebleu==2.6.0",
        "safetensors==0.8.0",
        "sentencepiece==0.2.2",
        "six==1.17.0",
        "spacy==3.8.18",
        "subword-nmt==0.3.8",
        "tensorboard==2.21.0",
        "tokenizers==0.23.3",
        "torch-optimi==0.3.3",
        "uvicorn==0.54.0",
        "waitress==3.0.2",
    ),
    "opennmt": (
        "OpenNMT-py==3.5.1",
        "configargparse==1.9.0",
        "ctranslate2==4.8.5",
        "fasttext-wheel==0.9.2",
        "flask==3.1.3",
        "pyahocorasick==2.3.1",
        "pyonmttok==1.38.1",
        "pyyaml==6.0.3",
        "rapidfuzz==3.14.6",
        "sacrebleu==2.6.0",
        "sentencepiece==0.2.3",
        "six==1.17.0",
        "spacy==3.8.18",
        "tensorboard==2.21.0",
        "waitress==3.0.2",
    ),
    "joeynmt": (
        "joeynmt==2.3.0",
        "datasets==5.2.0",
        "importlib-metadata==10.2.0",
        "matplotlib==3.11.2",
        "numpy==2.4.6",
        "packaging==26.3",
        "pandas==3.1.1",
        "pyyaml==6.0.3",
        "sacrebleu==2.6.0",
        "sentencepiece==0.2.0",
        "subword-nmt==0.3.8",
        "tensorboard==2.21.0",
    ),
}


def python_of(environment: str, work: Path) -> Path:
    """Return the interpreter of a virtual environment, which is made where it is missing."""
    folder = work / "venvs" / environment
    python = folder / "bin" / "python"
    ready = folder / "packages.txt"
    packages = PACKAGES.get(environment, ())
    wanted = "\n".join((TORCH, *packages)) + "\n"
    if ready.exists() and ready.read_text(encoding="utf-8") == wanted:
        return python
    print(f"making the environment {environment}", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
    install = [str(python), "-m", "pip", "install", "--quiet"]
    if packages:
        toolkit, *others = packages
        # alone first: with its own wishes heard, pip would bring another PyTorch
        subprocess.run([*install, "--no-deps", toolkit], check=True)
        subprocess.run([*install, TORCH, *others], check=True)
    else:
        constraints = str(ROOT / "constraints.txt")
        subprocess.run([*install, TORCH, "-c", constraints, "-e", str(ROOT)], check=True)
    ready.write_text(wanted, encoding="utf-8", newline="\n")
    return python


def environment_of(threads: int) -> dict[str, str]:
    """Return the variables of a timed process."""
    counts = {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    return {**os.environ, **counts, "PYTHONPATH": str(ROOT), "TOKENIZERS_PARALLELISM": "false"}


def fresh_folder(path: Path) -> Path:
    """Return a folder with nothing in it."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


def run_watched(
    command: Sequence[str],
    folder: Path,
    *,
    threads: int,
    variables: Mapping[str, str] | None = None,
    source: Path | None = None,
) -> dict[str, Any]:
    """Run a program under its watch, which writes what it has seen to `result.json` of a folder.

    Args:
        command: The watch and what it hands over to.
        folder: Where to run; `log.txt` gets all that is printed.
        threads: How many to compute with.
        variables: What is set in the environment beside.
        source: What is read from standard input; None is nothing.
    """
    result, log = folder / "result.json", folder / "log.txt"
    with log.open("wb") as stream, (source or Path(os.devnull)).open("rb") as text:
        process = subprocess.Popen(
            command,
            stdin=text,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env={**environment_of(threads), **(variables or {})},
            cwd=folder,
            start_new_session=True,
        )
        try:
            process.wait()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # also what the watch has left behind
    if not result.exists():
        raise SystemExit(f"a program has ended before its time; see {log}")
    found: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    return found


def in_turn(items: Sequence[T], rounds: int) -> Iterator[tuple[int, T]]:
    """Yield every item once a round, behind the number of the round from 1 on."""
    for number in range(1, rounds + 1):
        for item in items:
            yield number, item


def prepare_decoding(work: Path, threads: int, *arguments: str) -> None:
    """Have decoding/prepare.py write something with this project's environment."""
    command = [str(python_of("ours", work)), str(DECODING / "prepare.py"), *arguments]
    subprocess.run(command, check=True, env=environment_of(threads))


def time_translation(
    environment: str,
    arguments: Sequence[str],
    folder: Path,
    *,
    work: Path,
    threads: int,
    variables: Mapping[str, str] | None = None,
    source: Path | None = None,
) -> dict[str, Any]:
    """Run a program's own command for translating under decoding/watch.py, see `run_watched`.

    Args:
        environment: Whose command.
        arguments: Of the command.
        folder: Where to run.
        work: Where the environments lie.
        threads: How many to compute with.
        variables: What is set in the environment beside.
        source: What is read from standard input; None is nothing.
    """
    command = [str(python_of(environment, work)), str(DECODING / "watch.py")]
    command += ["--result", str(folder / "result.json"), "--threads", str(threads)]
    command += ["--started", str(time.monotonic()), environment, "--", *arguments]
    return run_watched(command, folder, threads=threads, variables=variables, source=source)
