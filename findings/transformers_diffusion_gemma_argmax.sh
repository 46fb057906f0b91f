#!/usr/bin/env bash
# DiffusionGemma's generate returns the likeliest symbol of every position, at each temperature.
#
# Guess:   the text is what the sampler drew: at temperature 1 a symbol of probability .5 fills half of it. A high
#          temperature makes it more even.
# Seen:    each pass draws symbols, accepts some by their entropy and renoises the others; what is returned is the
#          argmax of the last pass, not the canvas. What was drawn only steers later passes. A symbol of probability .5
#          beside .3 and .2 fills the whole text at temperatures .4, 1 and 2, also where every position is accepted.
#          t_min, "the final temperature", cannot change an argmax.
# Package: transformers 5.24.0, PyTorch 2.15.0
# Where:   transformers/models/diffusion_gemma/generation_diffusion_gemma.py (generate: input_ids are joined with
#          argmax_canvas, _denoising_step: new_argmax_canvas)
# Date:    2026-11-28
# Output:
#   share of each symbol           .5     .3     .2   passes
#   temperature 0.4, bound 0.1   1.00   0.00   0.00       16
#   temperature 0.4, bound 100   1.00   0.00   0.00       16
#   temperature 1.0, bound 0.1   1.00   0.00   0.00       16
#   temperature 1.0, bound 100   1.00   0.00   0.00       16
#   temperature 2.0, bound 0.1   1.00   0.00   0.00       16
#   temperature 2.0, bound 100   1.00   0.00   0.00       16
set -euo pipefail

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
cd "$folder"
uv venv -q --python 3.11
uv pip install -q --python .venv --exclude-newer 2026-11-28 transformers==5.24.0 torch==2.15.0 numpy==2.4.6

.venv/bin/python -W ignore - <<'EOF'
from types import SimpleNamespace

import torch
from transformers import DiffusionGemmaConfig, DiffusionGemmaForBlockDiffusion
from transformers.models.diffusion_gemma.generation_diffusion_gemma import (
    DiffusionGemmaGenerationConfig,
    EntropyBoundSamplerConfig,
)

torch.set_num_threads(1)
PROBS, ROWS, LENGTH = torch.tensor([0.5, 0.3, 0.2]), 16, 64
SMALL = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "head_dim": 16}
HEADS = {"num_attention_heads": 1, "num_key_value_heads": 1}
EXPERTS = {"num_experts": 1, "top_k_experts": 1, "moe_intermediate_size": 16}
TOKENS = {"vocab_size": 3, "pad_token_id": None, "eos_token_id": None, "bos_token_id": None}
LAYERS = {"layer_types": ["full_attention"], "global_head_dim": 16}


class Independent(DiffusionGemmaForBlockDiffusion):
    """Every position has the same distribution, whatever the canvas holds."""

    passes = 0

    def forward(self, decoder_input_ids=None, **options):
        self.passes += 1
        return SimpleNamespace(logits=PROBS.log().repeat(*decoder_input_ids.shape, 1))


torch.manual_seed(0)
config = DiffusionGemmaConfig(
    text_config={**SMALL, **HEADS, **EXPERTS, **TOKENS, **LAYERS},
    vision_config={**SMALL, **HEADS},
    canvas_length=LENGTH,
    boi_token_id=3,
    eoi_token_id=3,
    image_token_id=3,
)
model = Independent(config).eval()
prompt, seen = torch.zeros(ROWS, 1, dtype=torch.long), []
print("share of each symbol           .5     .3     .2   passes")
for temperature in (0.4, 1.0, 2.0):
    for bound in (0.1, 100.0):
        model.passes = 0
        decoding = DiffusionGemmaGenerationConfig(
            max_new_tokens=LENGTH,
            max_denoising_steps=16,
            sampler_config=EntropyBoundSamplerConfig(entropy_bound=bound),
            t_min=temperature,
            t_max=temperature + 1e-3,
            stability_threshold=1,
            confidence_threshold=0.005,
        )
        text = model.generate(prompt, generation_config=decoding).sequences[:, 1:]
        assert text.shape == (ROWS, LENGTH) and model.passes == 16
        shares = [(text == symbol).float().mean().item() for symbol in range(3)]
        columns = "".join(f"{share:7.2f}" for share in shares)
        print(f"temperature {temperature}, bound {bound:<3g}{columns}{model.passes:9}")
        seen.append(shares[0])
assert set(seen) == {1.0}, "the text is drawn now"
EOF
