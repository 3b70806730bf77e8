#!/usr/bin/env bash
# The whole road with the installed package, in an empty folder: data, recipe, training, going on,
# translating, evaluating. The task is to reverse digits, which a small model learns in seconds.
set -euo pipefail

python - <<'PYTHON'
import random
from pathlib import Path

generator = random.Random(1)
for name, count in (("train", 2000), ("validation", 50), ("test", 50)):
    rows = [generator.choices("0123456789", k=generator.randint(2, 5)) for _ in range(count)]
    for suffix, order in (("source", 1), ("target", -1)):
        text = "".join(" ".join(row[::order]) + "\n" for row in rows)
        Path(f"{name}.{suffix}").write_text(text, encoding="utf-8", newline="\n")
PYTHON

cat > digits.yaml <<'YAML'
data:
  source_lang: en
  target_lang: en
  train: {source: train.source, target: train.target}
  validation: {source: validation.source, target: validation.target}
  test: {source: test.source, target: test.target}
  # so few strings there are that sets share some, and palindromes are to be learned too
  cleaning: {deduplicate: false, held_out: false, identical: false}
tokenizer: {vocab_size: 24, model_type: bpe, byte_fallback: false}
model:
  embedding_size: 32
  encoder: {num_layers: 1, hidden_size: 32}
  decoder: {num_layers: 2, hidden_size: 64}
  dropout: {embedding: 0, layers: 0, readout: 0}
training: {max_epochs: 4, max_sentences: 32, learning_rate: 5e-3, warmup_steps: 20}
YAML

nmt train digits.yaml
nmt train digits.yaml # finds nothing left to do
nmt info runs/digits
nmt evaluate --model runs/digits --overwrite
nmt export runs/digits digits.nmt --one-file
[[ $(printf '1 2 3\n\n7 8\n' | nmt translate --model runs/digits) == $'3 2 1\n\n8 7' ]]
[[ $(printf '1 2 3\n\n7 8\n' | nmt translate --model digits.nmt) == $'3 2 1\n\n8 7' ]]
nmt train digits.yaml training.seed=2 && exit 1 || [[ $? == 2 ]] # another recipe is refused

# The demo, as a newcomer without a corpus runs it; nobody types anything.
nmt demo --run-dir runs/demo < /dev/null | tee demo.txt
grep -q 'artificial' demo.txt
python - <<'PYTHON'
import json
from pathlib import Path

scores = json.loads(Path("runs/demo/report/scores.json").read_bytes())["scores"]
bleu = next(score["value"] for score in scores if score["name"] == "BLEU")
assert bleu >= 90, bleu
PYTHON
