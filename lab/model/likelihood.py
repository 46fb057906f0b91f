"""How probable a model finds held-out text: nats per character, one figure per window of text.

Every window is scored without preceding context, and every character counts once (but the part's very first, for
left-to-right models: their first prediction in a window sees one true character, the bound's none, which is about .01
nats in their favour). Bits are nats / ln 2.
"""

import torch
from torch.nn import functional as F

from lab.decoding.sampling import probabilities

ROWS = 16  # windows in one forward pass


def next_losses(model, x):
    """Cross-entropy of each next character of windows: (B, T) -> (B, T - 1)."""
    return F.cross_entropy(model(x[:, :-1]).mT, x[:, 1:], reduction="none")


@torch.no_grad()
def nll_given_prefix(model, windows, written):
    """Exact negative log-likelihood of some characters of each window, each given all that stands before it.

    windows: (n, T) windows; written: (T,) bool, which characters, not the first. Returns (n,) nats per character.
    """
    return torch.cat([next_losses(model, x)[:, written[1:]].mean(1) for x in windows.split(ROWS)])


def exact_nll(model, windows, repeats=1):
    """The same of whole windows.

    windows: (n, block_size + 1) consecutive windows, each starting on the last character of the one before; repeats: of a
    bound, without effect here. Returns (n,) nats per character.
    """
    return nll_given_prefix(model, windows, torch.arange(windows.size(1)) > 0)


def sliding_nll(model, windows):
    """The same with at least half a window of text before every scored character.

    windows: (n, block_size + 1) windows that start half a window apart. Returns (n,) nats per character.
    """
    return nll_given_prefix(model, windows, torch.arange(windows.size(1)) > windows.size(1) // 2)


@torch.no_grad()
def nelbo(model, windows, repeats=2, seed=0):
    """Upper bound on the negative log-likelihood of a masked model (continuous-time bound of MD4, arXiv 2406.04329).

    With a mask count uniform over 1 .. block_size it is the mean over rows of the mean cross-entropy of the masked
    characters (LLaDA, arXiv 2502.09992, equation 14). Counts are stratified over all rows.
    windows: (n, block_size + 1), as `exact_nll` takes them, without their last character; each is masked `repeats` times, in
    the same way at every call. Returns (n,) nats per character.
    """
    rng = torch.Generator().manual_seed(seed)
    windows = windows[:, :-1]
    n, T = windows.shape
    rows = n * repeats
    shares = (torch.randperm(rows, generator=rng) + torch.rand(1, generator=rng)) / rows  # one in each of `rows` slices
    counts = (shares * T).long() + 1  # (rows,)
    ranks = torch.rand(rows, T, generator=rng).argsort(1).argsort(1)
    masks = (ranks < counts[:, None]).to(windows.device)
    nats = []
    for x0, masked in zip(windows.repeat(repeats, 1).split(ROWS), masks.split(ROWS), strict=True):
        xt = x0.masked_fill(masked, model.config.vocab_size)
        nll = F.cross_entropy(model(xt).mT, x0, reduction="none")
        nats.append((nll * masked).sum(1) / masked.sum(1))
    return torch.cat(nats).view(repeats, n).mean(0)


@torch.no_grad()
def calibrate(model, measure):
    """Divide what lm_head says by the temperature (.8 to 1.6) of the least validation loss; a flow_head stays as it is.

    One number fitted on text that was not trained on (temperature scaling; Guo et al. 2017, arXiv 1706.04599): a model
    that has read its text many times is too confident elsewhere. measure: () -> loss of the model as it is.
    Returns the temperature and the loss.
    """
    weight = model.lm_head.weight
    full = weight.clone()

    losses = {}
    for temp in (k / 20 for k in range(16, 33)):
        weight.copy_(full / temp)
        losses[temp] = measure()
    best = min(losses, key=losses.get)
    weight.copy_(full / best)
    return best, losses[best]


@torch.no_grad()
def path_nll(model, windows, masked, choose):
    """Exact negative log-likelihood of a parallel sampler at temperature 1, and its number of calls.

    The unmasking strategy runs on text that is known but reveals the true characters: with the characters of a call drawn
    independently, what the sampler gives the text is the product of their probabilities. True of rules that look at
    revealed text and probabilities only, not at the characters drawn; of a randomised strategy it is an upper bound.
    windows: (n, T) windows; masked: (T,) bool, which characters are to be written, the others being given;
    choose(probs (n, T, V), masked (n, T)) -> which to reveal, (n, T) bool. Returns (n,) nats per character and (n,) calls.
    """
    n = len(windows)
    written = int(masked.sum())
    masked = masked.repeat(n, 1)
    nll = torch.zeros(n, dtype=torch.float64)
    calls = torch.zeros(n)
    while masked.any():
        xt = windows.masked_fill(masked, model.config.vocab_size)
        probs = probabilities(torch.cat([model(x) for x in xt.split(ROWS)]), temp=1)
        chosen = choose(probs, masked)
        truth = probs.gather(-1, windows[..., None])[..., 0]
        nll -= torch.where(chosen, truth.log(), 0).sum(1)
        calls += masked.any(1)
        masked = masked & ~chosen
    return nll / written, calls
