#!/usr/bin/env bash
# A verifier that is to keep the target's distribution subtracts one number of the draft's, and does not keep it.
#
# Guess:   rejection_sample keeps the target's distribution, as its documentation says: after a rejected draft symbol
#          the next one is drawn from max(0, p - q).
# Seen:    the function is given q of the drafted symbol alone, so that it can only lower that one: what the draft
#          already writes often enough is drawn again. For p = .5 .3 .2 and q = .2 .2 .6 it returns .45 .35 .2.
#          verify_tokens, on which speculative_decode stands, has the same lines.
# Package: rotalabs-accel 1.1.1, PyTorch 2.15.0, transformers 5.24.0
# Where:   rotalabs_accel/speculative/sampling.py (rejection_sample), core.py (verify_tokens)
# Date:    2026-11-28
# Output:
#   target              .500  .300  .200
#   draft               .200  .200  .600
#   written             .447  .351  .202
#   with max(0, p - q)  .497  .301  .202
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 \
  rotalabs-accel==1.1.1 torch==2.15.0 transformers==5.24.0 numpy==2.4.6

.venv/bin/python -W ignore - <<'EOF'
import torch
from rotalabs_accel.speculative.sampling import rejection_sample

torch.set_num_threads(1)
TARGET = torch.tensor([0.5, 0.3, 0.2])
DRAFT = torch.tensor([0.2, 0.2, 0.6])


def shares(accept, symbols=40000):
    torch.manual_seed(0)
    drafts = torch.multinomial(DRAFT, symbols, replacement=True)
    return torch.bincount(torch.tensor([accept(draft) for draft in drafts]), minlength=3) / symbols


def of_the_package(draft):
    return int(rejection_sample(TARGET[draft], DRAFT[draft], draft, TARGET.log())[1])


def of_the_paper(draft):
    """Leviathan et al. 2023, algorithm 1."""
    if torch.rand(()) < TARGET[draft] / DRAFT[draft]:
        return int(draft)
    return int(torch.multinomial((TARGET - DRAFT).clamp(min=0), 1))


def show(name, values):
    print(f"{name:18}", *(f"{value:.3f}".replace("0.", " .") for value in values.tolist()))


show("target", TARGET)
show("draft", DRAFT)
written, exact = shares(of_the_package), shares(of_the_paper)
show("written", written)
show("with max(0, p - q)", exact)
assert (exact - TARGET).abs().max() < 0.01
assert (written - torch.tensor([0.45, 0.35, 0.2])).abs().max() < 0.01, "the target's distribution is kept now"
EOF
