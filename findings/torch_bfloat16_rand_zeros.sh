#!/usr/bin/env bash
# torch.rand in bfloat16 is exactly 0 once in 512 draws: rand < t masks three characters for one at t = .001.
#
# Guess:   a float32 draw, rounded: 0 only below 1e-7; or 1 now and then, by rounding up.
# Seen:    a draw that rounds up to 1 comes back as 0: the largest draws become the smallest. P(x < t) is t + 1/512
#          for small t (float16: 1/4096), and -log(x) is infinite where it should be 0. rand in float32, cast to
#          bfloat16, is 1 as often, and harmless in x < t.
# Package: PyTorch 2.15.0 (the same with ATEN_CPU_CAPABILITY=default, avx2 and avx512)
# Where:   torch/include/ATen/native/cpu/DistributionTemplates.h:253-261
# Date:    2026-11-28
# Output:
#   share of masks, rand < t        t = .001     .01      .1      .5
#   torch.bfloat16                   0.00298 0.01197 0.10200 0.50071
#   torch.float32                    0.00099 0.00998 0.10015 0.49990
#   exactly 0: bfloat16 1 in 512, float16 1 in 4,128; largest bfloat16 draw 0.99609375
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 torch==2.15.0 numpy==2.4.6

.venv/bin/python - <<'EOF'
import torch

torch.manual_seed(0)
N = 2**22
print("share of masks, rand < t        t = .001     .01      .1      .5")
share = {}
for kind in (torch.bfloat16, torch.float32):
    x = torch.rand(N, dtype=kind)
    share[kind] = [(x < t).double().mean().item() for t in (0.001, 0.01, 0.1, 0.5)]
    print(f"{str(kind):30}" + "".join(f"{s:8.5f}" if i else f"{s:10.5f}" for i, s in enumerate(share[kind])))
x, y = torch.rand(N, dtype=torch.bfloat16), torch.rand(N, dtype=torch.float16)
zero = [(v == 0).double().mean().item() for v in (x, y)]
print(f"exactly 0: bfloat16 1 in {1 / zero[0]:.0f}, float16 1 in {1 / zero[1]:,.0f}; largest bfloat16 draw {x.max().item()}")
assert abs(zero[0] * 512 - 1) < 0.1 and abs(zero[1] * 4096 - 1) < 0.2, "draws that round to 1 are treated otherwise now"
assert share[torch.bfloat16][0] > 2.5 * share[torch.float32][0]
EOF
