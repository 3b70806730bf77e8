"""The rooms and their order, read from the code itself: see the tree in README.md."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import nmt

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "nmt"

# A room imports only rooms that stand before it.
ROOMS = (
    "errors",
    "shipped",
    "recipe",
    "placeholders",
    "tokenizer",
    "corpus",
    "batching",
    "model",
    "loss",
    "engine",
    "search",
    "alignment",
    "bleu",
    "confidence",
    "risk",
    "shortlist",
    "run_folder",
    "translator",
    "evaluation",
    "training",
    "sweep",
    "cli",
)

# What `from nmt import ...` takes out of a room by way of the package's lazy front door.
FRONT_DOOR = {"Translator": "translator", "Translation": "translator"}

MAX_FUNCTION_LINES = 60


def read_source(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def modules() -> list[Path]:
    """Every module of the package, as paths relative to it."""
    found = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))
    assert Path("errors.py") in found
    return found


def room_of(module: Path) -> str:
    """The room of a module; the package's own `__init__.py` is of none."""
    return "" if module == Path("__init__.py") else module.parts[0].removesuffix(".py")


def absolute_name(node: ast.ImportFrom, module: Path) -> str:
    """The dotted name that a `from` import starts from, relative ones resolved."""
    if not node.level:
        return node.module or ""
    # An `__init__.py` and its siblings have the same parent package.
    parents = ("nmt", *module.parent.parts)
    base = parents[: len(parents) - node.level + 1]
    return ".".join((*base, *filter(None, [node.module])))


def imported_names(source: str, module: Path) -> Iterator[str]:
    """Dotted names imported anywhere in a module: inside functions and TYPE_CHECKING too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = absolute_name(node, module)
            yield from (f"{base}.{alias.name}" for alias in node.names)


def imported_rooms(source: str, module: Path) -> set[str]:
    """Rooms that a module imports from, its own included."""
    rooms = set()
    for name in imported_names(source, module):
        package, _, rest = name.partition(".")
        first = rest.partition(".")[0]
        room = FRONT_DOOR.get(first, first)
        if package == "nmt" and room != "__version__":
            rooms.add(room)
    return rooms


def wrong_imports(source: str, module: Path) -> set[str]:
    """Rooms that a module must not import: those after its own, and what is no room at all."""
    allowed = ROOMS[: ROOMS.index(room_of(module)) + 1]
    return imported_rooms(source, module) - set(allowed)


def modules_importing(library: str) -> list[Path]:
    """Modules that import a library, or anything of it."""
    return [
        module
        for module in modules()
        if any(
            name.split(".")[0] == library
            for name in imported_names(read_source(PACKAGE / module), module)
        )
    ]


def run_python(code: str) -> None:
    """Run code in a fresh interpreter at the root of the checkout; it must end well."""
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, encoding="utf-8"
    )
    assert result.returncode == 0, result.stderr


# The reading of imports is itself tried first: a reader that sees nothing would pass everything.


@pytest.mark.parametrize(
    "source",
    [
        "import nmt.search",
        "import nmt.search.beam as beam",
        "from nmt import search",
        "from nmt.search import beam_search",
        "from nmt.search.beam import advance",
        "from ..search import beam_search",
        "from .. import search",
        "def run():\n    from nmt.search import beam_search",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import nmt.search",
    ],
)
def test_every_way_of_importing_a_later_room_is_seen(source: str) -> None:
    assert wrong_imports(source, Path("model/decoder.py")) == {"search"}
    assert wrong_imports(source, Path("model/__init__.py")) == {"search"}
    assert wrong_imports(source, Path("search/beam.py")) == set()


@pytest.mark.parametrize("source", ["import nmt", "from nmt import Translator", "import nmt.utils"])
def test_the_front_door_and_what_is_no_room_are_no_way_around_the_order(source: str) -> None:
    assert wrong_imports(source, Path("model/decoder.py"))


def test_siblings_earlier_rooms_other_libraries_and_the_version_may_be_imported() -> None:
    source = (
        "import torch\nfrom .encoder import Encoder\nfrom . import state\n"
        "from ..errors import NMTError\nfrom nmt import __version__\nimport nmt.recipe"
    )
    assert wrong_imports(source, Path("model/decoder.py")) == set()
    assert imported_rooms(source, Path("model/decoder.py")) == {"model", "errors", "recipe"}


def test_the_folder_has_these_rooms_and_no_others() -> None:
    assert {room_of(module) for module in modules()} - {""} == set(ROOMS)


@pytest.mark.parametrize("module", modules(), ids=str)
def test_a_room_imports_only_rooms_above_it(module: Path) -> None:
    if module == Path("__init__.py"):
        assert imported_rooms(read_source(PACKAGE / module), module) == {"translator"}
    else:
        assert wrong_imports(read_source(PACKAGE / module), module) == set()


@pytest.mark.parametrize("library", ["lightning", "pytorch_lightning"])
def test_only_training_imports_lightning(library: str) -> None:
    assert {room_of(module) for module in modules_importing(library)} <= {"training"}


def test_training_is_seen_to_import_lightning() -> None:
    assert "training" in {room_of(module) for module in modules_importing("lightning")}


def test_within_the_model_only_build_reads_a_recipe() -> None:
    readers = [
        module
        for module in modules()
        if room_of(module) == "model"
        and "recipe" in imported_rooms(read_source(PACKAGE / module), module)
    ]
    assert readers == [Path("model/build.py")]


def test_the_tree_in_the_readme_is_the_folder() -> None:
    block = re.search(
        r"^<!-- rooms -->\n+```\w*\n(.*?)^```$",
        read_source(ROOT / "README.md"),
        flags=re.MULTILINE | re.DOTALL,
    )
    assert block is not None
    paths, descriptions = zip(
        *(line.split(maxsplit=1) for line in block[1].splitlines()), strict=True
    )
    assert all(descriptions)
    in_folder = [
        f"nmt/{room}/" if (PACKAGE / room).is_dir() else f"nmt/{room}.py" for room in ROOMS
    ]
    assert list(paths) == in_folder


@pytest.mark.parametrize("module", modules(), ids=str)
def test_every_module_starts_with_a_docstring(module: Path) -> None:
    docstring = ast.get_docstring(ast.parse(read_source(PACKAGE / module)))
    assert docstring


@pytest.mark.parametrize("module", modules(), ids=str)
def test_no_function_is_longer_than_sixty_lines(module: Path) -> None:
    too_long = {
        node.name: node.end_lineno - node.lineno + 1
        for node in ast.walk(ast.parse(read_source(PACKAGE / module)))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > MAX_FUNCTION_LINES
    }
    assert too_long == {}


def test_importing_the_package_imports_nothing_heavy() -> None:
    run_python("import sys, nmt; assert not {'torch', 'pydantic'} & set(sys.modules)")


def test_the_front_door_leads_to_the_translator() -> None:
    from nmt.translator import Translation, Translator

    assert nmt.Translator is Translator
    assert nmt.Translation is Translation
    assert {"Translator", "Translation", "__version__"} <= set(dir(nmt))


def test_an_unknown_name_of_the_package_is_an_error() -> None:
    with pytest.raises(AttributeError, match="module 'nmt' has no attribute 'Translater'"):
        _ = nmt.Translater


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["train", "--help"],
        ["sweep", "--help"],
        ["translate", "--help"],
        ["score", "--help"],
    ],
    ids=str,
)
def test_help_imports_no_torch(arguments: list[str]) -> None:
    run_python(
        f"""
import sys
from nmt.cli.main import main
try:
    code = main({arguments!r})
except SystemExit as stop:
    code = stop.code
assert code in (None, 0), code
assert not {{"torch", "lightning", "datasets"}} & set(sys.modules)
"""
    )


@pytest.mark.parametrize("module", ["nmt.translator", "nmt.cli.translate", "nmt.cli.score"])
def test_translating_imports_neither_lightning_nor_datasets(module: str) -> None:
    run_python(
        f"import sys; import {module}; assert not {{'lightning', 'datasets'}} & set(sys.modules)"
    )
