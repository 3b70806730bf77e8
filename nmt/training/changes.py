"""A recipe that is not the one its run has begun with: refused, or taken and written down."""

from __future__ import annotations

from nmt.errors import CheckpointError
from nmt.recipe import Recipe, differences
from nmt.run_folder import RunFolder

# Settings named where a run folder is of another recipe.
_MOST_CHANGES_SHOWN = 4
# Where and how a run is computed, not what: a run may go on with other values of these.
_FREE_TO_CHANGE = frozenset(
    (
        "data.cache_dir",
        "training.device",
        "training.keep_last",
        "training.num_workers",
        "training.save_every_minutes",
        "training.tensorboard",
        "training.threads",
    )
)
# What a training may go on with in another way, if that is wished. All else would be another model,
# other batches, or checkpoints that cannot be compared.
_CHANGEABLE = frozenset(
    f"training.{key}"
    for key in (
        "adam_betas",
        "coverage_loss",
        "label_smoothing",
        "learning_rate",
        "max_epochs",
        "max_grad_norm",
        "mixed_cross_entropy",
        "patience",
        "r_drop",
        "scheduled_sampling",
        "validate_every",
        "validation_sentences",
        "warmup_steps",
        "weight_decay",
    )
)
_CHANGEABLE_SECTIONS = ("model.dropout.", "decoding.", "evaluation.")


def find_changes(recipe: Recipe, folder: RunFolder, *, is_allowed: bool) -> list[str]:
    """Return what a recipe changes of the one that a run has begun with.

    Args:
        recipe: The recipe to go on with.
        folder: A run that has begun.
        is_allowed: Whether changes are wished.

    Returns:
        `key: old value -> new value` for each change, but for those that a run may always make.

    Raises:
        CheckpointError: There are changes that are not wished, or that no run can go on with.
    """
    changes = changes_that_matter(folder.recipe, recipe)
    fixed = [change for change in changes if not _is_changeable(change, recipe)]
    if fixed:
        raise CheckpointError(
            f"{folder.path} holds a run of another recipe ({shown(fixed)}); "
            "choose another --run-dir, or delete it"
        )
    if changes and not is_allowed:
        raise CheckpointError(
            f"{folder.path} holds a run of another recipe ({shown(changes)}); "
            "choose another --run-dir, or go on with the changes by --allow-changes"
        )
    return changes


def changes_that_matter(old: Recipe, new: Recipe) -> list[str]:
    """Return `key: old value -> new value` for each change but those that a run may always make."""
    return [
        change
        for change in differences(old, new)
        if change.partition(":")[0] not in _FREE_TO_CHANGE
    ]


def needs_training(changes: list[str]) -> bool:
    """Tell whether weights that are trained already come out otherwise with the changes."""
    return any(change.startswith(("training.", "model.")) for change in changes)


def _is_changeable(change: str, recipe: Recipe) -> bool:
    key = change.partition(":")[0]
    if key == "training.learning_rate" and recipe.training.schedule == "plateau":
        return False  # what the plateaus have made of it would be lost
    return key in _CHANGEABLE or key.startswith(_CHANGEABLE_SECTIONS)


def shown(changes: list[str]) -> str:
    """Return changes in one line, the first few of many."""
    named = changes[:_MOST_CHANGES_SHOWN]
    if len(changes) > len(named):
        named.append(f"and {len(changes) - len(named)} more")
    return "; ".join(named)
