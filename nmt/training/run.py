"""A whole run: train, choose or average the weights, evaluate, write the card."""

from __future__ import annotations

import logging
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

import lightning
import torch

from nmt import __version__
from nmt.confidence import dump_confidence
from nmt.corpus import describe_set
from nmt.errors import CheckpointError, RecipeError
from nmt.evaluation import (
    NUM_ALTERNATIVES,
    Known,
    Segments,
    check_metrics,
    detail_of,
    evaluate,
    read_training_text,
    write_report,
)
from nmt.model import Seq2Seq
from nmt.recipe import Recipe
from nmt.run_folder import RunFolder, averaged, cannot_write, model_for, write_atomically
from nmt.tokenizer import Tokenizer
from nmt.training.card import model_card
from nmt.training.changes import find_changes, needs_training
from nmt.training.data import Corpora, TranslationData, load_corpora
from nmt.training.embeddings import load_embeddings
from nmt.training.finetuning import (
    Base,
    check_base,
    extended_tokenizers,
    freeze,
    load_base,
    start_from,
)
from nmt.training.fit import count_steps, fit
from nmt.training.shortlisting import write_shortlist
from nmt.training.signals import StopRequests
from nmt.training.tokenizers import prepare_tokenizers
from nmt.translator import FEWEST_PAIRS, Translator, choose_device, learn_confidence

_log = logging.getLogger(__name__)

_HandlerT = TypeVar("_HandlerT", bound=logging.Handler)


def train(recipe: Recipe, run_dir: str | Path, *, allow_changes: bool = False) -> RunFolder:
    """Train a translator, or go on where an earlier call with the same recipe was.

    Args:
        recipe: Everything about the run.
        run_dir: The run folder; made if it is missing.
        allow_changes: Go on also where the recipe is not that of the run any more, if it can be.

    Returns:
        The folder, with weights, report and card in it.

    Raises:
        NMTError: The recipe, its data or the folder cannot be used; nothing is lost.
        SavedAndStoppedError: A signal has stopped the run, which the same call goes on with.
    """
    folder = RunFolder(run_dir)
    _check(recipe)
    _check_folder(recipe, folder, allow_changes=allow_changes)
    stops = StopRequests()
    if recipe.training.threads is not None:
        torch.set_num_threads(recipe.training.threads)
    with stops.heeded(), folder.held() as killed, _logging_to(_StderrHandler()):
        # again: another run may have begun here in between
        changes = _check_folder(recipe, folder, allow_changes=allow_changes)
        if is_finished(folder) and not changes:
            _say_nothing_is_left(recipe, folder)
            return folder
        # The log file is opened when the run begins: one that does not leaves no file behind.
        earlier = _Collector()
        with _logging_to(earlier):
            if killed is not None:
                _log.info("%s was killed while it trained here", killed)
            corpora = load_corpora(recipe)
            if folder.is_started:
                _check_data(folder, corpora)
            data = _prepare(recipe, folder, corpora)
            if changes:
                _take_changes(recipe, folder, changes)
        with _logging_to(_LogFile(folder.log_file)) as log_file:
            for record in earlier.records:
                log_file.handle(record)
            with _saying_how_to_go_on(folder):
                _train(recipe, folder, corpora, data, stops)
    return folder


@contextmanager
def _saying_how_to_go_on(folder: RunFolder) -> Iterator[None]:
    """Tell who stops a run what the same command would do."""
    try:
        yield
    except KeyboardInterrupt:
        is_begun = folder.last_checkpoint.exists()
        outcome = "goes on from the last checkpoint" if is_begun else "starts from the beginning"
        _log.info("stopped; the same command %s", outcome)
        raise


def is_finished(folder: RunFolder) -> bool:
    """Tell whether nothing is left to do: the card is the last thing written."""
    return folder.card_file.exists() and folder.weights_file.exists()


def _check(recipe: Recipe) -> None:
    """Find out before the work what would stop it later."""
    device = choose_device(recipe.training.device)
    if recipe.training.precision == "fp16" and device != "cuda":
        raise RecipeError(
            f"training.precision 'fp16' needs a CUDA device, got {device!r}; use fp32"
        )
    if recipe.training.tensorboard and find_spec("tensorboard") is None:
        raise RecipeError(
            "training.tensorboard needs the package tensorboard; pip install tensorboard"
        )
    check_metrics(
        recipe.evaluation.metrics,
        target_lang=recipe.data.direction[1],
        bleu_tokenizer=recipe.evaluation.bleu_tokenizer,
    )


def _check_folder(recipe: Recipe, folder: RunFolder, *, allow_changes: bool) -> list[str]:
    """See that the folder is of this run, or of none; return what the recipe changes."""
    if folder.is_started:
        return find_changes(recipe, folder, is_allowed=allow_changes)
    if folder.holds_other_files():
        raise CheckpointError(
            f"{folder.path} holds files that are not of a run; choose another --run-dir"
        )
    return []


def _take_changes(recipe: Recipe, folder: RunFolder, changes: list[str]) -> None:
    """Go on with a changed recipe; what comes after training is done again in any case."""
    for change in changes:
        _log.info("changed: %s", change)
    stale = [folder.card_file, folder.confidence_file]
    if needs_training(changes):
        stale.append(folder.weights_file)  # they are a copy or a mean of what is in checkpoints/
    for file in stale:
        file.unlink(missing_ok=True)
    entries = folder.metrics()
    folder.change_recipe(recipe, changes, at=f"epoch {entries[-1]['epoch'] if entries else 0}")


def _say_nothing_is_left(recipe: Recipe, folder: RunFolder) -> None:
    _log.info(
        "%s is trained already: nothing to do; to train longer, add --allow-changes and "
        "training.max_epochs=N, more than %d",
        folder.path,
        recipe.training.max_epochs,
    )


def _check_data(folder: RunFolder, corpora: Corpora) -> None:
    """See that the data is what the run has begun with."""
    fingerprints = corpora.fingerprints()
    recorded = folder.versions().get("data", fingerprints)
    changed = [name for name in fingerprints if fingerprints[name] != recorded.get(name)]
    if changed:
        raise CheckpointError(
            f"{folder.path}: the data has changed since this run began ({', '.join(changed)}); "
            "choose another --run-dir"
        )


def _prepare(recipe: Recipe, folder: RunFolder, corpora: Corpora) -> TranslationData:
    """Return the data to train on, and begin the run where nothing speaks against it.

    What a corrected recipe would put right is found before: a begun run takes no other recipe.
    """
    base = None if folder.is_started else load_base(recipe)
    tokenizers = _tokenizers(recipe, folder, corpora, base)
    data = TranslationData(corpora, tokenizers, recipe)
    count_steps(recipe.training, num_batches=data.num_batches)
    _check_model(recipe, folder, tokenizers)
    if not folder.is_started:
        for side, path in _embedding_files(recipe):
            rows = torch.empty(tokenizers[side].vocab_size, recipe.model.embedding_size)
            load_embeddings(rows, path, tokenizers[side])
        _start(recipe, folder, corpora, tokenizers, base)
    return data


def _tokenizers(
    recipe: Recipe, folder: RunFolder, corpora: Corpora, base: Base | None
) -> tuple[Tokenizer, Tokenizer]:
    """Return the tokenizers of a run: its own, those of the run it starts from, or new ones."""
    if folder.is_started:
        return folder.tokenizers
    if base is not None and recipe.finetune is not None:
        return extended_tokenizers(base, recipe.finetune.add_pieces)
    return prepare_tokenizers(corpora, recipe)


def _embedding_files(recipe: Recipe) -> list[tuple[int, str]]:
    """Return the files of embeddings to start from, each behind its side: 0 source, 1 target."""
    files = (recipe.training.source_embeddings, recipe.training.target_embeddings)
    return [(side, path) for side, path in enumerate(files) if path is not None]


def _check_model(
    recipe: Recipe, folder: RunFolder, tokenizers: tuple[Tokenizer, Tokenizer]
) -> None:
    """See that there is something to train, and that the disk has room for a whole run."""
    with torch.device("meta"):  # shapes without the weights in them
        model = model_for(recipe, tokenizers)
    if recipe.finetune is not None:
        freeze(model, recipe.finetune)
    training = recipe.training
    folder.check_space(
        num_weights=_num_weights(model),
        num_kept=(training.average_checkpoints or 1) + (training.keep_last or 0),
        with_average=training.ema is not None,
    )


def _start(
    recipe: Recipe,
    folder: RunFolder,
    corpora: Corpora,
    tokenizers: tuple[Tokenizer, Tokenizer],
    base: Base | None,
) -> None:
    versions: dict[str, object] = {
        "nmt": __version__,
        "torch": torch.__version__,
        "lightning": lightning.__version__,
        "python": platform.python_version(),
        "seed": recipe.training.seed,
        "data": corpora.fingerprints(),
    }
    if base is not None and recipe.finetune is not None:
        versions["finetuned_from"] = {"run": recipe.finetune.run, "weights": base.fingerprint}
    try:
        write_atomically(folder.cleaning_file, corpora.cleaning_json())
        folder.start(recipe, tokenizers, versions)
    except BaseException:
        folder.take_back_start()
        raise


def _train(
    recipe: Recipe,
    folder: RunFolder,
    corpora: Corpora,
    data: TranslationData,
    stops: StopRequests,
) -> None:
    for line in corpora.describe_cleaning():
        _log.info("%s", line)
    if data.num_too_long:
        _log.info("left out %d pairs longer than training.max_length", data.num_too_long)
    torch.manual_seed(recipe.training.seed)
    model = folder.build_model()
    _log.info("%d weights, %d batches an epoch", _num_weights(model), data.num_batches)
    if not folder.weights_file.exists():
        if not folder.last_checkpoint.exists():
            _start_from_embeddings(recipe, folder, model)
            _start_from_base(recipe, folder, model)
        if recipe.finetune is not None:
            freeze(model, recipe.finetune)
        fit(recipe, folder, model, data, corpora.validation, stops=stops)
    if not folder.confidence_file.exists():
        _learn_confidence(recipe, folder, corpora)
    # what it is fine-tuned on has but some of the words that it knows
    if recipe.finetune is None and not folder.shortlist_file.exists():
        num_pairs = write_shortlist(folder, corpora.train)
        _log.info("shortlist: learned from %d training pairs", num_pairs)
    _evaluate(recipe, folder, corpora, model)


def _start_from_embeddings(recipe: Recipe, folder: RunFolder, model: Seq2Seq) -> None:
    for side, path in _embedding_files(recipe):
        embedding = (model.encoder, model.decoder)[side].embedding
        tokenizer = folder.tokenizers[side]
        count = load_embeddings(embedding.table.weight, path, tokenizer)
        _log.info("%s: vectors of %d of %d pieces", path, count, tokenizer.vocab_size)


def _start_from_base(recipe: Recipe, folder: RunFolder, model: Seq2Seq) -> None:
    base = load_base(recipe)
    if base is None or recipe.finetune is None:
        return
    recorded = folder.versions().get("finetuned_from")
    known = recorded.get("weights") if isinstance(recorded, dict) else None
    check_base(base, known, name=recipe.finetune.run)
    start_from(model, base, folder.tokenizers)
    _log.info("starting from %s", recipe.finetune.run)


def _learn_confidence(recipe: Recipe, folder: RunFolder, corpora: Corpora) -> None:
    """Learn on the validation set, as users will translate, how good to expect translations."""
    translator = Translator.load(folder.path, device=recipe.training.device)
    learned = learn_confidence(translator, corpora.validation)
    if learned is None:
        _log.info("no confidence: the validation set has less than %d pairs", FEWEST_PAIRS)
        return
    write_atomically(folder.confidence_file, dump_confidence(learned.model))
    _log.info(
        "confidence: expected calibration error %.3f on %d validation sentences",
        learned.error,
        learned.num_pairs,
    )


def _evaluate(recipe: Recipe, folder: RunFolder, corpora: Corpora, model: Seq2Seq) -> None:
    """Score the test set by way of the files that users get, and write report and card."""
    if corpora.test is not None and recipe.data.test is not None:
        _log.info("translating the test set, %d sentences", len(corpora.test))
        translator = Translator.load(
            folder.path,
            device=recipe.training.device,
            num_hypotheses=min(NUM_ALTERNATIVES, recipe.decoding.beam_size),
        )
        segments = Segments.of_pairs(describe_set(recipe.data.test), corpora.test)
        details = [detail_of(one) for one in translator.translate_detailed(segments.sources)]
        known = Known(
            details=details,
            training=read_training_text(
                corpora.train, segments.sources, direction=recipe.data.direction
            ),
            metrics=folder.metrics(),
        )
        report = evaluate(
            [detail.alternatives[0].text for detail in details],
            segments,
            recipe,
            model=str(folder.path),
            known=known,
        )
        write_report(folder.report, report)
        for score in report.scores:
            _log.info("test: %s", score)
    _write_card(recipe, folder, corpora, model)


def _write_card(recipe: Recipe, folder: RunFolder, corpora: Corpora, model: Seq2Seq) -> None:
    data = recipe.data
    sets = {"train": describe_set(data.train), "validation": describe_set(data.validation)}
    if data.test is not None:
        sets["test"] = describe_set(data.test)
    card = model_card(
        recipe,
        path=str(folder.path),
        sets=sets,
        num_pairs=corpora.num_train,
        num_weights=_num_weights(model),
        chosen=_chosen(recipe, folder),
        versions=folder.versions(),
        scores=folder.scores(),
    )
    write_atomically(folder.card_file, card)
    _log.info("done: %s", folder.path)


def _chosen(recipe: Recipe, folder: RunFolder) -> str:
    """Say which weights the run translates with."""
    count = recipe.training.average_checkpoints
    best = f"validation {recipe.training.checkpoint_metric}"
    mean = averaged(folder)
    if mean is not None:
        choice, count = mean
        return f"mean of the {choice} {count}" + (f" by {best}" if choice == "best" else "")
    return best if count is None else f"mean of the best {count} by {best}"


def _num_weights(model: Seq2Seq) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


class _StderrHandler(logging.Handler):
    """Writes to what stderr is at the time: a progress bar puts itself in between."""

    def emit(self, record: logging.LogRecord) -> None:
        sys.stderr.write(f"{self.format(record)}\n")


class _Collector(logging.Handler):
    """Keeps records for a file that cannot be written yet."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


class _LogFile(logging.Handler):
    """Adds to a file, line by line; a full disk is an error like any other, and not a traceback."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        self._path = path

    def emit(self, record: logging.LogRecord) -> None:
        try:
            with self._path.open("a", encoding="utf-8", newline="\n") as stream:
                stream.write(f"{self.format(record)}\n")
        except OSError as error:
            raise cannot_write(self._path, error) from error


@contextmanager
def _logging_to(handler: _HandlerT) -> Iterator[_HandlerT]:
    """Log to a handler too, and keep the trainer's advice to itself."""
    logger, trainer_logger = logging.getLogger("nmt"), logging.getLogger("lightning.pytorch")
    levels = logger.level, trainer_logger.level
    logger.setLevel(logging.INFO)
    trainer_logger.setLevel(logging.WARNING)
    logger.addHandler(handler)
    try:
        yield handler
    finally:
        logger.setLevel(levels[0])
        trainer_logger.setLevel(levels[1])
        logger.removeHandler(handler)
        handler.close()
