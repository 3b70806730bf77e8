"""The sections of a recipe, every setting with its type, its bounds and its default.

Those of the data and of the network stand in `data.py` and `model.py`.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from nmt.recipe.data import DataRecipe, PositiveInt, Probability, Section
from nmt.recipe.model import ModelRecipe


class TokenizerRecipe(Section):
    """How SentencePiece is trained; the names are its own, `joint` excepted.

    Attributes:
        joint: One tokenizer for both sides instead of one for each.
        user_defined_symbols: Strings that always stay one piece.
        sample_sentences: Most sentences it is trained on, drawn from all of the corpus; null is
            every one.
        sampling_alpha: Cut the training text, both sides, into other pieces each time it is seen;
            null is off. For `unigram` how much likelier the likely ways to cut are (subword
            regularization, Kudo 2018), for `bpe` the share of merges left out (BPE-dropout,
            Provilkov et al. 2020): 0.1 is a start for either.
        placeholders: Symbols that stand for what is not translated, such as URLs and {name}; as
            many are kept of a line. 0 is none.
        placeholder_share: Share of the training pairs in which what is alike on both sides,
            numbers and names too, becomes such symbols.
    """

    vocab_size: Annotated[int, Field(ge=1, le=10_000_000)] = 8000
    model_type: Literal["unigram", "bpe"] = "unigram"
    joint: bool = True
    character_coverage: Annotated[float, Field(gt=0, le=1)] = 1.0
    byte_fallback: bool = True
    normalization_rule_name: Literal["nmt_nfkc", "nfkc", "nmt_nfkc_cf", "nfkc_cf", "identity"] = (
        "nmt_nfkc"
    )
    user_defined_symbols: tuple[str, ...] = ()
    sample_sentences: PositiveInt | None = 200_000
    sampling_alpha: Annotated[float, Field(gt=0, le=1)] | None = None
    placeholders: Annotated[int, Field(ge=0, le=1000)] = 0
    placeholder_share: Annotated[float, Field(ge=0, le=1)] = 0.1


class TrainingRecipe(Section):
    """How the weights are found.

    Attributes:
        max_tokens: Batch limit in tokens of the longer side, padding included.
        max_sentences: Batch limit in sentence pairs. One of the two limits is given.
        max_length: Training pairs with more source or target tokens are left out.
        schedule: What follows the warm-up; `cosine` ends at zero after `max_epochs`.
        gradient_accumulation: Batches added up for one optimizer step.
        coverage_loss: Weight of a loss on looking twice (See et al. 2017); null is off.
        guided_alignment: Weight of a loss towards the alignments that `data.train.alignment` gives
            (Chen et al. 2016); null is off.
        mixed_cross_entropy: Share of the label's probability, reached at the end of training from 0
            at its start, that goes to the token which the model itself holds likeliest (Li & Lu
            2021: 0.5); null is off.
        r_drop: alpha of R-Drop (Liang et al. 2021): each batch is passed twice, with other masks of
            dropout, and the passes are to agree; 5 is a start. A step takes about twice the time
            and memory; null is off.
        source_embeddings: A text file of vectors to start from, a piece and its numbers a line;
            null starts from random ones.
        target_embeddings: As `source_embeddings`.
        scheduled_sampling: Probability, reached at the end of training from 0 at its start, that
            the decoder reads its own token in place of the reference's (Bengio et al. 2015).
        patience: Validations without gain before training stops.
        checkpoint_metric: What chooses the best checkpoint.
        ema: Decay of a moving average of the weights over the steps, which is validated, kept and
            translated with in place of the weights in training; 0.999 for about the last thousand
            steps. null is off.
        average_checkpoints: Translate with the mean of the best n; null is the single best.
        keep_last: Keep the weights of the last n validations too, for `nmt average`; null keeps
            those of the best alone.
        save_every_minutes: Longest time without a checkpoint to go on from; null saves only after
            each epoch.
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
    coverage_loss: Annotated[float, Field(gt=0)] | None = None
    guided_alignment: Annotated[float, Field(gt=0)] | None = None
    scheduled_sampling: Annotated[float, Field(ge=0, le=1)] = 0.0
    mixed_cross_entropy: Annotated[float, Field(gt=0, lt=1)] | None = None
    r_drop: Annotated[float, Field(gt=0)] | None = None
    source_embeddings: str | None = None
    target_embeddings: str | None = None
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    patience: PositiveInt | None = None
    checkpoint_metric: Literal["chrF2", "BLEU", "loss"] = "chrF2"
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    average_checkpoints: Annotated[int, Field(ge=2)] | None = None
    keep_last: PositiveInt | None = None
    validate_every: PositiveInt = 1
    validation_sentences: PositiveInt | None = None
    save_every_minutes: Annotated[float, Field(gt=0)] | None = 10.0
    num_workers: Annotated[int, Field(ge=0, le=4096)] = 0
    threads: Annotated[int, Field(ge=1, le=4096)] | None = None
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
    def _own_tokens_are_read_or_wanted(self) -> Self:
        if self.mixed_cross_entropy is not None and self.scheduled_sampling > 0:
            raise ValueError(
                "mixed_cross_entropy must be null with scheduled_sampling, got "
                f"{self.mixed_cross_entropy} and {self.scheduled_sampling}: what is likeliest "
                "behind tokens of the model's own is no other way to go on from the reference's"
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


Part = Literal["embeddings", "encoder", "bridge", "attention", "decoder", "output_layer"]


class FinetuneRecipe(Section):
    """From which run the training starts; its tokenizers and sizes are kept.

    Attributes:
        run: A run folder, an exported file or `hub:owner/name`.
        freeze: Parts of the model whose weights stay as they are in that run.
        add_pieces: Strings without white space that become pieces of their own, on both sides. Each
            starts as the mean of what it was cut into.
    """

    run: str
    freeze: tuple[Part, ...] = ()
    add_pieces: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _new_pieces_are_trained(self) -> Self:
        frozen = [part for part in ("embeddings", "output_layer") if part in self.freeze]
        if self.add_pieces and frozen:
            raise ValueError(
                "freeze must leave embeddings and output_layer out where add_pieces adds rows to "
                f"them, got {', '.join(frozen)}"
            )
        return self


class DecodingRecipe(Section):
    """How translations are searched for.

    Attributes:
        length_penalty: alpha of Wu et al. 2016; 0 is none.
        normalization: How alpha makes what a log-probability is divided by: `wu` is
            ((5 + length) / 6)^alpha, `plain` is length^alpha; the length counts EOS.
        coverage_penalty: beta of Wu et al. 2016: what it costs to look at source tokens too
            little; 0 is nothing.
        min_length_ratio: Shortest translation, in tokens for each source token.
        max_length_ratio: Longest translation, in tokens for each source token (10 are added).
        min_target_length: Shortest translation, in tokens, EOS included.
        max_target_length: Longest translation, in tokens, EOS included.
        no_repeat_ngram_size: So many tokens never follow each other twice; null lets them.
        protect_numbers: Keep numbers as they are, too, with a model that knows placeholders.
        keep_repeats: Leave translations that go round in circles as they are, and do not search
            them again with no three tokens twice.
        max_source_length: Longer lines, in tokens, are translated in parts: sentence by sentence.
        split_sentences: Translate all lines sentence by sentence.
        batch_size: Sentences translated at once.
    """

    beam_size: PositiveInt = 5
    length_penalty: Annotated[float, Field(ge=0)] = 1.0
    normalization: Literal["wu", "plain"] = "wu"
    coverage_penalty: Annotated[float, Field(ge=0)] = 0.0
    min_length_ratio: Annotated[float, Field(ge=0)] = 0.0
    max_length_ratio: Annotated[float, Field(gt=0)] = 2.0
    min_target_length: PositiveInt = 1
    max_target_length: PositiveInt = 400
    no_repeat_ngram_size: PositiveInt | None = None
    protect_numbers: bool = False
    keep_repeats: bool = False
    max_source_length: PositiveInt = 200
    split_sentences: bool = False
    batch_size: PositiveInt = 64

    @model_validator(mode="after")
    def _lengths_fit(self) -> Self:
        if self.min_target_length > self.max_target_length:
            raise ValueError(
                f"min_target_length must be <= max_target_length ({self.max_target_length}), "
                f"got {self.min_target_length}"
            )
        return self


class EvaluationRecipe(Section):
    """Which scores are reported.

    Attributes:
        bleu_tokenizer: null follows the target language. It stays the last key of a recipe: the
            resolved recipe of a run that ends before it is cut off.
    """

    metrics: tuple[Literal["BLEU", "chrF2", "chrF++", "TER"], ...] = (
        "BLEU",
        "chrF2",
        "chrF++",
        "TER",
    )
    bleu_tokenizer: str | None = None


class Recipe(Section):
    """Everything about a training run."""

    data: DataRecipe
    tokenizer: TokenizerRecipe = TokenizerRecipe()
    model: ModelRecipe = ModelRecipe()
    training: TrainingRecipe
    finetune: FinetuneRecipe | None = None
    decoding: DecodingRecipe = DecodingRecipe()
    evaluation: EvaluationRecipe = EvaluationRecipe()

    @property
    def tokenizer_with_tags(self) -> TokenizerRecipe:
        """The tokenizer's section, the pieces that ask for languages among its symbols."""
        tags = (self.data.tag_of(language) for language in self.data.target_langs)
        symbols = (*self.tokenizer.user_defined_symbols, *(tag for tag in tags if tag is not None))
        return self.tokenizer.model_copy(
            update={"user_defined_symbols": tuple(dict.fromkeys(symbols))}
        )

    @model_validator(mode="after")
    def _attention_losses_fit(self) -> Self:
        for key in ("coverage_loss", "guided_alignment"):
            weight = getattr(self.training, key)
            if weight is not None and self.model.attention is None:
                raise ValueError(f"training.{key} needs attention, got {weight} with none")
        sets = self.data.named_sets()
        aligned = [name for name, one in sets.items() if getattr(one, "alignment", None)]
        guided = self.training.guided_alignment is not None
        wanted = [name for name, _ in self.data.named_train_sets()] if guided else []
        if aligned != wanted:
            raise ValueError(
                "training.guided_alignment and data.train.alignment go together, and no other set "
                f"takes an alignment, got {self.training.guided_alignment} and alignments for "
                f"{', '.join(aligned) or 'no set'}"
            )
        return self

    @model_validator(mode="after")
    def _two_passes_differ(self) -> Self:
        dropout = self.model.dropout
        masks = (dropout.embedding, dropout.layers, dropout.readout, dropout.word)
        if self.training.r_drop is not None and not any(masks):
            raise ValueError(
                "training.r_drop needs model.dropout.embedding, layers, readout or word above 0, "
                f"got {self.training.r_drop} with none: its two passes would be alike"
            )
        return self

    @model_validator(mode="after")
    def _variational_attention_has_a_loss_of_its_own(self) -> Self:
        if self.model.attention is None or self.model.attention.variational is None:
            return self
        for key in ("r_drop", "mixed_cross_entropy"):
            value = getattr(self.training, key)
            if value is not None:
                raise ValueError(
                    f"training.{key} must be null with model.attention.variational, got {value}"
                )
        return self

    @model_validator(mode="after")
    def _a_stream_has_one_reader(self) -> Self:
        if self.data.streaming is not None and self.training.num_workers:
            raise ValueError(
                "training.num_workers must be 0 with data.train.streaming, got "
                f"{self.training.num_workers}; a stream is read in the process that trains"
            )
        return self

    @model_validator(mode="after")
    def _coverage_penalty_fits(self) -> Self:
        if self.decoding.coverage_penalty and self.model.attention is None:
            raise ValueError(
                "decoding.coverage_penalty needs attention, "
                f"got {self.decoding.coverage_penalty} with none"
            )
        return self

    @model_validator(mode="after")
    def _one_table_starts_from_one_file(self) -> Self:
        if self.model.tied_embeddings == "all" and self.training.target_embeddings is not None:
            raise ValueError(
                "training.target_embeddings must be null with model.tied_embeddings 'all', got "
                f"{self.training.target_embeddings!r}; source_embeddings are those of both sides"
            )
        return self

    @model_validator(mode="after")
    def _one_start(self) -> Self:
        files = (self.training.source_embeddings, self.training.target_embeddings)
        if self.finetune is not None and files != (None, None):
            raise ValueError(
                "training.source_embeddings and target_embeddings must be null with finetune, "
                "which brings embeddings of its own"
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
