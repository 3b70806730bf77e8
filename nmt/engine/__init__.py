"""A trained model as the two functions that search knows, `encode` and `step`. Knows no text."""

from nmt.engine.engine import Engine, ModelEngine

__all__ = ["Engine", "ModelEngine"]
