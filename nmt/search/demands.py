"""What a user may ask of the translation of one sentence, in tokens, and what cannot be asked."""

from collections.abc import Sequence
from dataclasses import dataclass

from nmt.search.options import SearchOptions
from nmt.search.phrases import Ids, contains


@dataclass(frozen=True, kw_only=True, slots=True)
class Demands:
    """What the translation of one sentence must, should and must not hold.

    A phrase is held where its tokens follow each other without a gap. Phrases may overlap, and one
    that is named twice is asked for once.

    Attributes:
        prefix: The tokens that it starts with; their log-probabilities count as any others'.
        required: Phrases that every hypothesis holds, whatever it costs.
        preferred: Phrases that get a bonus in the ranking.
        avoided: Phrases that no hypothesis holds.

    Raises:
        ValueError: A phrase has no tokens.
    """

    prefix: Ids = ()
    required: tuple[Ids, ...] = ()
    preferred: tuple[Ids, ...] = ()
    avoided: tuple[Ids, ...] = ()

    def __post_init__(self) -> None:
        for name in ("required", "preferred", "avoided"):
            if () in getattr(self, name):
                raise ValueError(f"{name} must hold phrases of at least one token, got ()")

    @property
    def required_apart(self) -> tuple[Ids, ...]:
        """The required phrases but for those that a longer one holds anyway, each once."""
        phrases = dict.fromkeys(self.required)
        return tuple(
            phrase
            for phrase in phrases
            if not any(phrase != other and contains(other, phrase) for other in phrases)
        )


NOTHING_DEMANDED = Demands()


def check_demands(
    demands: Sequence[Demands] | None, max_lengths: Sequence[int], options: SearchOptions
) -> list[Demands]:
    """Return the demands of each sentence of a batch, none where none are given.

    Args:
        demands: Those of each sentence, or None.
        max_lengths: How many tokens each hypothesis may have, EOS included.
        options: Names EOS and the banned tokens.

    Raises:
        ValueError: There are demands for more or fewer sentences, or some that cannot be met: they
            hold a token that is never generated, or contradict each other, or the prefix is too
            long. (`Required.check_room` looks at the length of the rest.)
    """
    if demands is None:
        return [NOTHING_DEMANDED] * len(max_lengths)
    if len(demands) != len(max_lengths):
        raise ValueError(
            f"demands must be given for {len(max_lengths)} sentences, got {len(demands)}"
        )
    for sentence, (one, max_length) in enumerate(zip(demands, max_lengths, strict=True)):
        _check_tokens(sentence, one, options)
        if len(one.prefix) >= max_length:
            raise ValueError(
                f"sentence {sentence} of the batch: prefix must have less than {max_length} "
                f"tokens, which is the limit with EOS, got {len(one.prefix)}"
            )
        for place, ids in [("prefix", one.prefix), *(("required", ids) for ids in one.required)]:
            for avoided in one.avoided:
                if contains(ids, avoided):
                    raise ValueError(
                        f"sentence {sentence} of the batch: {place} must not hold "
                        f"an avoided phrase, got {ids!r} and {avoided!r}"
                    )
    return list(demands)


def _check_tokens(sentence: int, demands: Demands, options: SearchOptions) -> None:
    never = {*options.banned_ids, options.eos_id}
    for place, phrases in (
        ("prefix", (demands.prefix,)),
        ("required", demands.required),
        ("preferred", demands.preferred),
    ):
        for ids in phrases:
            if not never.isdisjoint(ids):
                raise ValueError(
                    f"sentence {sentence} of the batch: {place} must not hold banned tokens "
                    f"or EOS, got {ids!r}"
                )
