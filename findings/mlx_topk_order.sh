#!/usr/bin/env bash
# mx.topk returns its values in no order, the last often the largest: a top-k filter as one writes it elsewhere keeps too few.
#
# Guess:   the largest first, as torch.topk and jax.lax.top_k, so that topk(logits, k)[..., -1:] is the k-th largest.
# Seen:    no order is promised, and none is kept: three of five values ascend, and of 65 logits the last may be the
#          maximum itself. The filter logits >= topk(...)[..., -1:] keeps 1 symbol where 3 are asked for, 1 to 24 for
#          40, and the text is nearly that of temperature 0. The minimum of topk's values is right.
# Package: mlx 0.32.4, mlx-cpu 0.32.4
# Where:   compiled (mlx/ops.cpp, topk: a partition)
# Date:    2026-11-28
# Output:
#   topk([3, 1, 5, 2, 4], 3) = [3.0, 4.0, 5.0]
#   k =  3: kept by topk(...)[..., -1:] [1, 1, 1, 1], by topk(...).min(-1) [3, 3, 3, 3]
#   k = 10: kept by topk(...)[..., -1:] [7, 1, 4, 1], by topk(...).min(-1) [10, 10, 10, 10]
#   k = 40: kept by topk(...)[..., -1:] [7, 1, 24, 17], by topk(...).min(-1) [40, 40, 40, 40]
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 mlx==0.32.4 mlx-cpu==0.32.4

.venv/bin/python - <<'EOF'
import mlx.core as mx

mx.set_default_device(mx.cpu)
logits = mx.random.normal((4, 65), key=mx.random.key(0))
ordered = mx.topk(mx.array([3.0, 1.0, 5.0, 2.0, 4.0]), 3).tolist()
print(f"topk([3, 1, 5, 2, 4], 3) = {ordered}")
kept = {}
for k in (3, 10, 40):
    threshold = mx.topk(logits, k)[..., -1:]
    kept[k] = (logits >= threshold).sum(-1).tolist()
    lowest = (logits >= mx.topk(logits, k).min(-1, keepdims=True)).sum(-1).tolist()
    print(f"k = {k:2}: kept by topk(...)[..., -1:] {kept[k]}, by topk(...).min(-1) {lowest}")
    assert lowest == [k] * 4
assert all(row != [k] * 4 for k, row in kept.items()), "the values are in order now"
EOF
