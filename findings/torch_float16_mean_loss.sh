#!/usr/bin/env bash
# The mean loss of a long text in float16 is infinite, though no character's is.
#
# Guess:   cross_entropy adds in float32, or by halves, and its mean over 70,000 characters is right to a hundredth.
# Seen:    the sum and the number of characters are float16, too: past 65,504 nats (14,000 characters at 4.7) the mean
#          is inf, and past 65,519 characters inf / inf: NaN. With reduction="none" and a mean of one's own it is
#          right. In bfloat16 it is finite, and .04 nats off: more than most changes to a small model are worth.
# Package: PyTorch 2.15.0
# Where:   nll_loss on a CPU (compiled; ATen/native/LossNLL.cpp adds in the type of the logits)
# Date:    2026-11-28
# Output:
#   characters   float32   float16   bfloat16   float16, "none" and .mean()
#       10,000    4.6705    4.6680     4.6562                        4.6719
#       20,000    4.6675       inf     4.6562                        4.6680
#       70,000    4.6666       nan     4.6250                        4.6680
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 torch==2.15.0 numpy==2.4.6

.venv/bin/python - <<'EOF'
import torch
import torch.nn.functional as F

torch.manual_seed(0)
logits, target = torch.randn(70_000, 65), torch.randint(65, (70_000,))
print('characters   float32   float16   bfloat16   float16, "none" and .mean()')
rows = {}
for n in (10_000, 20_000, 70_000):
    mean = [F.cross_entropy(logits[:n].to(kind), target[:n]).item() for kind in (torch.float32, torch.float16, torch.bfloat16)]
    own = F.cross_entropy(logits[:n].half(), target[:n], reduction="none").mean().item()
    rows[n] = (*mean, own)
    print(f"{n:10,} {mean[0]:9.4f} {mean[1]:9.4f} {mean[2]:10.4f} {own:29.4f}")
assert all(abs(row[0] - row[3]) < 0.01 for row in rows.values())
assert rows[20_000][1] == float("inf") and rows[70_000][1] != rows[70_000][1], "the mean is finite now"
assert abs(rows[70_000][2] - rows[70_000][0]) > 0.02, "the mean in bfloat16 is nearer now"
EOF
