"""How the learning rate goes over the steps."""

from __future__ import annotations

import math
from collections.abc import Callable

from nmt.recipe import TrainingRecipe


def rate_factor(recipe: TrainingRecipe, *, total_steps: int) -> Callable[[int], float]:
    """Return the factor on the learning rate at each step, counted from 0.

    It rises in a straight line to 1 over `warmup_steps`. After that:

        constant, plateau   1 (the plateau schedule lowers the rate itself at validations)
        cosine              from 1 to 0 along half a cosine at `total_steps` (Loshchilov & Hutter
                            2017, eq. 5, without restarts)
        inverse_sqrt        sqrt(warmup_steps / step) (Vaswani et al. 2017, eq. 3, scaled to 1)
    """
    warmup = recipe.warmup_steps
    if recipe.schedule == "cosine" and warmup >= total_steps:
        raise ValueError(f"warmup_steps must be < {total_steps}, all steps there are, got {warmup}")

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        if recipe.schedule == "cosine":
            progress = min(1.0, (step - warmup) / max(1, total_steps - warmup))
            return 0.5 * (1 + math.cos(math.pi * progress))
        if recipe.schedule == "inverse_sqrt":
            return math.sqrt(max(1, warmup) / max(1, step))
        return 1.0

    return factor
