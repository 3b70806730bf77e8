"""How far a training has come: the project's own count, and the states of all random generators.

Lightning counts too, in many places; what a run goes on from is decided by these numbers alone.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor


@dataclass(slots=True)
class Position:
    """Where a training stands.

    Attributes:
        epoch: Whole epochs that lie behind.
        batch: Batches of the epoch under way that are consumed.
        step: Optimizer steps taken.
        num_skipped: Steps left out, for a loss or gradient that was no number.
        skipped_in_row: How many of those were the latest.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    num_skipped: int = 0
    skipped_in_row: int = 0

    def state_dict(self) -> dict[str, int]:
        """Return the numbers by their names."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Take numbers that `state_dict` gave.

        Raises:
            ValueError: These are others, or no counts.
        """
        if state.keys() != self.state_dict().keys():
            raise ValueError(f"position must have {', '.join(self.state_dict())}")
        for name, value in state.items():
            if type(value) is not int or value < 0:
                raise ValueError(f"{name} must be a count, got {value!r}")
            setattr(self, name, value)


def random_states() -> dict[str, Any]:
    """Return the states of Python's, NumPy's and torch's generators, as tensors and numbers."""
    version, python, gauss = random.getstate()
    numpy: Any = np.random.get_state(legacy=False)
    return {
        "python": [version, torch.tensor(python), gauss],
        "numpy": [
            torch.from_numpy(numpy["state"]["key"].astype(np.int64)),
            int(numpy["state"]["pos"]),
            int(numpy["has_gauss"]),
            float(numpy["gauss"]),
        ],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def check_random_states(states: Any) -> None:
    """See that states are such as `random_states` returns, by setting all but those of GPUs.

    Raises:
        ValueError: They are not.
    """
    now = random_states()
    try:
        place = states["numpy"][1]
        # NumPy takes any place, and reads there
        if type(place) is not int or not 0 <= place <= len(now["numpy"][0]):
            raise ValueError(f"place must be in a table, got {place!r}")
        if not all(isinstance(state, Tensor) for state in states["cuda"]):
            raise ValueError("states of GPUs must be tensors")
        set_random_states({**states, "cuda": []})
    except Exception as error:  # each generator complains in its own way
        raise ValueError("random_states must be states of random generators") from error
    finally:
        set_random_states(now)


def set_random_states(states: Mapping[str, Any]) -> None:
    """Put generators back to the states that `random_states` returned.

    Those of GPUs are left alone where there are not as many as there were.
    """
    version, python, gauss = states["python"]
    random.setstate((version, tuple(python.tolist()), gauss))
    key, place, has_gauss, gauss = states["numpy"]
    np.random.set_state(("MT19937", key.numpy().astype(np.uint32), place, has_gauss, gauss))
    torch.set_rng_state(states["torch"])
    if states["cuda"] and len(states["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(states["cuda"])
