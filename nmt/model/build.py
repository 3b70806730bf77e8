"""From a recipe to a model: the only module here that reads one."""

from __future__ import annotations

from torch import nn

from nmt.model.attention import Attention
from nmt.model.bridge import Bridge
from nmt.model.decoder import Decoder
from nmt.model.dropout import Dropout
from nmt.model.embedding import Embedding, embedding_table
from nmt.model.encoder import Encoder
from nmt.model.readout import Readout
from nmt.model.recurrent import has_cell_state
from nmt.model.seq2seq import Seq2Seq
from nmt.model.variational import Posterior, VariationalSeq2Seq
from nmt.recipe import ModelRecipe


def build_model(
    recipe: ModelRecipe, *, source_vocab_size: int, target_vocab_size: int, pad_id: int
) -> Seq2Seq:
    """Return a model with fresh random weights from torch's global generator.

    Args:
        recipe: The shape of the network.
        source_vocab_size: Pieces of the source tokenizer.
        target_vocab_size: Pieces of the target tokenizer, V.
        pad_id: The id whose vector starts at zero and learns nothing from being looked up. As a row
            of a tied output layer it does learn, which no result shows: padding is masked.

    Raises:
        ValueError: The sizes do not fit each other.
    """
    size = recipe.embedding_size
    if recipe.tied_embeddings == "all" and source_vocab_size != target_vocab_size:
        raise ValueError(
            "tied_embeddings 'all' needs vocabularies of one size, "
            f"got source {source_vocab_size} and target {target_vocab_size}"
        )
    source_table = embedding_table(source_vocab_size, size, pad_id=pad_id)
    target_table = source_table
    if recipe.tied_embeddings != "all":
        target_table = embedding_table(target_vocab_size, size, pad_id=pad_id)
    encoder = _encoder(source_table, recipe)
    decoder = _decoder(target_table, recipe)
    bridge = Bridge(
        encoder.state_size,
        recipe.decoder.hidden_size,
        recipe.decoder.num_layers,
        kind=recipe.bridge,
        has_cell_state=has_cell_state(recipe.decoder.cell),
    )
    parts = encoder, bridge, decoder, _output_layer(target_table, decoder, recipe)
    estimate = None if recipe.attention is None else recipe.attention.variational
    if estimate is None:
        return Seq2Seq(*parts)
    posterior = Posterior(size, recipe.encoder.hidden_size)
    return VariationalSeq2Seq(*parts, posterior, estimate=estimate)


def _encoder(table: nn.Embedding, recipe: ModelRecipe) -> Encoder:
    encoder = recipe.encoder
    return Encoder(
        _embedding(table, recipe),
        num_layers=encoder.num_layers,
        hidden_size=encoder.hidden_size,
        cell=encoder.cell,
        directions=encoder.directions,
        residual_from=encoder.residual_from,
        dropout=_dropout(recipe.dropout.layers, recipe),
        weight_drop=recipe.dropout.recurrent,
    )


def _decoder(table: nn.Embedding, recipe: ModelRecipe) -> Decoder:
    decoder, attention = recipe.decoder, recipe.attention
    state_size = recipe.encoder.state_size
    readout = Readout(
        decoder.readout,
        hidden_size=decoder.hidden_size,
        context_size=0 if attention is None else state_size,
        embedding_size=recipe.embedding_size,
        size=decoder.readout_size or recipe.embedding_size,
    )
    return Decoder(
        _embedding(table, recipe),
        _attention(recipe),
        readout,
        num_layers=decoder.num_layers,
        hidden_size=decoder.hidden_size,
        state_size=state_size,
        cell=decoder.cell,
        query="bottom" if attention is None else attention.query,
        feedback=decoder.feedback,
        residual_from=decoder.residual_from,
        dropout=_dropout(recipe.dropout.layers, recipe),
        readout_dropout=_dropout(recipe.dropout.readout, recipe),
        weight_drop=recipe.dropout.recurrent,
    )


def _attention(recipe: ModelRecipe) -> Attention | None:
    attention = recipe.attention
    if attention is None:
        return None
    return Attention(
        recipe.decoder.hidden_size,
        recipe.encoder.state_size,
        kind=attention.kind,
        size=attention.size,
        num_heads=attention.num_heads,
        window=attention.window,
        coverage=attention.coverage,
    )


def _dropout(probability: float, recipe: ModelRecipe) -> Dropout:
    return Dropout(probability, shared_over_time=recipe.dropout.shared_over_time)


def _embedding(table: nn.Embedding, recipe: ModelRecipe) -> Embedding:
    dropout = _dropout(recipe.dropout.embedding, recipe)
    return Embedding(table, dropout=dropout, word_dropout=recipe.dropout.word)


def _output_layer(table: nn.Embedding, decoder: Decoder, recipe: ModelRecipe) -> nn.Linear:
    layer = nn.Linear(decoder.readout.size, table.num_embeddings)
    nn.init.zeros_(layer.bias)
    if recipe.tied_embeddings is not None:
        layer.weight = table.weight
    return layer
