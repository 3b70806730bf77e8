"""From translations and references to scores and a report. Knows no models."""

from nmt.evaluation.evaluation import Evaluation, evaluate
from nmt.evaluation.report import make_report_folder, write_report
from nmt.evaluation.scores import Score, check_metrics, compute_scores
from nmt.evaluation.suspicions import find_suspicions

__all__ = [
    "Evaluation",
    "Score",
    "check_metrics",
    "compute_scores",
    "evaluate",
    "find_suspicions",
    "make_report_folder",
    "write_report",
]
