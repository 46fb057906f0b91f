#!/usr/bin/env bash
# A sampler converted to OpenVINO draws with one random number for a whole second: a text is one character repeated.
#
# Guess:   torch.multinomial in a converted network draws anew in each inference, as in PyTorch and as torch.rand_like
#          does in the same converted network.
# Seen:    the operator has no seed and takes the clock's second for one, so all passes within a second begin with the
#          same random numbers, in every compiled network of that second, too. A loop that writes one character a pass
#          takes the same quantile of each distribution: from equal logits the same symbol dozens of times, then another
#          one. rand_like and cumsum in the network, or a draw outside of it, are not affected.
# Package: OpenVINO 2026.4.1, PyTorch 2.15.0
# Where:   compiled (CPU plugin, Multinomial with global_seed 0 and op_seed 0, as the PyTorch frontend writes it)
# Date:    2026-11-28
# Output (the symbols are others each time):
#   100 passes over 65 equal logits, 8 draws each: different draws
#   multinomial, OpenVINO              1
#   multinomial, PyTorch             100
#   rand_like and cumsum, OpenVINO   100
#   a second network in the same second: the same draws True; after 1.1 seconds: the same draws False
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 openvino==2026.4.1 torch==2.15.0 numpy==2.4.6

.venv/bin/python -W ignore - <<'EOF'
import time

import openvino
import torch


class ByMultinomial(torch.nn.Module):
    def forward(self, logits):
        return torch.multinomial(logits.softmax(-1), 8, replacement=True)


class ByQuantile(torch.nn.Module):
    def forward(self, logits):
        cumulative = logits.softmax(-1).cumsum(-1)  # (1, 65)
        u = torch.rand_like(logits)[:, :8]
        return (cumulative[:, None] < u[..., None]).float().sum(-1)


LOGITS = torch.zeros(1, 65)
core = openvino.Core()


def converted(network):
    compiled = core.compile_model(openvino.convert_model(network, example_input=LOGITS), "CPU")
    return lambda: compiled({0: LOGITS.numpy()})[0]


def drawn(sampler):
    return tuple(int(symbol) for symbol in sampler().ravel())


def start_of_a_second():
    time.sleep(1 - time.time() % 1)


first, second, quantile = converted(ByMultinomial()), converted(ByMultinomial()), converted(ByQuantile())
start_of_a_second()
seen = {
    "multinomial, OpenVINO": len({drawn(first) for _ in range(100)}),
    "multinomial, PyTorch": len({drawn(lambda: ByMultinomial()(LOGITS)) for _ in range(100)}),
    "rand_like and cumsum, OpenVINO": len({drawn(quantile) for _ in range(100)}),
}
print("100 passes over 65 equal logits, 8 draws each: different draws")
for name, value in seen.items():
    print(f"{name:30} {value:5}")
start_of_a_second()
one, other = drawn(first), drawn(second)
time.sleep(1.1)
same, later = one == other, one == drawn(first)
print(f"a second network in the same second: the same draws {same}; after 1.1 seconds: the same draws {later}")
assert seen["multinomial, PyTorch"] > 95 and seen["rand_like and cumsum, OpenVINO"] > 95 and not later
assert seen["multinomial, OpenVINO"] <= 2 and same, "each inference draws anew"
EOF
