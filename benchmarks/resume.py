"""Kill a training at random moments, again and again, and compare it with one left in peace.

    python benchmarks/resume.py --data FOLDER    # of train.en, train.de, val.en and val.de
    python benchmarks/resume.py                  # the built-in grammar, without data

Trains twice by one small recipe on the CPU. The first run is left alone. The second is killed with
SIGKILL at random moments, mid-save included, and started again each time; then it runs to its end.
Both must have the same weights to the bit and the same validations. It saves after each step.
"""

import argparse
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
SETTINGS = (
    "tokenizer.vocab_size=2000",
    "model.embedding_size=64",
    "model.encoder.hidden_size=48",
    "model.decoder.hidden_size=64",
    "training.max_epochs=4",
    "training.warmup_steps=10",
    "training.average_checkpoints=2",
    "training.validation_sentences=50",
    "training.save_every_minutes=1e-9",
    "training.threads=1",
    "training.device=cpu",
    "decoding.beam_size=2",
)


def main() -> None:
    """Train, kill, compare, and print one line a kill."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder with train.en, train.de, val.en, val.de")
    parser.add_argument("--sentences", type=int, default=2000, help="training pairs")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1, help="of the moments of the kills")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = data_settings(options.data, options.sentences, folder)
        whole, killed = folder / "whole", folder / "killed"
        started = time.monotonic()
        start(whole, data).wait()
        seconds = time.monotonic() - started
        print(f"untouched: {seconds:.0f} s", flush=True)
        generator = random.Random(options.seed)
        for number in range(1, options.kills + 1):
            is_over = kill_once(killed, data, generator.uniform(0, seconds / options.kills))
            print(f"kill {number}: {place(killed, is_over=is_over)}", flush=True)
        assert start(killed, data).wait() == 0
        same = {
            "weights": digest(whole) == digest(killed),
            "validations": validations(whole) == validations(killed),
        }
        for what, is_same in same.items():
            print(f"{what}: {'equal' if is_same else 'DIFFERENT'}")
        sys.exit(not all(same.values()))


def data_settings(data: Path | None, num_pairs: int, folder: Path) -> list[str]:
    """Return the overrides that name the data; of files, the first pairs are copied."""
    if data is None:
        sets = {"train": num_pairs, "validation": 100}
        return [
            f"data.{name}={{builtin: grammar, split: {name}, sentences: {count}}}"
            for name, count in sets.items()
        ] + ["data.test=null"]
    settings = ["data.test=null"]
    for name, stem, count in (("train", "train", num_pairs), ("validation", "val", 200)):
        for side, language in (("source", "en"), ("target", "de")):
            lines = (data / f"{stem}.{language}").read_text(encoding="utf-8").split("\n")[:count]
            file = folder / f"{stem}.{language}"
            file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")
            settings.append(f"data.{name}.{side}={file}")
    return settings


def start(run: Path, data: list[str]) -> "subprocess.Popen[bytes]":
    """Start the training, or go on with it."""
    program = "import sys; from nmt.cli.main import main; sys.exit(main())"
    arguments = ["train", "multi30k_en_de_cpu", "--run-dir", str(run), *data, *SETTINGS]
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def kill_once(run: Path, data: list[str], delay: float) -> bool:
    """Start the training and kill it some time after it has begun to write.

    Returns:
        Whether it came to its end before.
    """
    log = run / "log.txt"
    size = log.stat().st_size if log.exists() else 0
    with start(run, data) as process:
        while process.poll() is None and (not log.exists() or log.stat().st_size == size):
            time.sleep(0.05)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        return process.wait() == 0


def place(run: Path, *, is_over: bool) -> str:
    """Say where a run was killed."""
    if is_over:
        return "it had come to its end"
    is_saving = any(run.rglob(".*.part"))
    return f"{len(validations(run))} validations done{', within a write' if is_saving else ''}"


def validations(run: Path) -> list[dict[str, object]]:
    """Return the lines of a run's validations, without what time measures."""
    from nmt.run_folder import RunFolder

    timed = ("seconds", "tokens_per_second")
    return [
        {key: value for key, value in entry.items() if key not in timed}
        for entry in RunFolder(run).metrics()
    ]


def digest(run: Path) -> str:
    """Return the hash of a run's weights."""
    return hashlib.sha256((run / "model.safetensors").read_bytes()).hexdigest()


if __name__ == "__main__":
    main()
