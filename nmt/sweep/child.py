"""One run of a sweep, in a process of its own: trains as `nmt train` does, then measures.

The order comes as one line of JSON on stdin, which stays open as long as the sweep lives; the
answer goes as one line of JSON to stdout. What else is printed goes to stderr.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nmt.errors import NMTError, SavedAndStoppedError

if TYPE_CHECKING:
    from nmt.recipe import Recipe
    from nmt.sweep.record import Result

FAILED, DEFECT, STOPPED, INTERRUPTED = 2, 1, 75, 130

# Characters of an answer: a pipe holds 64 KiB until the sweep reads it.
_MOST_OF_REASON, _MOST_OF_TRACEBACK = 1000, 10_000


def main() -> int:
    """Do what stdin says.

    Returns:
        The exit code, as of `nmt train`.
    """
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", newline="\n")
    os.dup2(2, 1)  # whatever a library prints is no answer
    # not sys.stdin: a thread that waits in its buffer is in the way of the process's own end
    orders = os.fdopen(os.dup(0), "rb", buffering=0)
    order = json.loads(orders.readline())
    threading.Thread(target=leave_with_the_sweep, args=(orders,), daemon=True).start()
    code, answer = outcome(order["recipe"], Path(order["run"]))
    with contextlib.suppress(BrokenPipeError):
        answers.write(f"{json.dumps(answer)}\n")
        answers.close()
    return code


def train_and_measure(recipe: Recipe, run_dir: Path) -> Result:
    """Train a run, or go on with it, and measure its weights on the whole validation set.

    Raises:
        NMTError: It cannot be trained.
        SavedAndStoppedError: A signal has stopped the training, which the same call goes on with.
    """
    from nmt.corpus import load_pairs
    from nmt.evaluation import compute_scores
    from nmt.run_folder import load_run
    from nmt.sweep.record import Result
    from nmt.training import train
    from nmt.translator import Translator

    folder = train(recipe, run_dir)
    data = recipe.data
    pairs = load_pairs(data.validation, reverse=data.reverse)
    translator = Translator.load(folder.path, device=recipe.training.device)
    scores = compute_scores(
        translator.translate([pair.source for pair in pairs]),
        [pair.target for pair in pairs],
        metrics=("BLEU", "chrF2"),
        target_lang=data.direction[1],
        bleu_tokenizer=recipe.evaluation.bleu_tokenizer,
    )
    entries = folder.metrics()
    measures = {score.name: score.value for score in scores}
    return Result(
        seed=recipe.training.seed,
        measures=measures | {"loss": min(entry["loss"] for entry in entries)},
        signatures={score.name: score.signature for score in scores},
        num_sentences=len(pairs),
        seconds=entries[-1]["seconds"],
        num_weights=sum(one.numel() for one in load_run(folder.path).model.parameters()),
    )


def outcome(recipe: str, run_dir: Path) -> tuple[int, dict[str, Any]]:
    """Train and measure a run; return the exit code and the answer.

    Args:
        recipe: Of the run, as YAML.
        run_dir: Its folder.
    """
    from nmt.recipe import parse_recipe

    try:
        result = train_and_measure(parse_recipe(recipe, name="the sweep's recipe"), run_dir)
    except SavedAndStoppedError:
        return STOPPED, {}
    except KeyboardInterrupt:
        return INTERRUPTED, {}
    except NMTError as error:
        return FAILED, {"failed": _one_line(str(error))}
    except Exception as error:
        reason = _one_line(f"{type(error).__name__}: {error}")
        return DEFECT, {"failed": reason, "traceback": traceback.format_exc()[-_MOST_OF_TRACEBACK:]}
    return 0, {"result": result.model_dump(mode="json")}


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_MOST_OF_REASON]


def leave_with_the_sweep(orders: io.FileIO) -> None:
    """Save and leave when the sweep is gone, killed perhaps.

    Args:
        orders: The pipe from the sweep; it is closed when the sweep has ended, however it has.
    """
    orders.read(1)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
