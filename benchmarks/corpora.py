"""What a corpus costs as it grows: preparing it, starting again on it, feeding a trainer from it.

    python benchmarks/corpora.py --folder DIR [--sizes 100000 1000000 5000000]

The pairs are drawn from the built-in grammar into two files, once and by itself; what is found in
the folder is used again. Every measurement is a process of its own, and `nmt train` is measured as
it is: it prepares the corpus and trains a small model for some seconds. Peaks are of anonymous
memory, of all processes together: a map of a file counts as memory too, but the system takes it
back when it needs the room. Times are those of the clock, with the seconds of all cores in
brackets: where other programs run beside, the brackets say more.

At the end a table in Markdown says what corpora too big for this would cost, see `foresee`.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from nmt.recipe import Recipe, parse_recipe

RECIPE = """
data:
  source_lang: en
  target_lang: de
  train: {{source: {folder}/train-{size}.en, target: {folder}/train-{size}.de}}
  validation: {{builtin: grammar, split: validation, sentences: 500}}
  cache_dir: {folder}/cache-{size}
tokenizer: {{vocab_size: 1500, sampling_alpha: {alpha}, model_type: {model_type}}}
model:
  embedding_size: 64
  encoder: {{num_layers: 1, hidden_size: 32}}
  decoder: {{hidden_size: 64}}
training: {{max_tokens: 4000, max_epochs: 1, warmup_steps: 10, threads: 1}}
"""
# Between two looks at the memory, in seconds.
INTERVAL = 0.02
# Target tokens that the loader gives before it is timed, and while it is.
WARM_UP, TIMED = 1_000_000, 5_000_000
STUCK = 3600
# Pairs that a joint tokenizer is trained on: `tokenizer.sample_sentences` by default.
SAMPLED_PAIRS = 100_000
# What is kept of each pair beside its text until it is cleaned: two places, its line, its hash.
RAW_BYTES = 32


def recipe_of(folder: Path, size: int, *, alpha: str = "null", model_type: str) -> Recipe:
    """Return what is trained."""
    text = RECIPE.format(folder=folder.as_posix(), size=size, alpha=alpha, model_type=model_type)
    return parse_recipe(text, name="benchmark")


def draw(folder: Path, size: int) -> None:
    """Write pairs of the grammar to two files, where they are not there yet."""
    from nmt.corpus.grammar import draw_pairs

    names = [folder / f"train-{size}.{language}" for language in ("en", "de")]
    if all(name.exists() for name in names):
        return
    started = time.monotonic()
    parts = [name.with_suffix(f"{name.suffix}.part") for name in names]
    with (
        parts[0].open("w", encoding="utf-8", newline="\n") as sources,
        parts[1].open("w", encoding="utf-8", newline="\n") as targets,
    ):
        for pair in draw_pairs(split="train", count=size):
            sources.write(f"{pair.source}\n")
            targets.write(f"{pair.target}\n")
    for part, name in zip(parts, names, strict=True):
        part.rename(name)
    print(f"drew {size:,} pairs in {time.monotonic() - started:.0f} s", flush=True)


class Steps:
    """Times of the steps of one process, of the clock and of all cores."""

    def __init__(self) -> None:
        """Start with none."""
        self.found: dict[str, tuple[float, float]] = {}

    def watch(self, module: Any, function: str, name: str) -> None:
        """Time a function of a module wherever it is called there."""
        true_function: Callable[..., Any] = getattr(module, function)

        def timed(*args: Any, **options: Any) -> Any:
            started, cpu = time.monotonic(), cpu_seconds()
            try:
                return true_function(*args, **options)
            finally:
                self.found[name] = (time.monotonic() - started, cpu_seconds() - cpu)

        setattr(module, function, timed)


def cpu_seconds() -> float:
    """Return the seconds of all cores that this process has taken, and its children that ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def measure_training(recipe: Recipe, run_dir: Path, *, seconds: float) -> dict[str, Any]:
    """Train as `nmt train` does, for some seconds, and time what comes before."""
    from nmt import training
    from nmt.corpus import training_set
    from nmt.errors import SavedAndStoppedError
    from nmt.training import mapped, run, tokenizers

    steps = Steps()
    steps.watch(training_set, "_read", "reading")
    steps.watch(training_set, "_write", "reading and cleaning")
    steps.watch(tokenizers, "train_tokenizers", "tokenizer")
    steps.watch(mapped, "prepare_tokens", "token ids")
    steps.watch(run, "_prepare", "all but reading and cleaning")
    true_fit = training.fit.fit

    def fit(*args: Any, **options: Any) -> None:
        threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGTERM)).start()
        true_fit(*args, **options)

    setattr(run, "fit", fit)  # noqa: B010 - what a module imports is not its to give
    with contextlib.suppress(SavedAndStoppedError):
        run.train(recipe, run_dir)
    return steps.found


def measure_first_batch(recipe: Recipe) -> dict[str, Any]:
    """Return how long it takes to come to the first batch, imports included."""
    return {"first batch": time_loader(recipe, 0, 1)["first"]}


def time_loader(recipe: Recipe, warm_up: int, timed: int) -> dict[str, Any]:
    """Feed from a prepared corpus; tell target tokens a second of the clock and of the core."""
    from nmt.training.data import TranslationData, load_corpora
    from nmt.training.tokenizers import prepare_tokenizers

    corpora = load_corpora(recipe)
    data = TranslationData(corpora, prepare_tokenizers(corpora, recipe), recipe)
    counts = (int(batch.target_mask.sum()) for batch in data.train_dataloader())
    next(counts)
    first = (time.monotonic() - STARTED, cpu_seconds())
    take(counts, warm_up)
    started, cpu = time.monotonic(), time.process_time()
    num_tokens = take(counts, timed)
    clock, core = time.monotonic() - started, time.process_time() - cpu
    return {"first": first, "rate": (num_tokens / clock, num_tokens / core)}


# Corpora that are not here, and how many bytes of text a pair has on both sides together. Of WMT14
# English-French 24 words of six letters a side are taken for granted.
LARGE = {"36 million pairs (WMT14 En-Fr)": (36e6, 300.0), "a billion pairs": (1e9, 300.0)}


def foresee(small: dict[str, Any], large: dict[str, Any]) -> Iterator[str]:
    """Yield a table of what `LARGE` corpora cost, from what two sizes did.

    Reading, cleaning, token ids and the disk are taken to grow with the bytes of the text; memory
    and the time to start again with the pairs, as between the two sizes that were measured.

    Args:
        small: What was found of the smaller size.
        large: Of the larger one.
    """
    text, pairs = large["text"], large["size"]
    more = pairs - small["size"]
    memory = max(0.0, large["peak"] - small["peak"]) / more
    again = max(0.0, large["again"][1] - small["again"][1]) / more
    bytes_a_second = text / large["preparing"][0]
    rows = {
        f"preparing on {os.cpu_count()} cores, hours": lambda count, size: (
            count * size / bytes_a_second / 3600
        ),
        "tokenizer, minutes": lambda *_: large["tokenizer"][0] / 60,
        "disk while preparing, GB": lambda count, size: (
            count * (size * (1 + large["disk"] / text) + RAW_BYTES) / 1e9
        ),
        "disk afterwards, GB": lambda count, size: count * size * (large["disk"] / text) / 1e9,
        "peak memory, GB": lambda count, _: (large["peak"] + (count - pairs) * memory) / 1e9,
        "starting again, seconds": lambda count, _: large["again"][1] + (count - pairs) * again,
        "feeding an epoch from one process, hours": lambda count, size: (
            count * size * (large["tokens"] / text) / large["rates"]["loader"][0] / 3600
        ),
    }
    yield f"| | {' | '.join(LARGE)} |"
    yield "|---" * (len(LARGE) + 1) + "|"
    for name, cost in rows.items():
        yield f"| {name} | {' | '.join(f'{cost(*one):,.1f}' for one in LARGE.values())} |"


def take(counts: Iterator[int], wanted: int) -> int:
    """Add up numbers until there is as much as is wanted, or nothing left."""
    total = 0
    while total < wanted and (count := next(counts, 0)):
        total += count
    return max(total, 1)


def anonymous_memory(process_id: int) -> int:
    """Return the anonymous memory of a process and all its descendants, in bytes."""
    total = 0
    waiting = [process_id]
    while waiting:
        one = waiting.pop()
        try:
            status = Path(f"/proc/{one}/status").read_text(encoding="utf-8")
            children = Path(f"/proc/{one}/task/{one}/children").read_text(encoding="utf-8")
        except OSError:  # it has ended
            continue
        total += sum(
            int(line.split()[1]) * 1024
            for line in status.split("\n")
            if line.startswith("RssAnon:")
        )
        waiting += map(int, children.split())
    return total


def run_here(options: argparse.Namespace) -> None:
    """Measure one thing in this process and print it as JSON, the last line of what it prints."""
    faulthandler.dump_traceback_later(STUCK, exit=True)
    alpha = "0.1" if options.what == "sampled" else "null"
    recipe = recipe_of(options.folder, options.sizes[0], alpha=alpha, model_type=options.model_type)
    if options.what == "train":
        run_dir = options.folder / "run"
        found = measure_training(recipe, run_dir, seconds=options.train_seconds)
    elif options.what == "first":
        found = measure_first_batch(recipe)
    else:
        # a pair has some ten tokens: of a small corpus enough must be left to time
        found = time_loader(recipe, min(WARM_UP, options.sizes[0]), TIMED)
    print(json.dumps(found))


def measure(
    what: str, size: int, options: argparse.Namespace, *, model_type: str = "unigram"
) -> dict[str, Any]:
    """Measure one thing in a process of its own, and the peak of its memory."""
    command = [sys.executable, __file__, "--folder", str(options.folder), "--what", what]
    command += ["--sizes", str(size), "--train-seconds", str(options.train_seconds)]
    command += ["--model-type", model_type]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8")
    peak = 0
    while process.poll() is None:
        peak = max(peak, anonymous_memory(process.pid))
        time.sleep(INTERVAL)
    assert process.stdout is not None
    lines = process.stdout.read().split("\n")
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed: {process.returncode}")
    found: dict[str, Any] = json.loads([line for line in lines if line][-1])
    return {**found, "peak": peak}


def seconds(pair: tuple[float, float]) -> str:
    """Write seconds of the clock, and of all cores in brackets."""
    return f"{pair[0]:.1f} s ({pair[1]:.1f})"


def show(name: str, text: str) -> None:
    """Print a line of what was found."""
    print(f"  {name:28} {text}", flush=True)


def report_size(size: int, options: argparse.Namespace) -> dict[str, Any]:
    """Measure one size, print what was found and return it."""
    draw(options.folder, size)
    for made in (options.folder / f"cache-{size}", options.folder / "run"):
        shutil.rmtree(made, ignore_errors=True)
    print(f"{size:,} pairs")
    found = report_training(size, options)
    found["again"] = measure("first", size, options)["first batch"]
    show("first batch, started again", seconds(found["again"]))
    found["rates"] = {}
    for what, name, model_type in (
        ("plain", "loader", "unigram"),
        ("sampled", "loader, unigram sampled", "unigram"),
        ("sampled", "loader, BPE-dropout", "bpe"),
    ):
        if model_type == "bpe" and size != options.sizes[0]:
            continue  # it would all be prepared a second time
        rate = measure(what, size, options, model_type=model_type)["rate"]
        show(name, f"{rate[0]:,.0f} target tokens/s ({rate[1]:,.0f})")
        found["rates"][name] = rate
    return found


def report_training(size: int, options: argparse.Namespace) -> dict[str, Any]:
    """Measure a first start on a corpus, print what was found and return it."""
    found = measure("train", size, options)
    whole, reading = found["reading and cleaning"], found["reading"]
    steps = [reading, (whole[0] - reading[0], whole[1] - reading[1]), found["token ids"]]
    for name, times in zip(("reading", "cleaning", "token ids"), steps, strict=True):
        show(name, seconds(times))
    preparing = (sum(clock for clock, _ in steps), sum(core for _, core in steps))
    rate = [f"{size / one * 60:,.0f}" for one in preparing]
    show("preparing", f"{seconds(preparing)}: {rate[0]} pairs a minute ({rate[1]})")
    sample = min(size, SAMPLED_PAIRS)
    show("tokenizer", f"{seconds(found['tokenizer'])}, of {sample:,} pairs")
    show("peak memory of nmt train", f"{found['peak'] / 1e6:,.0f} MB")
    files = [file for file in (options.folder / f"cache-{size}").rglob("*") if file.is_file()]
    disk = sum(file.stat().st_size for file in files)
    texts = [options.folder / f"train-{size}.{language}" for language in ("en", "de")]
    text = sum(file.stat().st_size for file in texts)
    show("disk", f"{disk / 1e6:,.0f} MB, of {text / 1e6:,.0f} MB of text")
    measured = {"size": size, "preparing": preparing, "disk": disk, "text": text}
    return {**found, **measured, "tokens": num_target_tokens(options.folder / f"cache-{size}")}


def num_target_tokens(cache: Path) -> int:
    """Return how many target tokens a prepared corpus has, EOS included."""
    from nmt.corpus.mapped import lengths_file

    (folder,) = cache.glob("tokens-*")
    lengths = np.load(lengths_file(folder, "target_ids"), mmap_mode="r")
    return int(lengths.sum(dtype=np.int64)) + len(lengths)


def main() -> None:
    """Print what each size costs, and how the memory grows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where corpora are kept")
    parser.add_argument("--sizes", type=int, nargs="+", default=[100_000, 1_000_000, 5_000_000])
    parser.add_argument("--train-seconds", type=float, default=20.0)
    parser.add_argument("--model-type", default="unigram", help=argparse.SUPPRESS)
    parser.add_argument("--what", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    if options.what:
        run_here(options)
        return
    found = [report_size(size, options) for size in options.sizes]
    if len(found) > 1:
        grown = (found[-1]["peak"] - found[0]["peak"]) / 1e6
        print(f"peak memory grows by {grown:,.0f} MB from {options.sizes[0]:,} pairs on\n")
        print("\n".join(foresee(found[0], found[-1])))


STARTED = time.monotonic()

if __name__ == "__main__":
    main()
