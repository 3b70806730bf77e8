"""What `nmt translate` was asked for: its options under their names, checked against each other."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nmt.cli.options import Device, Ensemble, average_of
from nmt.cli.searching import GlossaryMode, Normalization
from nmt.errors import NMTError
from nmt.risk import Utility

if TYPE_CHECKING:
    from nmt.recipe import DecodingRecipe
    from nmt.translator import ParallelTranslator, Request, Wishes


# That of what reads lines, which is not imported: `--help` is to be quick.
Errors = Literal["strict", "replace"]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The options of `nmt translate`; None where one was not given."""

    model: list[Path]
    ensemble: Ensemble | None
    to: str | None
    input_file: Path | None
    output_file: Path | None
    errors: Errors
    n_best: int | None
    as_json: bool
    alignments: Path | None
    beam_size: int | None
    length_penalty: float | None
    normalization: Normalization | None
    coverage_penalty: float | None
    min_length_ratio: float | None
    max_length_ratio: float | None
    min_length: int | None
    max_length: int | None
    no_repeat_ngram: int | None
    protect_numbers: bool
    keep_repeats: bool
    split_sentences: bool
    groups: int | None
    diversity_penalty: float | None
    sample: int | None
    temperature: float | None
    top_k: int | None
    top_p: float | None
    seed: int | None
    mbr: Utility | None
    prefix_file: Path | None
    glossary: Path | None
    glossary_mode: GlossaryMode | None
    preference_bonus: float | None
    avoid: Path | None
    int8: bool
    shortlist: bool
    batch_size: int | None
    device: Device
    threads: int | None
    workers: int | None

    def check(self) -> None:
        """See that the options go together.

        Raises:
            NMTError: They do not.
        """
        for complaint in (*self._needs(), *self._exclusions(), *self._sizes()):
            raise NMTError(complaint)

    @cached_property
    def decoding(self) -> "DecodingRecipe":
        """How to search: what the first run's recipe says, but for what is asked otherwise."""
        from nmt.run_folder import opened

        with opened(self.model[0], names=("recipe.yaml",)) as folder:
            decoding = folder.recipe.decoding
        return decoding.changed(
            beam_size=self.beam_size,
            length_penalty=self.length_penalty,
            normalization=self.normalization,
            coverage_penalty=self.coverage_penalty,
            min_length_ratio=self.min_length_ratio,
            max_length_ratio=self.max_length_ratio,
            min_target_length=self.min_length,
            max_target_length=self.max_length,
            no_repeat_ngram_size=self.no_repeat_ngram,
            protect_numbers=self.protect_numbers or None,
            keep_repeats=self.keep_repeats or None,
            split_sentences=self.split_sentences or None,
            batch_size=self.batch_size,
        )

    def load(self) -> "ParallelTranslator":
        """Return the translator that was asked for; a context that ends its processes.

        Raises:
            NMTError: It cannot be had.
        """
        from nmt.translator import ParallelTranslator, Translator

        load = partial(
            Translator.load,
            self.model,
            device=self.device,
            average=average_of(self.model, self.ensemble),
            int8=self.int8,
            shortlist=self.shortlist,
            decoding=self.decoding,
            request=self._request(),
            wishes=self._wishes(),
            target_lang=self.to,
        )
        return ParallelTranslator(load, num_workers=self.workers or 1)

    def _request(self) -> "Request":
        from nmt.search import SamplingOptions
        from nmt.translator import Request

        sampling = self.sample and SamplingOptions(
            num_samples=self.sample,
            seed=self.seed or 0,
            temperature=1.0 if self.temperature is None else self.temperature,
            top_k=self.top_k,
            top_p=self.top_p,
        )
        # all that is drawn is shown where nothing chooses from it
        shown = self.sample if self.sample and self.as_json and self.mbr is None else 1
        return Request(
            num_hypotheses=self.n_best or shown,
            num_groups=self.groups or 1,
            diversity_penalty=self.diversity_penalty or 0.0,
            preference_bonus=1.0 if self.preference_bonus is None else self.preference_bonus,
            sampling=sampling or None,
            utility=self.mbr,
        )

    def _wishes(self) -> "Wishes":
        from nmt.translator import Wishes, read_avoided, read_glossary

        return Wishes(
            terms=() if self.glossary is None else read_glossary(self.glossary),
            are_terms_required=self.glossary_mode != "soft",
            avoided=() if self.avoid is None else read_avoided(self.avoid),
        )

    def _needs(self) -> Iterator[str]:
        """Complain of options that say more of another one which is not there."""
        average_of(self.model, self.ensemble)
        sampled = ("--sample", self.sample is not None)
        has_glossary = ("--glossary", self.glossary is not None)
        soft = ("--glossary-mode soft", self.glossary_mode == "soft")
        for option, value, (needed, is_there) in (
            ("--groups", self.groups, ("--diversity-penalty", self.diversity_penalty is not None)),
            ("--diversity-penalty", self.diversity_penalty, ("--groups", self.groups is not None)),
            ("--temperature", self.temperature, sampled),
            ("--top-k", self.top_k, sampled),
            ("--top-p", self.top_p, sampled),
            ("--seed", self.seed, sampled),
            ("--glossary-mode", self.glossary_mode, has_glossary),
            ("--preference-bonus", self.preference_bonus, soft),
        ):
            if value is not None and not is_there:
                yield f"{option} needs {needed}"
        shows_several = self.as_json or self.n_best is not None or self.mbr is not None
        if self.sample and self.sample > 1 and not shows_several:
            yield f"--sample {self.sample} needs --mbr to choose one, or --n-best or --json"

    def _exclusions(self) -> Iterator[str]:
        if self.shortlist and len(self.model) > 1:
            yield "--shortlist is for one model: give --model once"
        if self.sample is not None:
            for option, value in (
                ("--beam-size", self.beam_size),
                ("--groups", self.groups),
                ("--glossary", self.glossary),
            ):
                if value is not None:
                    yield f"--sample and {option} exclude each other: what is drawn is not searched"

    def _sizes(self) -> Iterator[str]:
        """Complain of numbers that do not fit, which only the run's recipe may know."""
        beam_size, shortest = self.decoding.beam_size, self.decoding.min_target_length
        if self.sample is not None:
            if self.n_best is not None and self.n_best > self.sample:
                yield f"--n-best must be <= --sample ({self.sample}), got {self.n_best}"
        elif self.n_best is not None and self.n_best > beam_size:
            yield (
                f"--n-best must be <= the beam size ({beam_size}), got {self.n_best}; "
                "raise --beam-size"
            )
        if self.groups is not None and beam_size % self.groups:
            yield f"--groups must divide the beam size ({beam_size}), got {self.groups}"
        if self.mbr is not None and (self.sample or beam_size) < 2:
            yield "--mbr needs at least 2 to choose from: raise --sample or --beam-size"
        if shortest > self.decoding.max_target_length:
            yield (
                f"the least length must be <= the greatest ({self.decoding.max_target_length}), "
                f"got {shortest}; change --min-length or --max-length"
            )
