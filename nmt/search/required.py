"""Required phrases: how far a hypothesis has met them, and whether it still can.

Hokamp & Liu (2017) search with a beam for each number of required tokens that are met. Dynamic beam
allocation (Post & Vilar 2018), which is done here, has one beam for all: hypotheses that have met
equally many form a bank, and the places of the beam are dealt out over the banks. See
`allocation.py` for the dealing. Beside that, `Required.rulings` keeps the room that they need, so
that no hypothesis comes to its greatest length without them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from nmt.search.demands import Demands
from nmt.search.phrases import NO_TOKEN, Phrases, alphabets, contains
from nmt.search.rules import Ruling


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a next token means for the required phrases of R rows.

    Attributes:
        token_ids: The tokens that matter in each row, then `NO_TOKEN`, (R, I), int64.
        banks: Required tokens that each row has met, with each of these, (R, I), int64.
        other_banks: The same with any other token, (R,), int64.
        needs: Tokens that are needed after each of these until all is met, (R, I), int64.
        other_needs: The same after any other token, (R,), int64.
    """

    token_ids: Tensor
    banks: Tensor
    other_banks: Tensor
    needs: Tensor
    other_needs: Tensor

    def select(self, rows: Tensor) -> "Outlook":
        """Return the given rows in the given order; `rows`: (any,), int64."""
        return Outlook(*(getattr(self, field.name)[rows] for field in fields(self)))


class Required:
    """The required phrases of the sentences of a batch.

    How many tokens a row *needs* is reckoned for the phrases one after the other, as if they could
    not overlap, but for one that has begun already. Where an avoided phrase may run into the
    beginning of a required one, one more token is reckoned with, to keep them apart, and a begun
    phrase counts only where no avoided one that began before it can get in its way. So there is
    always a token that lessens the need by one, and no row is kept that lacks the room for it.

    Attributes:
        phrases: The required phrases of each sentence.
    """

    def __init__(self, demands: Sequence[Demands], eos_id: int, device: torch.device) -> None:
        """Take the demands of each sentence."""
        required = [one.required_apart for one in demands]
        self._eos_id = eos_id
        self.phrases = Phrases.of(required, device)
        self._avoided = Phrases.of([one.avoided for one in demands], device)
        # tokens of avoided phrases matter too: any other keeps an avoided and a required one apart
        self._token_ids = alphabets(
            [(*one.required, *one.avoided) if one.required else () for one in demands], device
        )
        touched = [
            [any(_runs_into(ids, phrase) for ids in one.avoided) for phrase in phrases]
            for one, phrases in zip(demands, required, strict=True)
        ]
        width = self.phrases.lengths.size(1)
        padded = [row + [False] * (width - len(row)) for row in touched]
        self._gaps = torch.tensor(padded, dtype=torch.long, device=device)

    def need(self, sentences: Tensor, progress: Tensor, avoided: Tensor) -> Tensor:
        """Tell how many tokens each row needs until all is met.

        Args:
            sentences: The sentence of each row, (R,), int64.
            progress: Of the required phrases, (R, P), int64.
            avoided: Of the avoided phrases, (R, Q), int64.

        Returns:
            The needs, (R,), int64.
        """
        return self._needs(
            sentences, progress.unsqueeze(2), avoided.amax(dim=1, keepdim=True)
        ).squeeze(1)

    def outlook(self, sentences: Tensor, progress: Tensor, avoided: Tensor) -> Outlook:
        """Look at every next token, see `need` for the arguments."""
        phrases, token_ids = self.phrases.select(sentences), self._token_ids[sentences]
        after = phrases.advance(progress, token_ids)  # (R, P, I)
        avoided_after = self._avoided.select(sentences).advance(avoided, token_ids)  # (R, Q, I)
        otherwise = phrases.without_match(progress)
        return Outlook(
            token_ids=token_ids,
            banks=after.sum(dim=1),
            other_banks=otherwise.sum(dim=1),
            needs=self._needs(sentences, after, avoided_after.amax(dim=1)),
            other_needs=self.need(sentences, otherwise, torch.zeros_like(avoided)),
        )

    def check_room(self, demands: Sequence[Demands], max_lengths: Sequence[int]) -> None:
        """Refuse required phrases that are longer than a hypothesis may be.

        Args:
            demands: Those of the constructor.
            max_lengths: How many tokens each hypothesis may have, EOS included.

        Raises:
            ValueError: There is no room for them.
        """
        for sentence, (one, max_length) in enumerate(zip(demands, max_lengths, strict=True)):
            if one.required:
                need = len(one.prefix) + self._need_behind(one.prefix, sentence) + 1
                if need > max_length:
                    raise ValueError(
                        f"sentence {sentence} of the batch: required phrases must fit in "
                        f"{max_length} tokens with prefix and EOS, got {need}"
                    )

    def exemptions(self, sentences: Tensor, progress: Tensor) -> Ruling:
        """Allow what carries a required phrase on, though it may be a repetition."""
        token_ids = self.phrases.select(sentences).next_ids(progress)
        rows, columns = (token_ids != NO_TOKEN).nonzero(as_tuple=True)
        return Ruling(rows, token_ids[rows, columns], allowed=True)

    def rulings(self, outlook: Outlook, rooms: Tensor) -> Iterable[Ruling]:
        """Forbid the tokens that leave too little room, and EOS until all is met.

        Args:
            outlook: Of each row.
            rooms: How many tokens, but for EOS, may follow the next one, (R,), int64.
        """
        known = outlook.token_ids != NO_TOKEN
        fits = outlook.needs <= rooms.unsqueeze(1)
        tight = outlook.other_needs > rooms
        rows, columns = (known & fits & tight.unsqueeze(1)).nonzero(as_tuple=True)
        closed = tight.nonzero().squeeze(1)
        yield Ruling(rows, outlook.token_ids[rows, columns], allowed=True, closed=closed)
        rows, columns = (known & ~fits).nonzero(as_tuple=True)
        yield Ruling(rows, outlook.token_ids[rows, columns])
        # whatever is begun falls back at EOS: all is met where nothing is needed after it
        rows = (outlook.other_needs > 0).nonzero().squeeze(1)
        yield Ruling(rows, torch.full_like(rows, self._eos_id))

    def _need_behind(self, prefix: tuple[int, ...], sentence: int) -> int:
        """Tell the need of a sentence behind its prefix."""
        place = self._gaps.new_tensor([sentence])
        progress, avoided = self.phrases.start(place), self._avoided.start(place)
        for token in prefix:
            token_ids = place.new_tensor([token])
            progress = self.phrases.follow(place, progress, token_ids)
            avoided = self._avoided.follow(place, avoided, token_ids)
        return int(self.need(place, progress, avoided))

    def _needs(self, sentences: Tensor, progress: Tensor, avoided: Tensor) -> Tensor:
        """See `need`; for I tokens at once: progress (R, P, I), the most of avoided (R, I)."""
        lengths, gaps = (
            values[sentences].unsqueeze(2) for values in (self.phrases.lengths, self._gaps)
        )  # (R, P, 1)
        open_phrases = progress < lengths
        counts = (gaps == 0) | (avoided.unsqueeze(1) <= progress)
        begun = torch.where(open_phrases & counts, progress + gaps, 0).amax(dim=1)
        return torch.where(open_phrases, lengths + gaps, 0).sum(dim=1) - begun


def _runs_into(avoided: tuple[int, ...], phrase: tuple[int, ...]) -> bool:
    """Tell whether an avoided phrase can begin before a phrase and end in it or behind it."""
    return any(
        contains(avoided[start:], phrase) or phrase[: len(avoided) - start] == avoided[start:]
        for start in range(1, len(avoided))
    )
