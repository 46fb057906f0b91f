#!/usr/bin/env bash
# safetensors.torch.load returns its tensors in a random order, another one at each call.
#
# Guess:   the order in which they were saved, or at least one fixed order.
# Seen:    load(bytes) shuffles: 50 calls gave 22 of the 24 orders of four names. load_file sorts (by size of the
#          type, then name), and so drops the order of the layers, too. Whoever pairs load(...).values() with
#          model.parameters(), or builds an optimizer's groups from it, gets another pairing at each call.
# Package: safetensors 0.8.0, PyTorch 2.15.0
# Where:   safetensors/torch.py: load (deserialize, compiled, then _view2torch); load_file: get_tensors
# Date:    2026-11-28
# Output:
#   saved      wte, qkv, proj, head
#   load       22 orders in 50 calls
#   load_file  1 order in 50 calls: head, proj, qkv, wte
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 torch==2.15.0 numpy==2.4.6 safetensors==0.8.0

.venv/bin/python - <<'EOF'
import torch
from safetensors.torch import load, load_file, save, save_file

weights = {name: torch.ones(2) for name in ("wte", "qkv", "proj", "head")}
data = save(weights)
save_file(weights, "weights.safetensors")
by_load = {tuple(load(data)) for _ in range(50)}
by_file = {tuple(load_file("weights.safetensors")) for _ in range(50)}
print("saved      " + ", ".join(weights))
print(f"load       {len(by_load)} orders in 50 calls")
print(f"load_file  {len(by_file)} order in 50 calls: " + ", ".join(*by_file))
assert len(by_file) == 1 and by_file != {tuple(weights)}
assert len(by_load) > 1, "load keeps one order now"
EOF
