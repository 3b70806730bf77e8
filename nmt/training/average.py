"""A second copy of the weights that follows the ones in training: their moving average."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.optim.swa_utils import PARAM_LIST, AveragedModel

from nmt.model import Seq2Seq


def moving_average(model: Seq2Seq, decay: float) -> AveragedModel:
    """Return a copy of a model that becomes, at each update, the moving average of its weights.

    The first update takes the weights as they are; those after it, n = 1, 2, ..., leave the share
    min(decay, (1 + n) / (10 + n)) of what was there (the warm-up of TensorFlow's
    ExponentialMovingAverage), so that it forgets the start of a training. Weights that do not
    change are the same in both, to the bit, and what is tied stays so. All that it knows is in its
    `state_dict`.

    Args:
        model: What is in training.
        decay: In (0, 1); about the last 1 / (1 - decay) steps have a say.
    """

    @torch.no_grad()
    def follow(averages: PARAM_LIST, weights: PARAM_LIST, num_updates: Tensor | int) -> None:
        n = int(num_updates)
        torch._foreach_lerp_(averages, weights, 1 - min(decay, (1 + n) / (10 + n)))

    average = AveragedModel(model, multi_avg_fn=follow)
    average.requires_grad_(False)
    return average
