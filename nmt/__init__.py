"""The front door: `Translator` and the version. What lies behind it is imported when asked for.

`import nmt` loads no torch, so that `nmt --help` answers at once.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nmt.translator import Translation, Translator

__version__ = "0.1.0"

__all__ = ["Translation", "Translator", "__version__"]


def __getattr__(name: str) -> object:
    """Import a public name on its first use (PEP 562)."""
    if name in ("Translation", "Translator"):
        from nmt import translator

        return getattr(translator, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """List what `from nmt import ...` offers, loaded or not."""
    return sorted({*globals(), *__all__})
