"""Where the recipes and the data lie that come with nmt. Knows nothing of what is in them."""

from pathlib import Path

_PACKAGE = Path(__file__).parent


def shipped_folder(name: str) -> Path:
    """Return a folder of files that come with nmt: `recipes` or `data`.

    An installed package has it within itself; in a checkout it stands beside the package.
    """
    installed = _PACKAGE / "_share" / name
    return installed if installed.is_dir() else _PACKAGE.parent / name
