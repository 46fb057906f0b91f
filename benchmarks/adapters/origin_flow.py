"""The flow of JayCheng113/tiny-diffusion (commit 6d6a66a) on this project's network: velocity regression on embeddings.

    uv run -m benchmarks.adapters.origin_flow --train
    uv run -m benchmarks.adapters.origin_flow

Training mixes the embeddings e of a window with noise z, x = (1 - t) z + t e, and regresses the velocity e - z (Smooth-L1):
with weight .1 after a warm-up, on every second step, until step 6,000. Decoding takes a step of flow_step along the
velocity from the embeddings of the masked window, and mixes the logits of where that ends with those of lm_head, as long
as more than 35 % of the characters are masked. The origin also lowers its confidence threshold the further the flow
sampler is, and only there; here both models unmask by one strategy, so that what differs is the flow.
"""

import sys
from dataclasses import dataclass, replace

import lab.start  # noqa: F401 (before PyTorch)

import torch
from torch import nn
from torch.nn import functional as F

import diffusion
from lab import command
from lab.cli import check_range
from lab.decoding.canvas import Windows
from lab.decoding.revision import revised
from lab.decoding.unmasking import two_temps

WEIGHT, WARMUP, LAST_STEP, BETA = 0.1, 1000, 6000, 0.1  # of the flow loss


@dataclass(frozen=True)
class Decoding(diffusion.Decoding):
    """How characters are drawn, and where the flow takes part."""

    flow_step: float = 0.6  # length of the step along the velocity
    flow_until: float = 0.35  # the flow takes part while more than this share of a chunk is masked

    def __post_init__(self):
        super().__post_init__()
        check_range(self, 0, 1, "flow_step", "flow_until")


class Model(diffusion.Model):
    """Tokens in, logits out; or embeddings in, velocities out."""

    def __init__(self, config):
        super().__init__(config)
        C = config.n_embd
        self.velocity = nn.Sequential(nn.Linear(C, 128, bias=False), nn.SiLU(), nn.Linear(128, C, bias=False))
        self.t_mlp = nn.Sequential(nn.Linear(1, C), nn.SiLU(), nn.Linear(C, C))
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))  # unused; the shipped weights have it

    def forward(self, idx, t=None, noise=None):
        """idx: (B, T) tokens -> (B, T, V) logits; with t (B,): also the velocity (B, T, C).

        With noise (B, T, C), which t mixes into the embeddings: in place of logits the velocity that is to be regressed.
        """
        x = e = self.token_emb(idx)
        if noise is not None:
            e = e.detach()
            x = torch.lerp(noise, e, t[:, None, None])
        h = self.backbone(x)
        if t is None:
            return self.lm_head(h)
        return self.lm_head(h) if noise is None else e - noise, self.velocity(h + self.t_mlp(t[:, None, None]))


def loss(model, idx, config, rng):
    """Cross-entropy of masked characters plus the weighted flow loss. Returns the scalar and its parts."""
    ce, _ = diffusion.loss(model, idx, config, rng)
    step = rng.step + 1
    weight = WEIGHT * min(1, step / WARMUP) * (step <= LAST_STEP and step % 2 == 0)
    x = idx[:, :-1] if weight else idx[:1, :-1]  # never none: several processes want all parameters in every step
    noise = rng.randn(*x.shape, config.n_embd).to(x.device)
    t = 0.02 + 0.96 * rng.rand(len(x)).to(x.device)
    target, velocity = model(x, t, noise)
    flow = F.smooth_l1_loss(velocity, target, beta=BETA)
    parts = {"batch_ce_loss": ce.detach(), "batch_flow_loss": flow.detach(), "flow_weight": weight}
    return ce + weight * flow, parts


@revised
@torch.no_grad()
def generate(model, canvas, decoding, rngs):
    """Fill the canvas as diffusion.py does, with the flow in the early passes of each chunk. Yields a Frame per pass."""
    config = model.config
    embeddings = model.token_emb.weight
    windows = Windows(canvas, config.block_size, decoding.target_chunk_len)
    while windows.masked.any():
        window = windows.next_window()
        x = window.idx.masked_fill(window.hidden, config.vocab_size).to(embeddings.device)
        left = (window.masked.sum(1) / window.chunk_size[:, 0].clamp(min=1)).to(embeddings)  # (B,)
        logits, velocity = model(x, 1 - left)
        nearest = (model.token_emb(x) + decoding.flow_step * velocity) @ embeddings[: config.vocab_size].T
        share = (left > decoding.flow_until) * (0.25 + 0.55 * left).clamp(max=0.8)
        mixed = torch.lerp(logits, nearest, share[:, None, None])
        probs, conf_probs = two_temps(mixed, decoding, window)
        yield windows.commit(window, *diffusion.unmask(window, probs, conf_probs, decoding, rngs), probs)


METHOD = replace(
    diffusion.METHOD,
    name="origin_flow",
    title="Diffusion + the origin's flow",
    Model=Model,
    decoding=Decoding(),
    loss=loss,
    generate=generate,
)


if __name__ == "__main__":
    sys.exit(command.run(METHOD))
