"""How probable a model finds held-out text: nats per character, one figure per window of text.

Every window is read cold, without the text before it, and every character counts once (but the part's first, for
left-to-right models, whose first prediction has one true character before it where the bound's has none: about .01
nats in their favour). Bits are nats / ln 2.
"""

import torch
from torch.nn import functional as F

ROWS = 16  # windows in one forward pass


@torch.no_grad()
def next_character(model, held):
    """Exact negative log-likelihood of a left-to-right model.

    held: (n, block_size + 1) consecutive windows, each starting on the last character of the one before.
    Returns (n,) nats per character.
    """
    return torch.cat(
        [F.cross_entropy(model(x[:, :-1]).mT, x[:, 1:], reduction="none").mean(1) for x in held.split(ROWS)]
    )


@torch.no_grad()
def next_character_sliding(model, held):
    """The same with at least half a window of text before every scored character.

    held: (n, block_size + 1) windows that start half a window apart. Returns (n,) nats per character.
    """
    half = held.size(1) // 2
    nll = [F.cross_entropy(model(x[:, :-1]).mT, x[:, 1:], reduction="none")[:, half:].mean(1) for x in held.split(ROWS)]
    return torch.cat(nll)


@torch.no_grad()
def masked_bound(model, held, repeats=4, seed=0):
    """Upper bound on the negative log-likelihood of a masked model (continuous-time bound of MD4, arXiv 2406.04329).

    With a mask count uniform over 1 .. block_size it is the mean over rows of the mean cross-entropy of the masked
    characters (LLaDA, arXiv 2502.09992, equation 14). Counts are stratified over all rows.
    held: (n, block_size) windows, each masked `repeats` times. Returns (n,) nats per character.
    """
    rng = torch.Generator().manual_seed(seed)
    n, T = held.shape
    spread = torch.randperm(n * repeats, generator=rng) + torch.rand(1, generator=rng)
    counts = (spread / (n * repeats) * T).long() + 1  # (n * repeats,)
    ranks = torch.rand(n * repeats, T, generator=rng).argsort(1).argsort(1)
    rows = []
    for x, masked in zip(held.repeat(repeats, 1).split(ROWS), (ranks < counts[:, None]).split(ROWS), strict=True):
        nll = F.cross_entropy(model(x.masked_fill(masked, model.config.n_letters)).mT, x, reduction="none")
        rows.append((nll * masked).sum(1) / masked.sum(1))
    return torch.cat(rows).view(repeats, n).mean(0)
