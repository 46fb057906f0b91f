"""Gaps restored from left to right by a search that scores the known characters on their right as well: GPT, n-grams."""

import itertools

import numpy as np
import torch

from lab.model.backbone import Cache


@torch.no_grad()
def beam_search(log_probs, idx, masked, width):
    """A text (L,) restored from left to right: of the `width` likeliest texts each position's most probable character.

    log_probs: (texts (width, t), first, parents (width,): which of the texts before each goes on from) -> (width, t - first
    + 1, V), of characters first .. t. Returns the text (L,).
    """
    texts = idx.repeat(width, 1)
    first = 1
    parents = torch.arange(width)
    nll = torch.zeros(width, dtype=torch.float64).masked_fill(parents > 0, torch.inf)  # at first all are one text
    for k in [*masked.nonzero().flatten().tolist(), len(idx)]:
        log_p = log_probs(texts[:, :k], first, parents)
        V = log_p.size(-1)
        known = texts[:, first:k, None]  # between the last gap and this one
        nll = nll - log_p[:, :-1].gather(-1, known)[..., 0].sum(1)
        if k < len(idx):
            nll, best = (nll[:, None] - log_p[:, -1]).flatten().topk(width, largest=False)
            parents = best // V
            first = k + 1
            texts = texts[parents]
            texts[:, k] = best % V
    shares = (-nll).softmax(0)[:, None].expand(texts.shape)
    votes = torch.zeros(V, len(idx), dtype=torch.float64).scatter_add(0, texts, shares)
    return votes.argmax(0)


def gpt_scorer(model, width):
    """The log_probs of `beam_search` by GPT, with cached keys and values."""
    cache = Cache(model.config, width, like=model.lm_head.weight)

    def log_probs(texts, first, parents):
        cache.length = first - 1  # 0 when a text begins
        _, layers = cache.append(0)  # views of what it holds, no more
        for held in itertools.chain(*layers):
            held.copy_(held[parents])
        return model(texts[:, first - 1 :], cache).double().log_softmax(-1)

    return log_probs


def by_ngrams(ngrams, texts, first, parents):
    """The log_probs of `beam_search` by n-grams."""
    positions = range(first, texts.size(1) + 1)
    context = 1 - ngrams.order
    found = np.array([[ngrams.probs(tuple(text[:k][context:])) for k in positions] for text in texts.tolist()])
    return torch.from_numpy(found).log()
