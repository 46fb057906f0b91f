"""Which masked positions one pass fills in: strategies that look at the probabilities and at what is masked."""

import torch
from torch.nn import functional as F

from lab.decoding.sampling import probabilities, uniforms

MOST = 10**6  # the largest spacing and number of steps
COLD = 0.25  # temperature below which tempered probabilities no longer tell positions apart
FEW = (1, 2, 3)  # characters to draw from, whose probabilities together are a confidence; the sum of many says nothing


def select_positions(probs, masked, decoding):
    """Positions with enough confidence and apart from each other, or the one with most: (B, W) bool.

    Characters of one pass are drawn independently, and neighbours depend on each other most: hence the spacing.
    probs: (B, W, V); masked: (B, W) bool, which positions may be chosen. Thresholds as in Fast-dLLM (arXiv 2505.22618)
    and nathan-barry/tiny-diffusion, spacing as in DUS (2506.19037).
    """
    confidence = confidence_of(probs, decoding)
    entropy = torch.special.entr(probs).sum(-1)
    passing = spaced(entropy, masked & (confidence >= decoding.confidence_threshold), decoding.spacing)
    best = F.one_hot(confidence.masked_fill(~masked, -1).argmax(-1), masked.size(-1)).bool()
    return torch.where(passing.any(-1, keepdim=True), passing, best & masked)


def reverse_step(window, drawn, steps, rngs):
    """MDLM's reverse process from time t to s (arXiv 2406.07524): each position is unmasked with probability (t - s) / t.

    window: a lab.decoding.canvas.Window; drawn: (B, W) tokens; steps: from t = 1 to 0. Returns idx, masked, drafts (B, W).
    """
    masked, left = window.masked, steps - window.calls  # (B, 1) passes, this one included
    t, s = left / steps, (left - 1) / steps
    chosen = masked & (uniforms(masked.size(1), rngs, masked.any(1)) < (t - s) / t)
    return torch.where(chosen, drawn, window.idx), masked & ~chosen, window.drafts


def confidence_of(probs, decoding):
    """Confidence of each position, the sum of its top_k probabilities; of one, where these are many: (B, W, V) -> (B, W)."""
    k = decoding.top_k if decoding.top_k in FEW else 1
    return probs.topk(min(k, probs.size(-1))).values.sum(-1)


def cooled(decoding, window):
    """The temperature of each row, (B, 1, 1): it falls in proportion to what is masked of the chunk, down to temp * cool_to.

    The first characters of a chunk make it diverse, the last ones make it fit together.
    """
    left = window.masked.sum(1).double().clamp(min=1) / window.chunk_size[:, 0].clamp(min=1)  # of the chunk, a share
    return (decoding.temp * (decoding.cool_to + (1 - decoding.cool_to) * left))[:, None, None]


def two_temps(logits, decoding, window, evidence=0):
    """Probabilities that tokens are drawn from, and those that confidence and entropy are taken of: (B, W, V) both.

    The temperature of the latter is that of the draws, as in nathan-barry/tiny-diffusion; where the draws are colder than
    COLD it is 1, as in LLaDA (arXiv 2502.09992) and Fast-dLLM: near temperature 0 all positions seem certain. evidence: as
    in `probabilities`.
    """
    temp = cooled(decoding, window)
    conf_temp = torch.where(temp < COLD, 1.0, temp)
    probs = probabilities(logits, temp, evidence)
    return probs, probs if conf_temp.equal(temp) else probabilities(logits, conf_temp, evidence)


def spaced(entropy, candidates, spacing):
    """The candidates (B, W), lowest entropy first, that are more than `spacing` away from all taken before them."""
    if spacing == 0:
        return candidates
    positions, taken = torch.arange(entropy.size(-1)), torch.zeros_like(candidates)
    while candidates.any():
        best = entropy.masked_fill(~candidates, torch.inf).argmin(-1, keepdim=True)  # (B, 1)
        taken = taken | (positions == best) & candidates
        candidates = candidates & ((positions - best).abs() > spacing)
    return taken


def leftmost(probs, masked):
    """The first masked position of each row: (B, L) bool, as all of these. probs: (B, L, V); masked: (B, L) bool."""
    return masked & (masked.cumsum(1) == 1)


def at_random(probs, masked, number, rng):
    """That many masked positions of each row, drawn with a torch.Generator."""
    ranks = torch.rand(masked.shape, generator=rng).masked_fill(~masked, 2).argsort(1).argsort(1)
    return masked & (ranks < number)


def within_budget(probs, masked, nats):
    """The most confident positions whose entropies, but for the largest, add up to at most `nats` (arXiv 2505.24857)."""
    entropy, order = torch.special.entr(probs).sum(-1).masked_fill(~masked, torch.inf).sort(stable=True)
    spent = entropy.cumsum(-1) - entropy  # entropies rise: the last one taken is the largest
    return masked & (spent <= nats).gather(-1, order.argsort(-1))
