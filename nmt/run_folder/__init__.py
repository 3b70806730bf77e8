"""What a trained model is on disk: written atomically, read safely, complete or refused.

recipe.yaml          the resolved recipe        checkpoints/    for going on, and to be averaged
versions.json        what wrote it, from what   metrics.jsonl   one line a validation
model.safetensors    the weights                curves.png, log.txt, cleaning.json
source.model, target.model   SentencePiece      report/, README.md
confidence.json      how sure to be of a translation
"""

from nmt.run_folder.averaging import Choice, average_run, averaged, best_first, merit
from nmt.run_folder.exporting import export_file, export_folder
from nmt.run_folder.folder import RunFolder, TrainedRun, load_run, model_for
from nmt.run_folder.hub import push
from nmt.run_folder.places import opened
from nmt.run_folder.weights import average_weights, read_weights, set_weights, write_weights
from nmt.run_folder.writing import cannot_write, replacing, write_atomically

__all__ = [
    "Choice",
    "RunFolder",
    "TrainedRun",
    "average_run",
    "average_weights",
    "averaged",
    "best_first",
    "cannot_write",
    "export_file",
    "export_folder",
    "load_run",
    "merit",
    "model_for",
    "opened",
    "push",
    "read_weights",
    "replacing",
    "set_weights",
    "write_atomically",
    "write_weights",
]
