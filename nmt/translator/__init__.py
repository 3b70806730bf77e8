"""Text in, text out: one line for each line. Knows nothing of how the model was trained."""

from nmt.translator.decoding import Request
from nmt.translator.learning import (
    FEWEST_PAIRS,
    LearnedConfidence,
    learn_confidence,
    sentence_qualities,
)
from nmt.translator.loading import choose_device
from nmt.translator.marks import Mark
from nmt.translator.records import score_record, translation_record
from nmt.translator.results import Alignment, Pieces, TranslatedHypothesis, Translation
from nmt.translator.scoring import Scorer
from nmt.translator.translator import Translator
from nmt.translator.wishes import Phrase, Term, Wishes, read_avoided, read_glossary
from nmt.translator.workers import ParallelTranslator

__all__ = [
    "FEWEST_PAIRS",
    "Alignment",
    "LearnedConfidence",
    "Mark",
    "ParallelTranslator",
    "Phrase",
    "Pieces",
    "Request",
    "Scorer",
    "Term",
    "TranslatedHypothesis",
    "Translation",
    "Translator",
    "Wishes",
    "choose_device",
    "learn_confidence",
    "read_avoided",
    "read_glossary",
    "score_record",
    "sentence_qualities",
    "translation_record",
]
