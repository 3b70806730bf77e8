import pytest

from nmt import errors
from nmt.errors import CheckpointError, DataError, NMTError, RecipeError, TokenizerError


@pytest.mark.parametrize("error", [RecipeError, DataError, TokenizerError])
def test_a_wrong_value_from_outside_is_a_value_error_too(error: type[NMTError]) -> None:
    assert error.__bases__ == (NMTError, ValueError)


def test_a_damaged_run_folder_is_no_value_error() -> None:
    assert CheckpointError.__bases__ == (NMTError,)
    assert NMTError.__bases__ == (Exception,)


def test_these_are_all_errors_of_the_tree() -> None:
    tree = {name for name, item in vars(errors).items() if isinstance(item, type)}
    assert tree == {
        "NMTError",
        "RecipeError",
        "DataError",
        "TokenizerError",
        "CheckpointError",
        "SavedAndStoppedError",
    }


@pytest.mark.parametrize("error", [RecipeError, DataError, TokenizerError, CheckpointError])
def test_an_error_prints_as_its_message(error: type[NMTError]) -> None:
    with pytest.raises(NMTError, match=r"^length_penalty must be >= 0, got -0\.6$"):
        raise error("length_penalty must be >= 0, got -0.6")
