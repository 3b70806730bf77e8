"""`nmt finetune`: trains on from a run, on other data, into a new run folder."""

import json
from pathlib import Path
from typing import Annotated

import typer

from nmt.cli.options import Run
from nmt.errors import NMTError

_Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KEY=VALUE",
        help="Settings that replace those of RUN's recipe, such as data.train.source=FILE "
        "data.train.target=FILE training.max_epochs=3.",
        show_default=False,
    ),
]
_RunDir = Annotated[
    Path | None,
    typer.Option(help="The new run folder. By default runs/ and RUN's name with -finetuned."),
]
_Freeze = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PART",
        help="Leave a part as it is: embeddings, encoder, bridge, attention, decoder or "
        "output_layer. May be given several times.",
    ),
]
_AddPieces = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Strings, one a line, that become pieces of the vocabulary."),
]
_AllowChanges = Annotated[
    bool,
    typer.Option("--allow-changes", help="Go on with settings that have changed since it began."),
]
_PrintRecipe = Annotated[
    bool, typer.Option("--print-recipe", help="Print the resolved recipe and leave.")
]


def finetune_command(
    run: Run,
    overrides: _Overrides = None,
    run_dir: _RunDir = None,
    freeze: _Freeze = None,
    add_pieces: _AddPieces = None,
    allow_changes: _AllowChanges = False,
    print_recipe: _PrintRecipe = False,
) -> None:
    """Train on from a run: its weights, tokenizers and recipe, a new schedule, other data.

    The same command again goes on where it was. A recipe with a section finetune does the same by
    nmt train.
    """
    from nmt.recipe import dump_recipe, parse_recipe
    from nmt.run_folder import opened

    pieces = [] if add_pieces is None else _read_pieces(add_pieces)
    # slashes on every system, as in names on the hub
    section = {"run": run.as_posix(), "freeze": freeze or [], "add_pieces": pieces}
    with opened(run, names=("recipe.yaml",)) as folder:
        text = dump_recipe(folder.recipe)
    own = [
        "training.source_embeddings=null",  # RUN brings its own
        "training.target_embeddings=null",
        f"finetune={json.dumps(section)}",
    ]
    name = f"the recipe of {run}"
    recipe = parse_recipe(text, name=name, overrides=[*own, *(overrides or [])])
    if print_recipe:
        print(dump_recipe(recipe), end="")
        return
    from nmt.training import train

    out = run_dir or Path("runs") / f"{run.stem or run.resolve().name}-finetuned"
    folder = train(recipe, out, allow_changes=allow_changes)
    for score in folder.scores():
        print(f"{score['name']} = {score['value']:.2f}  {score['signature']}")


def _read_pieces(path: Path) -> list[str]:
    from nmt.corpus.files import read_lines

    pieces = [line for line in read_lines(path) if line.strip()]
    if not pieces:
        raise NMTError(f"{path}: must have a piece a line, got none")
    return pieces
