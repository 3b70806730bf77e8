"""How near a training step comes to the time of its matrix products alone.

    python roofline.py RECIPE [key=value ...]

Takes real batches of the loader. For each it times by turns a whole training step and, in the same
process, every matrix product of that step by plain calls that write into memory at hand: the
forward ones, and for each the two of the backward pass: those of a recurrence step by step, but for
the gradients of its weights, which need no steps. What lies between them (gates, softmax, dropout,
loss, clipping, optimizer, the graph of gradients) is left out.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from nmt.batching import Batch
from nmt.model import Seq2Seq, build_model
from nmt.recipe import ModelRecipe, Recipe, load_recipe
from nmt.tokenizer import PAD_ID
from nmt.training.data import TranslationData, load_corpora
from nmt.training.module import TranslationModule
from nmt.training.tokenizers import prepare_tokenizers

NUM_WARMUP = 3
NUM_BATCHES = 12
GATES = 4


class Product(NamedTuple):
    """(n, inner) x (inner, columns) for every n of `rows`, one after the other.

    `batch` such products are computed at once, each with a right side of its own.
    """

    rows: tuple[int, ...]
    inner: int
    columns: int
    batch: int = 1


def products_of(recipe: ModelRecipe, batch: Batch, vocab_size: int) -> Iterator[Product]:
    """Yield the products of a forward pass over a batch by the default LSTM model.

    Encoder layers see real tokens only, the decoder sees padding too, the output layer does not.
    """
    num_sentences, source_length = batch.source_ids.shape
    yield from _encoder_products(recipe, batch)
    states, hidden = recipe.encoder.state_size, recipe.decoder.hidden_size
    for _ in ("hidden", "cell"):
        yield Product((num_sentences,), states, recipe.decoder.num_layers * hidden)
    yield Product((num_sentences * source_length,), states, hidden)  # the attention's keys
    yield from _decoder_products(recipe, batch)
    yield Product((int(batch.target_mask.sum()),), recipe.embedding_size, vocab_size)


def _encoder_products(recipe: ModelRecipe, batch: Batch) -> Iterator[Product]:
    lengths = batch.source_lengths
    rows = tuple(int((lengths > step).sum()) for step in range(int(lengths.max())))
    hidden, width = recipe.encoder.hidden_size, recipe.embedding_size
    for _ in range(recipe.encoder.num_layers):
        for _ in ("forward", "backward"):
            yield Product((sum(rows),), width, GATES * hidden)
            yield Product(rows, hidden, GATES * hidden)
        width = 2 * hidden


def _decoder_products(recipe: ModelRecipe, batch: Batch) -> Iterator[Product]:
    (num_sentences, length), source_length = batch.target_input_ids.shape, batch.source_ids.size(1)
    hidden, states = recipe.decoder.hidden_size, recipe.encoder.state_size
    is_fed = recipe.decoder.feedback == "attentional"
    by_step = (num_sentences,) * length
    rows = by_step if is_fed else (num_sentences * length,)
    queries = (1,) * length if is_fed else (length,)
    width = recipe.embedding_size * (2 if is_fed else 1)
    for _ in range(recipe.decoder.num_layers):
        yield Product(rows, width, GATES * hidden)
        yield Product(by_step, hidden, GATES * hidden)
        width = hidden + states
    yield Product(queries, hidden, source_length, batch=num_sentences)
    yield Product(queries, source_length, states, batch=num_sentences)
    yield Product(rows, hidden + states, recipe.embedding_size)


def prepared(product: Product) -> Callable[[], None]:
    """Return a call that computes a product and the two that its gradients take.

    What is summed up over the steps, the gradient of the right side, is one product at their end.
    """
    _, inner, columns, batch = product

    def matrices(height: int, width: int) -> Tensor:
        values = torch.randn(batch, height, width)  # and not empty: new pages cost time once
        return values[0] if batch == 1 else values

    right, right_gradient = matrices(columns, inner), matrices(columns, inner)
    left, left_gradient = (matrices(sum(product.rows), inner) for _ in range(2))
    result = matrices(sum(product.rows), columns)
    sizes = list(product.rows)
    steps = [torch.split(each, sizes, dim=-2) for each in (left, result, left_gradient)]
    multiply = torch.mm if batch == 1 else torch.bmm

    def run() -> None:
        for lefts, results, _ in zip(*steps, strict=True):
            multiply(lefts, right.mT, out=results)
        for _, results, gradients in zip(*steps, strict=True):
            multiply(results, right, out=gradients)
        multiply(result.mT, left, out=right_gradient)

    return run


def load(recipe: Recipe) -> tuple[Seq2Seq, TranslationData, int]:
    """Return a fresh model, its data, and the number of pieces."""
    corpora = load_corpora(recipe)
    tokenizers = prepare_tokenizers(corpora, recipe)
    size = tokenizers[1].vocab_size
    model = build_model(recipe.model, source_vocab_size=size, target_vocab_size=size, pad_id=PAD_ID)
    return model, TranslationData(corpora, tokenizers, recipe), size


def training_step(module: TranslationModule) -> Callable[[Batch], None]:
    """Return a call that takes a whole step with a batch, as Lightning has it done."""
    [optimizer], _ = module.configure_optimizers()
    limit = module.recipe.max_grad_norm

    def run(batch: Batch) -> None:
        loss = module.training_step(batch, 0)["loss"]
        optimizer.zero_grad()
        loss.backward()
        if limit is not None:
            clip_grad_norm_(module.parameters(), limit)
        module.on_before_optimizer_step(optimizer)
        optimizer.step()

    return run


def seconds_of(run: Callable[[], None]) -> float:
    """Return how long a call takes."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def main() -> None:
    """Time both by turns and print their speeds."""
    recipe = load_recipe(sys.argv[1], overrides=sys.argv[2:])
    torch.manual_seed(recipe.training.seed)
    torch.set_num_threads(recipe.training.threads or torch.get_num_threads())
    model, data, vocab_size = load(recipe)
    step = training_step(TranslationModule(model, recipe.training, total_steps=1000))
    ratios, tokens, seconds_of_products, seconds_of_steps = [], 0, 0.0, 0.0
    for number, batch in enumerate(islice(data.train_dataloader(), NUM_WARMUP + NUM_BATCHES)):
        calls = [prepared(one) for one in products_of(recipe.model, batch, vocab_size)]
        alone = sum(seconds_of(call) for call in calls)
        whole = seconds_of(lambda batch=batch: step(batch))  # type: ignore[misc]
        if number < NUM_WARMUP:
            continue
        ratios.append(alone / whole)
        tokens += int(batch.target_mask.sum())
        seconds_of_products += alone
        seconds_of_steps += whole
    print(
        f"products alone: {tokens / seconds_of_products:,.0f} tokens/s; "
        f"ours: {tokens / seconds_of_steps:,.0f} = {seconds_of_products / seconds_of_steps:.0%} "
        f"(batches: {min(ratios):.0%} to {max(ratios):.0%}, median {statistics.median(ratios):.0%})"
    )


if __name__ == "__main__":
    main()
