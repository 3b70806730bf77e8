"""The errors that a user can cause. Knows nothing of what raises them."""


class NMTError(Exception):
    """Anything a user can put right; the command line prints it as one line and exits with 2."""


class RecipeError(NMTError, ValueError):
    """A recipe, or an override of one, says something that cannot be done."""


class DataError(NMTError, ValueError):
    """A corpus or a text cannot be used as it is."""


class TokenizerError(NMTError, ValueError):
    """A tokenizer cannot be trained as asked, or its file cannot be read."""


class CheckpointError(NMTError):
    """A run folder or a checkpoint is incomplete, damaged or of another version."""


class SavedAndStoppedError(NMTError):
    """A signal has stopped a run, which goes on when it is started again."""
