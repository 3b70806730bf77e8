"""From a recipe to a trained run folder. The only room that knows Lightning."""

from nmt.training.reproducing import Reproduction, reproduce
from nmt.training.run import train

__all__ = ["Reproduction", "reproduce", "train"]
