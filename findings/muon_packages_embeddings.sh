#!/usr/bin/env bash
# Two Muon packages that keep embeddings for Adam orthogonalise the embeddings of a network with GPT-2's names.
#
# Guess:   as both describe it, embeddings and the head go to the auxiliary Adam, and matrices in between to Muon.
# Seen:    optimuon knows an embedding by "embed" in its name: wte and wpe, the names of GPT-2 and of what follows it,
#          go to Muon, and a head that is tied to wte with them. omnimuon knows it by an attribute _is_embedding that the
#          user would have to set and the description does not name: without it every matrix is Muon's, the head too.
#          The row of a character that occurs once moves as far as that of one that occurs a hundred times, three times
#          as far as by Adam's first step at the default rates.
# Package: optimuon 0.1.1, omnimuon 0.1.2, PyTorch 2.15.0
# Where:   optimuon/_routing.py (_DEFAULT_EXCLUDE_PATTERNS), omnimuon/muon.py:152
# Date:    2026-11-28
# Output:
#   weight             optimuon   omnimuon
#   wte.weight             Muon       Muon
#   wpe.weight             Muon       Muon
#   c_fc.weight            Muon       Muon
#   ln_f.weight            Adam       Adam
#   ln_f.bias              Adam       Adam
#   lm_head.weight         Adam       Muon
#   step of the row of a character that occurs 100 times 0.0151, once 0.0189; Adam's 0.0057
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 optimuon==0.1.1 omnimuon==0.1.2 torch==2.15.0 numpy==2.4.6

.venv/bin/python -W ignore - <<'EOF'
import omnimuon
import optimuon
import torch
from torch import nn

torch.set_num_threads(1)
V, C, RATE = 65, 32, 1e-3


class Network(nn.Module):
    """A network without attention, its weights named as in GPT-2."""

    def __init__(self):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(V, C), nn.Embedding(256, C)
        self.c_fc, self.ln_f, self.lm_head = nn.Linear(C, C, bias=False), nn.LayerNorm(C), nn.Linear(C, V, bias=False)

    def forward(self, idx):
        return self.lm_head(self.ln_f(self.c_fc(self.wte(idx) + self.wpe.weight)))


def by_omnimuon(network, idx):
    """Weight -> "Adam" where each element of its first step is 0 or Adam's rate; and the step of each row of wte."""
    before = {name: weight.detach().clone() for name, weight in network.named_parameters()}
    optimizer = omnimuon.Muon(network.parameters(), lr=RATE, weight_decay=0.0)
    nn.functional.cross_entropy(network(idx), idx.roll(-1)).backward()
    optimizer.step()
    steps = {name: (weight.detach() - before[name]).abs() for name, weight in network.named_parameters()}
    shares = {name: ((step < 1e-6) | ((step / RATE - 1).abs() < 0.02)).float().mean() for name, step in steps.items()}
    names = {name: "Adam" if share > 0.9 else "Muon" for name, share in shares.items()}
    return names, steps["wte.weight"].norm(dim=-1)


torch.manual_seed(0)
network = Network()
muons = optimuon.partition_params(network).muon_names
counts = torch.tensor([100, 60, 40, 30, 20, 5, 1])
idx = torch.arange(len(counts)).repeat_interleave(counts)[torch.randperm(256)]
omni, rows = by_omnimuon(network, idx)
one = {name: "Muon" if name in muons else "Adam" for name in omni}
print("weight             optimuon   omnimuon")
for name in omni:
    print(f"{name:18} {one[name]:>8} {omni[name]:>10}")
adam = RATE * C**0.5
print(f"step of the row of a character that occurs 100 times {rows[0]:.4f}, once {rows[6]:.4f}; Adam's {adam:.4f}")
assert one["ln_f.weight"] == omni["ln_f.weight"] == one["lm_head.weight"] == "Adam"
assert one["c_fc.weight"] == omni["c_fc.weight"] == "Muon"
assert one["wte.weight"] == omni["wte.weight"] == omni["lm_head.weight"] == "Muon", "embeddings go to Adam now"
assert rows[6] > 0.5 * rows[0] and rows[6] > 1.5 * adam
EOF
