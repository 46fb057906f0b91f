"""Masked diffusion with a flow: masked positions carry growing evidence of their character while it is undecided.

    uv run diffusion_flow.py            write from weights/diffusion_flow.pt
    uv run diffusion_flow.py --train    train it first

In diffusion.py a position is either masked or decided. Here a masked position also carries evidence y, a number per
letter, that a continuous flow raises from nothing to certainty. With x the one-hot letter and snr the evidence's
signal-to-noise ratio,

    y = snr * x + sqrt(snr) * noise,            noise ~ N(0, I)                           (1)

so that softmax(y) is what y alone says about the letter, whatever snr is. The time of the order's figures is the share
of noise, t = 3 / (3 + snr): t = 1 is a plain mask (snr = 0, the network's input is then exactly diffusion.py's), t = 0
is text. The network sees the mask's embedding fade into that of softmax(y), with t told by `t_mlp`; `flow_head` reads
the letter off, with the evidence itself added (Bayes' rule for what is seen at other positions and at this one):

    p(x | everything) = softmax(lm_head(h) + flow_head(h) + y)                            (2)

Training adds flow_weight times the cross-entropy of (2) to that of plain masks. Decoding moves y by steps towards a
letter drawn from (2), the exact bridge of (1) from snr to snr' when that letter is right,

    y' = y + (snr' - snr) * x + sqrt(snr' - snr) * noise                                  (3)

while more than `flow_until` of a chunk is undecided, in each position the further the surer the network is; at each
call `settle` decides the surest positions, just as in diffusion.py. After that the evidence is dropped and the LM head
refines alone.

Sources: evidence and invariance, DSL (arXiv 2605.12836); cross-entropy instead of velocity, FLM (2602.16813); bridge
(3), MCB (2605.13681); masks as the start of the flow, MLFM (2606.27617). What departs from diffusion.py is marked [NEW].
"""

import math
import sys
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

import diffusion
from diffusion import corrupt, settle
from lab import backbone, cli, command, training
from lab.canvas import Frame, Windows, draw, probabilities
from lab.cli import check
from lab.training import Recipe

NAME = "diffusion_flow"
SNR_HALF = 3.0  # the signal-to-noise ratio at t = 1/2: half of a letter's information is known there for 65 letters
SNR_MOST = 30.0  # beyond it a letter is certain


@dataclass(frozen=True)
class Config(backbone.Config):
    """[NEW] Sizes of the model, and the weight of its second loss."""

    flow_weight: float = 1.0  # lambda in CE + lambda * flow loss

    def __post_init__(self):
        super().__post_init__()
        check(self.flow_weight >= 0, f"flow_weight must not be negative, but is {self.flow_weight}")


@dataclass(frozen=True)
class Decoding(diffusion.Decoding):
    """How characters are drawn, which of them at each call, and how the flow guides the early calls."""

    # [NEW] the flow
    flow_step: float = 0.6  # share of the remaining noise that a step takes where the network is sure
    flow_until: float = 0.5  # the flow guides a chunk while more than this share of it is undecided

    def __post_init__(self):
        super().__post_init__()
        check(0 <= self.flow_step <= 1, f"flow_step must lie in 0..1, not {self.flow_step}")
        check(0 <= self.flow_until <= 1, f"flow_until must lie in 0..1, not {self.flow_until}")


def noise_share(snr):
    """[NEW] Signal-to-noise ratio -> time t, the share of noise: 1 = plain mask, 0 = text."""
    return SNR_HALF / (SNR_HALF + snr)


def snr_at(t):
    """[NEW] The inverse of noise_share, at most SNR_MOST."""
    return (SNR_HALF * (1 - t) / t.clamp(min=1e-6)).clamp(max=SNR_MOST)


class Model(diffusion.Model):
    """Tokens with masks, and the evidence that masks carry, in; logits of the characters behind them out."""

    def __init__(self, config):
        super().__init__(config)
        self.flow_head = nn.Linear(config.n_embd, config.n_letters, bias=False)  # [NEW] reads letters off a flow
        self.t_mlp = nn.Sequential(nn.Linear(2, 64), nn.SiLU(), nn.Linear(64, config.n_embd))  # [NEW] tells the time
        nn.init.zeros_(self.flow_head.weight)

    def forward(self, idx, evidence=None, snr=None):
        """idx: (B, T) tokens, n_letters where masked -> (B, T, V) logits, equation (2) where snr > 0.

        evidence: (B, T, V) and snr: (B, T), both 0 where a position carries none; without them the model is
        diffusion.py's.
        """
        if evidence is None:
            return super().forward(idx)
        t = noise_share(snr)[..., None]  # (B, T, 1)
        letters = self.token_emb.weight[: self.config.n_letters]
        guess = evidence.softmax(-1) @ letters + self.t_mlp(torch.cat((t, snr[..., None].log1p()), dim=-1))
        h = self.backbone(t * self.token_emb(idx) + (1 - t) * guess)
        flow = torch.where(snr[..., None] > 0, self.flow_head(h) + evidence, 0)
        return self.lm_head(h) + flow


def carry(x0, snr, noise):
    """[NEW] Equation (1): evidence (B, T, V) of the letters x0 (B, T) at snr (B, T), from noise (B, T, V)."""
    return snr[..., None] * F.one_hot(x0, noise.size(-1)) + snr[..., None].sqrt() * noise


def loss(model, idx, config, rng):
    """Cross-entropy of plainly masked characters plus flow_weight times that of characters that carry evidence.

    idx: (B, block_size + 1) tokens of clean text; of the 2B masked rows every second one flows.
    Returns the scalar and its parts, all in nats per character.
    """
    xt, x0, masked = corrupt(idx[:, :-1], config, rng)  # (2B, T)
    B, T = idx.size(0), x0.size(1)
    flows = masked & (torch.arange(2 * B, device=idx.device) % 2 == 1)[:, None]  # [NEW]
    t, noise = rng.strata(B), rng.randn(B, 2, T, config.n_letters).transpose(0, 1).flatten(0, 1)  # [NEW]
    snr = snr_at(torch.cat((t, 1 - t)).to(idx.device))[:, None] * flows
    evidence = carry(x0, snr, noise.to(idx.device))
    nll = F.cross_entropy(model(xt, evidence, snr).mT, x0, reduction="none")  # (2B, T)
    plain = masked & ~flows
    ce, flow = (nll * plain).sum() / plain.sum(), (nll * flows).sum() / flows.sum()
    parts = {"batch_ce_loss": ce.detach(), "batch_flow_loss": flow.detach(), "flow_weight": config.flow_weight}
    return ce + config.flow_weight * flow, parts  # [NEW]


def flow_on(probs, evidence, snr, decoding, rngs, rows):
    """[NEW] One step of the flow at every position, equation (3), the further the surer the network is.

    probs, evidence: (B, W, V); snr: (B, W); rows: (B,), which draw. Returns the new evidence and snr.
    """
    V = probs.size(-1)
    sure = (1 - torch.special.entr(probs).sum(-1) / math.log(V)).clamp(0.1, 1)  # (B, W)
    after = snr_at(noise_share(snr) * (1 - decoding.flow_step * sure)).maximum(snr)
    noise = torch.zeros_like(probs)
    for b in rows.nonzero().flatten().tolist():
        noise[b].normal_(generator=rngs[b])
    return evidence + carry(draw(probs, rngs, rows), after - snr, noise), after


@torch.no_grad()
def generate(model, canvas, decoding, rngs):
    """Fill the canvas chunk after chunk, many characters a pass; the flow guides the early passes of each chunk.

    canvas: masked positions anywhere, gaps included; rngs: one generator per row.
    Yields a Frame per forward pass.
    """
    config, device = model.config, model.lm_head.weight.device
    idx, masked, draft = canvas.idx, canvas.masked, torch.zeros_like(canvas.masked)
    windows = Windows(canvas, config.block_size, decoding.target_chunk_len)
    evidence = torch.zeros(*idx.shape, config.n_letters, dtype=torch.float64)  # [NEW]
    snr = torch.zeros(idx.shape, dtype=torch.float64)  # [NEW]
    while masked.any():
        columns, fillable = windows.move(masked)  # (B, W)
        undecided = fillable.sum(1, keepdim=True) / min(decoding.target_chunk_len, config.block_size)
        guided = fillable & (undecided > decoding.flow_until)  # [NEW]
        letters = columns[..., None].expand(-1, -1, config.n_letters)
        y, a = evidence.gather(1, letters) * guided[..., None], snr.gather(1, columns) * guided
        xt = idx.masked_fill(masked, config.n_letters).gather(1, columns)
        logits = model(xt.to(device), y.float().to(device), a.float().to(device))
        probs = probabilities(logits, decoding.temp)  # (B, W, V)
        new = settle(probs, idx.gather(1, columns), fillable, draft.gather(1, columns), decoding, rngs)
        y, a = flow_on(probs, y, a, decoding, rngs, fillable.any(1))  # [NEW]
        evidence, snr = evidence.scatter(1, letters, y), snr.scatter(1, columns, a)
        idx, draft = idx.scatter(1, columns, new[0]), draft.scatter(1, columns, new[2])
        masked = masked.scatter(1, columns, masked.gather(1, columns) & ~(fillable & ~new[1]))
        yield Frame(idx, masked, draft, columns, probs, columns.size(1) / config.block_size)


@dataclass(frozen=True)
class Args(diffusion.Args):
    decoding: Decoding = Decoding(temp=0.5, top_k=None, confidence_threshold=0.0, gap=5)
    recipe: Recipe = Recipe(iters=10000, batch_size=3, eval_every=500)
    config: Config = Config()


def main(args):
    """Train when asked to, or when there is nothing to load yet; then write."""
    if command.must_train(args, NAME):
        training.train(NAME, Model, loss, args, validate=diffusion.loss)
    command.write(args, NAME, Model, generate, args.infill)


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
