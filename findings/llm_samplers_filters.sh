#!/usr/bin/env bash
# Top-p keeps less than p, and XTC never writes what the model is sure of.
#
# Guess:   top-p keeps the smallest set of symbols that reaches p. XTC leaves the least likely symbol above its
#          threshold, so that a sure symbol stays possible. A batch goes on until each row has its end symbol.
# Seen:    the symbol that crosses p is dropped: of .6 .3 .06 .04 top-p .85 is temperature 0, and .95 keeps .9. XTC
#          takes out all symbols above .3, the only one as well: a symbol of probability .95 fills none of the text,
#          and a closing bracket or the u after q is never written. One row's end symbol ends all rows. Min-p and top-k
#          are as defined.
# Package: llm-samplers 0.1.3, PyTorch 2.15.0
# Where:   llm_samplers/top_p.py, xtc.py:67-83, and the `.any()` at the end of each sample()
# Date:    2026-11-28
# Output:
#   probabilities .6 .3 .06 .04; mass kept by
#   top-p .85   0.60
#   top-p .95   0.90
#   min-p .20   0.90
#   share of a symbol of probability .95: .00 with XTC, .95 without
#   characters of 64 rows until the end symbol, of probability .1: all 64 rows stop at 1
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 \
  llm-samplers==0.1.3 torch==2.15.0 transformers==5.24.0 numpy==2.4.6

.venv/bin/python -W ignore - <<'EOF'
from types import SimpleNamespace

import torch
from llm_samplers import MinPSampler, TemperatureSampler, TopPSampler, XTCSampler

torch.set_num_threads(1)
FLAT = torch.tensor([0.6, 0.3, 0.06, 0.04])
SURE = torch.tensor([0.95, 0.03, 0.01, 0.006, 0.004])
ENDING = torch.tensor([0.9, 0.1])


class Independent(torch.nn.Module):
    """Every position has the same distribution, whatever stands elsewhere."""

    def __init__(self, probs, end=99):
        super().__init__()
        self.logits = torch.nn.Parameter(probs.log())
        self.config = SimpleNamespace(eos_token_id=end)

    def forward(self, idx, **options):
        return SimpleNamespace(logits=self.logits.detach().expand(*idx.shape, -1))


def kept(sampler):
    return FLAT[sampler._apply_sampling(FLAT.log()[None])[0].isfinite()].sum().item()


def share(sampler):
    torch.manual_seed(0)
    text = sampler.sample(Independent(SURE), torch.zeros(1, 1, dtype=torch.long), max_length=400)
    return (text[:, 1:] == 0).float().mean().item()


def length(rows):
    torch.manual_seed(0)
    start = torch.zeros(rows, 1, dtype=torch.long)
    return TemperatureSampler(1.0).sample(Independent(ENDING, end=1), start, max_length=100).shape[1] - 1


SAMPLERS = {"top-p .85": TopPSampler(0.85), "top-p .95": TopPSampler(0.95), "min-p .20": MinPSampler(0.2)}
masses = {name: kept(sampler) for name, sampler in SAMPLERS.items()}
print("probabilities .6 .3 .06 .04; mass kept by")
for name, mass in masses.items():
    print(f"{name:11} {mass:.2f}")
with_xtc, without = share(XTCSampler()), share(TemperatureSampler(1.0))
print(f"share of a symbol of probability .95: {with_xtc:.2f} with XTC, {without:.2f} without".replace(" 0.", " ."))
stop = length(64)
print(f"characters of 64 rows until the end symbol, of probability .1: all 64 rows stop at {stop}")
assert [round(mass, 2) for mass in masses.values()] == [0.6, 0.9, 0.9], "top-p reaches p now"
assert with_xtc == 0 and without > 0.9, "the only symbol above the threshold stays now"
assert stop <= 3, "rows end on their own now"
EOF
