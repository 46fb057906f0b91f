"""Which masked positions one call fills in: strategies that look at the probabilities and at what is masked."""

import torch


def spaced(entropy, candidates, spacing):
    """The candidates (B, W), lowest entropy first, that are more than `spacing` away from all taken before them.

    Neighbours depend on each other most, and one call draws its characters independently: far ones lose little.
    """
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
