"""Masked diffusion with a flow: masked positions carry growing evidence of their character while it is undecided.

    uv run diffusion_flow.py            write from weights/diffusion_flow.pt
    uv run diffusion_flow.py --train    train it first

A masked position carries evidence y, a number per character, which a continuous flow raises from nothing to certainty.
With x the one-hot character and snr the signal-to-noise ratio of the evidence,

    y = snr * x + sqrt(snr) * noise,            noise ~ N(0, I)                           (1)

so that softmax(y) is what y alone says about characters that were equally likely before, whatever snr is. Time t falls
as it grows, t = 3 / (3 + snr): at t = 1 (snr = 0) the input of the network is that of diffusion.py, a plain mask; at
t = 0 it would be text (snr ends at 30, t at .09). In between the mask's embedding fades into that of softmax(y), and
`t_mlp` embeds t. lm_head and `flow_head` say what the context makes of it, and the position's own evidence is added, as by
Bayes' rule (the network has read it too, so that the heads need only learn the rest):

    p(x | everything) = softmax(lm_head(h) + flow_head(h) + y)                            (2)

Training adds flow_weight times the cross-entropy of (2) to that of plain masks: of two complementary masks the first is
plain, the second flows. Decoding moves y towards a character drawn from (2), by the exact bridge of (1) from snr to
snr' for that character,

    y' = y + (snr' - snr) * x + sqrt(snr' - snr) * noise                                  (3)

while more than `flow_until` of a chunk is masked. Each pass unmasks positions as diffusion.py does, by (2), with the
temperature on the context's part only. Once no more is masked, the evidence is dropped and the LM head refines alone.

Sources: evidence, Bayesian Flow Networks (arXiv 2308.07037), DSL (2605.12836); cross-entropy, not velocity, FLM (2602.16813);
bridge (3), MCB (2605.13681); masks as the start of the flow, MLFM (2606.27617). Departures from diffusion.py: [NEW].
"""

import sys
from dataclasses import dataclass, replace

import lab.start  # noqa: F401 (before PyTorch)

import torch
from torch import nn
from torch.nn import functional as F

import diffusion
from diffusion import corrupt, unmask
from lab import command
from lab.cli import check_range
from lab.decoding.canvas import Windows
from lab.decoding.revision import revised
from lab.decoding.sampling import sample_tokens
from lab.decoding.unmasking import two_temps
from lab.model import backbone

SNR_HALF = 3.0  # signal-to-noise ratio at t = 1/2, where the evidence tells about a third of a character out of 65
SNR_MOST = 30.0  # beyond it a character is certain
SPREAD = 0.7  # standard deviation, in training, of the logit of t among the positions of a window: each has its pace


@dataclass(frozen=True)
class Config(backbone.Config):
    """Sizes and dropout of a model, and the weight of its second loss [NEW]; stored in its checkpoint."""

    flow_weight: float = 1.0  # lambda in CE + lambda * flow loss

    def __post_init__(self):
        super().__post_init__()
        check_range(self, 0, 1000, "flow_weight")


@dataclass(frozen=True)
class Decoding(diffusion.Decoding):
    """How characters are drawn, which of them at each pass, and how the flow guides the early passes."""

    # [NEW] the flow
    flow_step: float = 0.6  # share of the remaining noise that a step takes, divided by a position's squared perplexity
    flow_until: float = 0.5  # the flow guides a chunk while more than this share of it is masked

    def __post_init__(self):
        super().__post_init__()
        check_range(self, 0, 1, "flow_step", "flow_until")


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
        self.flow_head = backbone.zero_linear(config.n_embd, config.vocab_size)  # [NEW] reads characters off a flow
        self.t_mlp = nn.Sequential(nn.Linear(2, 64), nn.SiLU(), nn.Linear(64, config.n_embd))  # [NEW] tells the time

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
        h = self.backbone(t * self.token_emb(idx) + (1 - t) * guess)  # [NEW]
        return self.lm_head(h) + (snr[..., None] > 0) * self.flow_head(h)


def add_noise(x0, snr, noise):
    """[NEW] Equation (1): evidence (B, T, V) of the characters x0 (B, T) at snr (B, T), from noise (B, T, V)."""
    return snr[..., None] * F.one_hot(x0, noise.size(-1)) + snr[..., None].sqrt() * noise


def loss(model, idx, config, rng):
    """Cross-entropy of plainly masked characters plus flow_weight times that of characters that carry evidence.

    idx: (B, block_size + 1) tokens of clean text; of their 2B masked copies the first B are plain, the others flow.
    Returns the scalar and its parts, nats per character (half of the characters being masked on average).
    """
    xt, x0, masked = corrupt(idx[:, :-1], config, rng)  # (2B, T)
    (B, T), V = idx[:, :-1].shape, config.vocab_size
    t = torch.sigmoid(rng.stratified(B).logit(eps=1e-4)[:, None] + SPREAD * rng.randn(B, T))  # [NEW]
    snr = torch.cat((torch.zeros(B, T), snr_at(t))).to(idx.device) * masked  # [NEW]
    noise = torch.cat((torch.zeros(B, T, V), rng.randn(B, T, V))).to(idx.device)
    evidence = add_noise(x0, snr, noise)  # [NEW]
    logits = model(xt, evidence, snr) + evidence  # [NEW] equation (2)
    nll = F.cross_entropy(logits.mT, x0, reduction="none") * masked  # (2B, T)
    ce, flow = (part.sum() / (B * T / 2) for part in nll.split(B))  # [NEW] of the 2 B T characters half are masked
    parts = {"batch_ce_loss": ce.detach(), "batch_flow_loss": flow.detach(), "flow_weight": config.flow_weight}
    return ce + config.flow_weight * flow, parts  # [NEW]


def advance_evidence(probs, evidence, snr, guided, decoding, rngs):
    """[NEW] One step of the flow, equation (3): flow_step of the remaining noise, over the squared perplexity of a position.

    probs, evidence: (B, W, V); snr: (B, W); guided: (B, W), where it flows: elsewhere there is no evidence afterwards.
    Returns the new evidence and snr.
    """
    rows, perplexity = guided.any(1), torch.special.entr(probs).sum(-1).exp()  # (B, W)
    after = snr_at(noise_share(snr) * (1 - decoding.flow_step / perplexity**2)).maximum(snr)
    noise = torch.zeros_like(probs)
    for b in rows.nonzero().flatten().tolist():
        noise[b].normal_(generator=rngs[b])
    towards = sample_tokens(probs, decoding.top_k, rngs, rows)
    evidence = evidence + add_noise(towards, after - snr, noise)
    return evidence * guided[..., None], after * guided


@revised
@torch.inference_mode()
def generate(model, canvas, decoding, rngs, flow=advance_evidence):
    """Fill the canvas chunk after chunk, many characters a pass; the flow guides the early passes of each chunk.

    canvas: masked positions anywhere; rngs: one generator per row; flow: what becomes of the evidence after a pass.
    Yields a Frame per forward pass.
    """
    device, config = model.lm_head.weight.device, model.config
    windows = Windows(canvas, config.block_size, decoding.target_chunk_len)
    snr = torch.zeros(len(canvas.idx), windows.width, dtype=torch.float64)  # [NEW]
    y = torch.zeros(*snr.shape, config.vocab_size, dtype=torch.float64)  # [NEW] evidence
    while windows.masked.any():
        window = windows.next_window()
        guided = window.masked & (window.masked.sum(1, keepdim=True) > decoding.flow_until * window.chunk_size)  # [NEW]
        carries = guided & (window.calls > 0)  # [NEW] a new chunk starts without evidence
        snr, y = snr * carries, y * carries[..., None]  # [NEW]
        x = window.idx.masked_fill(window.hidden, config.vocab_size)
        logits = model(x.to(device), y.float().to(device), snr.float().to(device))  # [NEW]
        probs, conf_probs = two_temps(logits, decoding, window, y)  # [NEW] equation (2), (B, W, V) both
        idx, masked, draft = unmask(window, probs, conf_probs, decoding, rngs)
        if guided.any():  # [NEW]
            y, snr = flow(probs, y, snr, guided & masked, decoding, rngs)
        yield windows.commit(window, idx, masked, draft, probs)._replace(certainty=1 - noise_share(snr))  # [NEW]


METHOD = replace(
    diffusion.METHOD,
    name="diffusion_flow",
    title="Diffusion + flow",
    Model=Model,
    config=Config(),
    decoding=Decoding(),
    loss=loss,
    generate=generate,
)


if __name__ == "__main__":
    sys.exit(command.run(METHOD))
