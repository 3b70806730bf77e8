"""From translations and references to scores, why they are what they are, and a report.

Knows texts and what a translator tells of them; no models.
"""

from nmt.evaluation.comet import require_comet
from nmt.evaluation.comparison import Comparison, Effort, Ground, compare
from nmt.evaluation.contents import Report
from nmt.evaluation.details import NUM_ALTERNATIVES, Detail, detail_of
from nmt.evaluation.evaluation import Known, evaluate
from nmt.evaluation.report import (
    make_report_folder,
    write_comparison,
    write_report,
    write_reports,
)
from nmt.evaluation.scores import Score, check_metrics, compute_scores
from nmt.evaluation.segments import (
    Segments,
    check_script,
    segments_of_files,
    segments_of_recipe,
    segments_of_sacrebleu,
)
from nmt.evaluation.systems import System, check_alike, read_system
from nmt.evaluation.training_text import TrainingText, read_training_text, training_text_of_run

__all__ = [
    "NUM_ALTERNATIVES",
    "Comparison",
    "Detail",
    "Effort",
    "Ground",
    "Known",
    "Report",
    "Score",
    "Segments",
    "System",
    "TrainingText",
    "check_alike",
    "check_metrics",
    "check_script",
    "compare",
    "compute_scores",
    "detail_of",
    "evaluate",
    "make_report_folder",
    "read_system",
    "read_training_text",
    "require_comet",
    "segments_of_files",
    "segments_of_recipe",
    "segments_of_sacrebleu",
    "training_text_of_run",
    "write_comparison",
    "write_report",
    "write_reports",
]
