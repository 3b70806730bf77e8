"""`nmt train`: from a recipe to a run folder."""

from pathlib import Path
from typing import Annotated

import typer

from nmt.cli.options import RecipeName


def train_command(
    recipe: RecipeName,
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE",
            help="Settings that replace the recipe's, such as training.seed=2 or "
            "data.train.source=FILE data.train.target=FILE.",
            show_default=False,
        ),
    ] = None,
    run_dir: Annotated[
        Path | None,
        typer.Option(help="The run folder. By default runs/ and the recipe's name."),
    ] = None,
    allow_changes: Annotated[
        bool,
        typer.Option(
            "--allow-changes", help="Go on with a recipe that has changed since the run began."
        ),
    ] = False,
    print_recipe: Annotated[
        bool, typer.Option("--print-recipe", help="Print the resolved recipe and leave.")
    ] = False,
) -> None:
    """Train a translator; the same command again goes on where it was."""
    from nmt.recipe import dump_recipe, find_recipe, load_recipe

    resolved = load_recipe(find_recipe(recipe), overrides or [])
    if print_recipe:
        print(dump_recipe(resolved), end="")
        return
    from nmt.training import train

    folder = train(resolved, run_dir or Path("runs") / recipe.stem, allow_changes=allow_changes)
    for score in folder.scores():
        print(f"{score['name']} = {score['value']:.2f}  {score['signature']}")
