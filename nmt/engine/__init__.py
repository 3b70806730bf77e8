"""A trained model, or several as one, as the functions that search knows. Knows no text."""

from nmt.engine.engine import Engine, ModelEngine, ScoringEngine, Source, State
from nmt.engine.ensemble import Average, EnsembleEngine
from nmt.engine.folded import FoldedEngine, can_fold
from nmt.engine.forcing import ForcedTarget, force_targets
from nmt.engine.limited import LimitedEngine

__all__ = [
    "Average",
    "Engine",
    "EnsembleEngine",
    "FoldedEngine",
    "ForcedTarget",
    "LimitedEngine",
    "ModelEngine",
    "ScoringEngine",
    "Source",
    "State",
    "can_fold",
    "force_targets",
]
