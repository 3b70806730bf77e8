"""COMET, where it and a model of it are already here: nothing is ever fetched for it.

Knows `unbabel-comet`, which is no dependency of this project's, and the cache of the Hugging Face
hub.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from nmt.bleu import References
from nmt.errors import RecipeError
from nmt.evaluation.scores import Score

# The model that comparisons usually name, and where a user may have put any other.
_MODEL = "Unbabel/wmt22-comet-da"
_FILE = "checkpoints/model.ckpt"
_VARIABLE = "NMT_COMET_MODEL"


def find_comet_model() -> Path | None:
    """Return the checkpoint of a COMET model; None where it or COMET itself is not here.

    It is the file that `NMT_COMET_MODEL` names, or else wmt22-comet-da in the hub's cache.
    """
    if importlib.util.find_spec("comet") is None:
        return None
    if named := os.environ.get(_VARIABLE):
        return Path(named) if Path(named).is_file() else None
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(_MODEL, _FILE)
    return Path(cached) if isinstance(cached, str) else None


def require_comet() -> None:
    """See that COMET can be reported.

    Raises:
        RecipeError: It or a model of it is not here.
    """
    if importlib.util.find_spec("comet") is None:
        raise RecipeError(
            "metric COMET needs the package unbabel-comet; pip install unbabel-comet, "
            "without constraints.txt"
        )
    if find_comet_model() is None:
        if named := os.environ.get(_VARIABLE):
            raise RecipeError(f"{_VARIABLE} must name a file with a COMET model, got {named!r}")
        raise RecipeError(
            f"metric COMET needs a model on this machine, got none; hf download {_MODEL}, "
            f"or set {_VARIABLE} to a checkpoint"
        )


def comet_score(
    checkpoint: Path,
    sources: Sequence[str],
    hypotheses: Sequence[str],
    references: References,
) -> Score:
    """Score translations with COMET, in per cent; of several references the mean.

    Raises:
        RecipeError: What the model stands on, such as its encoder's tokenizer, is not here.
    """
    with _offline():
        import comet

        try:
            # the environment alone is not enough: the hub's programs may have read it already
            model = comet.load_from_checkpoint(str(checkpoint), local_files_only=True)
        except OSError as error:  # the encoder that it stands on is not in the cache
            reason = " ".join(str(error).split())
            raise RecipeError(
                f"{checkpoint}: COMET lacks a file on this machine: {reason}"
            ) from error
        found = []
        for lines in references:
            samples = [
                {"src": source, "mt": hypothesis, "ref": line or ""}
                for source, hypothesis, line in zip(sources, hypotheses, lines, strict=True)
            ]
            told = model.predict(samples, batch_size=16, gpus=_num_gpus(), progress_bar=False)
            found.append(float(told.system_score))
    # in the hub's cache the model's name is that of a folder: models--Unbabel--wmt22-comet-da
    cached = [part.split("--")[-1] for part in checkpoint.parts if part.startswith("models--")]
    name = cached[-1] if cached else checkpoint.name
    version = importlib.metadata.version("unbabel-comet")
    signature = f"nrefs:{len(references)}|model:{name}|version:{version}"
    return Score("COMET", 100 * sum(found) / len(found), signature)


def _num_gpus() -> int:
    import torch

    return min(1, torch.cuda.device_count())


@contextmanager
def _offline() -> Iterator[None]:
    """Let the hub's programs look into their cache alone."""
    before = {name: os.environ.get(name) for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")}
    os.environ.update(dict.fromkeys(before, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
