"""Masked diffusion with a flow: masked positions carry growing evidence of their character while it is undecided.

    uv run diffusion_flow.py            write from weights/diffusion_flow.pt
    uv run diffusion_flow.py --train    train it first

In diffusion.py a position is either masked or decided. Here a masked position also carries evidence y, a number per
character, that a continuous flow raises from nothing to certainty. With x the one-hot character and snr the evidence's
signal-to-noise ratio,

    y = snr * x + sqrt(snr) * noise,            noise ~ N(0, I)                           (1)

so that softmax(y) is what y alone says about characters that were equally likely before, whatever snr is. Time t is the
share of noise, t = 3 / (3 + snr): t = 1 is a plain mask (snr = 0, the network's input is then exactly diffusion.py's),
t = 0 is text. The network sees the mask's embedding fade into that of softmax(y), with t told by `t_mlp`; lm_head and
`flow_head` say what the context makes of it, and the position's own evidence is added, as Bayes' rule would:

    p(x | everything) = softmax(lm_head(h) + flow_head(h) + y)                            (2)

Training adds flow_weight times the cross-entropy of (2) to that of plain masks: of a window's two complementary masks the
first is plainly masked, the second flows. Decoding moves y by steps towards a character drawn from (2), the exact bridge of
(1) from snr to snr' when that character is right,

    y' = y + (snr' - snr) * x + sqrt(snr' - snr) * noise                                  (3)

while more than `flow_until` of a chunk is undecided, in each position the further the surer the network is; at each
call `settle` decides positions by (2), with the temperature on the context's part only. After that the evidence is
dropped and the LM head refines alone, just as in diffusion.py. What decoding meets differs from training in one respect:
its evidence is of characters that the network drew itself.

What it buys: under thresholds half of the calls, for more diverse and less probable text (README, "Does the flow help?"). With
spaced positions, which need far fewer calls still, nothing: at snr = 0 the noise says nothing of the text, so the first call draws
its characters as independently as diffusion.py does, and what follows from them is worse than plain masks at the same number
of calls (README, "The quality-cost frontier"). The masked path trained beside it hardly suffers: its likelihood bound is .01 nats above
diffusion.py's.

Sources: evidence and invariance, DSL (arXiv 2605.12836); cross-entropy instead of velocity, FLM (2602.16813); bridge
(3), MCB (2605.13681); masks as the start of the flow, MLFM (2606.27617). What departs from diffusion.py is marked [NEW].
"""

import itertools
import math
import sys
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

import diffusion
from diffusion import corrupt, on_trial, settle_window
from lab import backbone, cli, command, training
from lab.canvas import Frame, Windows
from lab.cli import check
from lab.sampling import probabilities, sample_tokens
from lab.training import Recipe

NAME = "diffusion_flow"
SNR_HALF = 3.0  # signal-to-noise ratio at t = 1/2: the evidence tells a third of what there is to know of a character out of 65
SNR_MOST = 30.0  # beyond it a character is certain


@dataclass(frozen=True)
class Config(backbone.Config):
    """Sizes and dropout of a model, and the weight of its second loss [NEW]; stored in its checkpoint."""

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
        self.flow_head = nn.Linear(config.n_embd, config.vocab_size, bias=False)  # [NEW] reads characters off a flow
        self.t_mlp = nn.Sequential(nn.Linear(2, 64), nn.SiLU(), nn.Linear(64, config.n_embd))  # [NEW] tells the time
        nn.init.zeros_(self.flow_head.weight)

    def forward(self, idx, evidence=None, snr=None):
        """idx: (B, T) tokens, vocab_size where masked -> (B, T, V) logits, those of (2) without the y of the position.

        evidence: (B, T, V) and snr: (B, T), both 0 where a position carries none; without them the model is
        diffusion.py's.
        """
        if evidence is None:
            return super().forward(idx)
        t = noise_share(snr)[..., None]  # (B, T, 1)
        characters = self.token_emb.weight[: self.config.vocab_size]
        guess = evidence.softmax(-1) @ characters + self.t_mlp(torch.cat((t, snr[..., None].log1p()), dim=-1))
        h = self.backbone(t * self.token_emb(idx) + (1 - t) * guess)
        return self.lm_head(h) + (snr[..., None] > 0) * self.flow_head(h)


def carry(x0, snr, noise):
    """[NEW] Equation (1): evidence (B, T, V) of the characters x0 (B, T) at snr (B, T), from noise (B, T, V)."""
    return snr[..., None] * F.one_hot(x0, noise.size(-1)) + snr[..., None].sqrt() * noise


def loss(model, idx, config, rng):
    """Cross-entropy of plainly masked characters plus flow_weight times that of characters that carry evidence.

    idx: (B, block_size + 1) tokens of clean text; of their 2B masked images the first B are plain, the others flow.
    Returns the scalar and its parts, nats per character (half of the characters being masked on average).
    """
    xt, x0, masked = corrupt(idx[:, :-1], config, rng)  # (2B, T)
    (B, T), V = idx[:, :-1].shape, config.vocab_size
    t = torch.sigmoid(rng.strata(B).logit(eps=1e-4)[:, None] + 0.7 * rng.randn(B, T))  # [NEW] each position its own
    snr = torch.cat((torch.zeros(B, T), snr_at(t))).to(idx.device) * masked  # [NEW]
    noise = torch.cat((torch.zeros(B, T, V), rng.randn(B, T, V))).to(idx.device)
    evidence = carry(x0, snr, noise)  # [NEW]
    logits = model(xt, evidence, snr) + evidence
    nll = F.cross_entropy(logits.mT, x0, reduction="none") * masked  # (2B, T)
    ce, flow = (part.sum() / (B * T / 2) for part in nll.split(B))
    parts = {"batch_ce_loss": ce.detach(), "batch_flow_loss": flow.detach(), "flow_weight": config.flow_weight}
    return ce + config.flow_weight * flow, parts  # [NEW]


def flow_on(probs, evidence, snr, guided, decoding, rngs):
    """[NEW] One step of the flow, equation (3), the further the surer the network is.

    probs, evidence: (B, W, V); snr: (B, W); guided: (B, W), where it flows: elsewhere there is no evidence afterwards.
    Returns the new evidence and snr.
    """
    rows, V = guided.any(1), probs.size(-1)
    sure = (1 - torch.special.entr(probs).sum(-1) / math.log(max(2, V))).clamp(0.1, 1)  # (B, W)
    after = snr_at(noise_share(snr) * (1 - decoding.flow_step * sure)).maximum(snr)
    noise = torch.zeros_like(probs)
    for b in rows.nonzero().flatten().tolist():
        noise[b].normal_(generator=rngs[b])
    towards = sample_tokens(probs, decoding.top_k, rngs, rows)
    evidence = evidence + carry(towards, after - snr, noise)
    return evidence * guided[..., None], after * guided


@torch.no_grad()
def generate(model, canvas, decoding, rngs):
    """Fill the canvas chunk after chunk, many characters a pass; the flow guides the early passes of each chunk.

    canvas: masked positions anywhere, masked spans included; rngs: one generator per row.
    Yields a Frame per forward pass.
    """
    config, device = model.config, model.lm_head.weight.device
    state = idx, masked, draft = canvas.idx, canvas.masked, torch.zeros_like(canvas.masked)
    windows = Windows(canvas, config.block_size, decoding.target_chunk_len)
    snr = torch.zeros(len(idx), windows.width, dtype=torch.float64)  # [NEW]
    y = torch.zeros(*snr.shape, config.vocab_size, dtype=torch.float64)  # [NEW] evidence
    for call in itertools.count():
        if not masked.any():
            return
        columns, fillable = windows.move(masked)  # (B, W)
        guided = fillable & (fillable.sum(1, keepdim=True) > decoding.flow_until * windows.opened)  # [NEW]
        snr, y = snr * (guided & ~windows.moved), y * (guided & ~windows.moved)[..., None]  # [NEW]
        trial = on_trial(draft, call)
        xt = idx.masked_fill(masked | trial, config.vocab_size).gather(1, columns)
        probs = probabilities(model(xt.to(device), y.float().to(device), snr.float().to(device)), decoding.temp)
        posterior = torch.softmax(probs.log() + y, dim=-1)  # [NEW] equation (2)
        probs = torch.where(guided[..., None], posterior, probs)  # (B, W, V)
        state = idx, masked, draft = settle_window(probs, columns, fillable, trial, state, decoding, rngs)
        if guided.any():  # [NEW]
            y, snr = flow_on(probs, y, snr, guided & masked.gather(1, columns), decoding, rngs)
        yield Frame(idx, masked, draft, columns, probs, columns.size(1) / config.block_size)


@dataclass(frozen=True)
class Args(diffusion.Args):
    decoding: Decoding = Decoding(temp=0.5, top_k=None, confidence_threshold=0.0, spacing=5, draft_threshold=1.0)
    recipe: Recipe = Recipe(iters=10000, batch_size=4, eval_every=500)
    config: Config = Config()


def main(args):
    """Train when asked to, or when there is nothing to load yet; then write."""
    if command.must_train(args, NAME):
        training.train(NAME, Model, loss, args, validate=diffusion.loss)
    command.write(args, NAME, Model, generate, args.infill)


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
