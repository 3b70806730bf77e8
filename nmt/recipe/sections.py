"""The sections of a recipe, every setting with its type, its bounds and its default."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from nmt.recipe.data import DataRecipe, PositiveInt, Section

Probability = Annotated[float, Field(ge=0, lt=1)]


class TokenizerRecipe(Section):
    """How SentencePiece is trained; the names are its own, `joint` excepted.

    Attributes:
        joint: One tokenizer for both sides instead of one for each.
        user_defined_symbols: Strings that always stay one piece.
    """

    vocab_size: PositiveInt = 8000
    model_type: Literal["unigram", "bpe"] = "unigram"
    joint: bool = True
    character_coverage: Annotated[float, Field(gt=0, le=1)] = 1.0
    byte_fallback: bool = True
    normalization_rule_name: Literal["nmt_nfkc", "nfkc", "nmt_nfkc_cf", "nfkc_cf", "identity"] = (
        "nmt_nfkc"
    )
    user_defined_symbols: tuple[str, ...] = ()


class EncoderRecipe(Section):
    """A stack of bidirectional LSTMs; `hidden_size` is that of one direction."""

    num_layers: PositiveInt = 2
    hidden_size: PositiveInt = 256


class AttentionRecipe(Section):
    """How energies are computed; `size` is the width of the additive kind's hidden layer."""

    kind: Literal["dot", "general", "additive"] = "general"
    size: PositiveInt | None = None

    @model_validator(mode="after")
    def _size_fits_kind(self) -> Self:
        if self.kind != "additive" and self.size is not None:
            raise ValueError(
                f"size is for additive attention only, got {self.size} with kind {self.kind!r}"
            )
        return self


class DecoderRecipe(Section):
    """One LSTM below the attention, `num_layers - 1` above it."""

    num_layers: Annotated[int, Field(ge=2)] = 2
    hidden_size: PositiveInt = 512


class DropoutRecipe(Section):
    """Where the network is thinned while it trains.

    Attributes:
        embedding: On embeddings.
        layers: Between LSTM layers and on the context.
        readout: On the attentional state, before the output layer.
        word: Whole source and target input tokens replaced by zero vectors.
        shared_over_time: One mask for all steps of a sentence (Gal & Ghahramani 2016).
    """

    embedding: Probability = 0.3
    layers: Probability = 0.3
    readout: Probability = 0.3
    word: Probability = 0.0
    shared_over_time: bool = False


class ModelRecipe(Section):
    """The network.

    Attributes:
        bridge: `linear` starts the decoder from the encoder's final states, `zero` from nothing.
        tied_embeddings: `output` makes the output layer the target embedding (Press & Wolf 2017),
            `all` makes the source embedding the same too (needs a joint tokenizer).
    """

    embedding_size: PositiveInt = 512
    encoder: EncoderRecipe = EncoderRecipe()
    attention: AttentionRecipe = AttentionRecipe()
    decoder: DecoderRecipe = DecoderRecipe()
    bridge: Literal["linear", "zero"] = "linear"
    dropout: DropoutRecipe = DropoutRecipe()
    tied_embeddings: Literal["output", "all"] | None = "output"


class TrainingRecipe(Section):
    """How the weights are found.

    Attributes:
        max_tokens: Batch limit in tokens of the longer side, padding included.
        max_sentences: Batch limit in sentence pairs. One of the two limits is given.
        max_length: Training pairs with more source or target tokens are left out.
        schedule: What follows the warm-up; `cosine` ends at zero after `max_epochs`.
        gradient_accumulation: Batches added up for one optimizer step.
        patience: Validations without gain before training stops.
        checkpoint_metric: What chooses the best checkpoint.
        average_checkpoints: Translate with the mean of the best n; null is the single best.
        validation_sentences: Lines of the validation set translated at each validation; null is
            all.
    """

    max_epochs: PositiveInt = 20
    max_tokens: PositiveInt | None = None
    max_sentences: PositiveInt | None = None
    max_length: PositiveInt = 200
    optimizer: Literal["adam", "adamw"] = "adam"
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    adam_betas: tuple[Probability, Probability] = (0.9, 0.999)
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    schedule: Literal["constant", "cosine", "inverse_sqrt", "plateau"] = "cosine"
    warmup_steps: Annotated[int, Field(ge=0)] = 400
    max_grad_norm: Annotated[float, Field(gt=0)] | None = 1.0
    gradient_accumulation: PositiveInt = 1
    label_smoothing: Probability = 0.1
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    patience: PositiveInt | None = None
    checkpoint_metric: Literal["chrF2", "BLEU", "loss"] = "chrF2"
    average_checkpoints: Annotated[int, Field(ge=2)] | None = None
    validate_every: PositiveInt = 1
    validation_sentences: PositiveInt | None = None
    num_workers: Annotated[int, Field(ge=0)] = 0
    threads: PositiveInt | None = None
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    tensorboard: bool = False
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 1

    @model_validator(mode="after")
    def _one_batch_limit(self) -> Self:
        if (self.max_tokens is None) == (self.max_sentences is None):
            raise ValueError(
                "one of max_tokens and max_sentences must be given and the other null, "
                f"got {self.max_tokens} and {self.max_sentences}"
            )
        return self

    @model_validator(mode="after")
    def _last_epoch_is_validated(self) -> Self:
        if self.max_epochs % self.validate_every:
            raise ValueError(
                "max_epochs must be a multiple of validate_every, so that the last epoch is "
                f"validated, got {self.max_epochs} and {self.validate_every}"
            )
        return self


class DecodingRecipe(Section):
    """How translations are searched for.

    Attributes:
        length_penalty: alpha of Wu et al. 2016; 0 is none.
        max_length_ratio: Longest translation, in tokens for each source token (10 are added).
        max_target_length: Longest translation, in tokens.
        max_source_length: Longer lines, in tokens, are translated in parts.
        batch_size: Sentences translated at once.
    """

    beam_size: PositiveInt = 5
    length_penalty: Annotated[float, Field(ge=0)] = 1.0
    max_length_ratio: Annotated[float, Field(gt=0)] = 2.0
    max_target_length: PositiveInt = 400
    max_source_length: PositiveInt = 200
    batch_size: PositiveInt = 64


class EvaluationRecipe(Section):
    """Which scores are reported.

    Attributes:
        bleu_tokenizer: null follows the target language. It stays the last key of a recipe: the
            resolved recipe of a run that ends before it is cut off.
    """

    metrics: tuple[Literal["BLEU", "chrF2", "TER"], ...] = ("BLEU", "chrF2", "TER")
    bleu_tokenizer: str | None = None


class Recipe(Section):
    """Everything about a training run."""

    data: DataRecipe
    tokenizer: TokenizerRecipe = TokenizerRecipe()
    model: ModelRecipe = ModelRecipe()
    training: TrainingRecipe
    decoding: DecodingRecipe = DecodingRecipe()
    evaluation: EvaluationRecipe = EvaluationRecipe()

    @model_validator(mode="after")
    def _dot_attention_fits(self) -> Self:
        states, decoder = 2 * self.model.encoder.hidden_size, self.model.decoder.hidden_size
        if self.model.attention.kind == "dot" and states != decoder:
            raise ValueError(
                "model.attention.kind 'dot' needs model.decoder.hidden_size to be twice "
                f"model.encoder.hidden_size, got {decoder} and {states // 2}; use 'general'"
            )
        return self

    @model_validator(mode="after")
    def _shared_weights_fit(self) -> Self:
        if self.model.tied_embeddings == "all" and not self.tokenizer.joint:
            raise ValueError(
                "model.tied_embeddings 'all' needs tokenizer.joint true; "
                "use 'output' with two tokenizers"
            )
        return self
