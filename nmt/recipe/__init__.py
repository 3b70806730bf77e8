"""Typed recipes: reads YAML and overrides, and complains about everything at once.

A recipe says everything about a training run. This room is the only home of defaults; it does not
know how anything is built.
"""

from nmt.recipe.data import (
    BuiltinSet,
    CleaningRecipe,
    CorpusSet,
    CorpusSets,
    CsvSet,
    DataRecipe,
    FileSet,
    HubSet,
    JsonlSet,
    Section,
    StreamingRecipe,
    TsvSet,
)
from nmt.recipe.model import AttentionRecipe, EncoderRecipe, ModelRecipe
from nmt.recipe.reading import (
    differences,
    dump_recipe,
    find_recipe,
    load_recipe,
    parse_recipe,
)
from nmt.recipe.sections import (
    DecodingRecipe,
    FinetuneRecipe,
    Part,
    Recipe,
    TokenizerRecipe,
    TrainingRecipe,
)

__all__ = [
    "AttentionRecipe",
    "BuiltinSet",
    "CleaningRecipe",
    "CorpusSet",
    "CorpusSets",
    "CsvSet",
    "DataRecipe",
    "DecodingRecipe",
    "EncoderRecipe",
    "FileSet",
    "FinetuneRecipe",
    "HubSet",
    "JsonlSet",
    "ModelRecipe",
    "Part",
    "Recipe",
    "Section",
    "StreamingRecipe",
    "TokenizerRecipe",
    "TrainingRecipe",
    "TsvSet",
    "differences",
    "dump_recipe",
    "find_recipe",
    "load_recipe",
    "parse_recipe",
]
