#!/usr/bin/env bash
# torch.export accepts a generator as an argument and then never reads the one that it is given.
#
# Guess:   torch.export takes tensors and plain values; a torch.Generator among the arguments is an error.
# Seen:    it exports, and the generator of the example becomes a constant of the graph. A later call draws from that
#          one: the generator handed over stays where it was, equal seeds give different texts, and the example's
#          moves on.
# Package: PyTorch 2.15.0
# Where:   the program's signature: CUSTOM_OBJ lifted_custom_0 (torch/export, by tracing)
# Date:    2026-11-28
# Output:
#   inputs of the graph: CUSTOM_OBJ, USER_INPUT, USER_INPUT
#   eager, seed 1                   [0, 15, 59, 61, 11]
#   exported, seed 1                [58, 9, 38, 56, 48]
#   exported, seed 1 again          [51, 46, 28, 49, 55]
#   the generator that was passed has moved: False; the example's: True
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 torch==2.15.0 numpy==2.4.6

.venv/bin/python - <<'EOF'
import torch


class Sampler(torch.nn.Module):
    def forward(self, probs, rng):
        return torch.multinomial(probs, 1, generator=rng)


def seeded(seed):
    return torch.Generator().manual_seed(seed)


probs, example = torch.ones(5, 65), seeded(0)
program = torch.export.export(Sampler(), (probs, example))
print("inputs of the graph:", ", ".join(spec.kind.name for spec in program.graph_signature.input_specs))
example.manual_seed(0)
sample, given = program.module(), seeded(1)
eager = torch.multinomial(probs, 1, generator=seeded(1)).flatten().tolist()
first, second = (sample(probs, rng).flatten().tolist() for rng in (given, seeded(1)))
print(f"eager, seed 1                   {eager}")
print(f"exported, seed 1                {first}")
print(f"exported, seed 1 again          {second}")
moved, example_moved = (not torch.equal(rng.get_state(), seeded(s).get_state()) for rng, s in ((given, 1), (example, 0)))
print(f"the generator that was passed has moved: {moved}; the example's: {example_moved}")
assert first == torch.multinomial(probs, 1, generator=seeded(0)).flatten().tolist(), "another generator is drawn from now"
assert first != eager and first != second and not moved and example_moved
EOF
