"""From what users want, in words, to what a search is asked for, in tokens; and whether it came."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from nmt.errors import DataError
from nmt.search import Demands, Hypothesis, SearchOptions
from nmt.search.guide import Guide
from nmt.search.phrases import Ids, contains
from nmt.tokenizer import Tokenizer
from nmt.translator.wishes import Phrase, Term, TermFinder, Wishes, stands_in


@dataclass(frozen=True, slots=True)
class PartDemands:
    """What is asked of the translation of a part of a line.

    Attributes:
        demands: In tokens.
        required: The required phrases, with their tokens.
    """

    demands: Demands
    required: tuple[tuple[Phrase, Ids], ...] = ()


class Demander:
    """Turns wishes into demands on lines.

    A search knows tokens, a user words, and "Hund" may be tokens of "Hunde" or be spelled by other
    tokens. So what was found is read again as text, see `sharpen`: in the end each required phrase
    stands in the text as whole words, and no avoided one does. Nothing is avoided before it has
    come up: lines that are well without are left as they are.
    """

    def __init__(
        self, wishes: Wishes, tokenizers: tuple[Tokenizer, Tokenizer], options: SearchOptions
    ) -> None:
        """Look through the wishes.

        Args:
            wishes: What holds for every line.
            tokenizers: Of source and target.
            options: How it will be searched.

        Raises:
            DataError: The tokenizer cannot write a phrase, it is longer than any translation may
                be, or a phrase of the glossary holds an avoided one.
        """
        self._source_tokenizer, self._tokenizer = tokenizers
        self._options = options
        self._are_required = wishes.are_terms_required
        self._finder = TermFinder(wishes.terms)
        self._avoided = wishes.avoided
        for phrase in wishes.avoided:
            self._encode(phrase)
        self._ids = {term: self._encode(term.target) for term in wishes.terms}
        for term, ids in self._ids.items():
            self._check_length(term.target, ids)
            self._check_avoided(term.target)

    def demands(self, line: str, parts: Sequence[Sequence[int]], prefix: str) -> list[PartDemands]:
        """Tell what is asked of a line.

        Args:
            line: The whole line.
            parts: The tokens of the parts that it is translated in, at least one.
            prefix: What its translation starts with; blank where that is left open.

        Returns:
            What is asked of each part; the prefix of the first one.

        Raises:
            DataError: The tokenizer cannot write the prefix, or it holds an avoided phrase.
        """
        prefix_ids: Ids = ()
        if prefix.strip():
            phrase = Phrase(" ".join(prefix.split()), "the prefix")
            prefix_ids = self._encode(phrase)
            self._check_avoided(phrase)
        terms = self._terms_of_parts(line, parts)
        return [
            self._part_demands(of_part, () if place else prefix_ids)
            for place, of_part in enumerate(terms)
        ]

    def check_room(self, source_length: int, part: PartDemands) -> None:
        """See that a translation can be long enough for what is asked of it.

        Args:
            source_length: Tokens of the part, EOS included.
            part: What is asked.

        Raises:
            DataError: It cannot.
        """
        if not part.demands.prefix and not part.demands.required:
            return
        lengths = torch.tensor([source_length])
        try:
            Guide(self._options, lengths, [part.demands], torch.device("cpu"))
        except ValueError as error:
            complaint = str(error).removeprefix("sentence 0 of the batch: ")
            advice = "ask for less or raise the maximum length"
            raise DataError(f"{complaint}; {advice}") from error

    def sharpen(self, part: PartDemands, found: Sequence[Hypothesis]) -> PartDemands:
        """Ask for more where what was found is not what was wanted, read as text.

        Where a required phrase is but a part of a longer word, its tokens followed by that word's
        next one are avoided. Where an avoided phrase came, its tokens are, or where those are also
        part of a phrase that is asked for, they followed by what came behind them.

        Args:
            part: What was asked.
            found: What was found.

        Returns:
            What to ask for now; the same where all is as wanted. As no search gives what is
            avoided, each turn asks for more than the last, and there is a last turn.
        """
        if not part.required and not self._avoided:
            return part
        unwanted: dict[Ids, None] = {}
        for hypothesis in found:
            unwanted.update(dict.fromkeys(self._unwanted(part, hypothesis.token_ids)))
        if not unwanted:
            return part
        avoided = tuple(dict.fromkeys((*part.demands.avoided, *unwanted)))
        return replace(part, demands=replace(part.demands, avoided=avoided))

    def _unwanted(self, part: PartDemands, ids: Ids) -> Iterator[Ids]:
        """Yield the tokens that made a text what it should not be."""
        text = self._tokenizer.decode(ids)
        for phrase, phrase_ids in part.required:
            if not stands_in(text, phrase.text):
                yield from _continued(ids, phrase_ids)
        wanted = (part.demands.prefix, *part.demands.required)
        for phrase in self._avoided:
            if stands_in(text, phrase.text):
                start, end = self._window(ids, phrase.text)
                is_wanted = any(contains(one, ids[start:end]) for one in wanted)
                yield (*ids, self._options.eos_id)[start : end + is_wanted]

    def _encode(self, phrase: Phrase) -> Ids:
        """Return the tokens of a phrase as inside a sentence, at the start of a word."""
        ids = tuple(self._tokenizer.encode(phrase.text))
        written = self._tokenizer.decode(ids)
        if written != phrase.text or not ids or not set(ids).isdisjoint(self._options.banned_ids):
            raise DataError(
                f"{phrase.place} must be text that the model's tokenizer can write, "
                f"got {phrase.text!r}, which it makes {written!r}"
            )
        return ids

    def _check_length(self, phrase: Phrase, ids: Ids) -> None:
        longest = self._options.max_target_length - 1
        if len(ids) > longest:
            raise DataError(
                f"{phrase.place} must have at most {longest} tokens, what a translation may have "
                f"without EOS, got {len(ids)} of {phrase.text!r}; raise the maximum length"
            )

    def _check_avoided(self, phrase: Phrase) -> None:
        for avoided in self._avoided:
            if stands_in(phrase.text, avoided.text):
                raise DataError(
                    f"{phrase.place} must not hold {avoided.text!r}, which {avoided.place} avoids,"
                    f" got {phrase.text!r}"
                )

    def _terms_of_parts(self, line: str, parts: Sequence[Sequence[int]]) -> list[list[Term]]:
        """Find the terms of each part; one that a cut goes through is its last part's."""
        in_line = self._finder.find(line)
        if len(parts) == 1 or not in_line:
            return [in_line, *([] for _ in parts[1:])]
        found = [self._find_in(part, in_line) for part in parts]
        seen = {term for terms in found for term in terms}
        for place, terms in enumerate(found):
            so_far = [token_id for part in parts[: place + 1] for token_id in part]
            is_last = place == len(parts) - 1
            late = in_line if is_last else self._find_in(so_far, in_line)
            terms += [term for term in late if term not in seen]
            seen.update(late)
        return found

    def _find_in(self, token_ids: Sequence[int], wanted: Sequence[Term]) -> list[Term]:
        text = self._source_tokenizer.decode(token_ids)
        return [term for term in self._finder.find(text) if term in wanted]

    def _part_demands(self, terms: Sequence[Term], prefix: Ids) -> PartDemands:
        if not self._are_required:
            preferred = tuple(self._ids[term] for term in terms)
            return PartDemands(Demands(prefix=prefix, preferred=preferred))
        every = [self._ids[term] for term in terms]
        required = tuple(
            (term.target, self._spell_apart(term.target, self._ids[term], [*every, prefix]))
            for term in terms
        )
        demands = Demands(prefix=prefix, required=tuple(ids for _, ids in required))
        return PartDemands(demands, required)

    def _spell_apart(self, phrase: Phrase, ids: Ids, others: Sequence[Ids]) -> Ids:
        """Spell a phrase by other tokens where its own are also those of a part of another word.

        A search would take "Hunde" for "Hund" where that is "Hund" and "e".
        """

        def is_mistaken(spelling: Ids) -> bool:
            return any(
                contains(other, spelling) and not stands_in(self._decode(other), phrase.text)
                for other in others
            )

        if not is_mistaken(ids):
            return ids
        for spelling in self._spellings(ids):
            if not is_mistaken(spelling) and self._decode(spelling) == phrase.text:
                return spelling
        raise DataError(
            f"{phrase.place}: {phrase.text!r} cannot be told from a part of another word that is "
            "asked for in the same line"
        )

    def _spellings(self, ids: Ids) -> Iterator[Ids]:
        """Yield the same text with one piece cut in two, the last piece first."""
        for place in range(len(ids) - 1, -1, -1):
            [piece] = self._tokenizer.pieces([ids[place]])
            for cut in range(1, len(piece)):
                two = [self._tokenizer.id_of(half) for half in (piece[:cut], piece[cut:])]
                known = tuple(one for one in two if one is not None)
                if len(known) == len(two):
                    yield (*ids[:place], *known, *ids[place + 1 :])

    def _decode(self, ids: Ids) -> str:
        return self._tokenizer.decode(ids)

    def _window(self, ids: Ids, phrase: str) -> tuple[int, int]:
        """Return start and end of tokens whose text holds a phrase, of a text that holds it."""
        end = 1
        # with the token behind it too: the phrase may be the beginning of a longer word
        while not all(stands_in(self._decode(ids[:stop]), phrase) for stop in (end, end + 1)):
            end += 1
        start = end - 1
        while not stands_in(self._decode(ids[start:end]), phrase):
            start -= 1
        return start, end


def _continued(ids: Ids, phrase: Ids) -> Iterator[Ids]:
    """Yield the phrase with the token behind it, for each place where it stands."""
    size = len(phrase) + 1
    for start in range(len(ids) - size + 1):
        if ids[start : start + size - 1] == phrase:
            yield ids[start : start + size]
