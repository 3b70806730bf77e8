"""How good a translation may be expected to be, by how sure the model was of it.

The confidence is the expected sentence-level chrF2 of sacreBLEU against a reference, divided by
100: learned where there are references, foretold where there are none. Knows hypotheses and
numbers; no text.
"""

from nmt.confidence.calibration import (
    CalibrationBin,
    calibration_bins,
    expected_calibration_error,
)
from nmt.confidence.features import FEATURES, features
from nmt.confidence.model import (
    ConfidenceModel,
    dump_confidence,
    fit_confidence,
    held_out_confidences,
    load_confidence,
)

__all__ = [
    "FEATURES",
    "CalibrationBin",
    "ConfidenceModel",
    "calibration_bins",
    "dump_confidence",
    "expected_calibration_error",
    "features",
    "fit_confidence",
    "held_out_confidences",
    "load_confidence",
]
