#!/usr/bin/env bash
# The first numbers of randn depend on how many are drawn: noise of 15 values shares none with noise of 16.
#
# Guess:   with one seed a longer draw begins with the shorter one, as for rand, exponential_ and multinomial.
# Seen:    fewer than 16 normal values are drawn in pairs, from 16 on in blocks of 16, of which each is made of two
#          halves; and if the number is no multiple of 16, the last 16 values are drawn again. So the noise of a text's
#          first characters is another one if the text is a character longer: a flow that is started from the same
#          seed writes another text, and a window of 16 positions agrees with one of 32, but not with one of 15 or 17.
# Package: PyTorch 2.15.0
# Where:   ATen/native/cpu/DistributionTemplates.h (normal_kernel, normal_fill)
# Date:    2026-11-29
# Output:
#   values of n draws that 64 draws with the same seed begin with
#      n     randn      rand  exponential
#     15         0        15           15
#     16        16        16           16
#     17         1        17           17
#     31        15        31           31
#     32        32        32           32
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 torch==2.15.0 numpy==2.4.6

.venv/bin/python - <<'EOF'
import torch

torch.set_num_threads(1)


def exponential(n, generator):
    return torch.empty(n).exponential_(generator=generator)


def draw(name, n):
    return {"randn": torch.randn, "rand": torch.rand, "exponential": exponential}[name](
        n, generator=torch.Generator().manual_seed(1)
    )


NAMES = ("randn", "rand", "exponential")
print("values of n draws that 64 draws with the same seed begin with")
print("   n     randn      rand  exponential")
rows = {n: [(draw(name, n) == draw(name, 64)[:n]).sum().item() for name in NAMES] for n in (15, 16, 17, 31, 32)}
for n, (normal, uniform, waiting) in rows.items():
    print(f"{n:4} {normal:9} {uniform:9} {waiting:12}")
assert all(row[1:] == [n, n] for n, row in rows.items())
assert [row[0] for row in rows.values()] == [0, 16, 1, 15, 32], "randn begins alike for each length now"
EOF
