"""`nmt info`: says what a run folder holds. Reads its files and changes nothing."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt.errors import CheckpointError

if TYPE_CHECKING:
    from nmt.recipe import AttentionRecipe, EncoderRecipe, FinetuneRecipe, ModelRecipe, Recipe
    from nmt.run_folder import RunFolder

_LABEL_WIDTH = 12
_CELLS = {"lstm": "LSTM", "gru": "GRU", "rnn": "tanh", "layer_norm_lstm": "layer-normalised LSTM"}
_QUERIES = {
    "bottom": "the bottom decoder layer",
    "top": "the top decoder layer",
    "previous": "the bottom decoder layer's step before",
}


def info_command(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN",
            help="A run folder, an exported file or hub:OWNER/NAME.",
            show_default=False,
        ),
    ],
) -> None:
    """Say what a run folder is: languages, model, training, scores, files."""
    from nmt.run_folder import opened

    # All of it or nothing: a damaged file is no reason for half an answer.
    with opened(run) as folder:
        lines = list(_describe(folder, name=str(run)))
    for label, line in lines:
        print(f"{label:{_LABEL_WIDTH}}{line}")


def _describe(folder: "RunFolder", *, name: str) -> Iterator[tuple[str, str]]:
    """Yield a label, blank where the one before still holds, and what there is to say."""
    recipe = folder.recipe
    source_lang, target_lang = recipe.data.direction
    yield "run folder", name
    yield "languages", f"{source_lang} to {target_lang}"
    yield from _labelled("data", _data_lines(recipe))
    yield "tokenizer", _tokenizer_line(folder)
    yield from _labelled("model", _model_lines(recipe.model))
    yield "weights", _weights_line(folder)
    yield from _labelled("training", _training_lines(folder))
    if recipe.finetune is not None:
        yield "fine-tuned", _origin_line(recipe.finetune)
    yield from _labelled("scores", _score_lines(folder))
    yield "versions", _versions_line(folder)
    yield from _labelled("files", _file_lines(folder.path))


def _labelled(label: str, lines: Iterator[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        yield label, line
        label = ""


def _data_lines(recipe: "Recipe") -> Iterator[str]:
    from nmt.corpus import describe_set

    data = recipe.data
    for name, corpus_set in (
        ("training", data.train),
        ("validation", data.validation),
        ("test", data.test),
    ):
        if corpus_set is not None:
            yield f"{name}: {describe_set(corpus_set)}"


def _tokenizer_line(folder: "RunFolder") -> str:
    source, target = folder.tokenizers
    kind = folder.recipe.tokenizer.model_type
    if folder.recipe.tokenizer.joint:
        return f"{kind}, {source.vocab_size:,} pieces for both languages"
    return f"{kind}, {source.vocab_size:,} source pieces, {target.vocab_size:,} target pieces"


def _model_lines(model: "ModelRecipe") -> Iterator[str]:
    tied = {None: "", "output": ", target and output layer tied", "all": ", all tied"}
    yield f"embeddings of {model.embedding_size}{tied[model.tied_embeddings]}"
    encoder, attention, decoder = model.encoder, model.attention, model.decoder
    yield _encoder_line(encoder)
    yield "attention: none" if attention is None else f"attention: {_attention_line(attention)}"
    feedback = f", {decoder.feedback} fed back" if decoder.feedback else ""
    yield (
        f"decoder: {_count(decoder.num_layers, f'{_CELLS[decoder.cell]} layer')} "
        f"of {decoder.hidden_size}{feedback}"
    )


def _encoder_line(encoder: "EncoderRecipe") -> str:
    cell = _CELLS[encoder.cell]
    layers = {
        "both": _count(encoder.num_layers, f"bidirectional {cell} layer"),
        "bottom": f"{_count(encoder.num_layers, f'{cell} layer')}, the lowest bidirectional,",
        "forward": _count(encoder.num_layers, f"{cell} layer"),
        "backward": f"{_count(encoder.num_layers, f'{cell} layer')}, reading from the end,",
    }
    both_ways = encoder.directions in ("both", "bottom")
    size = f"{encoder.hidden_size} a direction" if both_ways else str(encoder.hidden_size)
    return f"encoder: {layers[encoder.directions]} of {size}"


def _attention_line(attention: "AttentionRecipe") -> str:
    heads = f", {attention.num_heads} heads" if attention.num_heads > 1 else ""
    window = f", a window of {attention.window}" if attention.window else ""
    coverage = ", with coverage" if attention.coverage else ""
    variational = f", variational ({attention.variational})" if attention.variational else ""
    kind = f"{attention.kind}{heads}{window}{coverage}{variational}"
    return f"{kind}, asked by {_QUERIES[attention.query]}"


def _weights_line(folder: "RunFolder") -> str:
    from nmt.run_folder import averaged, read_weights

    if not folder.weights_file.exists():
        return f"none: {folder.weights_file.name} is missing; training has not come to its end"
    num_weights = sum(weight.numel() for weight in read_weights(folder.weights_file).values())
    mean = averaged(folder)
    return f"{num_weights:,}" + (f", the mean of the {mean[0]} {mean[1]}" if mean else "")


def _origin_line(settings: "FinetuneRecipe") -> str:
    parts = [f"from {settings.run}"]
    if settings.freeze:
        parts.append(f"{', '.join(settings.freeze)} frozen")
    if settings.add_pieces:
        parts.append(f"{_count(len(settings.add_pieces), 'piece')} added")
    return "; ".join(parts)


def _training_lines(folder: "RunFolder") -> Iterator[str]:
    training = folder.recipe.training
    entries = folder.metrics()
    if not entries:
        yield f"no validation yet, 0 of {_count(training.max_epochs, 'epoch')}"
        return
    last = entries[-1]
    yield (
        f"{last['epoch']} of {_count(training.max_epochs, 'epoch')}, "
        f"{_count(last['step'], 'step')}, {last['seconds'] / 60:.0f} min, seed {training.seed}"
    )
    yield f"best validation: {_best_validation(folder)}"


def _best_validation(folder: "RunFolder") -> str:
    """Say at which epoch the recipe's metric was best, with its signature."""
    from nmt.run_folder import best_first

    best, metric = best_first(folder)[0], folder.recipe.training.checkpoint_metric
    if metric == "loss":
        return f"epoch {best['epoch']}, loss = {best['loss']:.4f}"
    signatures = best.get("signatures")
    if not isinstance(signatures, dict) or not isinstance(signatures.get(metric), str):
        raise CheckpointError(
            f"{folder.metrics_file}: signatures must have that of {metric}, "
            f"got {str(signatures)[:80]!r}"
        )
    return f"epoch {best['epoch']}, {_score(metric, best[metric], signatures[metric])}"


def _score_lines(folder: "RunFolder") -> Iterator[str]:
    scores = folder.scores()
    if not scores:
        yield "none: no test set was translated yet; see nmt evaluate"
    for score in scores:
        yield _score(score["name"], score["value"], score["signature"])


def _score(name: str, value: float, signature: str) -> str:
    from nmt.evaluation import Score

    return str(Score(name, value, signature))


def _versions_line(folder: "RunFolder") -> str:
    versions = folder.versions()
    programs = [name for name in ("nmt", "torch", "lightning", "python") if name in versions]
    return ", ".join(f"{name} {versions[name]}" for name in programs) or "not recorded"


def _file_lines(path: Path) -> Iterator[str]:
    for file in sorted(path.rglob("*")):
        if file.is_file():
            yield f"{_size(file.stat().st_size):>8}  {file.relative_to(path).as_posix()}"


def _size(num_bytes: int) -> str:
    if num_bytes < 1000:
        return f"{num_bytes} B"
    if num_bytes < 1_000_000:
        return f"{num_bytes / 1000:.1f} kB"
    return f"{num_bytes / 1_000_000:,.1f} MB"


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
