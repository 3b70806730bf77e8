"""The sections of a recipe, every setting with its type, its bounds and its default."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from nmt.recipe.data import DataRecipe, PositiveInt, Section

# Far above what anyone trains; a recipe from elsewhere must not fill memory or run for ever.
Size = Annotated[int, Field(ge=1, le=65_536)]
NumLayers = Annotated[int, Field(ge=1, le=100)]
Probability = Annotated[float, Field(ge=0, lt=1)]


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


Cell = Literal["lstm", "gru", "rnn", "layer_norm_lstm"]


class EncoderRecipe(Section):
    """A stack of recurrent layers over the source.

    Attributes:
        hidden_size: Of one direction.
        cell: `lstm`, `gru`, `rnn` (plain tanh units) or `layer_norm_lstm` (Ba et al. 2016).
        directions: Which layers read both ways: `both` all, `bottom` the lowest alone, `forward`
            and `backward` none; `backward` reads the source from its end (Sutskever et al. 2014).
        residual_from: The lowest layer, counted from 1, whose input is added to its output; null
            is none.
    """

    num_layers: NumLayers = 2
    hidden_size: Size = 256
    cell: Cell = "lstm"
    directions: Literal["both", "bottom", "forward", "backward"] = "both"
    residual_from: Annotated[int, Field(ge=2, le=100)] | None = 2

    @property
    def state_size(self) -> int:
        """Width of the encoder states, both directions joined."""
        return self.size_of_layer(self.num_layers)

    def size_of_layer(self, number: int) -> int:
        """Width of what a layer, counted from one, gives, both directions joined."""
        both = self.directions == "both" or (self.directions == "bottom" and number == 1)
        return self.hidden_size * (2 if both else 1)

    @model_validator(mode="after")
    def _residual_sizes_fit(self) -> Self:
        is_uneven = self.directions == "bottom" and self.num_layers > 1
        if is_uneven and self.residual_from == 2:
            raise ValueError(
                "residual_from must be >= 3 or null with directions 'bottom', got 2: the second "
                "layer reads both directions and gives one"
            )
        return self


class AttentionRecipe(Section):
    """Which source positions the decoder looks at.

    Attributes:
        kind: How energies are computed.
        size: Width of the additive kind's hidden layer; null is that of the decoder.
        query: Whose output asks: the `bottom` decoder layer's, the `top` one's, or the bottom one's
            of the `previous` step.
        num_heads: Parts with an attention each.
        window: Positions on each side of a predicted one (local-p, Luong et al. 2015); null is all.
        coverage: Let the energies see what was looked at before (Tu et al. 2016).
    """

    kind: Literal["dot", "scaled_dot", "general", "additive"] = "general"
    size: Size | None = None
    query: Literal["bottom", "top", "previous"] = "bottom"
    num_heads: Size = 1
    window: PositiveInt | None = None
    coverage: bool = False

    @model_validator(mode="after")
    def _additive_only(self) -> Self:
        for key in ("size", "coverage"):
            value = getattr(self, key)
            if self.kind != "additive" and value:
                raise ValueError(
                    f"{key} is for additive attention only, got {value} with kind {self.kind!r}"
                )
        return self


class DecoderRecipe(Section):
    """A stack of recurrent layers over the target, and what is made of their output.

    Attributes:
        cell: As the encoder's.
        feedback: What the lowest layer reads beside the token: null nothing, the `context`, or the
            `attentional` state of the step before (input feeding, Luong et al. 2015).
        readout: What the output layer reads: `attentional` (Luong et al. 2015), `maxout` (Bahdanau
            et al. 2015), `direct`, hidden state and context as they are, or `hidden`, the hidden
            state alone.
        readout_size: Width of the first two; null is the embedding size.
        residual_from: The lowest layer, counted from 1, to whose output that of the layer below is
            added; null is none.
    """

    num_layers: NumLayers = 2
    hidden_size: Size = 512
    cell: Cell = "lstm"
    feedback: Literal["context", "attentional"] | None = None
    readout: Literal["attentional", "maxout", "direct", "hidden"] = "attentional"
    readout_size: Size | None = None
    residual_from: Annotated[int, Field(ge=2, le=100)] | None = 3

    @model_validator(mode="after")
    def _readout_has_a_size(self) -> Self:
        if self.readout in ("direct", "hidden") and self.readout_size is not None:
            raise ValueError(
                "readout_size is for the readouts 'attentional' and 'maxout', "
                f"got {self.readout_size} with {self.readout!r}"
            )
        return self


class DropoutRecipe(Section):
    """Where the network is thinned while it trains.

    Attributes:
        embedding: On embeddings.
        layers: Between recurrent layers and on the context.
        readout: On what the output layer reads; for the readouts `direct` and `hidden` on the top
            layer's output, in place of `layers`.
        word: Whole source and target input tokens replaced by zero vectors.
        recurrent: Weights between the hidden states of two steps, the same ones for all steps of a
            batch (weight drop, Merity et al. 2018).
        shared_over_time: One mask for all steps of a sentence (Gal & Ghahramani 2016).
    """

    embedding: Probability = 0.3
    layers: Probability = 0.3
    readout: Probability = 0.3
    word: Probability = 0.0
    recurrent: Probability = 0.0
    shared_over_time: bool = False


class ModelRecipe(Section):
    """The network.

    Attributes:
        attention: null is none: the decoder knows of the source what it starts from.
        bridge: What the decoder starts from: `linear` a projection of the encoder's final states,
            `mean` one of the mean of its states, `copy` the final states themselves, layer by
            layer, `learned` trained vectors, `zero` nothing.
        tied_embeddings: `output` makes the output layer the target embedding (Press & Wolf 2017),
            `all` makes the source embedding the same too (needs a joint tokenizer).
    """

    embedding_size: Size = 512
    encoder: EncoderRecipe = EncoderRecipe()
    attention: AttentionRecipe | None = AttentionRecipe()
    decoder: DecoderRecipe = DecoderRecipe()
    bridge: Literal["linear", "mean", "copy", "learned", "zero"] = "linear"
    dropout: DropoutRecipe = DropoutRecipe()
    tied_embeddings: Literal["output", "all"] | None = "output"

    @model_validator(mode="after")
    def _sizes_and_parts_fit(self) -> Self:
        for complaint in self._misfits():
            raise ValueError(complaint)
        return self

    def _misfits(self) -> Iterator[str]:
        """Say which settings do not go together."""
        encoder, decoder, hidden = self.encoder, self.decoder, self.decoder.hidden_size
        if self.attention is None:
            if decoder.feedback is not None:
                yield f"decoder.feedback must be null without attention, got {decoder.feedback!r}"
            if self.bridge in ("learned", "zero"):
                yield (
                    f"bridge {self.bridge!r} needs attention: without both the decoder would know "
                    "nothing of the source"
                )
        else:
            yield from self._attention_misfits(self.attention)
        if decoder.feedback == "attentional" and decoder.readout != "attentional":
            yield (
                "decoder.feedback 'attentional' needs decoder.readout 'attentional', "
                f"got {decoder.readout!r}"
            )
        if self.bridge == "copy":
            finals = [encoder.size_of_layer(number) for number in range(1, encoder.num_layers + 1)]
            if finals != [hidden] * decoder.num_layers:
                yield (
                    "bridge 'copy' needs one encoder layer for each decoder layer with final "
                    f"states of its hidden_size, got {finals} for {decoder.num_layers} of {hidden}"
                )
        if self.tied_embeddings is not None and self._readout_size() != self.embedding_size:
            yield (
                f"tied_embeddings {self.tied_embeddings!r} needs a readout of the embedding_size "
                f"({self.embedding_size}), got {self._readout_size()} from decoder.readout "
                f"{decoder.readout!r}; use null"
            )

    def _readout_size(self) -> int:
        """Width of what the output layer reads."""
        hidden = self.decoder.hidden_size
        context = 0 if self.attention is None else self.encoder.state_size
        widths = {"hidden": hidden, "direct": hidden + context}
        size = self.decoder.readout_size or self.embedding_size
        return widths.get(self.decoder.readout, size)

    def _attention_misfits(self, attention: AttentionRecipe) -> Iterator[str]:
        states, hidden = self.encoder.state_size, self.decoder.hidden_size
        if attention.kind in ("dot", "scaled_dot") and states != hidden:
            yield (
                f"attention.kind {attention.kind!r} needs encoder states of the decoder's "
                f"hidden_size, got {states} and {hidden}; use 'general'"
            )
        if attention.query == "previous" and self.decoder.feedback != "context":
            yield (
                "attention.query 'previous' needs decoder.feedback 'context', "
                f"got {self.decoder.feedback!r}"
            )
        is_asked_last = attention.query == "top" or self.decoder.num_layers == 1
        if self.decoder.readout == "hidden" and self.decoder.feedback is None and is_asked_last:
            yield (
                "decoder.readout 'hidden' leaves the context unread: no layer is above the "
                "attention and decoder.feedback is null; use 'attentional' or feed it back"
            )
        key_size = "attention.size" if attention.size else "decoder.hidden_size"
        widths = {key_size: attention.size or hidden, "the width of the encoder states": states}
        for name, width in widths.items():
            if width % attention.num_heads:
                yield f"attention.num_heads must divide {name} ({width}), got {attention.num_heads}"


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
